//! Sources that cannot keep their records: what they take goes into the stream's spool before it is acknowledged.

pub(crate) mod http;
pub(crate) mod mqtt;
mod topic;
