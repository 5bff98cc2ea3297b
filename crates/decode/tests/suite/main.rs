//! Tests of the crate through its public interface, in one binary: properties of every input, and a real server as the oracle for
//! what a value is.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod oracle;
mod profiles;
mod properties;
mod server;
mod values;
