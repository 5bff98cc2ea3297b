//! Facts about one table: columns, keys, indexes, foreign keys, privileges, and its leaves.

use super::{
    BlockingSession, Fence, FunctionDependent, Leaf, LeafObject, MaterializedView, Partman, Policy,
    PublicationMember, Rule, Subscription, Trigger, View,
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

/// A column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// `attnum`.
    pub attribute_number: i16,
    /// `format_type(atttypid, atttypmod)`.
    pub type_sql: String,
    /// Type's oid.
    pub type_oid: u32,
    /// Collation, `"schema"."name"` quoted, where it differs from the type's own.
    pub collation: Option<String>,
    /// NOT NULL.
    pub not_null: bool,
    /// DEFAULT expression; `None` for generated columns.
    pub default_sql: Option<String>,
    /// Whether and how it is generated.
    pub generation: Option<Generation>,
    /// Identity, if it is one.
    pub identity: Option<Identity>,
    /// `SET STORAGE` word (PLAIN, EXTERNAL, EXTENDED, MAIN) where it differs from the type's own.
    pub storage: Option<String>,
    /// `SET COMPRESSION` method where set.
    pub compression: Option<String>,
    /// `SET STATISTICS` target where set.
    pub statistics_target: Option<i32>,
    /// Attribute options (`n_distinct=...`).
    pub options: Vec<String>,
    /// Comment.
    pub comment: Option<String>,
    /// Column privileges.
    pub grants: Vec<Grant>,
    /// Whether its binary form means the same in another database.
    pub travel: BinaryTravel,
}

/// A generated column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Its expression.
    pub expression_sql: String,
    /// STORED, or VIRTUAL (PostgreSQL 18).
    pub stored: bool,
}

/// An identity column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// GENERATED ALWAYS, else BY DEFAULT.
    pub always: bool,
    /// Its sequence.
    pub sequence: OwnedSequence,
}

/// A sequence that feeds a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedSequence {
    /// Its name.
    pub relation: Relation,
    /// The column that it feeds.
    pub column: String,
    /// Whether it is OWNED BY that column (serial), or only used by its default.
    pub owned: bool,
    /// `format_type` of its data type.
    pub type_sql: String,
    /// START.
    pub start: i64,
    /// INCREMENT.
    pub increment: i64,
    /// MINVALUE.
    pub min: i64,
    /// MAXVALUE.
    pub max: i64,
    /// CACHE.
    pub cache: i64,
    /// CYCLE.
    pub cycle: bool,
    /// `last_value`; `None` if it was never called or can't be read.
    pub last_value: Option<i64>,
    /// Its owner.
    pub owner: String,
    /// Who may do what with it.
    pub grants: Vec<Grant>,
    /// Comment.
    pub comment: Option<String>,
}

/// Whether a type's binary form means the same in another database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BinaryTravel {
    /// Yes: no oid inside.
    Free,
    /// An array whose element type is user-defined: the element type's oid is inside. Holds `(schema, name)` of the element type and its oid here.
    ArrayOf {
        /// Element type's schema.
        schema: String,
        /// Element type's name.
        name: String,
        /// Element type's oid on the source.
        oid: u32,
    },
    /// No: what in it does not travel, for people (composite, range or array of such).
    Bound(String),
}

/// Kinds of key that an index enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// PRIMARY KEY.
    Primary,
    /// UNIQUE constraint.
    Unique,
    /// EXCLUDE constraint.
    Exclusion,
}

/// A primary key, unique or exclusion constraint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UniqueKey {
    /// Constraint's name, also its index's.
    pub name: String,
    /// Its kind.
    pub kind: KeyKind,
    /// Key columns in order; `None` for an expression.
    pub columns: Vec<Option<String>>,
    /// INCLUDE columns.
    pub include: Vec<String>,
    /// `pg_get_constraintdef`, e.g. `PRIMARY KEY (id, received_at)`.
    pub definition: String,
    /// Bytes of its indexes over all leaves.
    pub size_bytes: u64,
    /// Comment on the constraint.
    pub comment: Option<String>,
    /// Whether the index is the one of `CLUSTER`.
    pub clustered: bool,
    /// Storage parameters of its index as `name=value`.
    pub options: Vec<String>,
}

/// A CHECK constraint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckConstraint {
    /// Its name.
    pub name: String,
    /// `pg_get_constraintdef`, e.g. `CHECK ((track >= 0))`, with `NOT VALID` or `NO INHERIT` where they apply.
    pub definition: String,
    /// Comment.
    pub comment: Option<String>,
}

/// An index that belongs to no constraint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// `CREATE UNIQUE INDEX`.
    pub unique: bool,
    /// What follows the table's name in `pg_get_indexdef`: `USING btree (...) INCLUDE (...) WITH (...) WHERE ...`.
    pub tail_sql: String,
    /// Key columns in order; `None` for an expression.
    pub columns: Vec<Option<String>>,
    /// Access method, e.g. `gist`.
    pub method: String,
    /// Bytes over all leaves.
    pub size_bytes: u64,
    /// Whether it is valid.
    pub valid: bool,
    /// Comment.
    pub comment: Option<String>,
    /// Statistics targets of its expression columns as `(column number, target)`.
    pub statistics_targets: Vec<(i16, i32)>,
    /// Tablespace other than the default.
    pub tablespace: Option<String>,
    /// Whether it is the one of `CLUSTER`.
    pub clustered: bool,
}

/// A foreign key of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Its name.
    pub name: String,
    /// Referenced table.
    pub references: Relation,
    /// Whether the referenced table is a hypertable.
    pub references_hypertable: bool,
    /// Referencing columns.
    pub columns: Vec<String>,
    /// Referenced columns.
    pub referenced_columns: Vec<String>,
    /// `pg_get_constraintdef`.
    pub definition: String,
    /// Whether it was validated.
    pub validated: bool,
    /// Comment.
    pub comment: Option<String>,
}

/// A foreign key of another table that refers to this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferencedBy {
    /// The referencing table.
    pub relation: Relation,
    /// Constraint's name.
    pub name: String,
    /// `pg_get_constraintdef` (names this table by its qualified name).
    pub definition: String,
    /// Referencing columns.
    pub columns: Vec<String>,
    /// Referenced columns.
    pub referenced_columns: Vec<String>,
    /// Whether it was validated.
    pub validated: bool,
    /// Whether the referencing table is a hypertable.
    pub from_hypertable: bool,
    /// Whether the referencing table is partitioned: PostgreSQL 17 and older refuse NOT VALID there.
    pub partitioned: bool,
    /// Rows of the referencing table, estimated.
    pub rows_estimate: u64,
    /// The referencing table's owner.
    pub owner: String,
    /// Whether the role is a member of that.
    pub can_change: bool,
    /// Comment.
    pub comment: Option<String>,
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
