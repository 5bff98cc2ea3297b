//! What tests need from the outside world: real servers, a database of their own, a way to break
//! the connection at a chosen moment, a disk that is small enough to fill.
//!
//! ```no_run
//! # async fn example() -> Result<(), hyperhaul_testkit::Error> {
//! use hyperhaul_testkit::{Servers, TestDatabase};
//!
//! let servers = Servers::shared()?;
//! let database = TestDatabase::create(servers.target.url(), "example").await?;
//! database.install_extensions(&["timescaledb", "postgis"]).await?;
//! database.exec("CREATE TABLE t (at timestamptz NOT NULL)").await?;
//! # Ok(())
//! # }
//! ```
//!
//! This crate holds no fixture and no expectation of any other crate, and nothing here pretends to
//! be a server: whatever a test sees was said by PostgreSQL. Servers are made and run by
//! `scripts/db`; this crate only calls it. A missing server is an error with its reason, never a
//! silent skip; what cannot be done with the server at hand (stop one that is not ours) is
//! an [`Error`] for which [`Error::is_unavailable`] holds, to be passed to [`skip`].

mod broker;
mod connection;
mod database;
mod disk;
mod embedded;
mod error;
mod owner;
mod proxy;
mod script;
mod servers;
mod url;
mod wait;
mod wire;

pub use broker::{Broker, BrokerKind, Publisher};
pub use connection::{Client, connect};
pub use database::TestDatabase;
pub use disk::SmallDisk;
pub use embedded::Embedded;
pub use error::Error;
pub use owner::OwnerRole;
pub use proxy::{Cut, Proxy};
pub use servers::{Instance, Role, Server, Servers, community_url};
pub use tokio_postgres::Row;
pub use tokio_postgres::types::{FromSql, ToSql};
pub use url::ServerUrl;
pub use wait::{eventually, skip};
