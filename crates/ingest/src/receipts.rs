//! `hyperhaul receipts`: what became of every record, from the ledger.

use crate::Error;
use hyperhaul_ledger::Receipt;
use hyperhaul_pg::Server;
use std::time::Duration;

/// What became of the records of each source in the last `since`, in whole minutes.
///
/// # Errors
///
/// If the server refuses or is lost, or there is no ledger.
pub async fn receipts(server: &Server, since: Duration) -> Result<Vec<Receipt>, Error> {
    let session = crate::dlq::connect(server).await?;
    Ok(hyperhaul_ledger::receipts(&session, since.as_secs_f64()).await?)
}
