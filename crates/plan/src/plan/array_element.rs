//! Arrays whose element type has another oid on the target.

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
