//! Which functions of the server hash the values of columns.

use serde::{Deserialize, Serialize};

/// A function that hashes a column's values by themselves, without a record around them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashFunction {
    /// The column.
    pub column: String,
    /// A function of `pg_catalog`, of a value and a seed: NULL of NULL, the same of equal values.
    pub name: String,
    /// What it is given of a value.
    pub argument: HashArgument,
    /// Whether the column may hold NULL.
    pub nullable: bool,
}

/// What a hash function is given of a value. All of these tell apart what the type tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HashArgument {
    /// The value.
    Value,
    /// The value under collation `C`: its bytes, whatever its own collation takes for equal.
    Bytes,
    /// The `timestamptz` as a `timestamp` of UTC: before PostgreSQL 18 SQL cannot call the hash of the former.
    Timestamp,
    /// The `boolean` as an `integer`, likewise.
    Integer,
}
