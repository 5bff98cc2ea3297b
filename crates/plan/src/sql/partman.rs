//! pg_partman's management: taken away for the run, put back by rollback.

use crate::facts::Partman;
use crate::{quote_ident, quote_literal};

/// Removes the table from pg_partman's configuration, so that no maintenance touches its partitions.
///
/// Maintenance that is under way has read the configuration, in a transaction that goes on: it would still make or drop
/// partitions. It holds a lock of what it has read until it ends, so this waits for it.
pub(crate) fn release(partman: &Partman) -> Vec<String> {
    let schema = quote_ident(&partman.schema);
    let parent = quote_literal(&partman.parent_table);
    vec![
        format!("LOCK TABLE {schema}.part_config IN ACCESS EXCLUSIVE MODE"),
        format!("DELETE FROM {schema}.part_config_sub WHERE sub_parent = {parent}"),
        format!("DELETE FROM {schema}.part_config WHERE parent_table = {parent}"),
    ]
}

/// Puts the configuration back as it was.
pub(crate) fn restore(partman: &Partman) -> Vec<String> {
    let schema = quote_ident(&partman.schema);
    let mut statements = vec![insert(&schema, "part_config", &partman.config)];
    statements.extend(
        partman
            .sub_config
            .iter()
            .map(|row| insert(&schema, "part_config_sub", row)),
    );
    statements
}

fn insert(schema: &str, table: &str, row: &serde_json::Value) -> String {
    let json = quote_literal(&row.to_string());
    format!(
        "INSERT INTO {schema}.{table} SELECT * FROM jsonb_populate_record(NULL::{schema}.{table}, {json}::jsonb) \
         ON CONFLICT DO NOTHING"
    )
}
