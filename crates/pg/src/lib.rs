//! Connections to PostgreSQL: where a server is, how to reach it, sessions, COPY byte streams,
//! exported snapshots, and what to do when something fails.
//!
//! This is the only crate that knows the client library. It does not know what a migration,
//! a hypertable or a row is: SQL text comes in, rows and bytes go out, and every failure is an
//! [`Error`] whose [`Disposition`] says whether to try again, to reconnect or to stop.

mod batches;
mod connection_string;
mod copy;
mod discretion;
mod disposition;
mod diversion;
mod environment;
mod error;
mod link;
mod notice;
mod parameters;
mod password_file;
pub mod pooler;
mod refusal;
pub mod retry;
mod server;
mod service_file;
mod session;
mod settings;
pub mod snapshot;
mod tap;
mod tap_connect;
mod tls;
mod transaction;

pub use batches::CopyBatches;
pub use copy::{CopyIn, CopyOut};
pub use disposition::Disposition;
pub use diversion::COPY_BATCH_BYTES;
pub use environment::{host_name, os_user};
pub use error::Error;
pub use notice::Notice;
pub use refusal::{DUPLICATE_KEY, Refusal};
pub use server::Server;
pub use session::{Canceller, Session};

pub use tokio_postgres::Row;
pub use tokio_postgres::types::{FromSql, ToSql, Type};
