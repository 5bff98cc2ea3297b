//! Seeded generators of the sample systems' data, and loaders that put it onto a server.
//!
//! The same options give the same bytes, at any size, on any machine and number of threads; memory does not grow with the number of
//! rows. Rows are binary COPY tuples made by `hyperhaul-pgcopy`. Schemas are not made up here: they are the files under
//! `fixtures/`, compiled in. What is loaded is what a user has *before* a migration; this crate knows nothing of hypertables. For
//! live ingest the same packets come over TCP, from a server with the manners of APRS-IS.

pub mod aprs_feed;
mod error;
mod esp;
mod load;
mod random;
mod soar;
mod trigonometry;

pub use error::WorkloadError;
pub use esp::{EspFormat, EspOptions};
pub use load::{Progress, load_soar};
pub use soar::{EncodedBlock, Soar, SoarOptions, SoarPacket, SoarTable};
