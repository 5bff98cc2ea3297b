//! Verdicts of verification, one a table; a later one replaces the earlier.

use crate::{Error, RunId};
use chrono::{DateTime, Utc};
use hyperhaul_pg::Session;
use hyperhaul_plan::Verdict;

/// A verdict as the ledger has it.
#[derive(Clone, Debug)]
pub struct StoredVerdict {
    /// Index into the plan's tables.
    pub table_index: usize,
    /// Whether everything was equal: digests, structure, generated columns, sequences.
    pub equal: bool,
    /// Per chunk.
    pub verdict: Verdict,
    /// When.
    pub verified_at: DateTime<Utc>,
}

/// Writes a verdict.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn store_verdict(
    session: &Session,
    run: RunId,
    table_index: usize,
    equal: bool,
    verdict: &Verdict,
) -> Result<(), Error> {
    let json = serde_json::to_value(verdict).map_err(|error| Error::content("verdict", error))?;
    let index = i32::try_from(table_index).map_err(|error| Error::content("table index", error))?;
    let sql = "INSERT INTO hyperhaul.verdict (run_id, table_index, equal, verdict) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (run_id, table_index) DO UPDATE \
               SET equal = excluded.equal, verdict = excluded.verdict, verified_at = excluded.verified_at";
    session
        .execute(sql, &[&run.0, &index, &equal, &json])
        .await?;
    Ok(())
}

/// The verdicts of a run, by table.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn verdicts(session: &Session, run: RunId) -> Result<Vec<StoredVerdict>, Error> {
    let sql = "SELECT table_index, equal, verdict, verified_at FROM hyperhaul.verdict WHERE run_id = $1 ORDER BY 1";
    let decode = |row: &hyperhaul_pg::Row| {
        let index: i32 = row.get(0);
        let verdict =
            serde_json::from_value(row.get(2)).map_err(|error| Error::content("verdict", error))?;
        let table_index =
            usize::try_from(index).map_err(|error| Error::content("table index", error))?;
        Ok(StoredVerdict {
            table_index,
            equal: row.get(1),
            verdict,
            verified_at: row.get(3),
        })
    };
    session
        .query(sql, &[&run.0])
        .await?
        .iter()
        .map(decode)
        .collect()
}
