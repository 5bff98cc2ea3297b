//! How long senders wait until their records are durable, and how long until others can query the rows.
//!
//! ```text
//!   senders (threads, HTTP) ──> hyperhaul ingest ──> table
//!      │ answered after                                ^
//!      └ time of the last row of each body             └── reader: the newest time of each sender's well, every few milliseconds
//! ```
//!
//! A body counts as queryable when a reader has seen its last row: what is measured begins where the sender was to send, and ends where
//! the reader has the answer.

use anyhow::{Context, Result, ensure};
use hyperhaul_ingest::{Distribution, Reading};
use hyperhaul_pg::Session;
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};

use super::feeder::Feeder;
use super::sample;
use super::senders::{self, Load, Sent};
use crate::report::verdict;

/// What a stream's spool may hold meanwhile: more than comes.
const SPOOL_BYTES_MAX: u64 = 4 << 30;
/// How often a reader asks.
const ASK_EVERY: Duration = Duration::from_millis(2);
/// How long the last rows may take.
const LAST_MAX: Duration = Duration::from_secs(30);

/// Loads, with what they are called.
const LOADS: [(&str, f64, u32, u32); 3] = [
    ("5,000 rows/s, 50 a request", 100.0, 50, 16),
    ("5,000 rows/s, one a request", 5_000.0, 1, 32),
    ("20,000 rows/s, 50 a request", 400.0, 50, 16),
];

/// What a load met.
#[derive(Debug, Serialize)]
pub(super) struct Latency {
    load: &'static str,
    rows: u64,
    acknowledged: Quantiles,
    queryable: Quantiles,
    /// Of the writer, as the process says.
    batches: u64,
    batch_milliseconds_p50: Option<f64>,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Quantiles {
    p50: f64,
    p99: f64,
    max: f64,
}

impl Quantiles {
    fn of(mut values: Vec<f64>) -> Option<Quantiles> {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values.get((values.len() as f64 * share) as usize).copied();
        Some(Quantiles {
            p50: at(0.5)? * 1e3,
            p99: at(0.99)? * 1e3,
            max: values.last()? * 1e3,
        })
    }
}

/// All loads, each into an empty table.
pub(super) async fn measure(
    session: &Session,
    hyperhaul: &Path,
    folder: &Path,
    url: &str,
    seconds: f64,
) -> Result<Vec<Latency>> {
    let mut measured = Vec::new();
    for (name, bodies_per_second, rows_per_body, connections) in LOADS {
        sample::empty_table(session).await?;
        let folder = folder.join(format!("feeder-{}", measured.len()));
        std::fs::create_dir_all(&folder)?;
        let feeder = Feeder::start(hyperhaul, &folder, url, SPOOL_BYTES_MAX)?;
        let load = Load {
            connections,
            bodies_per_second,
            rows_per_body,
            seconds,
        };
        let latency = one(session, &feeder, name, load).await?;
        feeder.stop()?;
        std::fs::remove_dir_all(&folder)?;
        let Latency {
            acknowledged,
            queryable,
            ..
        } = &latency;
        eprintln!(
            "{name}: acknowledged p50 {:.1} ms, p99 {:.1} ms; queryable p50 {:.0} ms, p99 {:.0} ms",
            acknowledged.p50, acknowledged.p99, queryable.p50, queryable.p99
        );
        measured.push(latency);
    }
    Ok(measured)
}

async fn one(
    session: &Session,
    feeder: &Feeder,
    name: &'static str,
    load: Load,
) -> Result<Latency> {
    // The first batch makes the chunk.
    let first = Load {
        bodies_per_second: f64::from(load.connections),
        seconds: 1.0,
        ..load
    };
    senders::send(feeder.address, first)?;
    let before = reading(feeder).await?;
    let address = feeder.address;
    let sending = std::thread::spawn(move || senders::send(address, load));
    let mut seen = Vec::new();
    let wells: Vec<String> = (0..load.connections).map(senders::well).collect();
    while !sending.is_finished() {
        seen.push(newest(session, &wells).await?);
        tokio::time::sleep(ASK_EVERY).await;
    }
    let sent = sending.join();
    let sent = sent.map_err(|_| anyhow::anyhow!("the senders panicked"))??;
    let since = Instant::now();
    while sent
        .iter()
        .any(|body| queryable_after(body, &seen).is_none())
    {
        ensure!(
            since.elapsed() < LAST_MAX,
            "rows were acknowledged and do not come"
        );
        seen.push(newest(session, &wells).await?);
        tokio::time::sleep(ASK_EVERY).await;
    }
    let after = reading(feeder).await?;
    let acknowledged = sent.iter().map(|body| body.answered_after.as_secs_f64());
    let queryable = sent.iter().filter_map(|body| queryable_after(body, &seen));
    let batches = Distribution::BatchSeconds;
    Ok(Latency {
        load: name,
        rows: sent.len() as u64 * u64::from(load.rows_per_body),
        acknowledged: Quantiles::of(acknowledged.collect()).context("nothing was acknowledged")?,
        queryable: Quantiles::of(queryable.collect()).context("nothing was queryable")?,
        batches: after.values_since(&before, batches),
        batch_milliseconds_p50: after.quantile_since(&before, batches, 0.5).map(|s| s * 1e3),
    })
}

/// What a reader saw: when it had the answer, and the newest time of each well. Microseconds since 1970.
type Seen = (i64, Vec<i64>);

async fn newest(session: &Session, wells: &[String]) -> Result<Seen> {
    let sql = "SELECT array_agg(coalesce((SELECT (extract(epoch FROM max(timestamp)) * 1000000)::bigint \
                   FROM public.esp_telemetry WHERE well_id = well), 0) ORDER BY number) \
               FROM unnest($1::text[]) WITH ORDINALITY AS wells (well, number)";
    let row = session.query_one(sql, &[&wells]).await?;
    Ok((senders::now_us()?, row.get(0)))
}

/// Seconds from when a body was to be sent until a reader saw all of it.
fn queryable_after(body: &Sent, seen: &[Seen]) -> Option<f64> {
    let well = body.connection as usize;
    // What a reader has seen once is there for good.
    let at = seen.partition_point(|(_, newest)| newest[well] < body.last_row_us);
    let (us, _) = seen.get(at)?;
    Some((us - body.last_row_us) as f64 / 1e6)
}

async fn reading(feeder: &Feeder) -> Result<Reading> {
    let readings = hyperhaul_ingest::readings_at(feeder.metrics).await;
    let readings = readings.map_err(|error| anyhow::anyhow!("{error}"))?;
    let own = readings.and_then(|readings| readings.into_iter().next());
    own.context("hyperhaul ingest serves no metrics")
}

pub(super) fn print(latencies: &[Latency]) {
    println!(
        "\n{:<30}  {:>22}  {:>22}  {:>7}",
        "load by HTTP", "acknowledged p50 / p99", "queryable p50 / p99", "batches"
    );
    for latency in latencies {
        let pair = |of: Quantiles| format!("{:.1} / {:.1} ms", of.p50, of.p99);
        println!(
            "{:<30}  {:>22}  {:>22}  {:>7}",
            latency.load,
            pair(latency.acknowledged),
            pair(latency.queryable),
            latency.batches
        );
    }
    for (at, p50_max, p99_max) in [(0, 3.0, 15.0), (1, 3.0, 15.0)] {
        if let Some(Latency {
            load,
            acknowledged: found,
            ..
        }) = latencies.get(at)
        {
            println!(
                "  acknowledged at {load}: p50 at most {p50_max} ms, p99 at most {p99_max} ms: {}",
                verdict(found.p50 <= p50_max && found.p99 <= p99_max)
            );
        }
    }
    if let Some(Latency {
        load,
        queryable: found,
        ..
    }) = latencies.get(2)
    {
        println!(
            "  queryable at {load}: p99 at most 300 ms: {}",
            verdict(found.p99 <= 300.0)
        );
    }
}
