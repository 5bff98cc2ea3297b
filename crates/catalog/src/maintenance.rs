//! What `hyperhaul maintain` asks about a hypertable and its server.

use hyperhaul_pg::{Session, ToSql};
use hyperhaul_plan::Relation;
use serde::Deserialize;

use crate::Error;
use crate::fetch::{fetch, fetch_opt};

/// A foreign key that refers to a hypertable keeps its chunks from being dropped.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ReferringKey {
    /// The referring table.
    pub relation: Relation,
    /// The constraint's name.
    pub name: String,
    /// Whether a deleted row takes rows of the referring table along, or changes them: ON DELETE CASCADE, SET NULL, SET DEFAULT.
    pub passes_on: bool,
}

const TIMESCALE: &str = "\
SELECT json_build_object('schema', n.nspname, 'clock_us', (extract(epoch FROM now()) * 1000000)::bigint)::text
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb'";

/// $1 and $2 are schema and name. A chunk's or partition's own constraint goes with its parent's.
const REFERRING: &str = "\
SELECT coalesce(json_agg(json_build_object(
    'relation', json_build_object('schema', n.nspname, 'name', c.relname),
    'name', k.conname, 'passes_on', k.confdeltype IN ('c', 'n', 'd')) ORDER BY 1::text), '[]')::text
FROM pg_constraint AS k
    JOIN pg_class AS c ON c.oid = k.conrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid = to_regclass(format('%I.%I', $1::text, $2::text))";

/// $1 and $2 are schema and name.
const BYTES: &str = "\
SELECT to_json(coalesce(pg_total_relation_size(to_regclass(format('%I.%I', $1::text, $2::text))), 0))::text";

/// $1 and $2 are schema and name.
const ROW_BYTES: &str = "\
SELECT to_json(coalesce(sum(pg_relation_size(c.oid) + coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0)), 0))::text
FROM pg_class AS c WHERE c.oid = to_regclass(format('%I.%I', $1::text, $2::text))";

/// TimescaleDB in the session's database.
#[derive(Clone, Debug, Deserialize)]
pub struct TimescaleThere {
    /// Schema of its functions.
    pub schema: String,
    /// The server's clock, microseconds since 1970 UTC.
    pub clock_us: i64,
}

/// TimescaleDB's schema and the server's clock; `None` where the extension is not installed.
///
/// # Errors
///
/// The server's; an answer that is not understood.
pub async fn timescale_there(session: &Session) -> Result<Option<TimescaleThere>, Error> {
    fetch_opt(session, "TimescaleDB", TIMESCALE, &[]).await
}

/// The foreign keys that refer to a table.
///
/// # Errors
///
/// The server's; an answer that is not understood.
pub async fn referring_keys(
    session: &Session,
    table: &Relation,
) -> Result<Vec<ReferringKey>, Error> {
    let name: [&(dyn ToSql + Sync); 2] = [&table.schema, &table.name];
    fetch(session, "foreign keys to a table", REFERRING, &name).await
}

/// Bytes of a relation with its indexes and TOAST; 0 where it is gone.
///
/// # Errors
///
/// The server's; an answer that is not understood.
pub async fn total_bytes(session: &Session, relation: &Relation) -> Result<u64, Error> {
    let name: [&(dyn ToSql + Sync); 2] = [&relation.schema, &relation.name];
    fetch(session, "sizes", BYTES, &name).await
}

/// Bytes of a relation's rows with their TOAST, of those that are deleted too until VACUUM gives their space back; 0 where it is
/// gone.
///
/// # Errors
///
/// The server's; an answer that is not understood.
pub async fn row_bytes(session: &Session, relation: &Relation) -> Result<u64, Error> {
    let name: [&(dyn ToSql + Sync); 2] = [&relation.schema, &relation.name];
    fetch(session, "sizes", ROW_BYTES, &name).await
}

/// Whether a relation has any row.
///
/// # Errors
///
/// The server's; an answer that is not understood.
pub async fn has_rows(session: &Session, relation: &Relation) -> Result<bool, Error> {
    let sql = format!("SELECT to_json(EXISTS (SELECT FROM {relation}))::text");
    fetch(session, "rows", &sql, &[]).await
}
