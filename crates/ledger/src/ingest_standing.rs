//! Where sources of live rows stand, for whoever looks: who holds them, and when they moved last.

use crate::Error;
use chrono::{DateTime, Utc};
use hyperhaul_pg::Session;

/// Where a source stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Standing {
    /// The source's name.
    pub source: String,
    /// Its stream.
    pub stream: String,
    /// Everything up to here is dealt with.
    pub position: i64,
    /// Backend of the session that took it last; it may be gone.
    pub backend_pid: i32,
    /// The minute in which it moved last, by the server's clock; `None`: it never did.
    pub moved_at: Option<DateTime<Utc>>,
}

/// Where all sources stand, by their streams.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn standings(session: &Session) -> Result<Vec<Standing>, Error> {
    let sql = "SELECT name, stream, position, backend_pid, \
            (SELECT max(minute) FROM hyperhaul.ingest_receipt AS receipt WHERE receipt.source_id = source.source_id) \
        FROM hyperhaul.ingest_source AS source ORDER BY stream, name";
    let rows = session.query(sql, &[]).await?;
    let standing = |row: &hyperhaul_pg::Row| Standing {
        source: row.get(0),
        stream: row.get(1),
        position: row.get(2),
        backend_pid: row.get(3),
        moved_at: row.get(4),
    };
    Ok(rows.iter().map(standing).collect())
}
