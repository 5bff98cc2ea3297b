//! What has to be looked after beside rows: oids within arrays, and where sequences stand.

use crate::Relation;
use serde::{Deserialize, Serialize};

/// A copied array column with a user-defined element type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrayElement {
    /// Position in `copy_columns`.
    pub position: usize,
    /// Element type's schema, the same on both sides.
    pub schema: String,
    /// Element type's name, the same on both sides.
    pub name: String,
    /// Its oid on the source.
    pub source_oid: u32,
}

/// A sequence whose position is carried over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedSequence {
    /// The source's sequence.
    pub source: Relation,
    /// The column of the target that the sequence feeds.
    pub column: String,
    /// The target's sequence; `None`: the one that `pg_get_serial_sequence` names for the column.
    pub target: Option<Relation>,
}
