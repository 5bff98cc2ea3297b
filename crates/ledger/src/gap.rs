//! Gaps: times in which a source could not be heard, or in which what it sent could not be kept.

use crate::{Error, Source};
use chrono::{DateTime, Utc};
use hyperhaul_pg::Session;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Gap {
    /// From when.
    pub from_at: DateTime<Utc>,
    /// Until when.
    pub to_at: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// Records that came and could not be kept; 0 where nothing could come.
    pub unkept_count: i64,
}

/// Writes a gap of a source; in a transaction of its own.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn record_gap(session: &Session, source: &Source, gap: &Gap) -> Result<(), Error> {
    let sql = "INSERT INTO hyperhaul.ingest_gap (source_id, from_at, to_at, reason, unkept_count) VALUES ($1, $2, $3, $4, $5)";
    session
        .execute(
            sql,
            &[
                &source.id(),
                &gap.from_at,
                &gap.to_at,
                &gap.reason,
                &gap.unkept_count,
            ],
        )
        .await?;
    Ok(())
}
