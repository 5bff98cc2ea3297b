//! Taking a source over from a process that is gone, and from no other.

use crate::Error;
use crate::limits::{HOLDER_GONE_WAIT, HOLDER_LOOK};
use crate::trouble::Trouble;
use hyperhaul_ledger::{PositionUnit, Source};
use hyperhaul_pg::Session;
use std::time::Instant;

/// Takes the source, once nobody else holds it.
pub(crate) async fn claim(
    session: &Session,
    name: &str,
    stream: &str,
    unit: PositionUnit,
) -> Result<Source, Trouble> {
    let since = Instant::now();
    while let Some(pid) = holder(session, name).await? {
        if since.elapsed() >= HOLDER_GONE_WAIT {
            let message =
                format!("another process is at source {name} (its backend has the pid {pid})");
            return Err(Error::unexpected(message)
                .hint(format!(
                    "Stop that process; if it is gone, end what it left with SELECT pg_terminate_backend({pid})."
                ))
                .into());
        }
        tokio::time::sleep(HOLDER_LOOK).await;
    }
    Ok(hyperhaul_ledger::take_source(session, name, stream, unit).await?)
}

/// The backend of another session that holds the source.
async fn holder(session: &Session, name: &str) -> Result<Option<i32>, Trouble> {
    let Some(pid) = hyperhaul_ledger::source_backend(session, name).await? else {
        return Ok(None);
    };
    let is_there = pid != session.backend_pid() && hyperhaul_catalog::is_ours(session, pid).await?;
    Ok(is_there.then_some(pid))
}
