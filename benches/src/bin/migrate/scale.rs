//! Cost per row at several sizes of a narrow table: it must not grow with the table.

use anyhow::{Context, Result, ensure};
use hyperhaul_pg::{Server, Session};
use serde::Serialize;
use std::path::Path;

use crate::arguments::Scale;
use crate::report::verdict;
use crate::settings::Settings;
use crate::ways::Migration;

/// The bench's own database.
const DATABASE: &str = "hyperhaul_bench_scale";
/// Rows of a daily partition: with more rows come more partitions, as in time.
const ROWS_PER_DAY: u64 = 1_000_000;
/// A size may cost this many times what a smaller one costs a row, and still count as flat.
const GROWTH_MAX: f64 = 1.10;
/// Bytes on the server's disk that a row needs at the most: twice its heap and its key, a file to sort in, and WAL.
const DISK_BYTES_PER_ROW: u64 = 320;

/// What moving so many rows took.
#[derive(Debug, Serialize)]
struct Moved {
    strategy: String,
    rows: u64,
    /// Rows into chunks.
    copy_seconds: f64,
    /// From the fence to the cutover, with the key and the proof.
    verified_seconds: f64,
}

impl Moved {
    fn verified_us_per_row(&self) -> f64 {
        self.verified_seconds * 1e6 / self.rows as f64
    }

    fn copy_us_per_row(&self) -> f64 {
        self.copy_seconds * 1e6 / self.rows as f64
    }
}

pub(crate) async fn run(arguments: &Scale) -> Result<()> {
    let common = &arguments.common;
    let admin = Server::parse(&common.url)?;
    let mut all = Vec::new();
    let mut skipped = Vec::new();
    let mut settings = None;
    for &rows in &arguments.rows {
        let session = admin.connect("bench").await?;
        if let Some(reason) = too_large(arguments, rows) {
            eprintln!("{rows} rows are skipped: {reason}");
            skipped.push((rows, reason));
            continue;
        }
        let sized = sized(arguments, &admin, rows).await;
        let drop = format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)");
        session.batch(&drop).await?;
        let (moved, read) = sized?;
        settings = Some(read);
        all.extend(moved);
    }
    if common.json {
        let object = serde_json::json!({
            "workers": common.workers, "settings": settings, "runs": all, "skipped": skipped,
        });
        println!("{}", serde_json::to_string_pretty(&object)?);
        return Ok(());
    }
    print(&all, &arguments.strategies);
    Ok(())
}

/// Why there is no room for so many rows, if it is known that there is none.
fn too_large(arguments: &Scale, rows: u64) -> Option<String> {
    let room = arguments.disk_bytes?;
    let need = rows * DISK_BYTES_PER_ROW;
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    (need > room).then(|| {
        format!(
            "they need about {:.0} GiB, {:.0} are free",
            gib(need),
            gib(room)
        )
    })
}

/// Every strategy on a table of this size, and the server that it was on.
async fn sized(arguments: &Scale, admin: &Server, rows: u64) -> Result<(Vec<Moved>, Settings)> {
    let common = &arguments.common;
    fill(admin, rows).await?;
    let session = admin.with_database(DATABASE).connect("bench").await?;
    let url = hyperhaul_testkit::ServerUrl::parse(&common.url)?
        .with_database(DATABASE)
        .to_string();
    let mut all = Vec::new();
    for strategy in &arguments.strategies {
        session
            .batch("DROP SCHEMA IF EXISTS hyperhaul CASCADE")
            .await?;
        session.batch("CHECKPOINT").await?;
        let migration = Migration {
            hyperhaul: Path::new(&common.hyperhaul),
            url: &url,
            table: "public.readings",
            strategy,
            workers: common.workers,
        };
        let measured = migration.run()?;
        let count = session
            .query_one("SELECT count(*) FROM public.readings", &[])
            .await?;
        ensure!(
            u64::try_from(count.get::<_, i64>(0))? == rows,
            "readings has other rows than it should"
        );
        migration.roll_back()?;
        let moved = Moved {
            strategy: strategy.clone(),
            rows,
            copy_seconds: measured.copy_seconds,
            verified_seconds: measured
                .verified_seconds
                .context("a migration without a cutover")?,
        };
        eprintln!(
            "{rows} rows by {strategy}: copy {:.1} s, to the cutover {:.1} s",
            moved.copy_seconds, moved.verified_seconds
        );
        all.push(moved);
    }
    Ok((all, Settings::read(&session, &common.hyperhaul).await?))
}

/// A narrow table in daily partitions.
async fn fill(admin: &Server, rows: u64) -> Result<()> {
    let session: Session = admin.connect("bench").await?;
    session
        .batch(&format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"))
        .await?;
    session
        .batch(&format!("CREATE DATABASE {DATABASE} TEMPLATE template0"))
        .await?;
    let session = admin.with_database(DATABASE).connect("bench").await?;
    session
        .batch("CREATE EXTENSION timescaledb SCHEMA public; SET search_path = public; SET timezone = 'UTC'")
        .await?;
    session
        .batch(
            "CREATE TABLE readings (id bigint NOT NULL, at timestamptz NOT NULL, value float8, PRIMARY KEY (id, at)) \
             PARTITION BY RANGE (at)",
        )
        .await?;
    let days = rows.div_ceil(ROWS_PER_DAY);
    for day in 0..days {
        let first = day * ROWS_PER_DAY;
        let last = rows.min(first + ROWS_PER_DAY) - 1;
        session
            .batch(&format!(
                "CREATE TABLE readings_{day} PARTITION OF readings FOR VALUES \
                 FROM (timestamptz '2020-01-01' + interval '{day} days') \
                 TO (timestamptz '2020-01-02' + interval '{day} days'); \
                 INSERT INTO readings SELECT n, timestamptz '2020-01-01' + interval '{day} days' + (n - {first}) * interval '86 ms', \
                 n % 1000 FROM generate_series({first}, {last}) AS n"
            ))
            .await?;
    }
    eprintln!("sample: {rows} rows in {days} partitions");
    Ok(session.batch("VACUUM ANALYZE public.readings").await?)
}

fn print(all: &[Moved], strategies: &[String]) {
    println!(
        "{:<10}  {:>12}  {:>8}  {:>10}  {:>14}  {:>17}",
        "strategy", "rows", "copy s", "cutover s", "copy us a row", "cutover us a row"
    );
    for moved in all {
        println!(
            "{:<10}  {:>12}  {:>8.1}  {:>10.1}  {:>14.3}  {:>17.3}",
            moved.strategy,
            moved.rows,
            moved.copy_seconds,
            moved.verified_seconds,
            moved.copy_us_per_row(),
            moved.verified_us_per_row()
        );
    }
    for strategy in strategies {
        let mut own: Vec<&Moved> = all
            .iter()
            .filter(|moved| moved.strategy == *strategy)
            .collect();
        own.sort_by_key(|moved| moved.rows);
        let costs: Vec<f64> = own
            .iter()
            .map(|moved| moved.verified_us_per_row())
            .collect();
        let growth = growth(&costs);
        println!(
            "{strategy}: a row of a larger size costs {growth:.2} x one of a smaller size at the most; at most {GROWTH_MAX}: {}",
            verdict(growth <= GROWTH_MAX)
        );
    }
}

/// By how much a size is dearer a row than any smaller one, at the most. What a size has in fixed costs makes small ones dear, and is
/// no growth.
fn growth(costs: &[f64]) -> f64 {
    let mut cheapest = f64::INFINITY;
    let mut growth: f64 = 0.0;
    for cost in costs {
        growth = growth.max(cost / cheapest);
        cheapest = cheapest.min(*cost);
    }
    growth
}

#[cfg(test)]
mod tests {
    use super::growth;

    #[test]
    fn only_a_larger_size_that_is_dearer_counts() {
        assert_eq!(growth(&[1.0, 0.5, 0.75]), 1.5);
        assert_eq!(growth(&[3.0, 2.0, 1.0]), 2.0 / 3.0);
    }
}
