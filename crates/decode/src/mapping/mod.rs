//! How the records of a stream become rows: the decoding part of a `[[stream]]` in the configuration. `profile` fills in what a
//! stream does not say; `resolve` holds a mapping against a table, with `origins` and `fields` for each column's two ends; `packets` is
//! what there is to say of APRS, whose columns are known.

mod fields;
mod origins;
mod packets;
mod profile;
mod resolve;

use crate::aprs::AprsOptions;
use crate::column::TargetColumn;
use crate::csv::Line;
use crate::decoder::Decoder;
use crate::ndjson::Object;

use crate::span::Span;
use crate::table::TableDecoder;
use crate::time::TimeFormat;
use serde::Deserialize;
use std::collections::BTreeMap;

pub use profile::{fill_from_profile, profile_names};

/// A mapping that makes no sense, or does not fit the table. The message names the column; the hint is a sentence.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct MappingError {
    message: String,
    hint: Option<String>,
}

impl MappingError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        MappingError {
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        MappingError {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// What to do about it.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

/// What a stream's records look like, and which columns they go to.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The table: `schema.table`.
    pub table: String,
    /// What the records are.
    pub decoder: DecoderKind,
    /// Which columns are mapped besides those that are listed.
    #[serde(default)]
    pub columns: Columns,
    /// The columns, in the order of the COPY.
    #[serde(default)]
    pub column: Vec<ColumnMapping>,
    /// The time of the rows, and what is plausible for it.
    pub time: Option<TimeMapping>,
    /// Of decoder `csv`.
    #[serde(default)]
    pub csv: CsvMapping,
    /// What is done with members that no column takes.
    #[serde(default)]
    pub unknown: Unknown,
    /// A value whose column depends on what a lookup finds.
    pub choice: Option<ChoiceMapping>,
    /// Of decoder `aprs`, whose columns are known.
    pub aprs: Option<AprsOptions>,
}

/// The names of [`Mapping`]'s parts in a stream's table.
const PARTS: &[&str] = &[
    "table", "decoder", "columns", "column", "time", "csv", "unknown", "choice", "aprs",
];

impl Mapping {
    /// Takes the decoding part out of a stream's table, which [has its profile](fill_from_profile) already; what is left is for
    /// somebody else.
    ///
    /// # Errors
    ///
    /// If it makes no sense.
    pub fn take(stream: &mut toml::Table) -> Result<Mapping, MappingError> {
        let parts = PARTS.iter().filter_map(|part| stream.remove_entry(*part));
        let parts: toml::Table = parts.collect();
        let mapping = Mapping::deserialize(toml::Value::Table(parts));
        let mapping = mapping.map_err(|error| MappingError::new(error.message()))?;
        packets::check(&mapping)?;
        Ok(mapping)
    }

    /// The tables that records become rows of, in the order of the [decoder](Mapping::decoder)'s targets.
    pub fn tables(&self) -> Vec<String> {
        match self.decoder {
            DecoderKind::Ndjson | DecoderKind::Csv => vec![self.table.clone()],
            DecoderKind::Aprs => packets::tables(self),
        }
    }

    /// The decoder for [tables](Mapping::tables) with these columns: all that can be written, generated ones are not among them.
    ///
    /// # Errors
    ///
    /// If mapping and tables do not fit.
    pub fn decoder(&self, tables: &[Vec<TargetColumn>]) -> Result<Box<dyn Decoder>, MappingError> {
        let columns = tables.first().map_or(&[][..], Vec::as_slice);
        Ok(match self.decoder {
            DecoderKind::Ndjson => {
                let layout = resolve::layout(self, columns)?;
                let format = Object::of_paths(&layout.names)?;
                Box::new(TableDecoder { layout, format })
            }
            DecoderKind::Csv => {
                let layout = resolve::layout(self, columns)?;
                let format = Line::new(&self.csv, &self.csv_names()?, &layout.names)?;
                Box::new(TableDecoder { layout, format })
            }
            DecoderKind::Aprs => Box::new(packets::decoder(self, tables)?),
        })
    }
}

/// Decoders.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecoderKind {
    /// One JSON object a record.
    Ndjson,
    /// One CSV record a record.
    Csv,
    /// One APRS packet a record, into raw messages and fixes: see [`AprsDecoder`](crate::AprsDecoder).
    Aprs,
}

/// Which columns are mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Columns {
    /// Those that are listed.
    #[default]
    Listed,
    /// By their names all others as well, but those with a default.
    All,
}

/// Members of records that no column takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// They are counted: [`Tally::unknown_members`](crate::Tally).
    #[default]
    Count,
    /// They are not even counted.
    Ignore,
}

/// Where a column's values come from, and what they become.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnMapping {
    /// The table's column.
    pub name: String,
    /// The JSON member by its dotted path (a dot of a name has a backslash before it), or the CSV header; or `$received_at`,
    /// `$source`, `$attribute.NAME`. Default: the column's name.
    pub from: Option<String>,
    /// From which unit to which.
    pub unit: Option<UnitMapping>,
    /// The value is multiplied by it.
    pub scale: Option<f64>,
    /// And this is added.
    pub offset: Option<f64>,
    /// The least plausible number, in the column's unit.
    pub min: Option<f64>,
    /// The largest plausible number.
    pub max: Option<f64>,
    /// What becomes of a number that is not plausible.
    #[serde(default)]
    pub implausible: Implausible,
    /// How times are written. Default: text as RFC 3339, numbers as seconds since 1970.
    pub time_format: Option<TimeFormat>,
    /// Whether `infinity` is a time.
    #[serde(default)]
    pub infinity: bool,
    /// Another table that gives the value.
    pub lookup: Option<LookupMapping>,
    /// Whether the table may lack the column.
    #[serde(default)]
    pub optional: bool,
}

/// From a unit to another, by their names.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitMapping {
    /// Of the records.
    pub from: String,
    /// Of the column.
    pub to: String,
}

/// What becomes of an implausible number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Implausible {
    /// Its record is refused.
    #[default]
    DeadLetter,
    /// It becomes NULL, and is counted.
    Null,
}

/// An id in another table.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupMapping {
    /// The table: `schema.table`.
    pub table: String,
    /// Its column with the id.
    pub id: String,
    /// Its columns that identify a row.
    pub key: KeyMapping,
    /// Columns that a new row gets besides, and where their values come from.
    #[serde(default)]
    pub extra: BTreeMap<String, String>,
}

/// The key of a lookup.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(untagged)]
pub enum KeyMapping {
    /// Columns whose values come from members of the same name; a single one from the `from` of the column, if that has one.
    Names(Vec<String>),
    /// Columns, and where their values come from.
    From(BTreeMap<String, String>),
}

/// The time of the rows.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeMapping {
    /// The table's column.
    pub column: String,
    /// How long before its reception a row's time may be.
    #[serde(default = "past_max")]
    pub past_max: Span,
    /// How long after.
    #[serde(default = "future_max")]
    pub future_max: Span,
    /// How long before its reception it has to be for the row to count as late: it is written all the same.
    #[serde(default = "late_after")]
    pub late_after: Span,
}

fn past_max() -> Span {
    const TEN_YEARS_US: i64 = 315_576_000_000_000;
    Span::from_us(TEN_YEARS_US)
}

const HOUR_US: i64 = 3_600_000_000;

fn future_max() -> Span {
    Span::from_us(HOUR_US)
}

/// Longer than senders gather what they could not send, and within the newest chunks of most tables.
fn late_after() -> Span {
    Span::from_us(HOUR_US)
}

/// What CSV records look like.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CsvMapping {
    /// Between fields; one ASCII character.
    pub delimiter: char,
    /// A field without quotes that stands for NULL.
    pub null: String,
    /// Whether the first line names the fields, or their names.
    pub header: Header,
}

impl Default for CsvMapping {
    fn default() -> Self {
        CsvMapping {
            delimiter: ',',
            null: String::new(),
            header: Header::FirstLine(true),
        }
    }
}

/// Where the names of a CSV record's fields come from.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(untagged)]
pub enum Header {
    /// `true`: from the first line.
    FirstLine(bool),
    /// These; there is no line with names.
    Names(Vec<String>),
}

/// A value that goes to one of several columns, and which one a lookup tells.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChoiceMapping {
    /// Where the value comes from.
    pub from: String,
    /// The column with the lookup.
    pub lookup: String,
    /// The column of the lookup's table that tells.
    pub returned: String,
    /// The table's columns, by what `returned` says.
    pub columns: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests;
