//! What calibrations need to know of one another: one at a time in a database, and whether an earlier one has left something.

use crate::Error;
use hyperhaul_pg::Session;

/// Lets one calibration at a time into the database, as long as the session lives. `false` if another one is at work.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn try_calibrate(session: &Session) -> Result<bool, Error> {
    let sql = "SELECT pg_try_advisory_lock(hashtext('hyperhaul calibrate'), 0)";
    Ok(session.query_one(sql, &[]).await?.get(0))
}

/// Lets others calibrate again before the session ends.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn end_calibration(session: &Session) -> Result<(), Error> {
    let sql = "SELECT pg_advisory_unlock(hashtext('hyperhaul calibrate'), 0)";
    session.query(sql, &[]).await?;
    Ok(())
}

/// Whether a schema of that name is there, and the role may drop it.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn scratch_is_left(session: &Session, schema: &str) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace \
               WHERE nspname = $1 AND pg_catalog.pg_has_role(nspowner, 'USAGE'))";
    Ok(session.query_one(sql, &[&schema]).await?.get(0))
}
