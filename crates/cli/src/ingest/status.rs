//! `hyperhaul ingest --status`: feeds nothing, and says where streams stand: from the ledger, and from the process that feeds them where it
//! has an address for its metrics.

use super::{Ingest, Target, declared, server};
use crate::failure::{Exit, Failure};
use crate::output::live::{Live, lives};
use crate::output::{self, Look};
use hyperhaul_ingest::SourceStatus;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What rates and lags of the other process are taken over.
const BETWEEN_READINGS: Duration = Duration::from_secs(1);
/// What counts of the ledger are taken over.
const LATELY: Duration = Duration::from_secs(3600);

/// All that is known.
#[derive(Serialize)]
struct Status {
    /// The address where a process was asked; none is configured otherwise.
    metrics: Option<SocketAddr>,
    /// What it says; none where nobody answers.
    streams: Option<Vec<Live>>,
    sources: Vec<SourceStatus>,
}

pub(super) async fn status(asked: &Ingest) -> Result<Exit, Failure> {
    let wanted =
        |stream: &str| asked.streams.is_empty() || asked.streams.iter().any(|name| name == stream);
    let Target { target, config } = &asked.target;
    let (target, metrics) = match config {
        Some(_) => {
            let declared = declared(&asked.target)?;
            (declared.target, asked.metrics.or(declared.metrics))
        }
        None => (target.clone(), asked.metrics),
    };
    let streams = match metrics {
        Some(address) => two_readings(address).await?,
        None => None,
    };
    let streams = streams.map(|mut streams| {
        streams.retain(|live| wanted(&live.stream));
        streams
    });
    let sources = hyperhaul_ingest::source_statuses(&server(target.as_deref())?, LATELY).await;
    let (mut sources, failed) = match sources {
        Ok(sources) => (sources, None),
        // The process says how it goes while the database is away.
        Err(error) if streams.is_some() => (Vec::new(), Some(error)),
        Err(error) => return Err(error.into()),
    };
    sources.retain(|source| wanted(&source.standing.stream));
    let status = Status {
        metrics,
        streams,
        sources,
    };
    if asked.format.json {
        output::print_json(&status, false)?;
    } else {
        output::print(&render(&status, Look::of_stdout()))?;
    }
    if let Some(error) = failed {
        return Err(error.into());
    }
    Ok(Exit::Done)
}

async fn two_readings(address: SocketAddr) -> Result<Option<Vec<Live>>, Failure> {
    let Some(before) = hyperhaul_ingest::readings_at(address).await? else {
        return Ok(None);
    };
    let begun = Instant::now();
    tokio::time::sleep(BETWEEN_READINGS).await;
    let now = hyperhaul_ingest::readings_at(address).await?;
    Ok(now.map(|now| lives(&now, &before, begun.elapsed())))
}

fn render(status: &Status, look: Look) -> String {
    let now = match (&status.streams, status.metrics) {
        (Some(streams), _) => output::live::table(streams, look),
        (None, Some(address)) => format!("No process answers at {address}.\n"),
        (None, None) => {
            let text = "No address for metrics is configured ([metrics], listen): this is what the ledger knows.";
            output::wrap(text, 0, look.width)
        }
    };
    format!(
        "{now}\n{}",
        output::live::sources(&status.sources, "1 h", look)
    )
}
