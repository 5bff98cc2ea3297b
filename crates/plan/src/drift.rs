//! What changed on the servers since a plan was made, and makes it wrong.
//!
//! Not here: what changes all the time and is taken as it comes under the fence (sizes, row counts, sessions, free
//! disk, positions of sequences, times that were seen), and what the run itself has changed.

mod objects;
mod server;
mod table;

#[cfg(test)]
mod tests;

use crate::facts::Facts;
use crate::{Relation, Side};
use serde::Serialize;
use std::fmt;

/// How far the run that compares had come: what it changed itself is no change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Nothing was done yet.
    Plan,
    /// The fence stands: pg_partman's row is gone, names in the staging schema are taken.
    Fence,
}

/// One thing that is not as the plan was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Something about a server or its database: the plan holds for another one.
    Server {
        /// Which one.
        side: Side,
        /// What it is, for people: `role`, `database`, `TimescaleDB` ...
        what: &'static str,
        /// As the plan has it.
        planned: String,
        /// As it is.
        found: String,
    },
    /// A table is gone.
    TableDropped {
        /// The table.
        table: Relation,
    },
    /// A table has been made anew under the same name.
    TableReplaced {
        /// The table.
        table: Relation,
    },
    /// An object of a table is new.
    Added {
        /// The table.
        table: Relation,
        /// Kind of object.
        object: Object,
        /// Its name.
        name: String,
    },
    /// An object of a table is gone.
    Dropped {
        /// The table.
        table: Relation,
        /// Kind of object.
        object: Object,
        /// Its name.
        name: String,
    },
    /// An object of a table is another one under the same name, or a property of the table has another value.
    Changed {
        /// The table.
        table: Relation,
        /// Kind of object.
        object: Object,
        /// Its name; empty for a property of the table itself.
        name: String,
        /// As the plan has it.
        planned: String,
        /// As it is.
        found: String,
    },
    /// A leaf is new: rows in it would be missed.
    LeafAdded {
        /// Its table.
        table: Relation,
        /// The leaf.
        leaf: Relation,
    },
    /// A leaf is gone, or has been made anew under the same name.
    LeafDropped {
        /// Its table.
        table: Relation,
        /// The leaf.
        leaf: Relation,
    },
    /// A leaf's partition bound is another.
    LeafBound {
        /// Its table.
        table: Relation,
        /// The leaf.
        leaf: Relation,
        /// As the plan has it.
        planned: String,
        /// As it is.
        found: String,
    },
    /// A leaf's file was rewritten (VACUUM FULL, CLUSTER, TRUNCATE): block numbers in the plan's slices mean other
    /// rows now. A leaf of which no slice is done yet can be cut anew.
    LeafRewritten {
        /// Its table.
        table: Relation,
        /// The leaf.
        leaf: Relation,
        /// Leaf's oid.
        leaf_oid: u32,
        /// File number in the plan.
        planned: u32,
        /// File number now.
        found: u32,
    },
    /// Something that the target needs and had is missing there now (another database only).
    MissingOnTarget {
        /// What it is: `type`, `table`, `role`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A name that the run needs has been taken.
    NameTaken {
        /// The name.
        name: Relation,
    },
}

/// Kinds of object that belong to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// The table's owner.
    Owner,
    /// The table's kind.
    Kind,
    /// The table's partition key.
    PartitionKey,
    /// The table's comment.
    Comment,
    /// Its replica identity.
    ReplicaIdentity,
    /// Its row security.
    RowSecurity,
    /// A privilege that the run needs and had.
    RunPrivilege,
    /// A column.
    Column,
    /// A primary key, unique or exclusion constraint.
    Key,
    /// A CHECK constraint.
    Check,
    /// An index.
    Index,
    /// A foreign key of the table.
    ForeignKey,
    /// A foreign key of another table that refers to it.
    ReferencingForeignKey,
    /// A sequence.
    Sequence,
    /// Extended statistics.
    Statistics,
    /// A view over it.
    View,
    /// A materialized view over it.
    MaterializedView,
    /// A function tied to it.
    Function,
    /// A trigger.
    Trigger,
    /// A rewrite rule.
    Rule,
    /// A row-security policy.
    Policy,
    /// A publication that it is in.
    Publication,
    /// A subscription that writes to it.
    Subscription,
    /// A parent or child by inheritance.
    Inheritance,
    /// A privilege of a role.
    Grant,
    /// pg_partman's configuration.
    Partman,
}

impl Object {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Object::Owner => "owner",
            Object::Kind => "kind",
            Object::PartitionKey => "partition key",
            Object::Comment => "comment",
            Object::ReplicaIdentity => "replica identity",
            Object::RowSecurity => "row security",
            Object::RunPrivilege => "privilege of the run's role:",
            Object::Column => "column",
            Object::Key => "key",
            Object::Check => "check constraint",
            Object::Index => "index",
            Object::ForeignKey => "foreign key",
            Object::ReferencingForeignKey => "referencing foreign key",
            Object::Sequence => "sequence",
            Object::Statistics => "statistics",
            Object::View => "view",
            Object::MaterializedView => "materialized view",
            Object::Function => "function",
            Object::Trigger => "trigger",
            Object::Rule => "rule",
            Object::Policy => "policy",
            Object::Publication => "publication",
            Object::Subscription => "subscription",
            Object::Inheritance => "inheritance",
            Object::Grant => "grant",
            Object::Partman => "pg_partman's configuration",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Server {
                side,
                what,
                planned,
                found,
            } => {
                let side = match side {
                    Side::Source => "source",
                    Side::Target => "target",
                };
                write!(f, "{what} of the {side}: {planned} -> {found}")
            }
            Change::TableDropped { table } => write!(f, "table {} is gone", table.plain()),
            Change::TableReplaced { table } => {
                write!(f, "table {} was dropped and made anew", table.plain())
            }
            Change::Added {
                table,
                object,
                name,
            } => write!(f, "{} {name} of {} is new", object.name(), table.plain()),
            Change::Dropped {
                table,
                object,
                name,
            } => write!(f, "{} {name} of {} is gone", object.name(), table.plain()),
            Change::Changed {
                table,
                object,
                name,
                planned,
                found,
            } => {
                let name = if name.is_empty() {
                    String::new()
                } else {
                    format!(" {name}")
                };
                write!(
                    f,
                    "{}{name} of {}: {planned} -> {found}",
                    object.name(),
                    table.plain()
                )
            }
            Change::LeafAdded { table, leaf } => {
                write!(f, "partition {} of {} is new", leaf.plain(), table.plain())
            }
            Change::LeafDropped { table, leaf } => {
                write!(f, "partition {} of {} is gone", leaf.plain(), table.plain())
            }
            Change::LeafBound {
                table,
                leaf,
                planned,
                found,
            } => write!(
                f,
                "bound of partition {} of {}: {planned} -> {found}",
                leaf.plain(),
                table.plain()
            ),
            Change::LeafRewritten {
                table,
                leaf,
                planned,
                found,
                ..
            } => write!(
                f,
                "partition {} of {} was rewritten (VACUUM FULL, CLUSTER or TRUNCATE): file {planned} -> {found}",
                leaf.plain(),
                table.plain()
            ),
            Change::MissingOnTarget { what, name } => {
                write!(f, "{what} {name} is missing on the target now")
            }
            Change::NameTaken { name } => write!(f, "the name {} was taken", name.plain()),
        }
    }
}

/// What differs between the facts of a plan and those found now, in a way that makes the plan wrong: servers first,
/// then table by table. Empty if the plan still holds.
pub fn changes(planned: &Facts, found: &Facts, since: Since) -> Vec<Change> {
    let mut changes = server::changes(planned, found, since);
    for table in &planned.tables {
        let name = &table.relation;
        match found.tables.iter().find(|found| found.relation == *name) {
            Some(now) if now.oid == table.oid => {
                changes.extend(table::changes(table, now, since));
            }
            Some(_) => changes.push(Change::TableReplaced {
                table: name.clone(),
            }),
            None => changes.push(Change::TableDropped {
                table: name.clone(),
            }),
        }
    }
    changes
}
