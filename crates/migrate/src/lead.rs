//! Carrying a run out: the plan's steps, phase by phase, from where the ledger says.

use crate::context::Context;
use crate::drift::{self, When};
use crate::identity::{check_databases, check_tables};
use crate::leader::Leader;
use crate::new_rows::let_writers_on;
use crate::steps::told;
use crate::timekeeper::Timekeeper;
use crate::verify::TableVerification;
use crate::watchdog::Gate;
use crate::{
    Connections, Deadline, Error, Event, Interrupt, Kind, Meter, Observer, RunId, RunState,
    attached, calls, chunks, columnstore, fence, jobs, lanes, late_writes, policies, prove,
    sequences, structure, survey, timekeeper, watchdog, window, worker,
};
use hyperhaul_ledger::{self as ledger, Batch, Command};
use hyperhaul_plan::watchdog::ServerLimits;
use hyperhaul_plan::{Action, Options, Phase, Step};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a finished run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The run.
    pub run: RunId,
    /// Rows copied, by all processes.
    pub rows: u64,
    /// Bytes of their binary tuples.
    pub bytes: u64,
    /// How long this process took.
    pub elapsed: Duration,
    /// Verification of the tables, where this process did it.
    pub verification: Vec<TableVerification>,
}

/// Runs a plan, or goes on with it: run `run`, else the run that is under way or planned for the tables of `options`,
/// else a new plan from `options`, else the newest run of the target. With a `deadline` it begins only if it will be through
/// by then, and stops there. Pauses at `limits`.
///
/// # Errors
///
/// Findings that block, changes since the plan, a difference between source and target, and whatever the servers refuse.
/// What is done stays done, and the next call goes on from there.
pub async fn migrate(
    connections: &Connections,
    run: Option<RunId>,
    options: Option<&Options>,
    deadline: Option<Deadline>,
    limits: &ServerLimits,
    interrupt: &Interrupt,
    observer: Arc<dyn Observer>,
) -> Result<Outcome, Error> {
    let begun = Instant::now();
    let run = survey::find_or_plan(connections, run, options).await?;
    may_run(&run)?;
    let state = run.state;
    let context = Context {
        timekeeper: Arc::new(Timekeeper::new(deadline)),
        gate: Gate::new(limits.clone()),
        ..Context::new(connections, run.id, run.plan, interrupt, observer)
    };
    if let Some(options) = options {
        context.tell_unused(options);
    }
    let mut leader = Leader::take(&context).await?;
    let session = leader.session(&context).await?;
    let call = calls::begin(session, context.run, Command::Migrate, &[]).await?;
    let outcome = go_on(&context, &mut leader, state, begun).await;
    calls::end(connections, call, &outcome).await;
    outcome
}

/// Takes the run from `state` to its end.
async fn go_on(
    context: &Context,
    leader: &mut Leader,
    state: RunState,
    begun: Instant,
) -> Result<Outcome, Error> {
    if state == RunState::CheckingRollback {
        context.tell(Event::Notice(
            "a rollback that did not begin is called off: writers are let on again".to_owned(),
        ));
        let_writers_on(context, leader, RunState::Running).await?;
    }
    let verification = run_until_deadline(context, leader).await?;
    jobs::end_run(context, leader, RunState::Running, RunState::Done).await?;
    let session = leader.session(context).await?;
    let slices = ledger::slices(session, context.run).await?;
    Ok(Outcome {
        run: context.run,
        rows: slices.iter().filter_map(|record| record.rows).sum(),
        bytes: slices.iter().filter_map(|record| record.bytes).sum(),
        elapsed: begun.elapsed(),
        verification,
    })
}

fn may_run(run: &ledger::Run) -> Result<(), Error> {
    let id = run.id;
    match run.state {
        RunState::Planned | RunState::Running | RunState::CheckingRollback => Ok(()),
        RunState::Done => {
            Err(Error::usage(format!("run {id} is done")).hint("Prove it with hyperhaul verify."))
        }
        RunState::RollingBack => Err(Error::blocked(format!("run {id} is being rolled back"))
            .hint("Finish that with hyperhaul rollback, then make a new plan.")),
        RunState::Superseded | RunState::RolledBack | RunState::CleanedUp => {
            Err(Error::usage(format!("run {id} is {}", run.state.name()))
                .hint("Make a new plan with hyperhaul plan."))
        }
    }
}

async fn run_until_deadline(
    context: &Context,
    leader: &mut Leader,
) -> Result<Vec<TableVerification>, Error> {
    match run_phases(context, leader).await {
        Err(error) if error.kind() == Kind::Interrupted && context.interrupt.by_deadline() => {
            match window::at_deadline(context, leader).await? {
                Some(stop) => Err(stop),
                None => run_phases(context, leader).await,
            }
        }
        ended => ended,
    }
}

async fn run_phases(
    context: &Context,
    leader: &mut Leader,
) -> Result<Vec<TableVerification>, Error> {
    let session = leader.session(context).await?;
    let done = ledger::steps_done(session, context.run).await?;
    drift::check(context, &done, When::BeforeStart).await?;
    if context.plan.is_backfill() && context.is_cut_over(&done) {
        // Rows are still to be read, and names prove nothing from there on.
        check_databases(context).await?;
        check_tables(context, &done).await?;
    }
    window::go_or_not(context, session, &done).await?;
    jobs::begin_run(context, leader).await?;
    context.tell(Event::Started {
        run: context.run,
        steps_done: done.len(),
        steps_total: context.plan.steps.len(),
        workers: context.plan.workers(),
    });
    window::store(context, leader.session(context).await?).await?;
    let _timing = timekeeper::Watching::begin(context);
    let _watching = watchdog::Watching::begin(context).await;
    let mut verification = Vec::new();
    for phase in Phase::ALL {
        let steps: Vec<&Step> = context
            .plan
            .steps
            .iter()
            .filter(|step| step.phase == phase && !done.contains(&step.id))
            // Those who load staged leaves carry the other steps of that phase out.
            .filter(|step| phase != Phase::Stage || step.action == Action::StageSlices)
            .collect();
        if steps.is_empty() {
            continue;
        }
        if !phase.keeps_out() {
            context.timekeeper.cut_over(&context.interrupt);
        }
        if context.interrupt.draining() {
            return Err(Error::interrupted());
        }
        leader.session(context).await?;
        if phase == first_beside(context) {
            let notice = "the hypertables are in place; what follows runs beside the application";
            context.tell(Event::Notice(notice.to_owned()));
        }
        let meter = Arc::new(Meter::of_phase(&context.plan, phase, steps.len()));
        context
            .timekeeper
            .phase_started(&context.plan, phase, &steps, &meter);
        context.tell(Event::PhaseStarted {
            phase,
            meter: meter.clone(),
        });
        let begun = Instant::now();
        if phase == Phase::Proof {
            look_at_source(context).await?;
        }
        if phase.proves() {
            verification.extend(prove::run(context, &steps, &meter).await?);
        } else {
            run_phase(context, phase, &steps, &meter).await?;
        }
        context.timekeeper.phase_finished();
        context.tell(Event::PhaseFinished {
            phase,
            elapsed: begun.elapsed(),
            meter,
        });
    }
    Ok(verification)
}

/// The first phase that runs beside the application.
fn first_beside(context: &Context) -> Phase {
    match context.plan.is_backfill() {
        true => Phase::Backfill,
        false => Phase::After,
    }
}

async fn run_phase(
    context: &Context,
    phase: Phase,
    steps: &[&Step],
    meter: &Arc<Meter>,
) -> Result<(), Error> {
    if phase == Phase::Cutover {
        // The fence stands on the leaves that were there then: rows may have come in by a newer one.
        drift::check(context, &BTreeSet::new(), When::Fenced).await?;
        late_writes::check(context).await?;
        if context.plan.is_backfill() {
            structure::check_empty(context).await?;
        }
    }
    let is_sql = |step: &Step| matches!(step.action, Action::Sql { .. });
    for group in steps.chunk_by(|a, b| is_sql(a) == is_sql(b)) {
        if group.iter().all(|step| is_sql(step)) {
            lanes::run_steps(context, group, meter).await?;
            continue;
        }
        for step in group {
            if context.interrupt.draining() {
                return Err(Error::interrupted());
            }
            let work =
                context.patiently(&step.title, async || run_other(context, step, meter).await);
            told(context, &step.title, work).await?;
        }
    }
    // After the copy, since what follows takes as long again and might be in vain.
    if matches!(phase, Phase::Fence | Phase::Copy) {
        let fences = context.plan.steps.iter();
        let fences = fences.filter(|step| step.phase == Phase::Fence);
        let done = fences.map(|step| step.id.clone()).collect();
        drift::check(context, &done, When::Fenced).await?;
    }
    Ok(())
}

/// What the cutover sees to for rows that are copied before it: that what they were copied from stayed as it was. Before the proof, so
/// that a process that goes on there looks, too.
async fn look_at_source(context: &Context) -> Result<(), Error> {
    let target = context.target("look").await?;
    let done = ledger::steps_done(&target, context.run).await?;
    fence::check(context, &done).await?;
    late_writes::check(context).await
}

/// Steps that are more than statements. Each of them goes on where it stopped.
async fn run_other(context: &Context, step: &Step, meter: &Arc<Meter>) -> Result<(), Error> {
    match (&step.action, step.table) {
        (Action::CreateChunks, Some(table)) => chunks::create(context, step, table, meter).await,
        (Action::StageSlices, None) => {
            worker::copy_slices(context, step, Batch::Staged, meter).await
        }
        (Action::HashLeaves, Some(table)) => attached::hash(context, step, table, meter).await,
        (Action::CopySlices, None) => {
            worker::copy_slices(context, step, Batch::Direct, meter).await
        }
        (Action::CarrySequences { sequences }, Some(table)) => {
            sequences::carry(context, step, table, sequences).await?;
            meter.item_done();
            Ok(())
        }
        (Action::Repeatable { statements }, _) => {
            policies::repeat(context, step, statements).await?;
            meter.item_done();
            Ok(())
        }
        (
            Action::ToColumnstore {
                hypertable,
                before_us,
            },
            Some(table),
        ) => {
            let chunks = (table, hypertable, *before_us);
            columnstore::turn(context, step, chunks, meter).await
        }
        (Action::Declare { declaration }, _) => {
            policies::declare(context, step, declaration).await?;
            meter.item_done();
            Ok(())
        }
        _ => Err(Error::unexpected(format!(
            "step {} does not fit its action",
            step.id
        ))),
    }
}
