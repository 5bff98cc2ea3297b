//! Jobs of TimescaleDB that a run has paused, and what they were before.

use crate::{Error, RunId};
use chrono::{DateTime, Utc};
use hyperhaul_pg::Session;
use serde::Serialize;

/// A job that a run keeps from being started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldJob {
    /// Its number.
    pub job_id: i32,
    /// Its name, with what it is about.
    pub name: String,
    /// When it was to be started next; `None`: it was at work, or had no time yet.
    pub next_start: Option<DateTime<Utc>>,
}

/// Keeps other runs from pausing jobs or putting them back until the transaction ends.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn lock_jobs(session: &Session) -> Result<(), Error> {
    let sql = "LOCK TABLE hyperhaul.held_job IN SHARE ROW EXCLUSIVE MODE";
    Ok(session.batch(sql).await?)
}

/// Remembers a job as it is before it is paused: its number, its name, when it is to be started next (ISO 8601). One that
/// another run has paused already was what that run has seen.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn hold_job(
    session: &Session,
    run: RunId,
    (job_id, name, next_start): (i32, &str, Option<&str>),
) -> Result<(), Error> {
    let sql = "INSERT INTO hyperhaul.held_job (run_id, job_id, name, next_start) \
               SELECT $1, $2, $3, CASE WHEN other.job_id IS NULL THEN $4::text::timestamptz ELSE other.next_start END \
               FROM (VALUES (1)) AS one LEFT JOIN LATERAL \
               (SELECT job_id, next_start FROM hyperhaul.held_job WHERE job_id = $2 ORDER BY held_at LIMIT 1) AS other ON true \
               ON CONFLICT (run_id, job_id) DO NOTHING";
    session
        .execute(sql, &[&run.0, &job_id, &name, &next_start])
        .await?;
    Ok(())
}

/// The jobs that a run holds, by their numbers.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn held_jobs(session: &Session, run: RunId) -> Result<Vec<HeldJob>, Error> {
    let sql =
        "SELECT job_id, name, next_start FROM hyperhaul.held_job WHERE run_id = $1 ORDER BY job_id";
    let rows = session.query(sql, &[&run.0]).await?;
    Ok(rows.iter().map(decode).collect())
}

/// The numbers of the jobs that other runs hold.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn jobs_of_others(session: &Session, run: RunId) -> Result<Vec<i32>, Error> {
    let sql = "SELECT DISTINCT job_id FROM hyperhaul.held_job WHERE run_id <> $1 ORDER BY job_id";
    let rows = session.query(sql, &[&run.0]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Forgets the jobs that a run holds.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn let_jobs_go(session: &Session, run: RunId) -> Result<(), Error> {
    let sql = "DELETE FROM hyperhaul.held_job WHERE run_id = $1";
    session.execute(sql, &[&run.0]).await?;
    Ok(())
}

fn decode(row: &hyperhaul_pg::Row) -> HeldJob {
    HeldJob {
        job_id: row.get(0),
        name: row.get(1),
        next_start: row.get(2),
    }
}
