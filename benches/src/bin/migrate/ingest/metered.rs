//! An ingest process that is asked, while it runs, how long its transactions take: what they alone could write, had decoding cost nothing.

use anyhow::Result;
use hyperhaul_ingest::{Counter, Distribution, Reading};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::client::{self, Finished};

const ASK_EVERY: Duration = Duration::from_millis(100);

/// Runs `hyperhaul ingest` to its end; rows a second of its transactions, if it was asked in time.
pub(super) fn run(command: &mut Command) -> Result<(Finished, Option<f64>)> {
    let metrics = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    command.args(["--metrics", &metrics.to_string()]);
    let has_ended = AtomicBool::new(false);
    let (finished, last) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask(metrics, &has_ended));
        let finished = client::run(command);
        has_ended.store(true, Ordering::Relaxed);
        (finished, asking.join())
    });
    let rate = last.ok().flatten().map(|reading| {
        reading.counter(Counter::CommittedRows) as f64 / reading.sum(Distribution::BatchSeconds)
    });
    Ok((finished?, rate.filter(|rate| rate.is_finite())))
}

/// The last answer before the end.
fn ask(metrics: SocketAddr, has_ended: &AtomicBool) -> Option<Reading> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let mut last = None;
    while !has_ended.load(Ordering::Relaxed) {
        let readings = runtime.block_on(hyperhaul_ingest::readings_at(metrics));
        let answer = readings.ok().flatten().and_then(|mut all| all.pop());
        last = answer.or(last);
        std::thread::sleep(ASK_EVERY);
    }
    last
}
