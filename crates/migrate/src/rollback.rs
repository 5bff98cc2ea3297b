//! Going back: the inverses of the steps that are done, last first.

use crate::context::Context;
use crate::identity::{check_databases, check_tables};
use crate::leader::{Leader, end_left};
use crate::new_rows::{keep_writers_off, refuse_holders};
use crate::steps::{Direction, Lane, told};
use crate::{Connections, Error, Interrupt, Observer, RunId, RunState, calls, fence, jobs, survey};
use hyperhaul_ledger::{self as ledger, Command};
use hyperhaul_plan::StepId;
use std::collections::BTreeSet;
use std::sync::Arc;

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
/// If the run never changed anything or is cleaned up, source or target are not the planned ones, the hypertable has rows that
/// the old table lacks, or something that did not exist before the cutover uses it.
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
    let context = Context::new(connections, run.id, run.plan, interrupt, observer);
    check_databases(&context).await?;
    go_back(&context, options)
        .await
        .map_err(|error| error.interrupted_at("rollback"))?;
    Ok(context.run)
}

async fn go_back(context: &Context, options: &RollbackOptions) -> Result<(), Error> {
    let mut leader = Leader::take(context).await?;
    go_back_with(context, &mut leader, options).await
}

/// Goes back with the lead of a migration that its deadline has stopped before the cutover.
pub(crate) async fn at_deadline(context: &Context, leader: &mut Leader) -> Result<(), Error> {
    // What was given up at the deadline may still hold locks.
    let session = leader.session(context).await?;
    end_left(context, session).await?;
    let gone = go_back_with(context, leader, &RollbackOptions::default()).await;
    gone.map_err(|error| error.interrupted_at("rollback"))
}

async fn go_back_with(
    context: &Context,
    leader: &mut Leader,
    options: &RollbackOptions,
) -> Result<(), Error> {
    let session = leader.session(context).await?;
    let flags: &[&str] = match options.discard_new_rows {
        true => &["--discard-new-rows"],
        false => &[],
    };
    let call = calls::begin(session, context.run, Command::Rollback, flags).await?;
    let undone = undo_all(context, leader, options).await;
    calls::end(&context.connections, call, &undone).await;
    undone
}

async fn undo_all(
    context: &Context,
    leader: &mut Leader,
    options: &RollbackOptions,
) -> Result<(), Error> {
    let session = leader.session(context).await?;
    let done = ledger::steps_done(session, context.run).await?;
    let mut from = vec![RunState::Running, RunState::Done, RunState::RollingBack];
    let state = survey::existing(session, Some(context.run)).await?.state;
    if context.is_cut_over(&done) {
        check_tables(context, &done).await?;
    }
    if context.is_cut_over(&done) && state != RunState::RollingBack {
        refuse_holders(context).await?;
        keep_writers_off(context, leader, &done, options.discard_new_rows).await?;
        from = vec![RunState::CheckingRollback];
    }
    leader
        .change_state(context, &from, RunState::RollingBack)
        .await?;
    undo(context, &done).await?;
    fence::lift_unmarked(context, &done).await?;
    let (from, to) = (RunState::RollingBack, RunState::RolledBack);
    jobs::end_run(context, leader, from, to).await
}

fn may_go_back(id: RunId, state: RunState) -> Result<(), Error> {
    match state {
        RunState::Running | RunState::Done | RunState::CheckingRollback | RunState::RollingBack => {
            Ok(())
        }
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
    let mut lane = Lane::open(context).await?;
    for step in steps {
        if context.interrupt.draining() {
            return Err(Error::interrupted());
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
    }
    Ok(())
}
