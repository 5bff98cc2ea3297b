//! Rows that were written since the cutover, kept over a rollback within one database: saved in a table of their own while writers
//! are off, brought into the old table when that is in use again.

use super::copy::within;
use super::{column_list, drop_schema_if_empty};
use crate::ident::derived_name;
use crate::{ChunkRange, Relation, TablePlan, quote_ident};

/// Where they are meanwhile. Other runs keep theirs elsewhere: what could not be brought back stays.
pub fn kept_rows(table: &TablePlan, run: i64) -> Relation {
    let schema = derived_name(&format!("hyperhaul_kept_{run}_"), &table.relation.schema);
    table.relation.in_schema(&schema)
}

/// Makes that table, empty.
pub fn make_kept(table: &TablePlan, run: i64) -> Vec<String> {
    let kept = kept_rows(table, run);
    vec![
        format!("CREATE SCHEMA IF NOT EXISTS {}", quote_ident(&kept.schema)),
        format!(
            "CREATE TABLE {kept} AS SELECT {} FROM {} WITH NO DATA",
            column_list(&table.copy_columns),
            table.relation
        ),
    ]
}

/// Saves what the hypertable has in a chunk's range and the old table has not, as often as it has it more.
pub fn keep_rows(table: &TablePlan, run: i64, range: ChunkRange) -> String {
    let columns = column_list(&table.copy_columns);
    let condition = within(table, range);
    format!(
        "INSERT INTO {} SELECT {columns} FROM {} WHERE {condition} EXCEPT ALL SELECT {columns} FROM {} WHERE {condition}",
        kept_rows(table, run),
        table.relation,
        table.archive
    )
}

/// How many there are.
pub fn count_kept(table: &TablePlan, run: i64) -> String {
    format!("SELECT count(*) FROM {}", kept_rows(table, run))
}

/// Writes them to the old table; whose key is there by now, stays out.
pub fn bring_kept_back(table: &TablePlan, run: i64) -> String {
    let columns = column_list(&table.copy_columns);
    format!(
        "INSERT INTO {} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {} ON CONFLICT DO NOTHING",
        table.relation,
        kept_rows(table, run)
    )
}

/// Drops the table, if there is one.
pub fn drop_kept(table: &TablePlan, run: i64) -> Vec<String> {
    let kept = kept_rows(table, run);
    vec![
        format!("DROP TABLE IF EXISTS {kept}"),
        drop_schema_if_empty(&kept.schema),
    ]
}
