//! What backends of a run wait for, at one moment.

use crate::Error;
use hyperhaul_pg::Session;

/// Backends that are at work, and how many of them wait for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackendWaits {
    /// Backends that carry a statement out.
    pub active: u32,
    /// Of those: reading or writing files.
    pub io: u32,
    /// Of those: for one another within the server's memory.
    pub lwlock: u32,
    /// Of those: for locks.
    pub lock: u32,
}

/// Looks at the backends of this database that copy slices: their `application_name` is `prefix` and `worker`.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn waits(session: &Session, prefix: &str) -> Result<BackendWaits, Error> {
    let sql = "SELECT count(*), count(*) FILTER (WHERE wait_event_type = 'IO'), \
               count(*) FILTER (WHERE wait_event_type = 'LWLock'), count(*) FILTER (WHERE wait_event_type = 'Lock') \
               FROM pg_catalog.pg_stat_activity WHERE datname = current_database() AND state = 'active' \
               AND application_name = $1 || 'worker'";
    let row = session.query_one(sql, &[&prefix]).await?;
    let count = |index| u32::try_from(row.get::<_, i64>(index)).unwrap_or(u32::MAX);
    Ok(BackendWaits {
        active: count(0),
        io: count(1),
        lwlock: count(2),
        lock: count(3),
    })
}
