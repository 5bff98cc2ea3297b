//! The binary itself: plan and migrate on the old table, with all of the lifecycle; then rollback, which is not timed.

use std::path::Path;
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
    id: String,
    phase: String,
    title: String,
    seconds: Option<f64>,
}

/// What `hyperhaul plan --json` says, likewise.
#[derive(Deserialize)]
struct Plan {
    estimate: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    phases: Vec<Phase>,
}

#[derive(Deserialize)]
struct Phase {
    phase: String,
    seconds: f64,
}

/// A migration by the binary, within one database.
pub(crate) struct Migration<'a> {
    pub(crate) hyperhaul: &'a Path,
    pub(crate) url: &'a str,
    pub(crate) table: &'a str,
    pub(crate) strategy: &'a str,
    pub(crate) workers: u32,
}

impl Migration<'_> {
    /// Plans and migrates.
    pub(crate) fn run(&self) -> Result<Measured> {
        let workers = self.workers.to_string();
        let plan = self.call(&[
            "plan",
            "--table",
            self.table,
            "--strategy",
            self.strategy,
            "--workers",
            &workers,
            "--calibrate",
            "--json",
        ])?;
        let predicted: Plan = serde_json::from_str(&plan.stdout)
            .context("hyperhaul plan --json is not understood")?;
        let migrate = self.call(&["migrate"])?;
        let status = self.call(&["status", "--json"])?;
        let status: Status = serde_json::from_str(&status.stdout)
            .context("hyperhaul status --json is not understood")?;
        let phases = &predicted.estimate.phases;
        Ok(measured(&plan, phases, &migrate, &status))
    }

    pub(crate) fn roll_back(&self) -> Result<()> {
        self.call(&["rollback"]).map(|_| ())
    }

    fn call(&self, arguments: &[&str]) -> Result<Finished> {
        let mut command = Command::new(self.hyperhaul);
        client::run(command.args(arguments).env("HYPERHAUL_SOURCE", self.url))
            .with_context(|| format!("hyperhaul {}", arguments.join(" ")))
    }
}

pub(super) async fn run(bench: &Bench<'_>, strategy: &str) -> Result<Measured> {
    let url = bench.database.url(DATABASE)?;
    let migration = Migration {
        hyperhaul: bench.hyperhaul,
        url: &url,
        table: "public.fixes",
        strategy,
        workers: bench.workers,
    };
    let session = bench.database.session().await?;
    session.batch("CHECKPOINT").await?;
    let measured = migration.run()?;
    hypertable::count(&session, "public.fixes", bench.database).await?;
    drop(session);
    migration.roll_back()?;
    Ok(measured)
}

/// The steps of most phases run one after another, so that their sum is wall time; index builds, for example, run side by side.
fn measured(plan: &Finished, predicted: &[Phase], migrate: &Finished, status: &Status) -> Measured {
    let of_phase = |phase: &str| -> f64 {
        status
            .steps
            .iter()
            .filter(|step| step.phase == phase)
            .filter_map(|step| step.seconds)
            .sum()
    };
    // Its other steps run within the one that loads.
    let staged = status
        .steps
        .iter()
        .filter(|step| step.phase == "stage")
        .filter_map(|step| step.seconds)
        .fold(0.0, f64::max);
    // Foreign keys are validated beside the proof that the rows are equal, which ends last: without that, they take as long.
    let proof = |step: &&Step| step.id.starts_with("verify:");
    let verify = status.steps.iter().filter(|step| step.phase == "verify");
    let proved: f64 = verify.filter(proof).filter_map(|step| step.seconds).sum();
    let validated = of_phase("verify") - proved;
    let to_cutover = migrate.seconds - of_phase("after");
    let before = Part {
        title: "before: plan, calibrated".to_owned(),
        seconds: plan.seconds,
    };
    let predictions = predicted.iter().map(|phase| Part {
        title: format!("before: predicted for {}", phase.phase),
        seconds: phase.seconds,
    });
    let steps = status.steps.iter().map(|step| Part {
        title: format!("{}: {}", step.phase, step.title),
        seconds: step.seconds.unwrap_or(0.0),
    });
    Measured {
        copy_seconds: of_phase("copy") + of_phase("attach") + staged,
        lifecycle_seconds: Some(to_cutover - (proved - validated).max(0.0)),
        verified_seconds: Some(to_cutover),
        whole_seconds: Some(migrate.seconds),
        predicted_seconds: Some(predicted.iter().map(|phase| phase.seconds).sum()),
        parts: std::iter::once(before)
            .chain(predictions)
            .chain(steps)
            .collect(),
        client_cpu_seconds: Some(migrate.cpu_seconds),
        client_memory_peak_bytes: Some(migrate.memory_peak_bytes),
    }
}
