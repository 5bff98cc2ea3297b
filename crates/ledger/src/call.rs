//! Calls: who made, changed or judged a run, from where, when, and how it ended.

use crate::{Error, RunId};
use chrono::{DateTime, Utc};
use hyperhaul_pg::{Row, Session};

/// A command that leaves a trace in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Made the plan, and with it accepted findings.
    Plan,
    /// Carried the plan out, or went on with it.
    Migrate,
    /// Compared source and target.
    Verify,
    /// Went back.
    Rollback,
    /// Dropped the old tables.
    Cleanup,
}

impl Command {
    /// Its name, on the command line and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Command::Plan => "plan",
            Command::Migrate => "migrate",
            Command::Verify => "verify",
            Command::Rollback => "rollback",
            Command::Cleanup => "cleanup",
        }
    }
}

/// Number of a call in its target database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallId(i64);

/// A call as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Call {
    /// The command: see [`Command::name`].
    pub command: String,
    /// Flags by which a person decided something: `--discard-new-rows` and the like.
    pub flags: Vec<String>,
    /// The role that logged in to the target.
    pub role: String,
    /// The operating system's user that the process ran as, where it has a name.
    pub os_user: Option<String>,
    /// The machine that the process ran on, where it has a name.
    pub host: Option<String>,
    /// Version of the hyperhaul that was called.
    pub tool_version: String,
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// When it ended; `None`: it is under way, or was killed.
    pub ended_at: Option<DateTime<Utc>>,
    /// What it ended with: `done`, or an error's message.
    pub outcome: Option<String>,
}

/// What a call that ended well says.
pub const DONE: &str = "done";

/// Writes that a command was called by this process.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn begin_call(
    session: &Session,
    run: RunId,
    command: Command,
    flags: &[&str],
) -> Result<CallId, Error> {
    let sql = "INSERT INTO hyperhaul.call (run_id, command, flags, os_user, host, tool_version) \
               VALUES ($1, $2, $3, $4, $5, $6) RETURNING call_id";
    let (user, host) = (hyperhaul_pg::os_user(), hyperhaul_pg::host_name());
    let version = env!("CARGO_PKG_VERSION");
    let row = session
        .query_one(
            sql,
            &[&run.0, &command.name(), &flags, &user, &host, &version],
        )
        .await?;
    Ok(CallId(row.get(0)))
}

/// Writes how a call ended.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn end_call(session: &Session, call: CallId, outcome: &str) -> Result<(), Error> {
    let sql =
        "UPDATE hyperhaul.call SET ended_at = clock_timestamp(), outcome = $2 WHERE call_id = $1";
    session.execute(sql, &[&call.0, &outcome]).await?;
    Ok(())
}

/// The calls of a run, in order.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn calls(session: &Session, run: RunId) -> Result<Vec<Call>, Error> {
    let sql = "SELECT command, flags, role, os_user, host, tool_version, began_at, ended_at, outcome \
               FROM hyperhaul.call WHERE run_id = $1 ORDER BY call_id";
    let decode = |row: &Row| Call {
        command: row.get(0),
        flags: row.get(1),
        role: row.get(2),
        os_user: row.get(3),
        host: row.get(4),
        tool_version: row.get(5),
        began_at: row.get(6),
        ended_at: row.get(7),
        outcome: row.get(8),
    };
    let rows = session.query(sql, &[&run.0]).await?;
    Ok(rows.iter().map(decode).collect())
}
