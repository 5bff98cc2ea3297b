//! Dead letters afterwards: looked at, tried again, dropped.

mod retry;

pub use retry::{Retried, retry};

use crate::Error;
use hyperhaul_ledger::{Content, DeadLetter, Selection};
use hyperhaul_pg::{Server, Session};

/// A session with a database that has a ledger.
pub(crate) async fn connect(server: &Server) -> Result<Session, Error> {
    let session = server.connect("dlq").await?;
    if hyperhaul_ledger::exists(&session).await? {
        return Ok(session);
    }
    Err(no_ledger())
}

fn no_ledger() -> Error {
    Error::usage("the target has no ledger: nothing was ingested into it")
        .hint("Name the database that hyperhaul ingest writes to.")
}

/// The newest dead letters, at most `count_max`, oldest of them first.
///
/// # Errors
///
/// If the server refuses or is lost, or there is no ledger.
pub async fn dead_letters(
    server: &Server,
    selection: &Selection,
    count_max: i64,
) -> Result<Vec<DeadLetter>, Error> {
    let session = connect(server).await?;
    Ok(hyperhaul_ledger::dead_letters(&session, selection, count_max).await?)
}

/// One dead letter, with its bytes.
///
/// # Errors
///
/// If the server refuses or is lost, or there is none of that number.
pub async fn dead_letter(server: &Server, id: i64) -> Result<Content, Error> {
    let session = connect(server).await?;
    let found = hyperhaul_ledger::dead_letter(&session, id).await?;
    found.ok_or_else(|| {
        Error::usage(format!("there is no dead letter {id}"))
            .hint("hyperhaul dlq list shows which there are.")
    })
}

/// Drops dead letters for good; how many.
///
/// # Errors
///
/// If the server refuses or is lost, or there is no ledger.
pub async fn drop_dead_letters(server: &Server, selection: &Selection) -> Result<u64, Error> {
    let session = connect(server).await?;
    Ok(hyperhaul_ledger::drop_dead_letters(&session, selection).await?)
}
