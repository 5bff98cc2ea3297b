//! The hash that the server takes of a row, as an expression.
//!
//! Forming a record of a row takes longer than hashing its fields. So each value is hashed by its type's own function where SQL can
//! call it, and the fields' hashes are joined by exclusive or:
//!
//! ```text
//!   value, seed of its column -> hash of its type   \
//!   NULL                      -> another number      >  #  ->  hashed once more, all of its 64 bits  ->  summed up over rows
//!   all other columns         -> hash of a record   /
//! ```
//!
//! - **Two columns exchange values**: each column has a seed of its own. Not every function mixes it into each hash: that of an empty
//!   array is 1, of `numeric` 0 the number before the seed. Those are mixed once more, with the column's number. (A chain, each
//!   hash the next one's seed, would lose what is before an empty array.)
//! - **NULL becomes a value**: what stands for NULL is a number as random as the seeds. A record's hash takes 0 for it, which is that of
//!   0.0, of `{}` in `jsonb` and of `NaN` in `numeric` as well if the seed is 0. Hence the record has a seed too.
//! - **Two rows exchange values**: the exclusive or over both stays the same, as would sums of records' hashes. Hence it is hashed
//!   once more before rows are added up: as a seed, since of a bigint only 32 bits are hashed.

use super::column_list;
use crate::facts::{HashArgument, HashFunction};
use crate::{TablePlan, quote_ident};

/// Functions that mix the seed into the hash of every value but at most one (PostgreSQL 14 to 18).
const MIXING: &[&str] = &[
    "hashenumextended",
    "hashfloat4extended",
    "hashfloat8extended",
    "hashint2extended",
    "hashint4extended",
    "hashint8extended",
    "hashtextextended",
    "timestamp_hash_extended",
    "uuid_hash_extended",
];

/// Which hash of a row the server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowHash {
    /// Of the values, as each type's own hash sees them: `1.0` and `1.00` are the same. Enough for rows that nobody but
    /// `INSERT ... SELECT` has touched.
    Values,
    /// Of the binary form, so that no change goes unseen; about a third as fast. The ledger keeps such hashes.
    Image,
}

impl RowHash {
    /// Which one proves a table's rows before the cutover. The columnstore keeps one of several values that are equal, and
    /// may give it back for all of them: what went there by then has been touched.
    pub fn before_cutover(table: &TablePlan) -> RowHash {
        if table.goes_to_columnstore_before_indexes() {
            RowHash::Image
        } else {
            RowHash::Values
        }
    }
}

/// An expression for the hash of a row's copied columns; never NULL.
pub(super) fn row_hash(table: &TablePlan, hash: RowHash) -> String {
    match hash {
        RowHash::Values => values_hash(table),
        RowHash::Image => format!(
            "pg_catalog.hashint8extended(pg_catalog.hash_record_extended(\
             ROW(pg_catalog.record_send(ROW({}))), 0), 0)",
            column_list(&table.copy_columns)
        ),
    }
}

fn values_hash(table: &TablePlan) -> String {
    let mut fields = Vec::new();
    let mut others = Vec::new();
    for (position, column) in (1..).zip(&table.copy_columns) {
        let mut functions = table.hash_functions.iter();
        match functions.find(|function| function.column == *column) {
            Some(function) => fields.push(field_hash(function, position)),
            None => others.push(column),
        }
    }
    if !others.is_empty() {
        let (others, seed) = (column_list(&others), number(0));
        fields.push(format!(
            "pg_catalog.hash_record_extended(ROW({others}), {seed})"
        ));
    }
    let joined = fields.join(" # ");
    format!("pg_catalog.hashint4extended(0, {joined})")
}

/// The hash of one column's value, NULL's too.
fn field_hash(function: &HashFunction, position: u64) -> String {
    let column = quote_ident(&function.column);
    let argument = match function.argument {
        HashArgument::Value => column,
        HashArgument::Bytes => format!("{column} COLLATE pg_catalog.\"C\""),
        HashArgument::Timestamp => format!("pg_catalog.timezone(interval '0', {column})"),
        HashArgument::Integer => format!("{column}::integer"),
    };
    let (name, seed) = (quote_ident(&function.name), number(2 * position));
    let mut hash = format!("pg_catalog.{name}({argument}, {seed})");
    if !MIXING.contains(&function.name.as_str()) {
        hash = format!("pg_catalog.hashint4extended({position}, {hash})");
    }
    if !function.nullable {
        return hash;
    }
    format!("coalesce({hash}, {})", number(2 * position + 1))
}

/// Numbers that have nothing to do with each other, above 0: the outputs of SplitMix64.
fn number(index: u64) -> u64 {
    let mut bits = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    // It is to be a bigint.
    (bits ^ (bits >> 31)) >> 1
}
