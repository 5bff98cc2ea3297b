//! What hangs on a table: views, triggers, rules, policies, publications, functions, and sessions at work on it.

use crate::{Relation, quote_ident};
use serde::{Deserialize, Serialize};

use super::Grant;

/// A view that reads the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Its name.
    pub relation: Relation,
    /// `pg_get_viewdef`, without trailing semicolon.
    pub definition: String,
    /// `WITH (...)` options as `name=value`, e.g. `security_barrier=true`.
    pub options: Vec<String>,
    /// Its owner.
    pub owner: String,
    /// Its columns' names in order.
    pub columns: Vec<String>,
    /// Whether the current role may replace it (is a member of its owner).
    pub can_replace: bool,
}

/// A materialized view that reads the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaterializedView {
    /// Its name.
    pub relation: Relation,
    /// `pg_get_viewdef`.
    pub definition: String,
    /// Bytes, indexes included.
    pub size_bytes: u64,
    /// `pg_get_indexdef` of its indexes.
    pub indexes: Vec<String>,
    /// Who may do what on it.
    pub grants: Vec<Grant>,
}

/// A function or procedure that depends on the table by oid: SQL-standard body, or its row type in the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionDependent {
    /// `schema.name(argument types)`.
    pub signature: String,
    /// What ties it to the table: `"body"` or `"row type"`.
    pub tie: String,
}

/// A user trigger on the table (not internal, not a leaf's clone of it).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// `pg_get_triggerdef`.
    pub definition: String,
    /// `tgenabled`: O origin, D disabled, R replica, A always.
    pub enabled: char,
    /// Whether it fires per row.
    pub for_each_row: bool,
    /// Whether it uses transition tables (refused on hypertables for row triggers).
    pub transition_tables: bool,
    /// The leaf that it is on, where it is on a leaf only.
    pub leaf: Option<Relation>,
    /// Comment.
    pub comment: Option<String>,
}

impl Trigger {
    /// Whether it would fire for rows that are written to the table, or to the hypertable that has taken its place. `INSERT` is the
    /// first of the events that PostgreSQL prints, behind the name and the moment.
    pub fn fires_for_new_rows(&self) -> bool {
        let names = [self.name.clone(), quote_ident(&self.name)];
        let mut events = names
            .iter()
            .filter_map(|name| self.definition.split_once(&format!("TRIGGER {name} ")))
            .map(|(_, events)| events);
        let inserts = match events.next() {
            Some(events) => ["BEFORE INSERT", "AFTER INSERT"]
                .iter()
                .any(|first| events.starts_with(first)),
            None => self.definition.contains("INSERT"),
        };
        self.leaf.is_none()
            && !matches!(self.enabled, 'D' | 'R')
            && self.name != crate::sql::FENCE_TRIGGER
            && inserts
    }
}

/// A rewrite rule on the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// `pg_get_ruledef`.
    pub definition: String,
}

/// A row-security policy on the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Whether it is permissive.
    pub permissive: bool,
    /// `ALL`, `SELECT`, `INSERT`, `UPDATE` or `DELETE`.
    pub command: String,
    /// Roles, unquoted; `public` for everybody.
    pub roles: Vec<String>,
    /// `USING` expression.
    pub using: Option<String>,
    /// `WITH CHECK` expression.
    pub check: Option<String>,
    /// Comment.
    pub comment: Option<String>,
}

/// The table's (or a leaf's) membership in a publication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicationMember {
    /// Publication's name.
    pub publication: String,
    /// How it is in: `"table"`, `"schema"` or `"all tables"`.
    pub through: String,
    /// Column list, if there is one.
    pub columns: Option<Vec<String>>,
    /// Row filter, if there is one.
    pub filter: Option<String>,
    /// The publication's owner.
    pub owner: String,
    /// Whether the role is a member of that.
    pub can_change: bool,
}

/// Something that hangs on a single partition, or on a partitioned table below the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafObject {
    /// What it is.
    pub kind: LeafObjectKind,
    /// The partition.
    pub leaf: Relation,
    /// The relation that it belongs to: a view itself, the table of a foreign key, else the partition.
    pub relation: Relation,
    /// Its name; a function's with its arguments.
    pub name: String,
}

/// Kinds of what hangs on a single partition; triggers and indexes are found with the table's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeafObjectKind {
    /// A view that reads it.
    View,
    /// A materialized view that reads it.
    MaterializedView,
    /// A function tied to it by its body or signature.
    Function,
    /// A rewrite rule on it.
    Rule,
    /// A foreign key of another table that refers to it.
    Referencing,
    /// A foreign key that it has alone.
    ForeignKey,
    /// A CHECK that it has alone.
    Check,
}

/// A session or prepared transaction that holds a lock on the table, a leaf or a referencing table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockingSession {
    /// Backend's pid; `None` for a prepared transaction.
    pub pid: Option<i32>,
    /// Global identifier of a prepared transaction.
    pub gid: Option<String>,
    /// Role.
    pub role: Option<String>,
    /// `application_name`.
    pub application: Option<String>,
    /// `active`, `idle in transaction`, `prepared` ...
    pub state: String,
    /// The relation that is locked.
    pub relation: Relation,
    /// Strongest lock held, e.g. `RowExclusiveLock`.
    pub lock: String,
    /// Age of its transaction in seconds.
    pub age_s: u64,
}
