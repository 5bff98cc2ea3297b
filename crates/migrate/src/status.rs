//! Where a run stands, read from the ledger alone.

use crate::{Connections, Error, Forecast, HeldJob, RunId, RunState};
use chrono::{DateTime, Utc};
use hyperhaul_ledger::{self as ledger, StepMark};
use hyperhaul_plan::Phase;
use serde::Serialize;

/// Where a run stands.
#[derive(Clone, Debug, Serialize)]
pub struct RunStatus {
    /// Its number.
    pub run: RunId,
    /// Its state.
    pub state: RunState,
    /// The source, without password.
    pub source: String,
    /// When it was planned.
    pub created_at: DateTime<Utc>,
    /// When its state changed last.
    pub changed_at: DateTime<Utc>,
    /// Backends of hyperhaul that are connected to the target right now, this one left out.
    pub sessions: u64,
    /// When it will be through, as it looked when that was written last; none for a run that is not under way.
    pub forecast: Option<Forecast>,
    /// Whether it is paused at a limit right now.
    pub paused: bool,
    /// TimescaleDB's jobs that it keeps from being started.
    pub held_jobs: Vec<HeldJob>,
    /// Its tables.
    pub tables: Vec<TableStatus>,
    /// Its steps in order.
    pub steps: Vec<StepStatus>,
}

/// Where a table of a run stands.
#[derive(Clone, Debug, Serialize)]
pub struct TableStatus {
    /// The table.
    pub table: String,
    /// Slices that are done.
    pub slices_done: u64,
    /// Slices in all.
    pub slices_total: u64,
    /// Rows of those that are done.
    pub rows_done: u64,
    /// Rows in all, estimated for slices that are not done.
    pub rows_total: u64,
    /// Bytes of binary tuples of the slices that are done.
    pub bytes_done: u64,
    /// Whether it was verified before the cutover, with what result; `None`: not yet.
    pub verified: Option<bool>,
    /// Likewise when it was verified last after the cutover.
    pub verified_since: Option<bool>,
}

/// Where a step stands.
#[derive(Clone, Debug, Serialize)]
pub struct StepStatus {
    /// Its id.
    pub id: String,
    /// Its phase.
    pub phase: Phase,
    /// What it does.
    pub title: String,
    /// Whether it is done.
    pub done: bool,
    /// Seconds that it took, once done.
    pub seconds: Option<f64>,
}

/// Reads where a run stands; the newest one, if none is named. `None`: the target has no run.
///
/// # Errors
///
/// If the target can't be reached, there is no such run, or the role may not read the ledger.
pub async fn status(
    connections: &Connections,
    run: Option<RunId>,
) -> Result<Option<RunStatus>, Error> {
    let target = connections.target("status").await?;
    if !ledger::exists(&target).await? {
        return Ok(None);
    }
    let run = match run {
        Some(id) => Some(ledger::load_run(&target, id).await?),
        None => ledger::latest_run(&target).await?,
    };
    let Some(run) = run else { return Ok(None) };
    let slices = ledger::slices(&target, run.id).await?;
    let verdicts = ledger::verdicts(&target, run.id).await?;
    let steps = ledger::step_marks(&target, run.id).await?;
    let undone = |is_own: fn(Phase) -> bool| {
        let planned = run.plan.steps.iter();
        let mut own = planned.filter(|step| is_own(step.phase));
        run.state == RunState::RolledBack
            || run.state == RunState::RollingBack && own.any(|step| !steps.contains_key(&step.id))
    };
    let (copy_undone, verify_undone) = (undone(Phase::copies), undone(Phase::proves));
    let table_status = |(index, table): (usize, &hyperhaul_plan::TablePlan)| {
        let all = || slices.iter().filter(|record| record.slice.table == index);
        // What a rollback has taken away was done once, and is not.
        let own = || all().filter(|record| record.done && !copy_undone);
        let verdict = |after_cutover| {
            let mut own = verdicts
                .iter()
                .filter(|verdict| verdict.table_index == index);
            own.find(|verdict| verdict.after_cutover == after_cutover && !verify_undone)
                .map(|verdict| verdict.equal)
        };
        TableStatus {
            table: table.relation.plain(),
            slices_done: own().count() as u64,
            slices_total: all().count() as u64,
            rows_done: own().filter_map(|record| record.rows).sum(),
            rows_total: all()
                .map(|record| record.rows.unwrap_or(record.slice.rows_estimate))
                .sum(),
            bytes_done: own().filter_map(|record| record.bytes).sum(),
            verified: verdict(false),
            verified_since: verdict(true),
        }
    };
    let step_status = |step: &hyperhaul_plan::Step| StepStatus {
        id: step.id.to_string(),
        phase: step.phase,
        title: step.title.clone(),
        done: steps.contains_key(&step.id),
        seconds: steps.get(&step.id).map(StepMark::seconds),
    };
    Ok(Some(RunStatus {
        run: run.id,
        state: run.state,
        source: run.source.clone(),
        created_at: run.created_at,
        changed_at: run.changed_at,
        sessions: ledger::sessions(&target).await?,
        forecast: match run.state {
            RunState::Running => {
                let mut forecast: Option<Forecast> = ledger::forecast(&target, run.id).await?;
                if let Some(forecast) = &mut forecast
                    && run.plan.is_cut_over(|step| steps.contains_key(step))
                {
                    // A process that was killed since has not written so.
                    forecast.left.clear();
                }
                forecast
            }
            _ => None,
        },
        paused: ledger::is_paused(&target, run.id).await?,
        held_jobs: ledger::held_jobs(&target, run.id).await?,
        tables: run
            .plan
            .tables
            .iter()
            .enumerate()
            .map(table_status)
            .collect(),
        steps: run.plan.steps.iter().map(step_status).collect(),
    }))
}
