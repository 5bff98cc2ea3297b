//! What the numbers depend on: versions, settings, the machine.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use hyperhaul_pg::Session;
use serde::Serialize;

/// Settings that the ways' times depend on.
const NAMES: [&str; 12] = [
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
    "wal_level",
    "wal_compression",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "maintenance_work_mem",
    "max_parallel_maintenance_workers",
    "autovacuum",
    "timescaledb.license",
];

/// Where it was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Settings {
    pub(crate) postgresql: String,
    pub(crate) timescaledb: String,
    pub(crate) postgis: Option<String>,
    pub(crate) hyperhaul: String,
    /// `None`: not installed.
    pub(crate) pgcopydb: Option<String>,
    pub(crate) psql: Option<String>,
    pub(crate) cores: usize,
    /// The data directory's file system, as far as it is seen here.
    pub(crate) storage: &'static str,
    /// Name and value, as SHOW prints them.
    pub(crate) server: Vec<(String, String)>,
}

impl Settings {
    pub(crate) async fn read(session: &Session, hyperhaul: &Path) -> Result<Settings> {
        let mut server = Vec::new();
        for name in NAMES {
            server.push((name.to_owned(), show(session, name).await?));
        }
        let extension = "SELECT extversion FROM pg_catalog.pg_extension WHERE extname = $1";
        let data_directory = show(session, "data_directory").await?;
        Ok(Settings {
            postgresql: show(session, "server_version").await?,
            timescaledb: session
                .query_one(extension, &[&"timescaledb"])
                .await?
                .get(0),
            postgis: session
                .query_opt(extension, &[&"postgis"])
                .await?
                .map(|row| row.get(0)),
            hyperhaul: version_of(hyperhaul.as_os_str()).unwrap_or_else(|| "not run".to_owned()),
            pgcopydb: version_of("pgcopydb"),
            psql: version_of("psql"),
            cores: std::thread::available_parallelism()?.get(),
            storage: if data_directory.starts_with("/dev/shm/") {
                "RAM disk"
            } else {
                "disk"
            },
            server,
        })
    }
}

async fn show(session: &Session, name: &str) -> Result<String> {
    Ok(session
        .query_one("SELECT current_setting($1)", &[&name])
        .await?
        .get(0))
}

/// The first thing like a version that a program prints about itself; `None` if it can't be run.
pub(crate) fn version_of(program: impl AsRef<std::ffi::OsStr>) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let version =
        |word: &&str| word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.');
    printed
        .split_ascii_whitespace()
        .find(version)
        .map(str::to_owned)
}

/// Processes that wanted a core in the last minute, on average: what else ran while a way was timed. The ways themselves count too.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_ascii_whitespace()
        .next()
        .and_then(|first| first.parse().ok())
        .unwrap_or(0.0)
}
