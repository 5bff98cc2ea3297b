//! An ingest process that is asked, while it runs, how long its transactions take: what they alone could write, had decoding cost nothing.

use anyhow::{Context, Result};
use hyperhaul_ingest::{Counter, Distribution, Reading};
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::client::{self, Finished};

/// The last answer before the end counts.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Runs `hyperhaul ingest` to its end; rows a second of its transactions, if it was asked in time.
pub(super) fn run(command: &mut Command) -> Result<(Finished, Option<f64>)> {
    let metrics = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    command.args(["--metrics", &metrics.to_string()]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let has_ended = AtomicBool::new(false);
    let (finished, last) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut last: Option<Reading> = None;
            while !has_ended.load(Ordering::Relaxed) {
                let readings = runtime.block_on(hyperhaul_ingest::readings_at(metrics));
                last = readings
                    .ok()
                    .flatten()
                    .and_then(|mut all| all.pop())
                    .or(last);
                std::thread::sleep(ASK_EVERY);
            }
            last
        });
        let finished = client::run(command);
        has_ended.store(true, Ordering::Relaxed);
        (finished, asking.join())
    });
    let last = last.ok().flatten();
    let rate = last.map(|reading| {
        reading.counter(Counter::CommittedRows) as f64 / reading.sum(Distribution::BatchSeconds)
    });
    Ok((
        finished.context("hyperhaul ingest")?,
        rate.filter(|rate| rate.is_finite()),
    ))
}
