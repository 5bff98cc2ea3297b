//! From records to rows: the bytes that a source took in become binary COPY tuples of the target tables.
//!
//! This crate does no input or output, knows no socket, no clock and no server. A decoder keeps nothing between
//! records but counts; `recent` is a memory that its caller owns. What a
//! table looks like is told to it, and ids that another table gives are filled in by who has a connection.
//!
//! ```text
//!   bytes, UTF-8 --> members or fields --> slots --> fields of a tuple --> Rows of the Target
//!          `ndjson`, `csv`               `layout`   `field`                ids to be filled in
//!                    \--------------------\----------\--> Refusal: why not, and for which column
//! ```
//!
//! Hostile bytes end in a [`Refusal`], never in a panic. A record is all of its rows, or none.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::panic))]

mod aprs;
mod column;
mod csv;
mod decoder;
mod field;
mod json;
mod layout;
mod literal;
mod lookup;
mod mapping;
mod measure;
mod ndjson;
mod number;
mod raw;
mod recent;
mod record;
mod refusal;
mod rows;
mod span;
mod table;
#[cfg(test)]
mod testing;
mod time;
mod units;

pub use aprs::{
    AprsDecoder, AprsError, AprsOptions, FIX_KEY as APRS_FIX_KEY, Kind as AprsKind,
    NOT_UTF8 as APRS_NOT_UTF8,
};
pub use column::{ColumnKind, TargetColumn};
pub use csv::{CsvOrder, RecordEnds};
pub use decoder::{Decoder, Repeats, Target};
pub use lookup::{Found, Id, IdType, LookupKey, LookupSpec};
pub use mapping::{
    ChoiceMapping, ColumnMapping, Columns, CsvMapping, DecoderKind, Header, Implausible,
    KeyMapping, LookupMapping, Mapping, MappingError, TimeMapping, UnitMapping, Unknown,
    fill_from_profile, profile_names,
};
pub use recent::RecentKeys;
pub use record::Record;
pub use refusal::{Reason, Refusal};
pub use rows::{Rows, Tally, TupleWriter, Unresolved};
pub use span::Span;
pub use time::TimeFormat;
