//! Verdicts of verification: a table's of before the cutover, and its last one of after it. A later one of the same moment
//! replaces the earlier.

use crate::{Error, RunId};
use chrono::{DateTime, Utc};
use hyperhaul_pg::Session;
use hyperhaul_plan::Verdict;

/// A verdict as the ledger has it.
#[derive(Clone, Debug)]
pub struct StoredVerdict {
    /// Index into the plan's tables.
    pub table_index: usize,
    /// Whether the hypertable was in place by then. What is only there was written since, and is no difference.
    pub after_cutover: bool,
    /// Whether everything was equal: rows, structure, generated columns, sequences.
    pub equal: bool,
    /// Rows of the source that were missing or different in the hypertable after the cutover.
    pub lost_count: u64,
    /// Per chunk.
    pub verdict: Verdict,
    /// When.
    pub verified_at: DateTime<Utc>,
}

/// A verdict to be written.
#[derive(Clone, Copy, Debug)]
pub struct NewVerdict<'a> {
    /// Index into the plan's tables.
    pub table_index: usize,
    /// See [`StoredVerdict`].
    pub after_cutover: bool,
    /// See [`StoredVerdict`].
    pub equal: bool,
    /// See [`StoredVerdict`].
    pub lost_count: u64,
    /// Per chunk.
    pub verdict: &'a Verdict,
}

/// Writes a verdict.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn store_verdict(
    session: &Session,
    run: RunId,
    new: NewVerdict<'_>,
) -> Result<(), Error> {
    let json =
        serde_json::to_value(new.verdict).map_err(|error| Error::content("verdict", error))?;
    let index =
        i32::try_from(new.table_index).map_err(|error| Error::content("table index", error))?;
    let lost = i64::try_from(new.lost_count).map_err(|error| Error::content("row count", error))?;
    let sql = "INSERT INTO hyperhaul.verdict (run_id, table_index, after_cutover, equal, lost_count, verdict) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (run_id, table_index, after_cutover) DO UPDATE \
               SET equal = excluded.equal, lost_count = excluded.lost_count, verdict = excluded.verdict, \
               verified_at = excluded.verified_at";
    session
        .execute(
            sql,
            &[&run.0, &index, &new.after_cutover, &new.equal, &lost, &json],
        )
        .await?;
    Ok(())
}

/// The verdicts of a run, by table; of before the cutover first.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn verdicts(session: &Session, run: RunId) -> Result<Vec<StoredVerdict>, Error> {
    let sql = "SELECT table_index, after_cutover, equal, lost_count, verdict, verified_at \
               FROM hyperhaul.verdict WHERE run_id = $1 ORDER BY 1, 2";
    let decode = |row: &hyperhaul_pg::Row| {
        let index: i32 = row.get(0);
        let verdict =
            serde_json::from_value(row.get(4)).map_err(|error| Error::content("verdict", error))?;
        let table_index =
            usize::try_from(index).map_err(|error| Error::content("table index", error))?;
        Ok(StoredVerdict {
            table_index,
            after_cutover: row.get(1),
            equal: row.get(2),
            lost_count: row.get::<_, i64>(3).unsigned_abs(),
            verdict,
            verified_at: row.get(5),
        })
    };
    session
        .query(sql, &[&run.0])
        .await?
        .iter()
        .map(decode)
        .collect()
}
