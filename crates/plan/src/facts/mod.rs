//! What was found on the servers before anything is changed: plain data, gathered by `catalog`.
//!
//! Definitions (`*_sql`, `definition`) are SQL text as the server prints it under `search_path = ''`, so every
//! name in them is schema-qualified. `None` means that the fact could not be seen with this role's
//! privileges, never that the thing does not exist; where that can be the case the field says so.

mod columns;
mod dependents;
mod hashing;
mod keys;
mod leaf;
mod partman;
mod server;
mod table;
mod vitals;
mod writers;

pub use columns::{BinaryTravel, Column, Generation, Identity, OwnedSequence};
pub use dependents::{
    BlockingSession, FunctionDependent, LeafObject, LeafObjectKind, MaterializedView, Policy,
    PublicationMember, Rule, Trigger, View,
};
pub use hashing::{HashArgument, HashFunction};
pub use keys::{CheckConstraint, ForeignKey, Index, KeyKind, ReferencedBy, UniqueKey};
pub use leaf::{ChunkRows, Leaf, LeafBound};
pub use partman::Partman;
pub use server::{Extension, License, ServerFacts, ServerSettings, TargetSchema, Timescale};
pub use table::{
    ExtendedStatistics, Grant, NotOwned, PartitionKey, PartitionStrategy, Privileges, RelationKind,
    ReplicaIdentity, TableFacts,
};
pub use vitals::{Disk, Lag, Vitals};
pub use writers::{Fence, Subscription};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that a plan is made from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Facts {
    /// The server that rows are read from.
    pub source: ServerFacts,
    /// The server that rows are written to.
    pub target: ServerFacts,
    /// Whether source and target are one database (same system identifier and same database oid).
    pub same_database: bool,
    /// The tables to move, in the order of the options.
    pub tables: Vec<TableFacts>,
    /// Relations that exist in the target under names that the run needs: the tables' own names (another
    /// server only) and names in the staging and archive schemas.
    pub occupied: Vec<crate::Relation>,
    /// Roles that exist on the target.
    pub target_roles: Vec<String>,
    /// Types, as `format_type` prints them, that the tables use and the target lacks (another server only).
    pub missing_types: Vec<String>,
    /// Extensions of the source that these types belong to, by the type's text.
    pub type_extensions: BTreeMap<String, String>,
    /// Schemas of declared aggregates in which the role can make nothing on the target, or that are not there.
    #[serde(default)]
    pub closed_schemas: Vec<String>,
    /// Relations that foreign keys refer to and the target lacks (another server only).
    pub missing_relations: Vec<crate::Relation>,
    /// Roles of the source that are superusers: no membership in them is proposed.
    pub superusers: Vec<String>,
    /// Owners of the tables that the target's role cannot give anything to (another server only).
    pub foreign_owners: Vec<String>,
    /// The schemas that the tables and their sequences go into (another server only).
    pub target_schemas: Vec<TargetSchema>,
    /// Relations that foreign keys refer to, are on the target, and may not be referred to by its role.
    pub unreferencable: Vec<crate::Relation>,
}
