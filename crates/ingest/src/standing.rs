//! `hyperhaul ingest --status`: where the streams stand, as the ledger has it, and what the process that feeds them says of itself.

use crate::Error;
use crate::limits::{METRICS_ANSWER_BYTES_MAX, METRICS_ANSWER_WAIT};
use crate::meter::{Reading, parse};
use hyperhaul_ledger::{Receipt, Standing};
use hyperhaul_pg::Server;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A source, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceStatus {
    /// Where it stands.
    #[serde(flatten)]
    pub standing: Standing,
    /// Whether a session that could move it is connected.
    pub is_held: bool,
    /// What became of its records lately, if there were any.
    pub lately: Option<Receipt>,
}

/// Where all sources stand, and what became of their records in the last `lately`, in whole minutes. Sources that nobody holds and that did
/// not move in that time are left out, but for the one of each stream that moved last.
///
/// # Errors
///
/// If the server refuses or is lost, or there is no ledger.
pub async fn source_statuses(
    server: &Server,
    lately: Duration,
) -> Result<Vec<SourceStatus>, Error> {
    let session = crate::dlq::connect(server).await?;
    let receipts = hyperhaul_ledger::receipts(&session, lately.as_secs_f64()).await?;
    let mut statuses = Vec::new();
    for standing in hyperhaul_ledger::standings(&session).await? {
        let receipt = receipts
            .iter()
            .find(|receipt| receipt.source == standing.source);
        statuses.push(SourceStatus {
            is_held: hyperhaul_catalog::is_ours(&session, standing.backend_pid).await?,
            lately: receipt.cloned(),
            standing,
        });
    }
    Ok(worth_telling(statuses))
}

fn worth_telling(statuses: Vec<SourceStatus>) -> Vec<SourceStatus> {
    let is_newest = |status: &SourceStatus| {
        let of_stream = statuses
            .iter()
            .filter(|other| other.standing.stream == status.standing.stream);
        of_stream.map(|other| other.standing.moved_at).max() == Some(status.standing.moved_at)
    };
    let told = statuses
        .iter()
        .filter(|status| status.is_held || status.lately.is_some() || is_newest(status));
    told.cloned().collect()
}

/// What the meters of the process show that listens for questions at `address`. `None`: nobody answers there.
///
/// # Errors
///
/// If somebody else does.
pub async fn readings_at(address: SocketAddr) -> Result<Option<Vec<Reading>>, Error> {
    let asked = tokio::time::timeout(METRICS_ANSWER_WAIT, ask(address)).await;
    let Ok(Ok(answer)) = asked else {
        return Ok(None);
    };
    let is_found = answer
        .lines()
        .next()
        .is_some_and(|line| line.contains(" 200 "));
    let readings = parse(&answer);
    if is_found && !readings.is_empty() {
        return Ok(Some(readings));
    }
    let message = format!("what answers at {address} is no hyperhaul ingest");
    Err(Error::usage(message)
        .hint("Name the address of its metrics with --metrics, or in [metrics], listen."))
}

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // Of HTTP/1.0, an answer is what comes until the end.
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await?;
    let mut answer = Vec::new();
    let mut bounded = stream.take(METRICS_ANSWER_BYTES_MAX);
    bounded.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
