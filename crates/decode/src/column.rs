//! The columns of a target table, as the server's catalog describes them. Who asks the catalog is not known here.

/// A column that rows can be written into. Generated columns are not among them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TargetColumn {
    /// Its name in the table.
    pub name: String,
    /// Its type.
    pub kind: ColumnKind,
    /// Whether the table refuses NULL in it.
    pub not_null: bool,
    /// Whether it has a default, or is an identity column.
    pub has_default: bool,
}

impl TargetColumn {
    /// A column that may be NULL and has no default.
    pub fn new(name: &str, kind: ColumnKind) -> Self {
        TargetColumn {
            name: name.to_owned(),
            kind,
            not_null: false,
            has_default: false,
        }
    }

    /// The same, but the table refuses NULL in it.
    pub fn needed(name: &str, kind: ColumnKind) -> Self {
        TargetColumn {
            not_null: true,
            ..TargetColumn::new(name, kind)
        }
    }

    /// The same, but with a default.
    pub fn with_default(self) -> Self {
        TargetColumn {
            has_default: true,
            ..self
        }
    }
}

/// A type that values can be encoded for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ColumnKind {
    /// `boolean`
    Bool,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `numeric`; the server applies precision and scale.
    Numeric,
    /// `text`, `varchar` or `char`
    Text {
        /// Characters that fit, for `varchar(n)` and `char(n)`.
        chars_max: Option<u32>,
    },
    /// `uuid`
    Uuid,
    /// `timestamp with time zone`
    Timestamptz,
    /// `timestamp without time zone`
    Timestamp,
    /// `date`
    Date,
    /// `json`
    Json,
    /// `jsonb`
    Jsonb,
    /// `bytea`
    Bytea,
    /// `text[]`
    TextArray,
    /// An enum.
    Enum {
        /// Its labels.
        labels: Vec<String>,
    },
}

impl ColumnKind {
    /// The type's name in SQL, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            ColumnKind::Bool => "boolean",
            ColumnKind::Int2 => "smallint",
            ColumnKind::Int4 => "integer",
            ColumnKind::Int8 => "bigint",
            ColumnKind::Float4 => "real",
            ColumnKind::Float8 => "double precision",
            ColumnKind::Numeric => "numeric",
            ColumnKind::Text { .. } => "text",
            ColumnKind::Uuid => "uuid",
            ColumnKind::Timestamptz => "timestamptz",
            ColumnKind::Timestamp => "timestamp",
            ColumnKind::Date => "date",
            ColumnKind::Json => "json",
            ColumnKind::Jsonb => "jsonb",
            ColumnKind::Bytea => "bytea",
            ColumnKind::TextArray => "text[]",
            ColumnKind::Enum { .. } => "enum",
        }
    }

    /// Whether its values are numbers: those have units and limits.
    pub fn is_number(&self) -> bool {
        matches!(
            self,
            ColumnKind::Int2
                | ColumnKind::Int4
                | ColumnKind::Int8
                | ColumnKind::Float4
                | ColumnKind::Float8
                | ColumnKind::Numeric
        )
    }

    /// Whether its values are points in time or days.
    pub fn is_time(&self) -> bool {
        matches!(
            self,
            ColumnKind::Timestamptz | ColumnKind::Timestamp | ColumnKind::Date
        )
    }
}
