//! Which database and which table it is, whatever the connection string says.

use hyperhaul_pg::Session;
use hyperhaul_plan::Relation;
use serde::Deserialize;

use crate::Error;
use crate::fetch::{fetch, fetch_opt};

/// A physical copy has its origin's system identifier and oids, but was started by itself.
const IDENTITY: &str = "\
SELECT json_build_object(
    'started', pg_postmaster_start_time(),
    'database', current_database(),
    'database_oid', (SELECT d.oid::bigint FROM pg_database AS d WHERE d.datname = current_database()),
    'system_identifier', CASE WHEN has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
        THEN (SELECT system_identifier FROM pg_control_system()) END)::text";

/// Which database it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Identity {
    started: String,
    /// Its name.
    pub database: String,
    /// Its oid.
    pub database_oid: u32,
    /// The server's system identifier, unless it can't be read.
    pub system_identifier: Option<i64>,
}

/// Which database a session is in.
///
/// # Errors
/// The server's; an answer that is not understood.
pub async fn identity(session: &Session) -> Result<Identity, Error> {
    fetch(session, "the server's identity", IDENTITY, &[]).await
}

/// The oid of the relation that has this name now; `None` if there is none.
///
/// # Errors
/// The server's.
pub async fn relation_oid(session: &Session, relation: &Relation) -> Result<Option<u32>, Error> {
    let sql = "SELECT to_json(c.oid::bigint)::text FROM pg_class AS c \
               WHERE c.oid = to_regclass(format('%I.%I', $1::text, $2::text))";
    fetch_opt(session, "a table", sql, &[&relation.schema, &relation.name]).await
}
