//! Tests of hyperhaul as a whole, in one binary: a room for each subject.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod attach;
mod backfill;
mod embedded;
mod faults;
mod hard;
mod ingest;
mod lifecycle;
mod policies;
mod stage;
mod support;
mod tidy;
mod wide_chunk;
