//! How a server bears a run: disks, WAL, standbys and slots, archiver.

use hyperhaul_pg::{Server, Session};
use hyperhaul_plan::facts::Vitals;

use crate::fetch::fetch;
use crate::{Error, machine};

const VITALS: &str = include_str!("sql/vitals.sql");

const SEEN: &str = "
    SELECT json_build_object(
        'redo', has_function_privilege('pg_catalog.pg_control_checkpoint()', 'EXECUTE'),
        'tablespace_oid', (SELECT dattablespace::bigint FROM pg_catalog.pg_database
            WHERE datname = current_database() AND dattablespace <>
                (SELECT oid FROM pg_catalog.pg_tablespace WHERE spcname = 'pg_default')))::text";

/// What the role may see, and where the database's files are; the same for as long as a session lives.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
pub struct VitalsSeen {
    redo: bool,
    tablespace_oid: Option<u32>,
}

/// Finds out what can be seen of a server.
///
/// # Errors
/// The server's; an answer that is not understood.
pub async fn vitals_seen(session: &Session) -> Result<VitalsSeen, Error> {
    fetch(session, "what the role may see", SEEN, &[]).await
}

/// Looks at a server. `with_size`: measures the database too, which looks at each of its files.
///
/// # Errors
/// The server's, also where it is a standby; an answer that is not understood.
pub async fn vitals(
    session: &Session,
    server: &Server,
    seen: VitalsSeen,
    with_size: bool,
) -> Result<Vitals, Error> {
    let redo = if seen.redo {
        "(SELECT redo_lsn FROM pg_catalog.pg_control_checkpoint())"
    } else {
        "NULL::pg_lsn"
    };
    let sql = VITALS.replace("{redo}", redo);
    let mut found: Vitals = fetch(session, "how the server is", &sql, &[&with_size]).await?;
    found.disks = machine::disks(session, server, seen.tablespace_oid);
    Ok(found)
}
