//! The ways to be compared. Each knows how to run once, from the state that [`Database::clear`] leaves.

mod floor;
mod hyperhaul;
mod hypertable;
mod pgcopydb;
mod pipes;
mod seed;

pub(crate) use hyperhaul::Migration;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use crate::database::Database;
use crate::measured::Measured;
use crate::settings::version_of;

/// A way to get the rows of partitions into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// SOAR's plan by hand: INSERT ... SELECT, then keys and indexes one after another.
    Seed,
    /// `psql | psql` in the binary format.
    Pipes,
    /// pgcopydb copy table-data, into plain partitions of another database.
    Pgcopydb,
    /// The server alone: COPY TO file, COPY FROM file.
    Floor,
    /// The binary, which copies the rows through itself.
    Hyperhaul,
    /// The binary, which lets the server insert the rows.
    Server,
    /// The binary, which attaches the partitions as chunks (Community edition).
    Attach,
    /// The binary, which loads tables that become chunks (Community edition).
    Stage,
}

/// What a way needs to run.
pub(crate) struct Bench<'a> {
    pub(crate) database: &'a Database,
    pub(crate) workers: u32,
    pub(crate) hyperhaul: &'a Path,
}

impl Way {
    /// The word of the command line and of the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::Seed => "seed",
            Way::Pipes => "pipes",
            Way::Pgcopydb => "pgcopydb",
            Way::Floor => "floor",
            Way::Hyperhaul => "hyperhaul",
            Way::Server => "server",
            Way::Attach => "attach",
            Way::Stage => "stage",
        }
    }

    /// What it does, for people.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Way::Seed => {
                "INSERT ... SELECT into the hypertable, then keys, indexes, foreign keys in order"
            }
            Way::Pipes => "psql | psql, binary COPY, chunks there beforehand",
            Way::Pgcopydb => {
                "copy table-data into plain partitions of another database, no indexes"
            }
            Way::Floor => "the server alone: COPY TO file, COPY FROM file, chunks there beforehand",
            Way::Hyperhaul => "hyperhaul migrate --strategy copy: fence to cutover",
            Way::Server => "hyperhaul migrate --strategy server: fence to cutover",
            Way::Attach => "hyperhaul migrate --strategy attach: fence to cutover",
            Way::Stage => "hyperhaul migrate --strategy stage: fence to cutover",
        }
    }

    /// Why it cannot run here, if it can't.
    pub(crate) fn missing(self) -> Option<String> {
        let program = match self {
            Way::Pipes => "psql",
            Way::Pgcopydb => "pgcopydb",
            Way::Seed | Way::Floor | Way::Hyperhaul | Way::Server | Way::Attach | Way::Stage => {
                return None;
            }
        };
        match version_of(program) {
            Some(_) => None,
            None => Some(format!("{program} is not installed here")),
        }
    }

    pub(crate) async fn run(self, bench: &Bench<'_>) -> Result<Measured> {
        match self {
            Way::Seed => seed::run(bench).await,
            Way::Pipes => pipes::run(bench).await,
            Way::Pgcopydb => pgcopydb::run(bench).await,
            Way::Floor => floor::run(bench).await,
            Way::Hyperhaul => hyperhaul::run(bench, "copy").await,
            Way::Server => hyperhaul::run(bench, "server").await,
            Way::Attach => hyperhaul::run(bench, "attach").await,
            Way::Stage => hyperhaul::run(bench, "stage").await,
        }
    }
}

/// Work that several workers share: whoever is free takes the next.
struct Shared<T>(Mutex<VecDeque<T>>);

impl<T> Shared<T> {
    fn new(all: impl IntoIterator<Item = T>) -> Shared<T> {
        Shared(Mutex::new(all.into_iter().collect()))
    }

    fn next(&self) -> Option<T> {
        self.0.lock().ok()?.pop_front()
    }
}
