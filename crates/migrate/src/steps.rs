//! Steps that are SQL: one transaction with the ledger's mark, tried again where that makes sense.

use crate::context::Context;
use crate::watch::Watch;
use crate::{Error, Event, fence};
use chrono::{DateTime, Utc};
use hyperhaul_catalog as catalog;
use hyperhaul_ledger as ledger;
use hyperhaul_ledger::failpoint;
use hyperhaul_pg::retry::{Backoff, Limits};
use hyperhaul_pg::{Disposition, Session};
use hyperhaul_plan::{Step, StepId};
use std::time::{Duration, Instant};

/// How often a step whose session was lost is tried again before the run stops.
const LOST_SESSIONS_MAX: u32 = 5;
/// Pauses after a lock timeout: the application gets a chance in between.
const LOCK_PAUSE_FIRST: Duration = Duration::from_millis(250);
const LOCK_PAUSE_MAX: Duration = Duration::from_secs(2);
/// Upper bound of all pauses after lock timeouts of one step.
const LOCK_PAUSES_TOTAL_MAX: Duration = Duration::from_secs(600);

/// Whether a step's mark is set or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The step is carried out.
    Forward,
    /// Its inverse is.
    Back,
}

/// What is to be committed together: a step's statements, or its inverse's, and the mark.
#[derive(Clone, Copy)]
struct Work<'a> {
    step: &'a Step,
    statements: &'a [String],
    direction: Direction,
    started_at: DateTime<Utc>,
}

/// A session that carries out steps, one at a time; replaced when it is lost.
pub(crate) struct Lane {
    context: Context,
    target: Session,
    source: Option<Session>,
}

impl Lane {
    pub(crate) async fn open(context: &Context) -> Result<Lane, Error> {
        let target = context.target("step").await?;
        Ok(Lane {
            context: context.clone(),
            target,
            source: None,
        })
    }

    /// Marks a step as done whose work was no SQL of its own, begun at `started_at`.
    pub(crate) async fn mark(
        &mut self,
        step: &Step,
        started_at: DateTime<Utc>,
    ) -> Result<(), Error> {
        self.carry_out(Work {
            step,
            statements: &[],
            direction: Direction::Forward,
            started_at,
        })
        .await
    }

    /// Carries out `statements` for `step` and sets or takes away its mark. After it returns Ok, that is committed.
    ///
    /// # Errors
    ///
    /// A lock that could not be had in all attempts names who holds it; anything that a person must fix stops at once.
    pub(crate) async fn run(
        &mut self,
        step: &Step,
        statements: &[String],
        direction: Direction,
    ) -> Result<(), Error> {
        let started_at = Utc::now();
        self.carry_out(Work {
            step,
            statements,
            direction,
            started_at,
        })
        .await
    }

    async fn carry_out(&mut self, work: Work<'_>) -> Result<(), Error> {
        let step = work.step;
        let options = &self.context.plan.options;
        let mut locks = Backoff::new(Limits {
            pause_first: LOCK_PAUSE_FIRST,
            pause_max: LOCK_PAUSE_MAX,
            total_max: LOCK_PAUSES_TOTAL_MAX,
            pause_count_max: options.lock_attempts_max.saturating_sub(1),
        });
        let mut lost_sessions = 0;
        let context = self.context.clone();
        let mut watch = Watch::new(context.server(step.side), options.lock_timeout_ms);
        loop {
            let Err(error) = self.attempt(work, &mut watch).await else {
                return Ok(());
            };
            if self.context.interrupt.aborting() {
                return Err(Error::interrupted());
            }
            match error.disposition() {
                Disposition::Retry => match locks.next_pause() {
                    Some(pause) => {
                        let reason = watch.seen().unwrap_or(error.message());
                        self.context.retrying(&step.title, reason, pause);
                        tokio::join!(tokio::time::sleep(pause), watch.prepare());
                    }
                    None => return Err(gave_way(work, &error, watch.seen())),
                },
                Disposition::Reconnect if lost_sessions < LOST_SESSIONS_MAX => {
                    lost_sessions += 1;
                    self.context.retrying(&step.title, &error, Duration::ZERO);
                    self.reconnect().await?;
                    if self.is_settled(&step.id, work.direction).await? {
                        return Ok(());
                    }
                }
                Disposition::Reconnect
                | Disposition::FreeResources
                | Disposition::Fix
                | Disposition::Cancelled => {
                    return Err(failed(work, error));
                }
            }
            if self.context.interrupt.draining() {
                return Err(Error::interrupted());
            }
        }
    }

    async fn attempt(
        &mut self,
        work: Work<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<(), hyperhaul_pg::Error> {
        let context = self.context.clone();
        let side = work.step.side;
        let held = match work.direction {
            Direction::Forward => fence::held_during(&context, work.step),
            Direction::Back => None,
        };
        if (held.is_some() || !context.is_atomic(side)) && self.source.is_none() {
            self.source = Some(
                context
                    .connections
                    .source
                    .connect_patiently(&context.source_purpose("step"), Limits::RECONNECT)
                    .await?,
            );
        }
        let source = self.source.as_ref().filter(|_| !context.is_atomic(side));
        let session = source.unwrap_or(&self.target);
        let attempt = async {
            match (held, &self.source) {
                (Some(statements), Some(holder)) => {
                    let done = transact_held(&context, (holder, &statements), session, work).await;
                    holder.roll_back().await;
                    done
                }
                _ => transact(&context, session, &self.target, None, work).await,
            }
        };
        tokio::select! {
            result = attempt => result,
            never = watch.over(session.backend_pid()) => match never {},
            () = context.interrupt.aborted() => Err(cancelled(session).await),
        }
    }

    /// New sessions for lost ones. The old backend is ended first: while it lives, the outcome may still change.
    async fn reconnect(&mut self) -> Result<(), Error> {
        let old_backend = self.target.backend_pid();
        self.target = self.context.target("step").await?;
        catalog::end_backend(&self.target, old_backend).await?;
        if let Some(old) = self.source.take() {
            let source = self.context.source("step").await?;
            catalog::end_backend(&source, old.backend_pid()).await?;
            self.source = Some(source);
        }
        Ok(())
    }

    /// Whether the ledger says that what was tried is committed: the answer to COMMIT may have been lost.
    async fn is_settled(&self, step: &StepId, direction: Direction) -> Result<bool, Error> {
        let done = ledger::steps_done(&self.target, self.context.run).await?;
        Ok(done.contains(step) == (direction == Direction::Forward))
    }
}

/// Runs the statements and the mark, in one transaction where both are in one database. Otherwise the mark is made first
/// and committed last: a process that lost the lead is turned away before it changes the source. The statements are
/// idempotent then, since a kill between the two commits leaves the step without its mark.
async fn transact(
    context: &Context,
    session: &Session,
    target: &Session,
    holder: Option<&Session>,
    work: Work<'_>,
) -> Result<(), hyperhaul_pg::Error> {
    let marking = (!context.is_atomic(work.step.side)).then_some(target);
    let done = async {
        session.batch("BEGIN").await?;
        session
            .limit_lock_waits(context.plan.options.lock_timeout_ms)
            .await?;
        if let Some(target) = marking {
            target.batch("BEGIN").await?;
            mark(context, target, work).await?;
        }
        for statement in work.statements {
            session.batch(statement).await?;
        }
        failpoint("step.before_commit");
        match marking {
            None => mark(context, target, work).await?,
            // The mark's session may have been ended while the statements waited, by who took the lead.
            Some(target) => ledger::mark_ended(target, context.run, &work.step.id)
                .await
                .map_err(into_pg)?,
        }
        if let Some(holder) = holder {
            // What it holds is held until its session ends.
            holder.batch("SELECT 1").await?;
        }
        session.batch("COMMIT").await?;
        failpoint("step.after_commit");
        if let Some(target) = marking {
            target.batch("COMMIT").await?;
        }
        Ok(())
    };
    if let Err(error) = done.await {
        session.roll_back().await;
        if let Some(target) = marking {
            target.roll_back().await;
        }
        return Err(error);
    }
    Ok(())
}

/// As [`transact`], while a session on the source holds what `statements` lock and prove there.
async fn transact_held(
    context: &Context,
    (holder, statements): (&Session, &[String]),
    target: &Session,
    work: Work<'_>,
) -> Result<(), hyperhaul_pg::Error> {
    holder.batch("BEGIN").await?;
    holder
        .limit_lock_waits(context.plan.options.lock_timeout_ms)
        .await?;
    for statement in statements {
        holder.batch(statement).await?;
    }
    transact(context, target, target, Some(holder), work).await
}

/// Sets or takes away the mark.
async fn mark(
    context: &Context,
    target: &Session,
    work: Work<'_>,
) -> Result<(), hyperhaul_pg::Error> {
    let (run, step) = (context.run, &work.step.id);
    let marked = match work.direction {
        Direction::Forward => ledger::mark_done(target, run, step, work.started_at).await,
        Direction::Back => ledger::mark_undone(target, run, step).await,
    };
    if marked.map_err(into_pg)? {
        return Ok(());
    }
    Err(hyperhaul_pg::Error::unexpected_answer(
        "mark the step in the ledger",
        format!("another hyperhaul process has taken run {run} over"),
    ))
}

/// The marks can only fail as the server fails: they decode nothing.
fn into_pg(error: ledger::Error) -> hyperhaul_pg::Error {
    match error {
        ledger::Error::Pg(error) => error,
        ledger::Error::NoRun(_) | ledger::Error::Content { .. } => {
            hyperhaul_pg::Error::unexpected_answer("mark a step in the ledger", error.to_string())
        }
    }
}

/// Cancels what the session is at, and says so.
async fn cancelled(session: &Session) -> hyperhaul_pg::Error {
    let canceller = session.canceller();
    match canceller.cancel().await {
        Ok(()) => hyperhaul_pg::Error::unexpected_answer("carry out a step", "interrupted"),
        Err(error) => error,
    }
}

impl Work<'_> {
    /// What could not be done, and how to go on with it.
    fn aim(&self) -> (String, &'static str) {
        match self.direction {
            Direction::Forward => (self.step.title.clone(), "hyperhaul migrate"),
            Direction::Back => (
                format!("undo \"{}\"", self.step.title),
                "hyperhaul rollback",
            ),
        }
    }
}

fn gave_way(work: Work<'_>, error: &hyperhaul_pg::Error, in_the_way: Option<&str>) -> Error {
    let who = in_the_way
        .unwrap_or("was not seen to wait for anybody: hyperhaul check tells who holds locks");
    let (what, again) = work.aim();
    // A way back keeps the waits of its plan.
    let waits = match work.direction {
        Direction::Forward => "; --lock-timeout and --lock-attempts say how long to wait",
        Direction::Back => "",
    };
    Error::blocked(format!("could not {what}: {}", error.message()))
        .detail(format!("It {who}."))
        .hint(format!(
            "End that transaction (SELECT pg_terminate_backend(pid); a prepared one is in pg_prepared_xacts) or let it \
             finish, then run {again} again{waits}.",
        ))
}

fn failed(work: Work<'_>, error: hyperhaul_pg::Error) -> Error {
    let orphans = &work.step.orphans;
    if error.is_foreign_key_violation() && !orphans.is_empty() {
        return refers_to_nothing(work, &error);
    }
    let cause = Error::from(error);
    let (what, again) = work.aim();
    let message = format!("could not {what}: {}", cause.message());
    let mut failed = Error::new(cause.kind(), message);
    if let Some(detail) = cause.detail_text() {
        failed = failed.detail(detail);
    }
    let go_on = format!("Resolve it, then run {again} again: it goes on where it stopped.");
    failed.hint(cause.hint_text().unwrap_or(&go_on))
}

/// The server names one row, which is not repeated; the queries find all of them.
fn refers_to_nothing(work: Work<'_>, error: &hyperhaul_pg::Error) -> Error {
    let (what, again) = work.aim();
    Error::blocked(format!("could not {what}: {}", error.message()))
        .detail(format!(
            "Rows refer to others that are not there. This finds them:\n{};",
            work.step.orphans.join(";\n")
        ))
        .hint(format!(
            "Add the rows that are missing, or change or delete those that refer to them; then run {again} again."
        ))
}

/// Tells about a step around its work.
pub(crate) async fn told<T>(
    context: &Context,
    title: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    context.tell(Event::StepStarted {
        title: title.to_owned(),
    });
    let begun = Instant::now();
    let value = work.await?;
    context.tell(Event::StepFinished {
        title: title.to_owned(),
        elapsed: begun.elapsed(),
    });
    Ok(value)
}
