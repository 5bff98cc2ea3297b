//! Steps that are done.

use crate::slice::seconds_since;
use crate::{Error, RunId};
use chrono::{DateTime, Utc};
use hyperhaul_pg::Session;
use hyperhaul_plan::StepId;
use std::collections::{BTreeMap, BTreeSet};

/// Marks a step as done. Belongs into the step's own transaction: what `false` comes with is to be rolled back.
///
/// `false`: the run is not under way (any more), or the step is done already; another process has taken the run over.
/// `started_at` is by this machine's clock.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn mark_done(
    session: &Session,
    run: RunId,
    step: &StepId,
    started_at: DateTime<Utc>,
) -> Result<bool, Error> {
    let sql = "INSERT INTO hyperhaul.step (run_id, step_id, started_at) \
               SELECT run_id, $2, clock_timestamp() - make_interval(secs => $3) FROM hyperhaul.run WHERE run_id = $1 AND state = 'running' FOR SHARE \
               ON CONFLICT DO NOTHING";
    let marked = session
        .execute(sql, &[&run.0, &step.0, &seconds_since(started_at)])
        .await?;
    Ok(marked == 1)
}

/// Writes that a step has ended only now: its mark was made before its statements, which run on another server.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn mark_ended(session: &Session, run: RunId, step: &StepId) -> Result<(), Error> {
    let sql = "UPDATE hyperhaul.step SET finished_at = clock_timestamp() WHERE run_id = $1 AND step_id = $2";
    session.execute(sql, &[&run.0, &step.0]).await?;
    Ok(())
}

/// Forgets that a step was done. Belongs into the transaction of its inverse: what `false` comes with is to be rolled back.
///
/// `false`: the run is not being rolled back (any more), or the step is undone already.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn mark_undone(session: &Session, run: RunId, step: &StepId) -> Result<bool, Error> {
    let sql = "WITH held AS (SELECT FROM hyperhaul.run WHERE run_id = $1 AND state = 'rolling back' FOR SHARE) \
               DELETE FROM hyperhaul.step WHERE run_id = $1 AND step_id = $2 AND EXISTS (SELECT FROM held)";
    let forgotten = session.execute(sql, &[&run.0, &step.0]).await?;
    Ok(forgotten == 1)
}

/// The steps that are done.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn steps_done(session: &Session, run: RunId) -> Result<BTreeSet<StepId>, Error> {
    let sql = "SELECT step_id FROM hyperhaul.step WHERE run_id = $1";
    let rows = session.query(sql, &[&run.0]).await?;
    Ok(rows.iter().map(|row| StepId(row.get(0))).collect())
}

/// When a step that is done began and ended, by the target's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepMark {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
}

impl StepMark {
    /// How long it took, seconds.
    pub fn seconds(&self) -> f64 {
        (self.finished_at - self.started_at).as_seconds_f64()
    }
}

/// The steps that are done, with their times.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn step_marks(
    session: &Session,
    run: RunId,
) -> Result<BTreeMap<StepId, StepMark>, Error> {
    let sql = "SELECT step_id, started_at, finished_at FROM hyperhaul.step WHERE run_id = $1";
    let mark = |row: &hyperhaul_pg::Row| StepMark {
        started_at: row.get(1),
        finished_at: row.get(2),
    };
    let rows = session.query(sql, &[&run.0]).await?;
    Ok(rows
        .iter()
        .map(|row| (StepId(row.get(0)), mark(row)))
        .collect())
}
