//! Forecasts: what a running process expects, written now and then, for `status` and for the process that goes on.
//!
//! The table is made when it is first needed and is nothing that a run rests on: the ledger's format does not count it.

use crate::{Error, RunId};
use hyperhaul_pg::Session;
use serde::Serialize;
use serde::de::DeserializeOwned;

const TABLE: &str = "
CREATE TABLE IF NOT EXISTS hyperhaul.forecast (
    run_id bigint PRIMARY KEY REFERENCES hyperhaul.run ON DELETE CASCADE,
    forecast jsonb NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp()
);";

/// Writes a run's forecast over the last one.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn store_forecast(
    session: &Session,
    run: RunId,
    forecast: &impl Serialize,
) -> Result<(), Error> {
    let json = serde_json::to_value(forecast).map_err(|error| Error::content("forecast", error))?;
    if !exists(session).await? {
        session.batch(TABLE).await?;
    }
    let sql = "INSERT INTO hyperhaul.forecast (run_id, forecast) VALUES ($1, $2) ON CONFLICT (run_id) DO UPDATE \
               SET forecast = excluded.forecast, written_at = excluded.written_at";
    session.execute(sql, &[&run.0, &json]).await?;
    Ok(())
}

/// The last forecast of a run. `None`: there is none, or it was written by a program that knew other ones.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn forecast<T: DeserializeOwned>(
    session: &Session,
    run: RunId,
) -> Result<Option<T>, Error> {
    if !exists(session).await? {
        return Ok(None);
    }
    let sql = "SELECT forecast FROM hyperhaul.forecast WHERE run_id = $1";
    let row = session.query_opt(sql, &[&run.0]).await?;
    Ok(row.and_then(|row| serde_json::from_value(row.get(0)).ok()))
}

async fn exists(session: &Session) -> Result<bool, Error> {
    let sql = "SELECT to_regclass('hyperhaul.forecast') IS NOT NULL";
    Ok(session.query_one(sql, &[]).await?.get(0))
}
