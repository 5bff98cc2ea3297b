//! Runs: a plan and how far it has come.

use crate::{Command, DONE, Error, call};
use chrono::{DateTime, Utc};
use hyperhaul_pg::{Row, Session};
use hyperhaul_plan::{Plan, Relation};
use std::fmt;

/// Number of a run in its target database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct RunId(pub i64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a run stands. Every state is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Set by `plan`: nothing was changed yet.
    Planned,
    /// Set by `plan` on an older plan of the same tables that never ran.
    Superseded,
    /// Set by `migrate` before its first change: something may have been changed.
    Running,
    /// Set by `migrate` with its last step: the hypertables are in place.
    Done,
    /// Set by `rollback` together with the fence on the hypertables, while it looks for rows written since the cutover: writers
    /// are off, nothing is undone. It goes back to what it was, or on to [`RunState::RollingBack`].
    CheckingRollback,
    /// Set by `rollback` before its first inverse: part of it may be undone.
    RollingBack,
    /// Set by `rollback` with its last inverse: everything is as before.
    RolledBack,
    /// Set by `cleanup`: the old tables are gone, there is no way back.
    CleanedUp,
}

impl RunState {
    const ALL: [RunState; 8] = [
        RunState::Planned,
        RunState::Superseded,
        RunState::Running,
        RunState::Done,
        RunState::CheckingRollback,
        RunState::RollingBack,
        RunState::RolledBack,
        RunState::CleanedUp,
    ];

    /// Its name, for people and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            RunState::Planned => "planned",
            RunState::Superseded => "superseded",
            RunState::Running => "running",
            RunState::Done => "done",
            RunState::CheckingRollback => "checking rollback",
            RunState::RollingBack => "rolling back",
            RunState::RolledBack => "rolled back",
            RunState::CleanedUp => "cleaned up",
        }
    }

    /// Whether the run has changed something that only it can finish or undo.
    fn holds_tables(self) -> bool {
        matches!(
            self,
            RunState::Running | RunState::CheckingRollback | RunState::RollingBack
        )
    }
}

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// Where it stands.
    pub state: RunState,
    /// What the source is called, without password.
    pub source: String,
    /// Version of the hyperhaul that planned it.
    pub tool_version: String,
    /// When it was planned.
    pub created_at: DateTime<Utc>,
    /// When its state changed last.
    pub changed_at: DateTime<Utc>,
    /// Its plan.
    pub plan: Plan,
}

const RUN_COLUMNS: &str = "run_id, state, source, tool_version, created_at, changed_at, plan";

/// Writes a plan, its slices and who made it, in a transaction of its own, and supersedes older plans of the same tables that never
/// ran.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn record_plan(session: &Session, plan: &Plan, source: &str) -> Result<RunId, Error> {
    let tables = table_names(plan);
    let json = serde_json::to_value(plan).map_err(|error| Error::content("plan", error))?;
    session.transaction(async || {
        let superseded = "UPDATE hyperhaul.run SET state = 'superseded', changed_at = clock_timestamp() \
                          WHERE state = 'planned' AND tables && $1";
        session.execute(superseded, &[&tables]).await?;
        let insert = "INSERT INTO hyperhaul.run (state, tables, source, tool_version, plan) \
                      VALUES ('planned', $1, $2, $3, $4) RETURNING run_id";
        let row = session.query_one(insert, &[&tables, &source, &env!("CARGO_PKG_VERSION"), &json]).await?;
        let run = RunId(row.get(0));
        crate::slice::insert_slices(session, run, &plan.slices).await?;
        let call = call::begin_call(session, run, Command::Plan, &[]).await?;
        call::end_call(session, call, DONE).await?;
        Ok(run)
    })
    .await
}

/// Reads a run.
///
/// # Errors
///
/// If there is none with that number, or its plan was written in another format.
pub async fn load_run(session: &Session, run: RunId) -> Result<Run, Error> {
    let sql = format!("SELECT {RUN_COLUMNS} FROM hyperhaul.run WHERE run_id = $1");
    match session.query_opt(&sql, &[&run.0]).await? {
        Some(row) => decode(&row),
        None => Err(Error::NoRun(run)),
    }
}

/// The newest run that is neither superseded nor ended without trace, if there is one.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn latest_run(session: &Session) -> Result<Option<Run>, Error> {
    let sql = format!(
        "SELECT {RUN_COLUMNS} FROM hyperhaul.run WHERE state <> 'superseded' ORDER BY run_id DESC LIMIT 1"
    );
    session
        .query_opt(&sql, &[])
        .await?
        .map(|row| decode(&row))
        .transpose()
}

/// The newest run over exactly these tables in one of `states`, if there is one.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn find_run(
    session: &Session,
    tables: &[Relation],
    states: &[RunState],
) -> Result<Option<Run>, Error> {
    let names: Vec<String> = tables.iter().map(Relation::plain).collect();
    let states: Vec<&str> = states.iter().map(|state| state.name()).collect();
    let sql = format!(
        "SELECT {RUN_COLUMNS} FROM hyperhaul.run WHERE state = ANY ($2) AND tables @> $1 AND tables <@ $1 \
         ORDER BY run_id DESC LIMIT 1"
    );
    session
        .query_opt(&sql, &[&names, &states])
        .await?
        .map(|row| decode(&row))
        .transpose()
}

/// The number of a run that holds one of these tables: begun and neither ended nor rolled back.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn overlapping_run(
    session: &Session,
    tables: &[Relation],
) -> Result<Option<RunId>, Error> {
    let names: Vec<String> = tables.iter().map(Relation::plain).collect();
    let held: Vec<&str> = RunState::ALL
        .iter()
        .filter(|state| state.holds_tables())
        .map(|state| state.name())
        .collect();
    let sql = "SELECT run_id FROM hyperhaul.run WHERE state = ANY ($2) AND tables && $1 ORDER BY run_id LIMIT 1";
    Ok(session
        .query_opt(sql, &[&names, &held])
        .await?
        .map(|row| RunId(row.get(0))))
}

/// Every run, newest first.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn runs(session: &Session) -> Result<Vec<Run>, Error> {
    let sql = format!("SELECT {RUN_COLUMNS} FROM hyperhaul.run ORDER BY run_id DESC");
    session.query(&sql, &[]).await?.iter().map(decode).collect()
}

/// Changes a run's state from one of `from`. `false`: it is in none of them (any more), and stays as it is.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn change_state(
    session: &Session,
    run: RunId,
    from: &[RunState],
    to: RunState,
) -> Result<bool, Error> {
    let from: Vec<&str> = from.iter().map(|state| state.name()).collect();
    let sql = "UPDATE hyperhaul.run SET state = $3, \
               changed_at = CASE state WHEN $3 THEN changed_at ELSE clock_timestamp() END \
               WHERE run_id = $1 AND state = ANY ($2)";
    let changed = session.execute(sql, &[&run.0, &from, &to.name()]).await?;
    Ok(changed == 1)
}

/// Whether the run is under way. Belongs into the transaction of what is done for it, which keeps the run so until it ends; what
/// `false` comes with is to be rolled back.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn hold_running(session: &Session, run: RunId) -> Result<bool, Error> {
    let sql = "SELECT FROM hyperhaul.run WHERE run_id = $1 AND state = 'running' FOR SHARE";
    Ok(session.query_opt(sql, &[&run.0]).await?.is_some())
}

/// Takes the lead of a run for as long as the session lives: one process at a time carries out its steps.
/// `false` if another one has it.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn try_lead(session: &Session, run: RunId) -> Result<bool, Error> {
    let sql = "SELECT pg_try_advisory_lock(hashtext('hyperhaul run'), $1)";
    let key = i32::try_from(run.0).map_err(|error| Error::content("run number", error))?;
    Ok(session.query_one(sql, &[&key]).await?.get(0))
}

fn table_names(plan: &Plan) -> Vec<String> {
    plan.tables
        .iter()
        .map(|table| table.relation.plain())
        .collect()
}

fn decode(row: &Row) -> Result<Run, Error> {
    let id = RunId(row.get(0));
    let name: &str = row.get(1);
    let state = RunState::ALL.into_iter().find(|state| state.name() == name);
    let state = state
        .ok_or_else(|| Error::content(format!("run {id}"), format!("unknown state \"{name}\"")))?;
    let json: serde_json::Value = row.get(6);
    let format = json.get("format").and_then(serde_json::Value::as_u64);
    if format != Some(u64::from(Plan::FORMAT)) {
        let reason = format!(
            "its plan has format {format:?}, this hyperhaul reads {}",
            Plan::FORMAT
        );
        return Err(Error::content(format!("run {id}"), reason));
    }
    let plan = serde_json::from_value(json)
        .map_err(|error| Error::content(format!("plan of run {id}"), error))?;
    Ok(Run {
        id,
        state,
        source: row.get(2),
        tool_version: row.get(3),
        created_at: row.get(4),
        changed_at: row.get(5),
        plan,
    })
}

/// What a session of a run that is paused is called in `pg_stat_activity`.
fn paused_name(run: RunId) -> String {
    format!("hyperhaul run {run} paused")
}

/// Shows by the session's name that its run is paused, or is no more: it goes with the process.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn show_paused(session: &Session, run: RunId, paused: bool) -> Result<(), Error> {
    let name = if paused {
        paused_name(run)
    } else {
        format!("hyperhaul run {run} watch")
    };
    let sql = "SELECT set_config('application_name', $1, false)";
    session.query(sql, &[&name]).await?;
    Ok(())
}

/// Whether a process of the run has paused at a limit.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn is_paused(session: &Session, run: RunId) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity \
               WHERE application_name = $1 AND datname = current_database())";
    let row = session.query_one(sql, &[&paused_name(run)]).await?;
    Ok(row.get(0))
}

/// Backends of hyperhaul in the session's database, its own left out.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn sessions(session: &Session) -> Result<u64, Error> {
    let sql = "SELECT count(*) FROM pg_catalog.pg_stat_activity \
               WHERE application_name LIKE 'hyperhaul %' AND datname = current_database() AND pid <> pg_backend_pid()";
    Ok(session
        .query_one(sql, &[])
        .await?
        .get::<_, i64>(0)
        .unsigned_abs())
}
