//! Times in which a source could not hear what was said, or could not keep it: what nobody can send again is at least known to be
//! missing. A gap has a place of its own among the source's records, so that it is written once, as they are.

use crate::{Error, Source};
use chrono::{DateTime, Utc};
use hyperhaul_pg::Session;

/// A time in which records are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewGap<'a> {
    /// Where it is among the source's records.
    pub position: i64,
    /// When it began.
    pub from_at: DateTime<Utc>,
    /// When it ended.
    pub to_at: DateTime<Utc>,
    /// Why, as a code.
    pub reason: &'a str,
    /// The server at which it began, if one was involved.
    pub server: Option<&'a str>,
    /// Attempts to connect until it ended.
    pub attempt_count: i64,
    /// Records that are missing, where that is known.
    pub packet_count: Option<i64>,
}

/// Writes gaps, in the transaction that moves their source past them.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn store_gaps(
    session: &Session,
    source: &Source,
    stream: &str,
    gaps: &[NewGap<'_>],
) -> Result<(), Error> {
    let sql = "INSERT INTO hyperhaul.ingest_gap \
        (source_id, position, stream, from_at, to_at, reason, server, attempt_count, packet_count) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    for gap in gaps {
        session
            .execute(
                sql,
                &[
                    &source.id(),
                    &gap.position,
                    &stream,
                    &gap.from_at,
                    &gap.to_at,
                    &gap.reason,
                    &gap.server,
                    &gap.attempt_count,
                    &gap.packet_count,
                ],
            )
            .await?;
    }
    Ok(())
}
