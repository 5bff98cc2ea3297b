//! hyperhaul's peak memory at several numbers of rows: it must not grow with the table.

use anyhow::Result;
use serde_json::json;

use crate::arguments::Memory;
use crate::database::Database;
use crate::report::{MEMORY_BYTES_MAX, mib, verdict};
use crate::settings::Settings;
use crate::ways::{Bench, Way};

/// The largest peak may exceed the smallest by this factor and still count as flat: allocators and threads are not exact.
const FLAT_FACTOR_MAX: f64 = 1.25;

pub(crate) async fn run(arguments: &Memory) -> Result<()> {
    let common = &arguments.common;
    let mut peaks = Vec::new();
    let mut settings = None;
    for &rows in &arguments.rows {
        let database = Database::prepare(&common.url, rows).await?;
        database.clear().await?;
        let bench = Bench {
            database: &database,
            workers: common.workers,
            hyperhaul: &common.hyperhaul,
        };
        let measured = Way::Hyperhaul.run(&bench).await;
        settings = Some(Settings::read(&database.session().await?, &common.hyperhaul).await?);
        database.release(common.keep && measured.is_ok()).await?;
        let measured = measured?;
        let peak = measured.client_memory_peak_bytes.unwrap_or(0);
        eprintln!(
            "{rows} rows: peak {:.1} MiB, copy {:.1} s",
            mib(peak),
            measured.copy_seconds
        );
        peaks.push((rows, peak, measured.copy_seconds));
    }
    let largest = peaks.iter().map(|(_, peak, _)| *peak).max().unwrap_or(0);
    let smallest = peaks.iter().map(|(_, peak, _)| *peak).min().unwrap_or(0);
    let (low, flat) = (
        largest <= MEMORY_BYTES_MAX,
        mib(largest) <= mib(smallest) * FLAT_FACTOR_MAX,
    );
    if common.json {
        let runs: Vec<_> = peaks
            .iter()
            .map(|(rows, peak, seconds)| json!({"rows": rows, "client_memory_peak_bytes": peak, "copy_seconds": seconds}))
            .collect();
        let object = json!({"workers": common.workers, "settings": settings, "runs": runs, "below_limit": low, "flat": flat});
        println!("{}", serde_json::to_string_pretty(&object)?);
        return Ok(());
    }
    println!("{:>12}  {:>12}  {:>8}", "rows", "peak MiB", "copy s");
    for (rows, peak, seconds) in &peaks {
        println!("{rows:>12}  {:>12.1}  {seconds:>8.1}", mib(*peak));
    }
    println!(
        "at most {} MiB at {} workers: {}",
        mib(MEMORY_BYTES_MAX),
        common.workers,
        verdict(low)
    );
    println!(
        "largest at most {FLAT_FACTOR_MAX} x the smallest: {}",
        verdict(flat)
    );
    Ok(())
}
