//! Who holds locks that a run would have to wait for.

use hyperhaul_pg::Session;
use hyperhaul_plan::Relation;
use hyperhaul_plan::facts::BlockingSession;

use crate::Error;
use crate::fetch::fetch;

const SESSIONS: &str = include_str!("sql/sessions.sql");

/// Sessions and prepared transactions that hold locks on a table, its partitions, or tables that
/// refer to it, longest first; the asking session is left out. Waits for nothing, so that it can
/// be asked after a lock timeout. Without `pg_read_all_stats` the state of other roles' sessions
/// is `unknown`, and their age 0.
///
/// # Errors
/// The server's.
pub async fn blocking_sessions(
    session: &Session,
    relation: &Relation,
) -> Result<Vec<BlockingSession>, Error> {
    fetch(
        session,
        "locks",
        SESSIONS,
        &[&relation.schema, &relation.name],
    )
    .await
}
