//! Facts about a server and the database and role that we are connected to.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A server, seen through one session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerFacts {
    /// `server_version_num`, e.g. 170011.
    pub version_num: i32,
    /// `server_version`, e.g. `17.11 (Debian 17.11-1)`.
    pub version: String,
    /// `pg_control_system().system_identifier`, unless it can't be read.
    pub system_identifier: Option<i64>,
    /// Name of the database.
    pub database: String,
    /// Its oid.
    pub database_oid: u32,
    /// Its encoding, e.g. `UTF8`.
    pub encoding: String,
    /// `current_user`.
    pub role: String,
    /// Whether that role is a superuser.
    pub superuser: bool,
    /// Whether it may create schemas here.
    pub can_create_schema: bool,
    /// Whether the server is a standby (`pg_is_in_recovery()`).
    pub in_recovery: bool,
    /// Settings that matter.
    pub settings: ServerSettings,
    /// Installed extensions by name.
    pub extensions: BTreeMap<String, Extension>,
    /// TimescaleDB, if its extension is installed in the database.
    pub timescale: Option<Timescale>,
    /// Version of TimescaleDB that `CREATE EXTENSION` would install, if its files are on the server.
    pub timescale_available: Option<String>,
    /// Free bytes of the data directory's file system, where it can be seen (server on this machine).
    pub free_disk_bytes: Option<u64>,
    /// Cores of the server, where they can be seen (server on this machine).
    pub cores: Option<u32>,
    /// Evidence of a transaction-mode pooler between us and the server, if there is one.
    pub pooler: Option<String>,
    /// The server's clock when it was looked at, microseconds since 1970 UTC.
    #[serde(default)]
    pub clock_us: i64,
    /// Hypertables that exist in the database, as `schema.name`.
    pub hypertables: Vec<crate::Relation>,
}

/// An installed extension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// `extversion`.
    pub version: String,
    /// Schema of its objects.
    pub schema: String,
}

/// A schema that the run needs on another server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetSchema {
    /// Its name.
    pub name: String,
    /// Whether it exists.
    pub exists: bool,
    /// Roles among the run's own and the tables' owners that may create in it.
    pub creators: Vec<String>,
}

/// TimescaleDB as it is installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timescale {
    /// Major, minor, patch.
    pub version: (u32, u32, u32),
    /// Which licence the running library is under.
    pub license: License,
    /// Whether the library is in `shared_preload_libraries`; `None` where the setting is hidden from the role.
    pub preloaded: Option<bool>,
}

/// TimescaleDB's editions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum License {
    /// Apache edition: no columnstore, policies, continuous aggregates, `attach_chunk`.
    Apache,
    /// Community edition.
    Community,
}

/// Settings of the server, and of this role in this database before hyperhaul overrides them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSettings {
    /// Shared lock table: locks per transaction.
    pub max_locks_per_transaction: u32,
    /// Most connections.
    pub max_connections: u32,
    /// Most prepared transactions.
    pub max_prepared_transactions: u32,
    /// `wal_level`.
    pub wal_level: String,
    /// `max_wal_size` in bytes.
    pub max_wal_size_bytes: u64,
    /// `maintenance_work_mem` in bytes.
    pub maintenance_work_mem_bytes: u64,
    /// `max_worker_processes`.
    pub max_worker_processes: u32,
    /// `max_parallel_maintenance_workers`.
    pub max_parallel_maintenance_workers: u32,
    /// The role's or database's own `statement_timeout`, milliseconds, 0 = none (`pg_settings.reset_val`).
    pub statement_timeout_ms: u64,
    /// Likewise `lock_timeout`.
    pub lock_timeout_ms: u64,
    /// Likewise `idle_in_transaction_session_timeout`.
    pub idle_in_transaction_session_timeout_ms: u64,
    /// Likewise `transaction_timeout` (PostgreSQL 17), 0 where there is none.
    pub transaction_timeout_ms: u64,
    /// The server's default `TimeZone`.
    pub time_zone: String,
}
