//! Steps that are done.

use crate::{Error, RunId};
use chrono::{DateTime, Utc};
use hyperhaul_pg::Session;
use hyperhaul_plan::StepId;
use std::collections::BTreeMap;

/// Marks a step as done. Belongs into the step's own transaction; marking it twice is harmless.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn mark_done(
    session: &Session,
    run: RunId,
    step: &StepId,
    started_at: DateTime<Utc>,
) -> Result<(), Error> {
    let sql = "INSERT INTO hyperhaul.step (run_id, step_id, started_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    session
        .execute(sql, &[&run.0, &step.0, &started_at])
        .await?;
    Ok(())
}

/// Forgets that a step was done. Belongs into the transaction of its inverse.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn mark_undone(session: &Session, run: RunId, step: &StepId) -> Result<(), Error> {
    session
        .execute(
            "DELETE FROM hyperhaul.step WHERE run_id = $1 AND step_id = $2",
            &[&run.0, &step.0],
        )
        .await?;
    Ok(())
}

/// The steps that are done, with the seconds that each took.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn steps_done(session: &Session, run: RunId) -> Result<BTreeMap<StepId, f64>, Error> {
    let sql = "SELECT step_id, extract(epoch FROM finished_at - started_at)::float8 FROM hyperhaul.step WHERE run_id = $1";
    let rows = session.query(sql, &[&run.0]).await?;
    Ok(rows
        .iter()
        .map(|row| (StepId(row.get(0)), row.get(1)))
        .collect())
}
