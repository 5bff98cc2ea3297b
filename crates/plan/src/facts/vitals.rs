//! What a server shows of how it bears a run.

use serde::{Deserialize, Serialize};

/// How a server is at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vitals {
    /// The disks of data and WAL; empty where they can't be seen.
    #[serde(default)]
    pub disks: Vec<Disk>,
    /// Bytes of the database; `None` where nobody asked.
    pub database_bytes: Option<u64>,
    /// The end of WAL, as bytes since its very beginning.
    pub wal_bytes: u64,
    /// WAL that the server has to keep: since the last checkpoint, or for slots or the archive, whichever is the most.
    pub wal_kept_bytes: u64,
    /// How far standbys and slots are behind.
    pub lags: Vec<Lag>,
    /// Standbys whose lag the role may not see.
    pub hidden_standbys: u64,
    /// Whether WAL is archived, and the last try failed.
    pub archiver_fails: bool,
}

/// A file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// What is on it: `data`, `WAL`.
    pub holds: String,
    /// Bytes that are free for the server's user.
    pub free_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

/// How far somebody is behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// Who: `standby "a"`, `slot "b"`.
    pub who: String,
    /// Bytes of WAL.
    pub bytes: u64,
}
