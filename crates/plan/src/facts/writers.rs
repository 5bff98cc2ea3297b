//! Facts about what writes to a table besides its users, and about fences that keep all of them off.

use crate::Relation;
use serde::{Deserialize, Serialize};

/// A subscription of logical replication that writes to the table or to something below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its name.
    pub name: String,
    /// Whether it is enabled.
    pub enabled: bool,
    /// The relation that it writes to: the table, a branch or a leaf.
    pub relation: Relation,
}

/// A fence that stands on the table or on something below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The argument of its triggers: which target the run is to that put it on; empty where there is none.
    pub argument: String,
    /// Relations that it stands on.
    pub relations: u32,
}
