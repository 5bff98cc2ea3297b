//! The comparison: every way once a round, round after round, so that a machine that slows down slows all of them.

use anyhow::{Context, Result};

use crate::arguments::Migrate;
use crate::database::Database;
use crate::report::{Comparison, Timed};
use crate::settings::{Settings, load_average};
use crate::ways::{Bench, Way};

pub(crate) async fn run(arguments: &Migrate) -> Result<()> {
    let common = &arguments.common;
    let (skipped, ways) = choose(&arguments.ways);
    let database = Database::prepare(&common.url, arguments.rows).await?;
    let bench = Bench {
        database: &database,
        workers: common.workers,
        hyperhaul: &common.hyperhaul,
    };
    let timed = run_rounds(&bench, &ways, arguments.rounds).await;
    let settings = Settings::read(&database.session().await?, &common.hyperhaul).await;
    // A way that failed may have left the sample half-way: then it is made anew next time.
    database.release(common.keep && timed.is_ok()).await?;
    let comparison = Comparison {
        rows: database.rows,
        bytes: database.bytes,
        partition_count: database.leaves.len(),
        workers: common.workers,
        settings: settings?,
        timed: timed?,
        skipped,
    };
    if common.json {
        println!("{}", serde_json::to_string_pretty(&comparison.json())?);
    } else {
        print!("{}", comparison.text());
    }
    Ok(())
}

/// The ways that can run, and those that can't with the reason.
fn choose(wanted: &[Way]) -> (Vec<(Way, String)>, Vec<Way>) {
    let mut skipped = Vec::new();
    let mut ways = Vec::new();
    for &way in wanted {
        match way.missing() {
            Some(reason) => {
                eprintln!("{} is skipped: {reason}", way.name());
                skipped.push((way, reason));
            }
            None if !ways.contains(&way) => ways.push(way),
            None => {}
        }
    }
    (skipped, ways)
}

async fn run_rounds(bench: &Bench<'_>, ways: &[Way], rounds: u32) -> Result<Vec<Timed>> {
    let mut timed: Vec<Timed> = ways.iter().copied().map(Timed::new).collect();
    for round in 1..=rounds {
        for entry in &mut timed {
            let name = entry.way.name();
            bench.database.clear().await?;
            let load = load_average();
            let measured = entry
                .way
                .run(bench)
                .await
                .with_context(|| format!("round {round}: {name} failed"))?;
            let lifecycle = measured
                .verified_seconds
                .map(|seconds| format!(", lifecycle {seconds:.1} s"))
                .unwrap_or_default();
            eprintln!(
                "round {round}/{rounds}: {name} ... copy {:.1} s{lifecycle} (load average before: {load})",
                measured.copy_seconds
            );
            entry.runs.push(measured);
            entry.load_averages.push(load);
        }
    }
    Ok(timed)
}
