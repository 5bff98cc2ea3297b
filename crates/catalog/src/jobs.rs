//! TimescaleDB's jobs that could touch tables of a run, and those of them that are at work.

use hyperhaul_pg::Session;
use hyperhaul_plan::Relation;
use serde::Deserialize;

use crate::Error;
use crate::fetch::{fetch, schemas_and_names};

const JOBS: &str = include_str!("sql/jobs.sql");

/// A job of TimescaleDB.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Job {
    /// Its number.
    pub id: i32,
    /// Its name, which its worker goes by in `pg_stat_activity`: `Retention Policy [1001]`.
    pub name: String,
    /// The hypertable or continuous aggregate that it is a policy of; its procedure, where it is none.
    pub about: String,
    /// Whether it is started when its time comes.
    pub scheduled: bool,
    /// When, as ISO 8601; `None` while it is at work, and before its first time is known.
    pub next_start: Option<String>,
    /// Its owner.
    pub owner: String,
    /// Whether the session's role may change it.
    pub can_alter: bool,
}

/// A worker of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobWorker {
    /// Its pid.
    pub pid: i32,
    /// Its job's name.
    pub job: String,
}

/// The jobs that could touch one of these tables, by their numbers; none on the Apache edition, which runs no such jobs. What a
/// job's procedure calls in turn is not looked into.
///
/// # Errors
/// The server's; an answer that is not understood.
pub async fn jobs(session: &Session, tables: &[Relation]) -> Result<Vec<Job>, Error> {
    let there = "SELECT to_json(to_regclass('timescaledb_information.jobs') IS NOT NULL)::text";
    if !fetch::<bool>(session, "jobs", there, &[]).await? {
        return Ok(Vec::new());
    }
    let (schemas, names) = schemas_and_names(tables);
    fetch(session, "jobs", JOBS, &[&schemas, &names]).await
}

/// The workers of these jobs that are at work in the session's database right now.
///
/// # Errors
/// The server's.
pub async fn job_workers(session: &Session, jobs: &[Job]) -> Result<Vec<JobWorker>, Error> {
    let sql = "SELECT pid, application_name FROM pg_catalog.pg_stat_activity \
               WHERE datname = current_database() AND application_name = ANY ($1) ORDER BY pid";
    let names: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
    let rows = session.query(sql, &[&names]).await?;
    let worker = |row: &hyperhaul_pg::Row| JobWorker {
        pid: row.get(0),
        job: row.get(1),
    };
    Ok(rows.iter().map(worker).collect())
}
