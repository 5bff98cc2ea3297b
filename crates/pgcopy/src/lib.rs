//! PostgreSQL's binary COPY format: framing, field access, encoding and a digest of rows.
//!
//! This crate does no input or output, knows no socket, no clock and no server, and decodes no
//! value but the time attribute that routes a row. What it hands out borrows from what it was
//! given.
//!
//! The stream, as PostgreSQL writes and reads it (documentation of `COPY`, section "Binary Format";
//! all integers big-endian):
//!
//! ```text
//! offset  bytes
//!      0     11  signature      "PGCOPY\n\xff\r\n\0"
//!     11      4  flags          bits 16-31 critical: a reader refuses what it does not know
//!     15      4  extension      length of the header extension that follows (0 so far)
//!     19    ...  extension      skipped
//!            ...  tuples:
//!                  2  field count, the same for all tuples of a stream
//!                     per field:
//!                  4    length of the value, -1 for NULL
//!                  n    the value, as the type's send function wrote it
//!             2  trailer        -1 where a field count would stand; nothing may follow
//! ```
//!
//! Where each part lives:
//!
//! - [`Framer`] cuts a stream that arrives in arbitrary pieces into whole tuples, [`Tuples`] does
//!   it for bytes that begin and end at a tuple;
//! - [`Tuple`] reads the fields of one tuple, [`TupleMut`] lends them to be changed in place;
//! - [`Digest`] sums up a set of tuples, whatever their order;
//! - [`Encoder`] writes rows, [`Numeric`] has the one type whose binary form is not simple;
//! - [`TimeType`] reads a time attribute, and [`Router`] finds the range that it lies in;
//! - [`OidMap`] renumbers the type OIDs that arrays and composites carry.
//!
//! ```
//! use hyperhaul_pgcopy::{Digest, Encoder, Framer, Row};
//!
//! let mut encoder = Encoder::new();
//! encoder.header();
//! encoder.row(2).text("EDDB").optional(None, Row::int4).finish()?;
//! encoder.trailer();
//!
//! let (mut framer, mut digest) = (Framer::new(), Digest::default());
//! for piece in encoder.take().chunks(10) {
//!     framer.push(piece, |tuple| digest.add(tuple))?;
//! }
//! framer.finish()?;
//! assert_eq!(digest.rows, 1);
//! # Ok::<(), hyperhaul_pgcopy::Error>(())
//! ```
//!
//! Hostile bytes end in an [`Error`], never in a panic, and never make this crate reserve more
//! memory than the bytes that it was given would fill.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

mod digest;
mod encode;
mod error;
mod extent;
mod framer;
mod header;
mod numeric;
mod oid;
mod route;
mod time;
mod tuple;

pub use digest::Digest;
pub use encode::{Encoder, Row};
pub use error::Error;
pub use extent::{FIELD_COUNT_MAX, TUPLE_BYTES_MAX};
pub use framer::Framer;
pub use header::{HEADER, TRAILER};
pub use numeric::Numeric;
pub use oid::{NESTING_MAX, OidMap, OidMapping, TypeShape, rewrite_array, rewrite_composite};
pub use route::Router;
pub use time::{POSTGRES_EPOCH_OFFSET_US, TimePoint, TimeType};
pub use tuple::{Fields, Tuple, TupleMut, Tuples};
