//! Tests of the crate through its public interface, in one binary. The oracle for the format is
//! `golden`: files that a real server wrote.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod allocation;
mod digest;
mod encoding;
mod framing;
mod golden;
mod hostile;
mod oids;
mod routing;
mod streams;
mod times;
