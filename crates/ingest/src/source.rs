//! Sources that cannot keep their records: what they take goes into the stream's spool before it is acknowledged. None knows tables.

pub mod aprs;
pub(crate) mod http;
pub(crate) mod mqtt;
mod topic;
