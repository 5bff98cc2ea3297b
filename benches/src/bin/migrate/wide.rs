//! How long readers are kept out by each way to narrow a wide chunk: why a table in one piece is not attached whole.
//!
//! A table of forty days is one chunk. What is measured is a transaction that locks the hypertable, makes chunks of their own of
//! the newest day, or of all days, and commits. Without that lock readers miss rows, or bring the server down. None of
//! this is done by hyperhaul: `tests/tests/suite/wide_chunk.rs` says what else is wrong with it.

use std::time::Instant;

use anyhow::{Result, ensure};
use hyperhaul_pg::{Server, Session};
use serde::Serialize;

use crate::arguments::Wide;

/// The bench's own database.
const DATABASE: &str = "hyperhaul_bench_wide";
/// Days that the rows are spread over.
const DAYS: u64 = 40;

/// Seconds that readers were kept out.
#[derive(Debug, Serialize)]
struct Narrowed {
    rows: u64,
    bytes: u64,
    /// The table becomes one wide chunk. There is nobody to read it yet.
    attach_seconds: f64,
    /// `split_chunk` takes the newest day out of it.
    split_seconds: f64,
    /// A day that was copied beforehand takes the place of its rows in it.
    swap_seconds: f64,
    /// All days that were copied beforehand take its place.
    replace_seconds: f64,
}

pub(crate) async fn run(arguments: &Wide) -> Result<()> {
    let admin = Server::parse(&arguments.url)?;
    let session = admin.connect("bench").await?;
    let drop = format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)");
    let mut all = Vec::new();
    for &rows in &arguments.rows {
        session.batch(&drop).await?;
        session
            .batch(&format!("CREATE DATABASE {DATABASE} TEMPLATE template0"))
            .await?;
        let narrowed = narrow(&admin.with_database(DATABASE), rows).await;
        session.batch(&drop).await?;
        all.push(narrowed?);
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        print(&all);
    }
    Ok(())
}

async fn narrow(server: &Server, rows: u64) -> Result<Narrowed> {
    let session = server.connect("bench").await?;
    fill(&session, rows).await?;
    let size = "SELECT pg_table_size('wide')";
    let size: i64 = session.query_one(size, &[]).await?.get(0);
    let attach_seconds = readers_out(&session, &attach("wide", 0, DAYS)).await?;

    let newest = day(DAYS - 1);
    let split = format!("CALL split_chunk('wide', timestamptz '{newest}')");
    let split_seconds = readers_out(&session, &split).await?;

    let next = DAYS - 2;
    stage(&session, next).await?;
    let swap = format!(
        "CALL detach_chunk('wide'); DELETE FROM wide WHERE at >= '{}'; {}; {}",
        day(next),
        attach("wide", 0, next),
        attach(&staged(next), next, next + 1)
    );
    let swap_seconds = readers_out(&session, &swap).await?;

    for older in 0..next {
        stage(&session, older).await?;
    }
    let attached: Vec<String> = (0..next)
        .map(|older| attach(&staged(older), older, older + 1))
        .collect();
    let replace = format!("CALL detach_chunk('wide'); {}", attached.join("; "));
    let replace_seconds = readers_out(&session, &replace).await?;

    let count = "SELECT count(*) FROM readings";
    let count: i64 = session.query_one(count, &[]).await?.get(0);
    ensure!(
        u64::try_from(count)? == rows,
        "readings has other rows than it should"
    );
    Ok(Narrowed {
        rows,
        bytes: u64::try_from(size)?,
        attach_seconds,
        split_seconds,
        swap_seconds,
        replace_seconds,
    })
}

/// The table, and a hypertable like it without chunks.
async fn fill(session: &Session, rows: u64) -> Result<()> {
    let pause_us = DAYS * 86_400_000_000 / rows.max(1);
    let statements = [
        "CREATE EXTENSION timescaledb SCHEMA public".to_owned(),
        "SET search_path = public; SET timezone = 'UTC'".to_owned(),
        "CREATE TABLE wide (id bigint NOT NULL, at timestamptz NOT NULL, value float8, note text, PRIMARY KEY (id, at))"
            .to_owned(),
        format!(
            "INSERT INTO wide SELECT n, timestamptz '{}' + n * interval '{pause_us} us', n % 1000, \
             'as long as a note may be, number ' || n FROM generate_series(0, {rows} - 1) AS n",
            day(0)
        ),
        "CREATE INDEX ON wide (at)".to_owned(),
        "VACUUM ANALYZE wide".to_owned(),
        "CREATE TABLE readings (LIKE wide INCLUDING ALL)".to_owned(),
        "SELECT create_hypertable('readings', 'at', chunk_time_interval => interval '1 day', create_default_indexes => false)"
            .to_owned(),
    ];
    for statement in statements {
        session.batch(&statement).await?;
    }
    eprintln!("sample: {rows} rows in one table");
    Ok(())
}

/// Copies a day of the wide chunk into a table of its own, which nobody reads yet.
async fn stage(session: &Session, number: u64) -> Result<()> {
    let name = staged(number);
    let statements = [
        format!("CREATE TABLE {name} (LIKE readings INCLUDING ALL)"),
        format!(
            "INSERT INTO {name} SELECT * FROM wide WHERE at >= '{}' AND at < '{}'",
            day(number),
            day(number + 1)
        ),
        format!("VACUUM ANALYZE {name}"),
    ];
    for statement in statements {
        session.batch(&statement).await?;
    }
    Ok(())
}

/// Seconds from the lock to the end of the COMMIT.
async fn readers_out(session: &Session, statements: &str) -> Result<f64> {
    session.batch("CHECKPOINT").await?;
    session.batch("BEGIN").await?;
    session
        .batch("LOCK TABLE readings IN ACCESS EXCLUSIVE MODE")
        .await?;
    let locked = Instant::now();
    session.batch(statements).await?;
    session.batch("COMMIT").await?;
    Ok(locked.elapsed().as_secs_f64())
}

fn attach(table: &str, from: u64, to: u64) -> String {
    let (from, to) = (day(from), day(to));
    format!("CALL attach_chunk('readings', '{table}', '{{\"at\": [\"{from}\", \"{to}\"]}}')")
}

fn staged(number: u64) -> String {
    format!("day_{number}")
}

/// The beginning of a day.
fn day(number: u64) -> String {
    let (month, of_month) = (number / 31 + 1, number % 31 + 1);
    format!("2025-{month:02}-{of_month:02} 00:00:00+00")
}

fn print(all: &[Narrowed]) {
    println!("seconds that readers are kept out, of a chunk of {DAYS} days");
    println!(
        "{:>12}  {:>8}  {:>8}  {:>16}  {:>15}  {:>13}",
        "rows", "MB", "attach", "split a day off", "swap a day out", "replace it"
    );
    for one in all {
        println!(
            "{:>12}  {:>8.0}  {:>8.3}  {:>16.3}  {:>15.3}  {:>13.3}",
            one.rows,
            one.bytes as f64 / 1e6,
            one.attach_seconds,
            one.split_seconds,
            one.swap_seconds,
            one.replace_seconds
        );
    }
}
