//! Facts about keys, checks, indexes and foreign keys.

use crate::Relation;
use serde::{Deserialize, Serialize};

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
