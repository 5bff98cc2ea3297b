//! What is built over the data once it is there: keys, indexes, checks. Foreign keys have a file of their own.

use super::{column_list, comment_on};
use crate::facts::{Index, KeyKind, ReplicaIdentity, TableFacts, UniqueKey};
use crate::sql::create::{check_sql, is_valid};
use crate::{Relation, TablePlan, quote_ident};

/// Adds a primary key or unique constraint, widened by the time column where that is missing from it.
pub(crate) fn key_step_sql(table: &TablePlan, key: &UniqueKey) -> Vec<String> {
    let staging = &table.staging;
    let name = quote_ident(&key.name);
    let definition = key_definition(table, key);
    let mut statements = vec![format!(
        "ALTER TABLE {staging} ADD CONSTRAINT {name} {definition}"
    )];
    statements.extend(comment_on(
        &format!("CONSTRAINT {name} ON {staging}"),
        key.comment.as_ref(),
    ));
    statements
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
    let name = quote_ident(&index.name);
    let unique = if index.unique && !lacks_time(&index.columns, &table.time_column) {
        "UNIQUE "
    } else {
        ""
    };
    let mut statements = vec![format!(
        "CREATE {unique}INDEX {name} ON {staging} {}",
        index.tail_sql
    )];
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
    format!("{word} ({}){include}", column_list(&columns))
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
        };
        assert!(lacks_time(&key.columns, "ts"));
        assert_eq!(
            widened_key(&key, "ts"),
            r#"PRIMARY KEY ("id", "ts") INCLUDE ("well")"#
        );
    }
}
