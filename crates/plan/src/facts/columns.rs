//! Facts about columns, the sequences that feed them, and whether their types travel.

use super::Grant;
use crate::Relation;
use serde::{Deserialize, Serialize};

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
