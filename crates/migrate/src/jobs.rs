//! Keeps TimescaleDB's jobs off the tables of a run: retention, columnstore, refresh, and users' own.
//!
//! ```text
//! planned --jobs paused, what they were in the ledger--> running --jobs put back--> done, rolled back
//!                   one transaction with the state                 likewise
//! ```
//!
//! So a process that is killed leaves either paused jobs and a run that `rollback` can end, or neither.

use crate::context::Context;
use crate::leader::{Leader, change_state};
use crate::{Error, Event, RunState};
use chrono::SecondsFormat;
use hyperhaul_catalog::{self as catalog, Job};
use hyperhaul_ledger::failpoint;
use hyperhaul_ledger::{self as ledger, HeldJob};
use hyperhaul_pg::Session;
use hyperhaul_plan::{Relation, sql};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Between two looks whether a job is still at work.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How much longer than for a lock a job is waited for: nobody queues up behind that, and compressing a chunk takes its time.
const PATIENCE_FACTOR: u32 = 6;

/// What is tried again where a lock or the session was lost.
const SETTLING: &str = "pausing jobs or putting them back";

/// Waits until none of the jobs that [`pause`] would pause is at work: TimescaleDB ends a job that is paused, half-way.
///
/// # Errors
///
/// If one goes on for much longer than the run waits for locks: it is named, and nothing was changed.
pub(crate) async fn wait(context: &Context) -> Result<(), Error> {
    let session = context.target("jobs").await?;
    let options = &context.plan.options;
    let patience = Duration::from_millis(options.lock_timeout_ms) * options.lock_attempts_max;
    let patience = patience * PATIENCE_FACTOR;
    let begun = Instant::now();
    let mut told = false;
    loop {
        let jobs = catalog::jobs(&session, &tables(context)).await?;
        let Some(names) = at_work(&session, &jobs).await? else {
            return Ok(());
        };
        if begun.elapsed() >= patience {
            return Err(still_at_work(&names));
        }
        if !told {
            let what = format!("waiting for jobs that are at work: {names}");
            context.tell(Event::Notice(what));
            told = true;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = context.interrupt.drained() => return Err(Error::interrupted()),
        }
    }
}

/// Pauses every job that could touch the run's tables, and remembers what they were. Belongs into the transaction that begins the
/// run. Returns what was paused now, for [`tell_paused`].
///
/// # Errors
///
/// If a job belongs to a role that this one is no member of, or was started since [`wait`].
pub(crate) async fn pause(context: &Context, session: &Session) -> Result<Vec<String>, Error> {
    if catalog::jobs(session, &tables(context)).await?.is_empty() {
        return Ok(Vec::new());
    }
    ledger::lock_jobs(session).await?;
    // Asked once more: only now nobody else puts one back.
    let jobs = catalog::jobs(session, &tables(context)).await?;
    let others = ledger::jobs_of_others(session, context.run).await?;
    let to_hold = |job: &&Job| job.scheduled || others.contains(&job.id);
    let held: Vec<&Job> = jobs.iter().filter(to_hold).collect();
    refuse_foreign(&held)?;
    if let Some(names) = at_work(session, &jobs).await? {
        return Err(still_at_work(&names));
    }
    for job in &held {
        let name = named(job);
        let next_start = job.next_start.as_deref();
        ledger::hold_job(session, context.run, (job.id, &name, next_start)).await?;
        session
            .batch(&sql::pause_job(&context.plan.facts, job.id))
            .await?;
    }
    failpoint("jobs.before_pause");
    let paused = held.iter().filter(|job| job.scheduled);
    Ok(paused.map(|job| named(job)).collect())
}

/// Tells what was paused, once that is committed.
pub(crate) fn tell_paused(context: &Context, paused: &[String]) {
    if !paused.is_empty() {
        context.tell(Event::Notice(format!(
            "paused until the run ends: {}",
            paused.join("; ")
        )));
    }
    failpoint("jobs.paused");
}

/// Those of the jobs that are at work, in words.
async fn at_work(session: &Session, jobs: &[Job]) -> Result<Option<String>, Error> {
    if !jobs.iter().any(|job| job.scheduled) {
        return Ok(None);
    }
    let workers = catalog::job_workers(session, jobs).await?;
    let names = workers.iter();
    let names = names.map(|worker| format!("{} (pid {})", worker.job, worker.pid));
    Ok((!workers.is_empty()).then(|| names.collect::<Vec<_>>().join(", ")))
}

/// Puts the jobs that the run holds back as they were, unless another run holds them too. Belongs into the transaction that ends
/// the run.
pub(crate) async fn put_back(context: &Context, session: &Session) -> Result<(), Error> {
    if ledger::held_jobs(session, context.run).await?.is_empty() {
        return Ok(());
    }
    ledger::lock_jobs(session).await?;
    let others = ledger::jobs_of_others(session, context.run).await?;
    let held = ledger::held_jobs(session, context.run).await?;
    for job in held.iter().filter(|job| !others.contains(&job.job_id)) {
        session.query(&back(context, job), &[]).await?;
    }
    ledger::let_jobs_go(session, context.run).await?;
    failpoint("jobs.before_put_back");
    let names: Vec<&str> = held.iter().map(|job| job.name.as_str()).collect();
    context.tell(Event::Notice(format!(
        "put back as they were: {}",
        names.join("; ")
    )));
    Ok(())
}

/// Begins a run, or goes on with it: pauses the jobs with the change of its state.
///
/// # Errors
///
/// As [`wait`] and [`pause`]; if another process has changed the state.
pub(crate) async fn begin_run(context: &Context, leader: &mut Leader) -> Result<(), Error> {
    wait(context).await?;
    let (from, to) = (RunState::Planned, RunState::Running);
    let session = leader.session(context).await?;
    let mut paused = Vec::new();
    if catalog::jobs(session, &tables(context)).await?.is_empty() {
        leader.change_state(context, &[from], to).await?;
    } else {
        let work = async |session: &Session| {
            change_state(session, context.run, &[from, to], to).await?;
            pause(context, session).await
        };
        paused = leader.transaction(context, SETTLING, work).await?;
    }
    tell_paused(context, &paused);
    Ok(())
}

/// Ends a run, or its rollback: puts its jobs back with the change of its state.
///
/// # Errors
///
/// If another process has changed the state, or a server refuses or is lost.
pub(crate) async fn end_run(
    context: &Context,
    leader: &mut Leader,
    from: RunState,
    to: RunState,
) -> Result<(), Error> {
    let session = leader.session(context).await?;
    if ledger::held_jobs(session, context.run).await?.is_empty() {
        leader.change_state(context, &[from], to).await?;
    } else {
        let work = async |session: &Session| {
            put_back(context, session).await?;
            // The answer to an earlier try's COMMIT may have been lost.
            change_state(session, context.run, &[from, to], to).await
        };
        leader.transaction(context, SETTLING, work).await?;
    }
    failpoint("jobs.put_back");
    Ok(())
}

fn back(context: &Context, job: &HeldJob) -> String {
    let next_start = job
        .next_start
        .map(|time| time.to_rfc3339_opts(SecondsFormat::Micros, true));
    sql::put_job_back(&context.plan.facts, job.job_id, next_start.as_deref())
}

/// The run's tables, wherever the cutover has put them.
fn tables(context: &Context) -> Vec<Relation> {
    let tables = context.plan.tables.iter();
    let places = tables.flat_map(|table| {
        [
            table.relation.clone(),
            table.staging.clone(),
            table.archive.clone(),
        ]
    });
    places.collect()
}

fn named(job: &Job) -> String {
    format!("{} on {}", job.name, job.about)
}

fn refuse_foreign(jobs: &[&Job]) -> Result<(), Error> {
    let foreign: Vec<&&Job> = jobs.iter().filter(|job| !job.can_alter).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = foreign
        .iter()
        .map(|job| format!("- {}, owned by {}", named(job), job.owner))
        .collect();
    let owners: BTreeSet<&str> = foreign.iter().map(|job| job.owner.as_str()).collect();
    let pauses: Vec<String> = foreign
        .iter()
        .map(|job| format!("alter_job({}, scheduled => false)", job.id))
        .collect();
    Err(
        Error::blocked("jobs that could touch the tables cannot be paused")
            .detail(list.join("\n"))
            .hint(format!(
                "Make the role a member of {}, or let the owner pause them for the run: {}.",
                owners.into_iter().collect::<Vec<_>>().join(", "),
                pauses.join(", ")
            )),
    )
}

fn still_at_work(names: &str) -> Error {
    Error::blocked(format!("jobs are still at work: {names}"))
        .detail("They have to be paused for the run, which would end them half-way. Nothing was changed.")
        .hint(
            "Let them end, or end them with SELECT pg_terminate_backend(pid); then run the same again.",
        )
}
