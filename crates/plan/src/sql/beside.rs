//! Slices that meet live rows with keys of theirs: what is there stays.

use super::column_list;
use crate::{Relation, TablePlan, quote_ident};

/// The table that a slice's rows are copied into, for the length of its transaction.
pub const BESIDE_TABLE: &str = "hyperhaul_slice";

/// Makes that table, with the columns that are copied and nothing else of the hypertable.
pub fn create_beside(table: &TablePlan) -> String {
    format!(
        "CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA",
        quote_ident(BESIDE_TABLE),
        column_list(&table.copy_columns),
        table.copied_into()
    )
}

/// Takes what is in it over, but for rows whose key is there. Identity columns keep their values, as COPY keeps them.
pub fn insert_beside(table: &TablePlan, into: &Relation) -> String {
    let columns = column_list(&table.copy_columns);
    format!(
        "INSERT INTO {into} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM pg_temp.{}{}",
        quote_ident(BESIDE_TABLE),
        where_keys_are_free()
    )
}

/// Of a row whose key is there, nothing is done: the live one is newer.
pub(super) fn where_keys_are_free() -> &'static str {
    " ON CONFLICT DO NOTHING"
}
