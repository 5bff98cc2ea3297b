//! How the source was when its rows began to be read: what was written later is found by it.

use crate::{Error, RunId};
use hyperhaul_pg::Session;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Writes a run's mark, unless it has one.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn store_write_mark(
    session: &Session,
    run: RunId,
    mark: &impl Serialize,
) -> Result<(), Error> {
    let json = serde_json::to_value(mark).map_err(|error| Error::content("mark", error))?;
    let sql =
        "INSERT INTO hyperhaul.write_mark (run_id, mark) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    session.execute(sql, &[&run.0, &json]).await?;
    Ok(())
}

/// A run's mark; `None`: no row was read yet.
///
/// # Errors
///
/// If the server refuses or is lost, or the mark can't be read.
pub async fn write_mark<T: DeserializeOwned>(
    session: &Session,
    run: RunId,
) -> Result<Option<T>, Error> {
    let sql = "SELECT mark FROM hyperhaul.write_mark WHERE run_id = $1";
    let Some(row) = session.query_opt(sql, &[&run.0]).await? else {
        return Ok(None);
    };
    let mark = serde_json::from_value(row.get(0)).map_err(|error| Error::content("mark", error))?;
    Ok(Some(mark))
}
