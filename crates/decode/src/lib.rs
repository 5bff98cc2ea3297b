//! From records to rows: the bytes that a source took in become binary COPY tuples of the target tables.
//!
//! This crate does no input or output, knows no socket, no clock and no server, and keeps nothing between records. What a
//! table looks like is told to it, and ids that another table gives are filled in by who has a connection.
//!
//! ```text
//!   Record --> Decoder --> Rows of each Target: tuples, some with ids to be filled in
//!                    \---> Refusal: why not, and for which column
//! ```
//!
//! Hostile bytes end in a [`Refusal`], never in a panic. A record is all of its rows, or none.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::panic))]

mod aprs;
mod column;
mod decoder;
mod lookup;
mod recent;
mod record;
mod refusal;
mod rows;

pub use aprs::{
    AprsDecoder, AprsError, AprsOptions, FIX_KEY as APRS_FIX_KEY, Kind as AprsKind,
    KindCounts as AprsCounts,
};
pub use column::{ColumnKind, TargetColumn};
pub use decoder::{Decoder, Target};
pub use lookup::{Found, Id, IdType, LookupKey, LookupSpec};
pub use recent::RecentKeys;
pub use record::Record;
pub use refusal::{Reason, Refusal};
pub use rows::{Rows, Tally, TupleWriter, Unresolved};
