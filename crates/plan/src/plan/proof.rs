//! What proves that rows are equal.

use serde::{Deserialize, Serialize};

/// What a table's rows are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Sum of XXH3-128 of each binary tuple, computed here: the source's while it is copied.
    Tuples,
    /// Sum of the server's own 64-bit hash of each row: nothing leaves the server. For rows that never left it either.
    RecordHash,
}
