//! Surveying source and target: facts, findings, a plan.

use crate::{Connections, Error, Run, RunId, RunState, calibrate};
use hyperhaul_catalog as catalog;
pub(crate) use hyperhaul_catalog::Depth;
use hyperhaul_ledger as ledger;
use hyperhaul_pg::Session;
use hyperhaul_plan::facts::Facts;
use hyperhaul_plan::{Mode, Options, Plan, Relation};
use std::time::{Duration, Instant};

/// Looks at both servers and plans; changes nothing and writes nothing.
///
/// # Errors
///
/// If a server can't be reached or a table does not exist. What stands in the way is in the plan's findings.
pub async fn check(connections: &Connections, options: &Options) -> Result<Plan, Error> {
    let facts = facts(connections, options, Depth::Rows).await?;
    Ok(hyperhaul_plan::plan(facts, options.clone())?)
}

/// Plans and stores the plan in the target's ledger, which is made if need be. A plan that a finding blocks is not stored.
/// With a `calibration` its times are measured on a sample of the rows; each way of loading may take about so long for each
/// table.
///
/// # Errors
///
/// As [`check`]; also if a run over one of the tables is under way.
pub async fn plan(
    connections: &Connections,
    options: &Options,
    calibration: Option<Duration>,
) -> Result<(Option<RunId>, Plan), Error> {
    let target = connections.target("plan").await?;
    let tables: Vec<Relation> = options
        .tables
        .iter()
        .map(|table| table.relation.clone())
        .collect();
    if calibration.is_some() && options.mode == Mode::Backfill {
        let message = "a run in mode backfill is not calibrated: no row is moved in its window";
        return Err(Error::usage(message).hint("Leave --calibrate out."));
    }
    if ledger::exists(&target).await?
        && let Some(run) = ledger::overlapping_run(&target, &tables).await?
    {
        return Err(
            Error::blocked(format!("run {run} over these tables is under way"))
                .hint("Go on with hyperhaul migrate, or go back with hyperhaul rollback."),
        );
    }
    calibrate::drop_leftovers(&target).await?;
    let begun = Instant::now();
    let mut plan = check(connections, options).await?;
    let survey = begun.elapsed();
    if let (Some(a_way), false) = (calibration, plan.blocked()) {
        plan.estimate = calibrate::calibrate(connections, &plan, a_way, survey).await?;
    }
    if plan.blocked() {
        return Ok((None, plan));
    }
    ledger::ensure(&target).await?;
    let run = ledger::record_plan(&target, &plan, &connections.source.to_string()).await?;
    Ok((Some(run), plan))
}

/// The run that `migrate` is to carry out; see there.
pub(crate) async fn find_or_plan(
    connections: &Connections,
    run: Option<RunId>,
    options: Option<&Options>,
) -> Result<Run, Error> {
    let target = connections.target("plan").await?;
    let stored = ledger::exists(&target).await?;
    match (run, options) {
        (Some(run), _) if stored => Ok(ledger::load_run(&target, run).await?),
        (None, Some(options)) => {
            let tables: Vec<Relation> = options
                .tables
                .iter()
                .map(|table| table.relation.clone())
                .collect();
            let states = [
                RunState::Running,
                RunState::CheckingRollback,
                RunState::RollingBack,
                RunState::Planned,
            ];
            if stored && let Some(run) = ledger::find_run(&target, &tables, &states).await? {
                // A run that has begun keeps the options of its plan; a plan that never ran gives way to other options.
                if run.state != RunState::Planned || run.plan.options == *options {
                    return Ok(run);
                }
            }
            let (run, plan) = plan(connections, options, None).await?;
            let run = run.ok_or_else(|| blocked(&plan))?;
            Ok(ledger::load_run(&target, run).await?)
        }
        (None, None) if stored => existing(&target, None).await,
        _ => Err(no_run()),
    }
}

/// Run `run`, or the newest one.
pub(crate) async fn existing(target: &Session, run: Option<RunId>) -> Result<Run, Error> {
    if !ledger::exists(target).await? {
        return Err(no_run());
    }
    match run {
        Some(run) => Ok(ledger::load_run(target, run).await?),
        None => ledger::latest_run(target).await?.ok_or_else(no_run),
    }
}

fn no_run() -> Error {
    Error::usage("the target has no run")
        .hint("Make a plan with hyperhaul plan --table SCHEMA.TABLE.")
}

fn blocked(plan: &Plan) -> Error {
    let blocks = plan
        .findings
        .iter()
        .filter(|finding| finding.severity == hyperhaul_plan::Severity::Block);
    let list: Vec<String> = blocks
        .map(|finding| match &finding.table {
            Some(table) => format!(
                "- {} of {}: {}",
                finding.code,
                table.plain(),
                finding.message
            ),
            None => format!("- {}: {}", finding.code, finding.message),
        })
        .collect();
    let count = match list.len() {
        1 => "a finding blocks the run".to_owned(),
        count => format!("{count} findings block the run"),
    };
    Error::blocked(count)
        .detail(list.join("\n"))
        .hint("See hyperhaul check for what resolves them.")
}

/// Gathers the facts that `options` ask for.
pub(crate) async fn facts(
    connections: &Connections,
    options: &Options,
    depth: Depth,
) -> Result<Facts, Error> {
    let source = connections.source("check").await?;
    let target = connections.target("check").await?;
    let ends = (&connections.source, &source);
    Ok(catalog::survey(ends, (&connections.target, &target), options, depth).await?)
}
