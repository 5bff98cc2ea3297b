//! The binary itself: plan and migrate on the old table, with all of the lifecycle; then rollback, which is not timed.

use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Bench, hypertable};
use crate::client::{self, Finished};
use crate::database::DATABASE;
use crate::measured::{Measured, Part};

/// What `hyperhaul status --json` says, as far as it is needed.
#[derive(Deserialize)]
struct Status {
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    phase: String,
    title: String,
    seconds: Option<f64>,
}

pub(super) async fn run(bench: &Bench<'_>, strategy: &str) -> Result<Measured> {
    let plan = hyperhaul(
        bench,
        &[
            "plan",
            "--table",
            "public.fixes",
            "--strategy",
            strategy,
            "--workers",
            &bench.workers.to_string(),
        ],
    )?;
    let session = bench.database.session().await?;
    session.batch("CHECKPOINT").await?;
    let migrate = hyperhaul(bench, &["migrate"])?;
    hypertable::count(&session, "public.fixes", bench.database).await?;
    let status = hyperhaul(bench, &["status", "--json"])?;
    let status: Status = serde_json::from_str(&status.stdout)
        .context("hyperhaul status --json is not understood")?;
    drop(session);
    hyperhaul(bench, &["rollback"])?;
    Ok(measured(&plan, &migrate, &status))
}

/// The steps of these phases run one after another, so that their sum is wall time; index builds, for example, run side by side.
fn measured(plan: &Finished, migrate: &Finished, status: &Status) -> Measured {
    let of_phase = |phase: &str| -> f64 {
        status
            .steps
            .iter()
            .filter(|step| step.phase == phase)
            .filter_map(|step| step.seconds)
            .sum()
    };
    let to_cutover = migrate.seconds - of_phase("after");
    let before = Part {
        title: "before: plan".to_owned(),
        seconds: plan.seconds,
    };
    let steps = status.steps.iter().map(|step| Part {
        title: format!("{}: {}", step.phase, step.title),
        seconds: step.seconds.unwrap_or(0.0),
    });
    Measured {
        copy_seconds: of_phase("copy") + of_phase("attach"),
        lifecycle_seconds: Some(to_cutover - of_phase("verify")),
        verified_seconds: Some(to_cutover),
        whole_seconds: Some(migrate.seconds),
        parts: std::iter::once(before).chain(steps).collect(),
        client_cpu_seconds: Some(migrate.cpu_seconds),
        client_memory_peak_bytes: Some(migrate.memory_peak_bytes),
    }
}

fn hyperhaul(bench: &Bench<'_>, arguments: &[&str]) -> Result<Finished> {
    client::run(
        Command::new(bench.hyperhaul)
            .args(arguments)
            .env("HYPERHAUL_SOURCE", bench.database.url(DATABASE)?),
    )
    .with_context(|| format!("hyperhaul {}", arguments.join(" ")))
}
