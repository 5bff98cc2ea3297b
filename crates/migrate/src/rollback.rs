//! Going back: the inverses of the steps that are done, last first.

use crate::context::Context;
use crate::lead::{Leader, change_state};
use crate::steps::{Direction, Lane, told};
use crate::verify::target_digests;
use crate::{Connections, Error, Event, Interrupt, Meter, Observer, RunId, RunState, survey};
use hyperhaul_ledger as ledger;
use hyperhaul_pg::Session;
use hyperhaul_pg::retry::{Backoff, Limits};
use hyperhaul_plan::{Phase, Plan, StepId, compare, sql};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Pauses while the hypertable's lock can't be had or its server is away.
const FENCE_BACKOFF: Limits = Limits {
    pause_first: Duration::from_millis(250),
    pause_max: Duration::from_secs(2),
    total_max: Duration::from_secs(60),
    pause_count_max: 5,
};

/// How to go back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RollbackOptions {
    /// Go back even if rows were written to the hypertable since the cutover, which are then lost.
    pub discard_new_rows: bool,
}

/// Undoes a run, from wherever it stands; a rollback that was itself interrupted goes on.
///
/// # Errors
///
/// If the run never changed anything or is cleaned up, or the hypertable has rows that the old table lacks.
pub async fn rollback(
    connections: &Connections,
    run: Option<RunId>,
    options: &RollbackOptions,
    interrupt: &Interrupt,
    observer: Arc<dyn Observer>,
) -> Result<RunId, Error> {
    let target = connections.target("rollback").await?;
    let run = survey::existing(&target, run).await?;
    may_go_back(run.id, run.state)?;
    let context = Context {
        connections: connections.clone(),
        run: run.id,
        plan: Arc::new(run.plan),
        interrupt: interrupt.clone(),
        observer,
    };
    let mut leader = Leader::take(&context).await?;
    let session = leader.session(&context).await?;
    let done: BTreeSet<StepId> = ledger::steps_done(session, context.run)
        .await?
        .into_keys()
        .collect();
    if !options.discard_new_rows && is_cut_over(&context.plan, &done) {
        keep_writers_off(&context, session).await?;
    }
    let from = [RunState::Running, RunState::Done, RunState::RollingBack];
    change_state(session, context.run, &from, RunState::RollingBack).await?;
    undo(&context, &done).await?;
    let session = leader.session(&context).await?;
    let from = [RunState::RollingBack];
    change_state(session, context.run, &from, RunState::RolledBack).await?;
    Ok(context.run)
}

fn may_go_back(id: RunId, state: RunState) -> Result<(), Error> {
    match state {
        RunState::Running | RunState::Done | RunState::RollingBack => Ok(()),
        RunState::Planned | RunState::Superseded => {
            Err(Error::usage(format!("run {id} has changed nothing yet"))
                .hint("There is nothing to go back from."))
        }
        RunState::RolledBack => Err(Error::usage(format!("run {id} is rolled back already"))
            .hint("Make a new plan with hyperhaul plan.")),
        RunState::CleanedUp => Err(Error::usage(format!(
            "run {id} is cleaned up: its old tables are gone"
        ))
        .hint("Restore them from a backup if you need them.")),
    }
}

async fn undo(context: &Context, done: &BTreeSet<StepId>) -> Result<(), Error> {
    let steps: Vec<_> = context
        .plan
        .steps
        .iter()
        .rev()
        .filter(|step| done.contains(&step.id))
        .collect();
    let meter = Arc::new(Meter::items(steps.len()));
    let mut lane = Lane::open(context).await?;
    for step in steps {
        if context.interrupt.draining() {
            return Err(Error::new(
                crate::Kind::Interrupted,
                "interrupted; part of the run is undone",
            )
            .hint("Run hyperhaul rollback again to finish."));
        }
        if step.inverse.is_empty() {
            lane.run(step, &[], Direction::Back).await?;
        } else {
            let title = format!("undo: {}", step.title);
            told(
                context,
                &title,
                lane.run(step, &step.inverse, Direction::Back),
            )
            .await?;
        }
        meter.item_done();
    }
    Ok(())
}

/// Keeps writers off the hypertables, then looks for rows that the old tables do not have: none can come in behind the look.
/// Where there are some, writers are let on again, and nothing is undone.
async fn keep_writers_off(context: &Context, session: &Session) -> Result<(), Error> {
    let tables = &context.plan.tables;
    let fence = tables
        .iter()
        .flat_map(|table| sql::fence_hypertable(&table.relation));
    run_statements(context, fence.collect()).await?;
    let refused = refuse_new_rows(context, session).await;
    if refused.is_err() {
        let unfence = tables
            .iter()
            .flat_map(|table| sql::unfence_hypertable(&table.relation));
        run_statements(context, unfence.collect()).await?;
    }
    refused
}

/// Runs statements that may be run twice, in one implicit transaction, and again where a lock or a session was lost.
async fn run_statements(context: &Context, statements: Vec<String>) -> Result<(), Error> {
    let sql = format!(
        "SET lock_timeout = {}; {}",
        context.plan.options.lock_timeout_ms,
        statements.join("; ")
    );
    let mut backoff = Backoff::new(FENCE_BACKOFF);
    loop {
        let tried = async {
            let session = context.target("fence").await?;
            Ok::<(), Error>(session.batch(&sql).await?)
        };
        match tried.await {
            Ok(()) => return Ok(()),
            Err(error) => {
                context
                    .wait_to_retry("keeping writers off", error, &mut backoff)
                    .await?
            }
        }
    }
}

/// Rows that reached the hypertable since the cutover would be lost: the old table does not have them.
async fn refuse_new_rows(context: &Context, leader: &Session) -> Result<(), Error> {
    context.tell(Event::Notice(
        "looking for rows written since the cutover".to_owned(),
    ));
    for (index, table) in context.plan.tables.iter().enumerate() {
        let copied = ledger::source_digests(leader, context.run, index).await?;
        let present =
            target_digests(context, index, &table.relation, &Arc::new(Meter::default())).await?;
        let verdict = compare(&copied, &present);
        if !verdict.equal() {
            let changed = verdict.chunks.iter().filter(|chunk| !chunk.equal).count();
            return Err(Error::blocked(format!("{} was written to since the cutover", table.relation.plain()))
                .detail(format!(
                    "It has {} rows, {} were copied; {changed} chunks differ.",
                    verdict.target_rows(),
                    verdict.source_rows()
                ))
                .hint("Save those rows first, or give them up with hyperhaul rollback --discard-new-rows."));
        }
    }
    Ok(())
}

fn is_cut_over(plan: &Plan, done: &BTreeSet<StepId>) -> bool {
    plan.steps
        .iter()
        .any(|step| step.phase == Phase::Cutover && done.contains(&step.id))
}
