//! Which columns of the tables are written, and whether they are what a packet's fields need. A table may lack columns that are not
//! required; it may have others only if they can stay without a value.

use crate::column::{ColumnKind, TargetColumn};

/// Why packets can't become rows of a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AprsError {
    /// The table lacks a column.
    #[error("table {table} has no column \"{column}\": APRS packets need it")]
    Missing {
        /// The table.
        table: String,
        /// The column.
        column: &'static str,
    },
    /// A column is of another type.
    #[error("column \"{column}\" of table {table} is {found}: APRS packets need {needed}")]
    Kind {
        /// The table.
        table: String,
        /// The column.
        column: &'static str,
        /// Its type.
        found: String,
        /// The type that it has to have.
        needed: String,
    },
    /// A column needs a value that no packet has.
    #[error(
        "column \"{column}\" of table {table} is NOT NULL without a default: APRS packets have no value for it"
    )]
    Unfilled {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
}

/// The type that a field needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Bytea,
    Float4,
    Float8,
    Int4,
    Jsonb,
    /// With room for so many characters.
    Text(u32),
    TextArray,
    Timestamptz,
    Uuid,
    /// An enum with this label, or a text.
    Label(&'static str),
}

impl Shape {
    fn fits(self, kind: &ColumnKind) -> bool {
        match (self, kind) {
            (Self::Bytea, ColumnKind::Bytea)
            | (Self::Float4, ColumnKind::Float4)
            | (Self::Float8, ColumnKind::Float8)
            | (Self::Int4, ColumnKind::Int4)
            | (Self::Jsonb, ColumnKind::Jsonb)
            | (Self::TextArray, ColumnKind::TextArray)
            | (Self::Timestamptz, ColumnKind::Timestamptz)
            | (Self::Uuid, ColumnKind::Uuid) => true,
            (Self::Text(chars), ColumnKind::Text { chars_max }) => {
                chars_max.is_none_or(|max| max >= chars)
            }
            (Self::Label(label), ColumnKind::Text { chars_max }) => {
                chars_max.is_none_or(|max| max as usize >= label.len())
            }
            (Self::Label(label), ColumnKind::Enum { labels }) => {
                labels.iter().any(|known| known == label)
            }
            _ => false,
        }
    }

    /// A type that it fits.
    fn kind(self) -> ColumnKind {
        match self {
            Self::Bytea => ColumnKind::Bytea,
            Self::Float4 => ColumnKind::Float4,
            Self::Float8 => ColumnKind::Float8,
            Self::Int4 => ColumnKind::Int4,
            Self::Jsonb => ColumnKind::Jsonb,
            Self::Text(chars) => ColumnKind::Text {
                chars_max: (chars < u32::MAX).then_some(chars),
            },
            Self::TextArray => ColumnKind::TextArray,
            Self::Timestamptz => ColumnKind::Timestamptz,
            Self::Uuid => ColumnKind::Uuid,
            Self::Label(label) => ColumnKind::Enum {
                labels: vec![label.to_owned()],
            },
        }
    }

    fn name(self) -> String {
        match self {
            Self::Text(chars) if chars < u32::MAX => format!("text of at least {chars} characters"),
            Self::Label(label) => format!("an enum with the label '{label}'"),
            _ => self.kind().name().to_owned(),
        }
    }
}

/// A column that a packet has a value for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<F> {
    pub(super) name: &'static str,
    pub(super) field: F,
    pub(super) shape: Shape,
    /// Whether the table has to have it.
    pub(super) is_required: bool,
}

/// Columns that take all of the fields.
pub(super) fn all<F>(known: &[Field<F>]) -> Vec<TargetColumn> {
    let column = |field: &Field<F>| TargetColumn {
        name: field.name.to_owned(),
        kind: field.shape.kind(),
        not_null: field.is_required,
        has_default: false,
    };
    known.iter().map(column).collect()
}

/// The fields that `columns` of `table` take, in the order of `known`.
///
/// # Errors
///
/// If a required one is missing, one is of another type, or a column that no packet fills needs a value.
pub(super) fn choose<F: Copy>(
    table: &str,
    known: &[Field<F>],
    columns: &[TargetColumn],
) -> Result<Vec<Field<F>>, AprsError> {
    let is_known = |column: &&TargetColumn| known.iter().any(|field| field.name == column.name);
    let unfilled = columns
        .iter()
        .filter(|column| column.not_null && !column.has_default)
        .find(|column| !is_known(column));
    if let Some(column) = unfilled {
        return Err(AprsError::Unfilled {
            table: table.to_owned(),
            column: column.name.clone(),
        });
    }
    let mut chosen = Vec::with_capacity(known.len());
    for field in known {
        match columns.iter().find(|column| column.name == field.name) {
            Some(column) if field.shape.fits(&column.kind) => chosen.push(*field),
            Some(column) => {
                return Err(AprsError::Kind {
                    table: table.to_owned(),
                    column: field.name,
                    found: described(&column.kind),
                    needed: field.shape.name(),
                });
            }
            None if field.is_required => {
                return Err(AprsError::Missing {
                    table: table.to_owned(),
                    column: field.name,
                });
            }
            None => {}
        }
    }
    Ok(chosen)
}

fn described(kind: &ColumnKind) -> String {
    match kind {
        ColumnKind::Text {
            chars_max: Some(max),
        } => format!("text of at most {max} characters"),
        _ => kind.name().to_owned(),
    }
}
