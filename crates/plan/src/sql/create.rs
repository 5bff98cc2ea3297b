//! The target: an empty hypertable like the source, in the staging schema, without keys and indexes.

use super::grants::{Granted, grants, owned_by};
use super::sequences::{sequence_options, sequence_properties};
use super::{comment_on, staging_schema};
use crate::facts::{CheckConstraint, Column, Facts, Identity, TableFacts};
use crate::{Relation, TablePlan, quote_ident, quote_literal};

/// Makes the schemas that the run builds in.
pub(crate) fn create_schemas(facts: &Facts, tables: &[TablePlan]) -> Vec<String> {
    let mut statements = Vec::new();
    for (table, found) in tables.iter().zip(&facts.tables) {
        let staging = staging_schema(&table.relation.schema);
        let staged = table.staged.first().map(|leaf| &leaf.chunk.schema);
        for schema in std::iter::once(&staging).chain(staged) {
            let schema = quote_ident(schema);
            let create = format!("CREATE SCHEMA IF NOT EXISTS {schema}");
            if !statements.contains(&create) {
                statements.push(create);
            }
            if found.owner != facts.target.role {
                statements.push(format!(
                    "GRANT USAGE, CREATE ON SCHEMA {schema} TO {}",
                    quote_ident(&found.owner)
                ));
            }
        }
    }
    statements
}

/// Creates the table and makes it a hypertable.
pub(crate) fn create_table(table: &TablePlan, found: &TableFacts, facts: &Facts) -> Vec<String> {
    let staging = &table.staging;
    let mut parts: Vec<String> = found
        .columns
        .iter()
        .map(|column| column_sql(column, staging))
        .collect();
    parts.extend(
        found
            .checks
            .iter()
            .filter(|check| is_valid(check))
            .map(check_sql),
    );
    let mut statements = vec![format!(
        "CREATE TABLE {staging} (\n  {}\n)",
        parts.join(",\n  ")
    )];
    statements.extend(
        found
            .columns
            .iter()
            .flat_map(|column| column_settings(staging, column)),
    );
    statements.push(create_hypertable(table, facts));
    statements.extend(comments(table, found));
    statements.extend(access(staging, found, facts));
    let identities = found
        .columns
        .iter()
        .filter_map(|column| column.identity.as_ref());
    statements.extend(identities.flat_map(|Identity { sequence, .. }| {
        let name = sequence.relation.in_schema(&staging.schema);
        sequence_properties(&name, sequence, facts)
    }));
    statements
}

/// Owner and privileges of the hypertable, or of a table that becomes a chunk of it.
pub(super) fn access(relation: &Relation, found: &TableFacts, facts: &Facts) -> Vec<String> {
    let columns = found.columns.iter();
    let on_columns = columns.flat_map(|column| {
        let column_name = &column.name;
        column
            .grants
            .iter()
            .map(move |grant| (grant, Some(column_name)))
    });
    let all = found
        .grants
        .iter()
        .map(|grant| (grant, None))
        .chain(on_columns);
    owned_by(Granted::Table, relation, &found.owner, facts)
        .into_iter()
        .chain(grants(Granted::Table, relation, all, facts))
        .collect()
}

/// Whether a CHECK holds for the rows that are there: one that is NOT VALID is added after the data.
pub(crate) fn is_valid(check: &CheckConstraint) -> bool {
    !check.definition.ends_with(" NOT VALID")
}

/// A hypertable's CHECK has to be inherited by its chunks.
pub(crate) fn check_sql(check: &CheckConstraint) -> String {
    format!(
        "CONSTRAINT {} {}",
        quote_ident(&check.name),
        inherited_definition(check)
    )
}

/// The schema of TimescaleDB's functions, quoted.
pub(crate) fn extension_schema(facts: &Facts) -> String {
    let extension = facts.target.extensions.get("timescaledb");
    quote_ident(extension.map_or("public", |extension| &extension.schema))
}

/// The definition without NO INHERIT, which stands behind the condition.
pub(crate) fn inherited_definition(check: &CheckConstraint) -> String {
    let (condition, not_valid) = match check.definition.strip_suffix(" NOT VALID") {
        Some(condition) => (condition, " NOT VALID"),
        None => (check.definition.as_str(), ""),
    };
    let condition = condition.strip_suffix(" NO INHERIT").unwrap_or(condition);
    format!("{condition}{not_valid}")
}

fn create_hypertable(table: &TablePlan, facts: &Facts) -> String {
    let schema = extension_schema(facts);
    format!(
        "SELECT {schema}.create_hypertable({}::regclass, {schema}.by_range({}, {}), create_default_indexes => false)",
        quote_literal(&table.staging.to_string()),
        quote_literal(&table.time_column),
        interval_sql(table.chunk_interval_us),
    )
}

/// `INTERVAL '1 day'`: the largest unit that fits, since that is how people will see it.
pub(super) fn interval_sql(interval_us: i64) -> String {
    const UNITS: [(i64, &str); 4] = [
        (86_400_000_000, "day"),
        (3_600_000_000, "hour"),
        (60_000_000, "minute"),
        (1_000_000, "second"),
    ];
    let (count, unit) = UNITS
        .iter()
        .find(|(unit_us, _)| interval_us % unit_us == 0)
        .map_or((interval_us, "microsecond"), |(unit_us, unit)| {
            (interval_us / unit_us, unit)
        });
    let plural = if count == 1 { "" } else { "s" };
    format!("INTERVAL '{count} {unit}{plural}'")
}

fn column_sql(column: &Column, staging: &Relation) -> String {
    let mut sql = format!("{} {}", quote_ident(&column.name), column.type_sql);
    if let Some(collation) = &column.collation {
        sql.push_str(&format!(" COLLATE {collation}"));
    }
    if let Some(generation) = &column.generation {
        let storage = if generation.stored {
            "STORED"
        } else {
            "VIRTUAL"
        };
        sql.push_str(&format!(
            " GENERATED ALWAYS AS ({}) {storage}",
            generation.expression_sql
        ));
    } else if let Some(identity) = &column.identity {
        sql.push_str(&identity_sql(identity, staging));
    } else if let Some(default) = &column.default_sql {
        sql.push_str(&format!(" DEFAULT {default}"));
    }
    if column.not_null {
        sql.push_str(" NOT NULL");
    }
    sql
}

fn identity_sql(identity: &Identity, staging: &Relation) -> String {
    let word = if identity.always {
        "ALWAYS"
    } else {
        "BY DEFAULT"
    };
    let name = identity.sequence.relation.in_schema(&staging.schema);
    format!(
        " GENERATED {word} AS IDENTITY (SEQUENCE NAME {name} {})",
        sequence_options(&identity.sequence)
    )
}

pub(super) fn column_settings(staging: &Relation, column: &Column) -> Vec<String> {
    let mut settings = Vec::new();
    if let Some(storage) = &column.storage {
        settings.push(format!("SET STORAGE {storage}"));
    }
    if let Some(compression) = &column.compression {
        settings.push(format!("SET COMPRESSION {compression}"));
    }
    if let Some(target) = column.statistics_target {
        settings.push(format!("SET STATISTICS {target}"));
    }
    if !column.options.is_empty() {
        settings.push(format!("SET ({})", column.options.join(", ")));
    }
    let name = quote_ident(&column.name);
    settings
        .into_iter()
        .map(|setting| format!("ALTER TABLE {staging} ALTER COLUMN {name} {setting}"))
        .collect()
}

fn comments(table: &TablePlan, found: &TableFacts) -> Vec<String> {
    let staging = &table.staging;
    let own = table.policies.comment.as_ref().or(found.comment.as_ref());
    let table = comment_on(&format!("TABLE {staging}"), own);
    let columns = found.columns.iter().filter_map(|column| {
        comment_on(
            &format!("COLUMN {staging}.{}", quote_ident(&column.name)),
            column.comment.as_ref(),
        )
    });
    table.into_iter().chain(columns).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_written_in_the_largest_unit() {
        for (interval_us, sql) in [
            (86_400_000_000, "INTERVAL '1 day'"),
            (7 * 86_400_000_000, "INTERVAL '7 days'"),
            (5_400_000_000, "INTERVAL '90 minutes'"),
            (1_500_000, "INTERVAL '1500000 microseconds'"),
        ] {
            assert_eq!(interval_sql(interval_us), sql);
        }
    }
}
