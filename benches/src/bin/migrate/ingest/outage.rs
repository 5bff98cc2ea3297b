//! Memory while the database is away: records come as fast as they are acknowledged, in large bodies of many senders at once, until the
//! spool is full. An hour's outage fills no more than that.

use anyhow::{Context, Result};
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

use super::feeder::Feeder;
use super::senders;
use crate::report::{mib, verdict};

/// An hour of 1,250 records of 230 bytes a second, or a minute of 75,000.
const SPOOL_BYTES_MAX: u64 = 1 << 30;
const MEMORY_BYTES_MAX: u64 = 256 << 20;
/// Nobody listens there.
const NOWHERE: &str = "postgresql://postgres@127.0.0.1:1/postgres";
/// More than fit into memory at once.
const CONNECTIONS: u32 = 24;
/// Bodies of 14 MiB, nearly the largest.
const ROWS_PER_BODY: u32 = 60_000;

/// What an outage took.
#[derive(Debug, Serialize)]
pub(super) struct Outage {
    spool_bytes_max: u64,
    records: u64,
    seconds: f64,
    memory_peak_bytes: u64,
}

pub(super) fn measure(hyperhaul: &Path, folder: &Path) -> Result<Outage> {
    let folder = folder.join("outage");
    std::fs::create_dir_all(&folder)?;
    let feeder = Feeder::start(hyperhaul, &folder, NOWHERE, SPOOL_BYTES_MAX)?;
    let begun = Instant::now();
    let bodies = senders::send_until_full(feeder.address, CONNECTIONS, ROWS_PER_BODY)?;
    let outage = Outage {
        spool_bytes_max: SPOOL_BYTES_MAX,
        records: bodies * u64::from(ROWS_PER_BODY),
        seconds: begun.elapsed().as_secs_f64(),
        memory_peak_bytes: feeder
            .memory_peak_bytes()
            .context("hyperhaul ingest ended")?,
    };
    drop(feeder);
    std::fs::remove_dir_all(&folder)?;
    Ok(outage)
}

pub(super) fn print(outage: &Outage) {
    let Outage {
        records,
        seconds,
        memory_peak_bytes: peak,
        ..
    } = *outage;
    println!(
        "\ndatabase away, spool of {:.0} MiB filled with {records} records in {seconds:.1} s: peak {:.1} MiB",
        mib(SPOOL_BYTES_MAX),
        mib(peak)
    );
    println!(
        "  at most {:.0} MiB: {}",
        mib(MEMORY_BYTES_MAX),
        verdict(peak <= MEMORY_BYTES_MAX)
    );
}
