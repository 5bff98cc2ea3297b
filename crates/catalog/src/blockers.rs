//! Who stands in a session's way, and in whose way it stands.

use crate::Error;
use hyperhaul_pg::Session;
use std::fmt;
use std::time::Duration;

/// A session or prepared transaction that another one waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// Its pid; `None` for a prepared transaction.
    pub pid: Option<i32>,
    /// Its role.
    pub role: Option<String>,
    /// Its `application_name`.
    pub application: Option<String>,
    /// What it is doing.
    pub state: String,
    /// Age of its transaction in seconds.
    pub age_s: i64,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "pid {pid}")?,
            None => f.write_str("a prepared transaction")?,
        }
        if let Some(role) = &self.role {
            write!(f, ", role {role}")?;
        }
        if let Some(application) = self.application.as_ref().filter(|name| !name.is_empty()) {
            write!(f, ", application \"{application}\"")?;
        }
        write!(f, ", {} for {} s", self.state, self.age_s)
    }
}

// A prepared transaction shows as pid 0.
const BLOCKERS: &str = "
    SELECT nullif(blocker.pid, 0), activity.usename::text, activity.application_name,
           coalesce(activity.state, CASE blocker.pid WHEN 0 THEN 'prepared' ELSE 'unknown' END),
           coalesce(extract(epoch FROM clock_timestamp() - activity.xact_start), 0)::bigint
    FROM (SELECT DISTINCT unnest(pg_blocking_pids($1)) AS pid) blocker
    LEFT JOIN pg_catalog.pg_stat_activity activity USING (pid)
    ORDER BY 5 DESC";

/// Who the session with this pid waits for right now; nobody if it does not wait.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn blockers(session: &Session, pid: i32) -> Result<Vec<Blocker>, Error> {
    let rows = session.query(BLOCKERS, &[&pid]).await?;
    let blocker = |row: &hyperhaul_pg::Row| Blocker {
        pid: row.get(0),
        role: row.get(1),
        application: row.get(2),
        state: row.get(3),
        age_s: row.get(4),
    };
    Ok(rows.iter().map(blocker).collect())
}

// A session looks for a deadlock once in each wait, when that has lasted for `deadlock_timeout`; half as long again is for one that
// the machine keeps from it. Waits begin a moment before the server notes when.
const WAITED_FOR_ANEW: &str = "
    WITH RECURSIVE waiting AS MATERIALIZED (
        SELECT DISTINCT pid, coalesce(waitstart, clock_timestamp()) AS since, pg_blocking_pids(pid) AS blockers
        FROM pg_catalog.pg_locks WHERE NOT granted),
    behind AS (
        SELECT pid, since FROM waiting WHERE pg_backend_pid() = ANY (blockers)
        UNION SELECT waiting.pid, waiting.since FROM waiting JOIN behind ON behind.pid = ANY (waiting.blockers))
    SELECT EXISTS (SELECT FROM behind
        WHERE since > clock_timestamp() - 1.5 * current_setting('deadlock_timeout')::interval)";

/// Whether somebody waits for what this session's transaction holds, be it behind others, who has not looked for a deadlock
/// yet. If the session began to wait for that one now, it might be that one whom the server makes give way.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn is_waited_for_anew(session: &Session) -> Result<bool, Error> {
    Ok(session.query_one(WAITED_FOR_ANEW, &[]).await?.get(0))
}

/// For how long a wait may last before the server looks for a deadlock.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn deadlock_timeout(session: &Session) -> Result<Duration, Error> {
    let sql = "SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout'";
    let ms: i64 = session.query_one(sql, &[]).await?.get(0);
    Ok(Duration::from_millis(ms.unsigned_abs()))
}

/// Ends the backends in this database whose `application_name` begins with `prefix`, the session's own left out: what a killed
/// process has left behind.
///
/// # Errors
///
/// If the server refuses or is lost, or a backend is still there after 30 s.
pub async fn end_sessions(session: &Session, prefix: &str) -> Result<(), Error> {
    let sql = "SELECT pid FROM pg_catalog.pg_stat_activity WHERE starts_with(application_name, $1) \
               AND datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()";
    for row in session.query(sql, &[&prefix]).await? {
        end_backend(session, row.get(0)).await?;
    }
    Ok(())
}

/// Whether a backend of this role with this pid is there that belongs to a hyperhaul.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn is_ours(session: &Session, pid: i32) -> Result<bool, Error> {
    let there = "SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity \
                 WHERE pid = $1 AND application_name LIKE 'hyperhaul %' AND usename = current_user)";
    Ok(session.query_one(there, &[&pid]).await?.get(0))
}

/// How often, and how many times, [`end_backend`] looks.
const GONE_LOOK: Duration = Duration::from_millis(100);
const GONE_LOOKS_MAX: u32 = 300;

/// Ends a backend of ours whose connection was lost, and waits until it is gone: then what it was about is either committed
/// or rolled back, and stays so. A backend that works does not notice by itself that its client is gone.
///
/// # Errors
///
/// If the server refuses or is lost, or the backend is still there after 30 s.
pub async fn end_backend(session: &Session, pid: i32) -> Result<(), Error> {
    // After a restart of the server the number may be somebody else's.
    let ours = "SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
                WHERE pid = $1 AND application_name LIKE 'hyperhaul %' AND usename = current_user";
    session.query(ours, &[&pid]).await?;
    for _ in 0..GONE_LOOKS_MAX {
        if !is_ours(session, pid).await? {
            return Ok(());
        }
        tokio::time::sleep(GONE_LOOK).await;
    }
    Err(hyperhaul_pg::Error::unexpected_answer(
        "wait for a lost session to end",
        format!("backend {pid} is still there; end it with pg_terminate_backend({pid})"),
    )
    .into())
}
