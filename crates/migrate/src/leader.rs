//! The one process that leads a run: its lock, its transactions, the changes of the run's state.

use crate::context::Context;
use crate::{Error, RunId, RunState};
use hyperhaul_catalog as catalog;
use hyperhaul_ledger as ledger;
use hyperhaul_pg::Session;
use hyperhaul_pg::retry::{Backoff, Limits};
use std::time::Duration;

/// Pauses while another process has the lead.
const LEAD_BACKOFF: Limits = Limits {
    pause_first: Duration::from_millis(100),
    pause_max: Duration::from_millis(500),
    total_max: Duration::from_secs(3),
    pause_count_max: 20,
};

/// Pauses of a transaction of the leader's that could not have a lock or lost its session.
const LEADER_BACKOFF: Limits = Limits {
    pause_first: Duration::from_millis(250),
    pause_max: Duration::from_secs(2),
    total_max: Duration::from_secs(60),
    pause_count_max: 5,
};

/// Changes a run's state, which was one of `from` when it was looked at.
///
/// # Errors
///
/// If another process has changed it since.
pub(crate) async fn change_state(
    session: &Session,
    run: RunId,
    from: &[RunState],
    to: RunState,
) -> Result<(), Error> {
    if ledger::change_state(session, run, from, to).await? {
        return Ok(());
    }
    Err(Error::blocked(format!(
        "another hyperhaul process has taken run {run} over"
    ))
    .hint("See where it stands with hyperhaul status."))
}

/// The lead of a run: a lock of the target that lives as long as a session.
pub(crate) struct Leader(Session);

impl Leader {
    /// Takes the lead, and ends what a killed process of the same run has left on the target.
    ///
    /// # Errors
    ///
    /// If another process has the lead and keeps it.
    pub(crate) async fn take(context: &Context) -> Result<Leader, Error> {
        let leader = Leader::lock(context).await?;
        catalog::end_sessions(&leader.0, &context.application_prefix()).await?;
        Ok(leader)
    }

    /// A killed process's lock goes a moment after the process.
    async fn lock(context: &Context) -> Result<Leader, Error> {
        let session = context.target("lead").await?;
        let mut backoff = Backoff::new(LEAD_BACKOFF);
        loop {
            if ledger::try_lead(&session, context.run).await? {
                return Ok(Leader(session));
            }
            if context.interrupt.draining() || !backoff.pause().await {
                return Err(Error::blocked(format!(
                    "another hyperhaul process is at work on run {}",
                    context.run
                ))
                .hint("Wait for it or stop it; hyperhaul status shows how far it is."));
            }
        }
    }

    /// The session that holds the lock. One that was lost is replaced, and the lead taken anew.
    pub(crate) async fn session(&mut self, context: &Context) -> Result<&Session, Error> {
        if self.0.is_closed() || self.0.batch("SELECT 1").await.is_err() {
            *self = Leader::lock(context).await?;
        }
        Ok(&self.0)
    }

    /// One transaction of the session that holds the lead, of work that may be done twice: again where a lock could not be had
    /// or the session was lost. A process that has lost the lead changes nothing. `what` says what is tried again.
    ///
    /// # Errors
    ///
    /// Whatever `work` fails with, if trying again does not mend it.
    pub(crate) async fn transaction<T>(
        &mut self,
        context: &Context,
        what: &str,
        work: impl AsyncFn(&Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut backoff = Backoff::new(LEADER_BACKOFF);
        loop {
            let tried = async {
                let session = self.session(context).await?;
                let work = async || {
                    session
                        .limit_lock_waits(context.plan.options.lock_timeout_ms)
                        .await?;
                    work(session).await
                };
                session.transaction(work).await
            };
            match tried.await {
                Ok(value) => return Ok(value),
                Err(error) => context.wait_to_retry(what, error, &mut backoff).await?,
            }
        }
    }
}
