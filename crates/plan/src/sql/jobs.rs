//! TimescaleDB's jobs: paused for a run, and put back.

use super::create::extension_schema;
use crate::facts::Facts;
use crate::quote_literal;

/// Keeps a job from being started. One that is at work goes on.
pub fn pause_job(facts: &Facts, job: i32) -> String {
    let schema = extension_schema(facts);
    format!("SELECT {schema}.alter_job({job}, scheduled => false)")
}

/// Lets a job be started again, at the time that was next (`None`: that it has found itself when it ended). Nothing, where
/// the job is gone, or was put back by somebody else.
pub fn put_job_back(facts: &Facts, job: i32, next_start: Option<&str>) -> String {
    let schema = extension_schema(facts);
    let next_start = next_start.map_or(String::new(), |time| {
        format!(", next_start => {}::timestamptz", quote_literal(time))
    });
    format!(
        "SELECT {schema}.alter_job(job_id, scheduled => true{next_start}) FROM timescaledb_information.jobs \
         WHERE job_id = {job} AND NOT scheduled"
    )
}
