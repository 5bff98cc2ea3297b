//! Ingest from files beside other ways to write the same rows: into one hypertable with a unique key, empty before each of them. Then
//! how long senders and readers wait, and what an outage takes.
//!
//! What psql copies is made beforehand by the server itself, so that nobody decodes anything while that is timed. The others read
//! lines. Rows of all ways are counted.

mod feeder;
mod latency;
mod metered;
mod others;
mod outage;
mod packets;
mod sample;
mod senders;

use anyhow::{Result, ensure};
use hyperhaul_pg::{Server, Session};
use serde::Serialize;
use std::path::Path;
use std::process::Command;

use crate::arguments::{Ingest, IngestPart};
use crate::client;
use crate::report::verdict;
use crate::settings::Settings;
use sample::Sample;

/// The bench's own database.
const DATABASE: &str = "hyperhaul_bench_ingest";

/// One row a transaction is timed with so many: it takes a second or two.
const SINGLE_ROWS: u64 = 3_000;

/// A way to write the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    PsqlBinary,
    PsqlText,
    Ndjson,
    Csv,
    NdjsonDuplicates,
    NdjsonMalformed,
    Unnest,
    MultiRowInsert,
    SingleRowInsert,
}

const WAYS: [Way; 9] = [
    Way::PsqlBinary,
    Way::PsqlText,
    Way::Ndjson,
    Way::Csv,
    Way::NdjsonDuplicates,
    Way::NdjsonMalformed,
    Way::Unnest,
    Way::MultiRowInsert,
    Way::SingleRowInsert,
];

impl Way {
    fn title(self) -> &'static str {
        match self {
            Way::PsqlBinary => "psql \\copy, binary",
            Way::PsqlText => "psql \\copy, CSV",
            Way::Ndjson => "hyperhaul ingest, NDJSON",
            Way::Csv => "hyperhaul ingest, CSV",
            Way::NdjsonDuplicates => "hyperhaul ingest, NDJSON, duplicates in every batch",
            Way::NdjsonMalformed => "hyperhaul ingest, NDJSON, 10 % malformed",
            Way::Unnest => "INSERT ... UNNEST ON CONFLICT, 10,000 rows each",
            Way::MultiRowInsert => "INSERT ... VALUES, 1,000 rows each",
            Way::SingleRowInsert => "INSERT, one row a transaction",
        }
    }

    /// Rows a second that the project means to reach, at least.
    fn target(self) -> Option<f64> {
        match self {
            Way::Ndjson => Some(100_000.0),
            Way::NdjsonDuplicates => Some(120_000.0),
            Way::PsqlBinary
            | Way::PsqlText
            | Way::Csv
            | Way::NdjsonMalformed
            | Way::Unnest
            | Way::MultiRowInsert
            | Way::SingleRowInsert => None,
        }
    }
}

/// What a way took in one round.
#[derive(Debug, Serialize)]
struct Written {
    way: Way,
    lines: u64,
    seconds: f64,
    /// Of the client process, where it is one.
    cpu_seconds: Option<f64>,
    memory_peak_bytes: Option<u64>,
    /// Of the transactions alone, whatever decoding took meanwhile.
    writer_rows_per_second: Option<f64>,
}

/// All that was asked for.
struct Measured {
    written: Vec<Written>,
    packets: Vec<packets::Written>,
    latencies: Vec<latency::Latency>,
    outage: Option<outage::Outage>,
    settings: Settings,
}

pub(crate) async fn run(arguments: &Ingest) -> Result<()> {
    let common = &arguments.common;
    let admin = Server::parse(&common.url)?;
    let session = admin.connect("bench").await?;
    let drop = format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)");
    session.batch(&drop).await?;
    session
        .batch(&format!("CREATE DATABASE {DATABASE} TEMPLATE template0"))
        .await?;
    let measured = measure(arguments, &admin).await;
    session.batch(&drop).await?;
    let Measured {
        written,
        packets,
        latencies,
        outage,
        settings,
    } = measured?;
    if common.json {
        let object = serde_json::json!({"settings": settings, "runs": written, "packets": packets, "latencies": latencies, "outage": outage});
        println!("{}", serde_json::to_string_pretty(&object)?);
        return Ok(());
    }
    println!(
        "{} readings; {} cores; PostgreSQL {}, TimescaleDB {}; {}",
        arguments.rows,
        settings.cores,
        settings.postgresql,
        settings.timescaledb,
        settings.hyperhaul
    );
    if !written.is_empty() {
        print(&written);
    }
    if !packets.is_empty() {
        packets::print(&packets);
    }
    if !latencies.is_empty() {
        latency::print(&latencies);
    }
    if let Some(outage) = &outage {
        outage::print(outage);
    }
    Ok(())
}

async fn measure(arguments: &Ingest, admin: &Server) -> Result<Measured> {
    let common = &arguments.common;
    let session = admin.with_database(DATABASE).connect("bench").await?;
    session
        .batch("CREATE EXTENSION timescaledb SCHEMA public")
        .await?;
    let url = hyperhaul_testkit::ServerUrl::parse(&common.url)?
        .with_database(DATABASE)
        .to_string();
    let hyperhaul = Path::new(&common.hyperhaul);
    let is_asked = |part| arguments.parts.contains(&part);
    let folder = sample::Folder::make()?;
    let mut measured = Measured {
        written: Vec::new(),
        packets: Vec::new(),
        latencies: Vec::new(),
        outage: None,
        settings: Settings::read(&session, hyperhaul).await?,
    };
    if is_asked(IngestPart::Rows) {
        let sample = Sample::write(folder.path(), arguments.rows)?;
        measured.written = rounds(arguments, &session, &sample, &url).await?;
    }
    if is_asked(IngestPart::Packets) {
        let bench = packets::Bench {
            session: &session,
            hyperhaul,
            folder: folder.path(),
            url: &url,
        };
        measured.packets = bench.measure(arguments.rows, arguments.rounds).await?;
    }
    if is_asked(IngestPart::Latency) {
        let seconds = arguments.seconds.into();
        measured.latencies =
            latency::measure(&session, hyperhaul, folder.path(), &url, seconds).await?;
    }
    if is_asked(IngestPart::Outage) {
        measured.outage = Some(outage::measure(hyperhaul, folder.path())?);
    }
    Ok(measured)
}

async fn rounds(
    arguments: &Ingest,
    session: &Session,
    sample: &Sample,
    url: &str,
) -> Result<Vec<Written>> {
    sample.make_binary(session, url).await?;
    let hyperhaul = Path::new(&arguments.common.hyperhaul);
    let mut written = Vec::new();
    for round in 1..=arguments.rounds {
        for way in WAYS {
            sample::empty_table(session).await?;
            let one = time(way, session, sample, url, hyperhaul).await?;
            let (lines, rows) = (one.lines, sample.rows_of(way));
            let stored: i64 = session
                .query_one("SELECT count(*) FROM public.esp_telemetry", &[])
                .await?
                .get(0);
            let expected = if lines < arguments.rows { lines } else { rows };
            ensure!(
                stored.unsigned_abs() == expected,
                "{way:?}: {stored} rows of {expected}"
            );
            let rate = lines as f64 / one.seconds;
            eprintln!(
                "round {round}/{}: {} ... {rate:.0} rows/s",
                arguments.rounds,
                way.title()
            );
            written.push(one);
        }
    }
    Ok(written)
}

async fn time(
    way: Way,
    session: &Session,
    sample: &Sample,
    url: &str,
    hyperhaul: &Path,
) -> Result<Written> {
    let ingest = |file: &Path| {
        let mut command = Command::new(hyperhaul);
        command
            .args([
                "ingest",
                "--profile",
                "esp-telemetry",
                "--table",
                "public.esp_telemetry",
            ])
            .args(["--target", url])
            .arg(file);
        command
    };
    let mut writer_rows_per_second = None;
    let finished = match way {
        Way::PsqlBinary => client::run(&mut sample.psql(url, &sample.binary, "binary"))?,
        Way::PsqlText => client::run(&mut sample.psql(url, &sample.csv, "csv, header"))?,
        Way::Ndjson => {
            let (finished, rate) = metered::run(&mut ingest(&sample.ndjson))?;
            writer_rows_per_second = rate;
            finished
        }
        Way::Csv => client::run(ingest(&sample.csv).args(["--decoder", "csv"]))?,
        Way::NdjsonDuplicates => client::run(&mut ingest(&sample.duplicates))?,
        Way::NdjsonMalformed => client::run(&mut ingest(&sample.malformed))?,
        Way::Unnest | Way::MultiRowInsert | Way::SingleRowInsert => {
            let rows = match way {
                Way::SingleRowInsert => SINGLE_ROWS.min(sample.rows),
                _ => sample.rows,
            };
            let seconds = others::write(way, session, sample, rows).await?;
            return Ok(Written {
                way,
                lines: rows,
                seconds,
                cpu_seconds: None,
                memory_peak_bytes: None,
                writer_rows_per_second,
            });
        }
    };
    Ok(Written {
        way,
        lines: sample.lines_of(way),
        seconds: finished.seconds,
        cpu_seconds: Some(finished.cpu_seconds),
        memory_peak_bytes: Some(finished.memory_peak_bytes),
        writer_rows_per_second,
    })
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn rate(written: &[Written], way: Way) -> Option<f64> {
    let own = written.iter().filter(|one| one.way == way);
    median(own.map(|one| one.lines as f64 / one.seconds).collect())
}

fn print(written: &[Written]) {
    let plain = rate(written, Way::PsqlBinary).unwrap_or(f64::NAN);
    println!(
        "{:<52}  {:>9}  {:>13}  {:>5}  {:>8}",
        "way", "rows/s", "x psql binary", "CPU s", "peak MiB"
    );
    for way in WAYS {
        let Some(rate) = rate(written, way) else {
            continue;
        };
        let of = |field: fn(&Written) -> Option<f64>| {
            let own = written.iter().filter(|one| one.way == way);
            let value = median(own.filter_map(field).collect());
            value.map_or("-".to_owned(), |value| format!("{value:.1}"))
        };
        println!(
            "{:<52}  {rate:>9.0}  {:>13.2}  {:>5}  {:>8}",
            way.title(),
            rate / plain,
            of(|one| one.cpu_seconds),
            of(|one| one.memory_peak_bytes.map(crate::report::mib)),
        );
    }
    println!("\ntargets");
    for way in WAYS {
        if let (Some(target), Some(rate)) = (way.target(), rate(written, way)) {
            println!(
                "  {} at least {target:.0} rows/s: {rate:.0}: {}",
                way.title(),
                verdict(rate >= target)
            );
        }
    }
    let writer = written.iter().filter_map(|one| one.writer_rows_per_second);
    if let Some(writer) = median(writer.collect()) {
        println!(
            "  NDJSON, writer alone, at least 200000 rows/s: {writer:.0}: {}",
            verdict(writer >= 200_000.0)
        );
    }
    let ndjson = rate(written, Way::Ndjson).unwrap_or(f64::NAN);
    let malformed = rate(written, Way::NdjsonMalformed).unwrap_or(f64::NAN);
    println!(
        "  NDJSON / psql binary at least 0.80: {:.2}: {}",
        ndjson / plain,
        verdict(ndjson >= 0.8 * plain)
    );
    println!(
        "  10 % malformed / clean at least 0.80: {:.2}: {}",
        malformed / ndjson,
        verdict(malformed >= 0.8 * ndjson)
    );
}
