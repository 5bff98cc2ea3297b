//! Facts about one table: its kind, owner, privileges, partitioning, and all that belongs to it.

use super::{
    BlockingSession, CheckConstraint, Column, Fence, ForeignKey, FunctionDependent, HashFunction,
    Index, Leaf, LeafObject, MaterializedView, OwnedSequence, Partman, Policy, PublicationMember,
    ReferencedBy, Rule, Subscription, Trigger, UniqueKey, View,
};
use crate::{Relation, TimeType};
use serde::{Deserialize, Serialize};

/// One table of the source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableFacts {
    /// Its name.
    pub relation: Relation,
    /// Its oid.
    pub oid: u32,
    /// What kind of relation it is.
    pub kind: RelationKind,
    /// Its owner.
    pub owner: String,
    /// What the role may do.
    pub privileges: Privileges,
    /// How it is partitioned, if it is.
    pub partition_key: Option<PartitionKey>,
    /// The time column: the one that was asked for, or the partition key where that is one column.
    /// `None` where neither names a column of the table.
    pub time_column: Option<String>,
    /// The time column's type; `None` where it is not a time type.
    pub time_type: Option<TimeType>,
    /// Columns in the order of the table, dropped ones left out.
    pub columns: Vec<Column>,
    /// Copied columns whose type the server has no hash function for (`hash_record_extended`).
    pub unhashable: Vec<String>,
    /// Functions that hash copied columns' values, in the order of the table. Columns that are missing here have none that SQL can
    /// call: the server hashes them as fields of a record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hash_functions: Vec<HashFunction>,
    /// Attributes that were dropped but still take a place in the source's tuples.
    pub dropped_columns: u32,
    /// Leaves, ordered by bound (default last).
    pub leaves: Vec<Leaf>,
    /// Partitioned tables between the table and its leaves (sub-partitioning), parents first.
    pub branches: Vec<Relation>,
    /// Primary key, unique constraints and exclusion constraints.
    pub unique_keys: Vec<UniqueKey>,
    /// CHECK constraints of the table itself.
    pub checks: Vec<CheckConstraint>,
    /// Indexes that belong to no constraint.
    pub indexes: Vec<Index>,
    /// Foreign keys of the table.
    pub foreign_keys: Vec<ForeignKey>,
    /// Foreign keys of other tables that refer to this one.
    pub referenced_by: Vec<ReferencedBy>,
    /// Sequences owned by its columns, or used by their defaults, identity sequences left out.
    pub sequences: Vec<OwnedSequence>,
    /// Extended statistics (`CREATE STATISTICS`).
    pub statistics: Vec<ExtendedStatistics>,
    /// Views over it, direct ones.
    pub views: Vec<View>,
    /// Materialized views over it, direct ones.
    pub materialized_views: Vec<MaterializedView>,
    /// Functions tied to it by oid.
    pub functions: Vec<FunctionDependent>,
    /// User triggers.
    pub triggers: Vec<Trigger>,
    /// Rewrite rules.
    pub rules: Vec<Rule>,
    /// What hangs on single partitions.
    pub leaf_objects: Vec<LeafObject>,
    /// Row-security policies.
    pub policies: Vec<Policy>,
    /// `ENABLE ROW LEVEL SECURITY`.
    pub row_security: bool,
    /// `FORCE ROW LEVEL SECURITY`.
    pub force_row_security: bool,
    /// Publications that it is in.
    pub publications: Vec<PublicationMember>,
    /// Subscriptions that write to it or to something below it.
    pub subscriptions: Vec<Subscription>,
    /// Fences that stand on it or on something below it.
    pub fences: Vec<Fence>,
    /// Parents by `INHERITS` (not by partitioning).
    pub inherits: Vec<Relation>,
    /// Children by `INHERITS` (not by partitioning).
    pub inherited_by: Vec<Relation>,
    /// Table privileges.
    pub grants: Vec<Grant>,
    /// Comment on the table.
    pub comment: Option<String>,
    /// Replica identity.
    pub replica_identity: ReplicaIdentity,
    /// pg_partman's configuration of it, if it manages it.
    pub partman: Option<Partman>,
    /// Schema of pg_partman where it is installed and the role may not read whether it manages the table.
    pub partman_hidden: Option<String>,
    /// What is below the table and belongs to roles that the role is no member of.
    pub not_owned: Vec<NotOwned>,
    /// Sessions that hold locks on it, on its leaves or on tables that refer to it, longest first, ours left out.
    pub sessions: Vec<BlockingSession>,
    /// Its storage parameters as `name=value`.
    pub options: Vec<String>,
    /// Tablespace other than the database's default.
    pub tablespace: Option<String>,
}

/// A partition of a role that the run's role is no member of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotOwned {
    /// The partition.
    pub relation: Relation,
    /// Its owner.
    pub owner: String,
}

/// Kinds of relation that a user may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    /// `relkind = 'p'`.
    Partitioned,
    /// `relkind = 'r'` (and no hypertable).
    Ordinary,
    /// Already a hypertable.
    Hypertable,
    /// A partition of another table.
    Partition,
    /// View, sequence, foreign table, ...
    Other,
}

/// What the connected role may do with a source table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privileges {
    /// Member of the owner: may rename, index, add triggers.
    pub owner: bool,
    /// SELECT on the table and every leaf.
    pub select: bool,
    /// CREATE on the table's schema.
    pub create_in_schema: bool,
    /// Whether row security would hide rows from the role.
    pub hidden_by_row_security: bool,
}

/// How a table is partitioned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionKey {
    /// RANGE, LIST or HASH.
    pub strategy: PartitionStrategy,
    /// Its columns; an expression shows as `None`.
    pub columns: Vec<Option<String>>,
    /// `pg_get_partkeydef`, e.g. `RANGE (received_at)`.
    pub definition: String,
}

/// PostgreSQL's partitioning strategies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionStrategy {
    /// `PARTITION BY RANGE`.
    Range,
    /// `PARTITION BY LIST`.
    List,
    /// `PARTITION BY HASH`.
    Hash,
}

/// A privilege of a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Grantee, unquoted; `None` is PUBLIC.
    pub grantee: Option<String>,
    /// `SELECT`, `INSERT`, ...
    pub privilege: String,
    /// WITH GRANT OPTION.
    pub grantable: bool,
}

/// Replica identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaIdentity {
    /// The primary key.
    Default,
    /// NOTHING.
    Nothing,
    /// FULL.
    Full,
    /// USING INDEX name.
    Index(String),
}

/// Extended statistics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendedStatistics {
    /// Name.
    pub relation: Relation,
    /// What stands before ` FROM` in `pg_get_statisticsobjdef`'s text after the name: e.g. `(ndistinct) ON a, b`.
    pub body_sql: String,
    /// Statistics target where set.
    pub target: Option<i32>,
    /// Comment.
    pub comment: Option<String>,
}
