//! What is built over the data once it is there: keys, indexes, checks. Foreign keys have a file of their own.

use super::{column_list, comment_on};
use crate::facts::{Index, KeyKind, ReplicaIdentity, TableFacts, UniqueKey};
use crate::sql::create::{check_sql, is_valid};
use crate::{Relation, TablePlan, quote_ident};

/// Adds a primary key or unique constraint, widened by the time column where that is missing from it.
pub(crate) fn key_step_sql(table: &TablePlan, key: &UniqueKey) -> Vec<String> {
    let staging = &table.staging;
    let name = quote_ident(&key.name);
    let mut statements = vec![add_key(table, key, staging, &key.name)];
    statements.extend(comment_on(
        &format!("CONSTRAINT {name} ON {staging}"),
        key.comment.as_ref(),
    ));
    statements
}

/// Adds a key under a name to the hypertable, or to a table that becomes a chunk of it.
pub(super) fn add_key(table: &TablePlan, key: &UniqueKey, to: &Relation, name: &str) -> String {
    let definition = with_options(&key_definition(table, key), &key.options);
    let name = quote_ident(name);
    format!("ALTER TABLE {to} ADD CONSTRAINT {name} {definition}")
}

/// A key's definition on the hypertable: the source's, widened by the time column where that is missing from it.
pub(crate) fn key_definition(table: &TablePlan, key: &UniqueKey) -> String {
    if lacks_time(&key.columns, &table.time_column) {
        widened_key(key, &table.time_column)
    } else {
        key.definition.clone()
    }
}

/// Creates an index. A unique one is widened by the time column where that is missing from it.
pub(crate) fn index_step_sql(table: &TablePlan, index: &Index) -> Vec<String> {
    let staging = &table.staging;
    let mut statements = vec![create_index(table, index, staging, &index.name)];
    let qualified = Relation::new(&staging.schema, &index.name);
    statements.extend(comment_on(
        &format!("INDEX {qualified}"),
        index.comment.as_ref(),
    ));
    for (column, target) in &index.statistics_targets {
        statements.push(format!(
            "ALTER INDEX {qualified} ALTER COLUMN {column} SET STATISTICS {target}"
        ));
    }
    statements
}

/// Creates an index under a name on the hypertable, or on a table that becomes a chunk of it.
pub(super) fn create_index(table: &TablePlan, index: &Index, on: &Relation, name: &str) -> String {
    let unique = if index.unique && !lacks_time(&index.columns, &table.time_column) {
        "UNIQUE "
    } else {
        ""
    };
    let name = quote_ident(name);
    format!("CREATE {unique}INDEX {name} ON {on} {}", index.tail_sql)
}

/// Adds the CHECKs that are NOT VALID in the source, and the comments of all.
pub(crate) fn late_checks(table: &TablePlan, found: &TableFacts) -> Vec<String> {
    let staging = &table.staging;
    let mut statements = Vec::new();
    for check in &found.checks {
        if !is_valid(check) {
            statements.push(format!("ALTER TABLE {staging} ADD {}", check_sql(check)));
        }
        let object = format!("CONSTRAINT {} ON {staging}", quote_ident(&check.name));
        statements.extend(comment_on(&object, check.comment.as_ref()));
    }
    statements
}

/// Replica identity, where it is not the primary key.
pub(crate) fn replica_identity(table: &TablePlan, found: &TableFacts) -> Option<String> {
    let identity = match &found.replica_identity {
        ReplicaIdentity::Default => return None,
        ReplicaIdentity::Nothing => "NOTHING".to_owned(),
        ReplicaIdentity::Full => "FULL".to_owned(),
        ReplicaIdentity::Index(index) => format!("USING INDEX {}", quote_ident(index)),
    };
    Some(format!(
        "ALTER TABLE {} REPLICA IDENTITY {identity}",
        table.staging
    ))
}

/// Whether a key cannot exist on a hypertable because the time column is not among its columns.
pub(crate) fn lacks_time(columns: &[Option<String>], time_column: &str) -> bool {
    !columns.iter().flatten().any(|column| column == time_column)
}

fn widened_key(key: &UniqueKey, time_column: &str) -> String {
    let word = match key.kind {
        KeyKind::Primary => "PRIMARY KEY",
        KeyKind::Unique | KeyKind::Exclusion if key.definition.starts_with(NULLS_NOT_DISTINCT) => {
            NULLS_NOT_DISTINCT
        }
        KeyKind::Unique | KeyKind::Exclusion => "UNIQUE",
    };
    let columns: Vec<&str> = key
        .columns
        .iter()
        .flatten()
        .map(String::as_str)
        .chain(std::iter::once(time_column))
        .collect();
    let include = if key.include.is_empty() {
        String::new()
    } else {
        format!(" INCLUDE ({})", column_list(&key.include))
    };
    let (_, deferrable) = split_deferrable(&key.definition);
    format!("{word} ({}){include}{deferrable}", column_list(&columns))
}

/// How such a constraint's definition begins (PostgreSQL 15 and later).
const NULLS_NOT_DISTINCT: &str = "UNIQUE NULLS NOT DISTINCT";

/// A key's definition in two: what stands before storage parameters, and what behind them.
fn split_deferrable(definition: &str) -> (&str, &str) {
    [" DEFERRABLE INITIALLY DEFERRED", " DEFERRABLE"]
        .iter()
        .find_map(|ending| definition.strip_suffix(ending))
        .map_or((definition, ""), |before| definition.split_at(before.len()))
}

/// The definition with the storage parameters of the key's index, which the server does not print with it.
fn with_options(definition: &str, options: &[String]) -> String {
    if options.is_empty() {
        return definition.to_owned();
    }
    let (columns, deferrable) = split_deferrable(definition);
    format!("{columns} WITH ({}){deferrable}", options.join(", "))
}

/// The index that CLUSTER goes by, where there is one.
pub(crate) fn cluster_on(table: &TablePlan, found: &TableFacts) -> Option<String> {
    let keys = found.unique_keys.iter();
    let keys = keys.filter(|key| key.clustered && key.kind != KeyKind::Exclusion);
    let indexes = found.indexes.iter().filter(|index| index.clustered);
    let name = keys
        .map(|key| &key.name)
        .chain(indexes.map(|index| &index.name))
        .next()?;
    Some(format!(
        "ALTER TABLE {} CLUSTER ON {}",
        table.staging,
        quote_ident(name)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_without_the_time_column_is_widened_by_it() {
        let key = UniqueKey {
            name: "esp_pkey".into(),
            kind: KeyKind::Primary,
            columns: vec![Some("id".into())],
            include: vec!["well".into()],
            definition: "PRIMARY KEY (id) INCLUDE (well)".into(),
            size_bytes: 0,
            comment: None,
            clustered: false,
            options: vec!["fillfactor=70".into()],
        };
        assert!(lacks_time(&key.columns, "ts"));
        assert_eq!(
            widened_key(&key, "ts"),
            r#"PRIMARY KEY ("id", "ts") INCLUDE ("well")"#
        );
        let deferred = UniqueKey {
            kind: KeyKind::Unique,
            definition:
                "UNIQUE NULLS NOT DISTINCT (id) INCLUDE (well) DEFERRABLE INITIALLY DEFERRED".into(),
            ..key
        };
        assert_eq!(
            with_options(&widened_key(&deferred, "ts"), &deferred.options),
            r#"UNIQUE NULLS NOT DISTINCT ("id", "ts") INCLUDE ("well") WITH (fillfactor=70) DEFERRABLE INITIALLY DEFERRED"#
        );
    }
}
