//! Leaves word in the ledger of who called a command on a run, and how that ended.

use crate::{Connections, Error, RunId};
use hyperhaul_ledger::{self as ledger, CallId, Command};
use hyperhaul_pg::Session;

/// Writes that this process has been called to do `command`; `flags` are those by which a person decided something.
pub(crate) async fn begin(
    session: &Session,
    run: RunId,
    command: Command,
    flags: &[&str],
) -> Result<CallId, Error> {
    Ok(ledger::begin_call(session, run, command, flags).await?)
}

/// Writes how the call ended. Where the target cannot be reached any more the call stays without an end, which says as much;
/// what is to be told is the error that ended it.
pub(crate) async fn end<T>(connections: &Connections, call: CallId, result: &Result<T, Error>) {
    let outcome = match result {
        Ok(_) => ledger::DONE,
        Err(error) => error.message(),
    };
    let ended = async {
        let session = connections.target("call").await?;
        ledger::end_call(&session, call, outcome).await?;
        session.close().await;
        Ok::<(), Error>(())
    };
    if let Err(error) = ended.await {
        tracing::warn!("the ledger was not told how the call ended: {error}");
    }
}
