//! What the server needs by itself: COPY TO file and COPY FROM file, over as many sessions as the other ways have workers. No client
//! can be faster with COPY, unless it makes the server do less.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use hyperhaul_pg::Session;
use tokio::task::JoinSet;

use super::hypertable::LeafToChunk;
use super::{Bench, Shared, hypertable};
use crate::database::SCHEMA;
use crate::measured::Measured;

pub(super) async fn run(bench: &Bench<'_>) -> Result<Measured> {
    let session = bench.database.session().await?;
    hypertable::create(&session, false).await?;
    let pairs = Arc::new(Shared::new(
        hypertable::create_chunks(&session, bench.database).await?,
    ));
    // Where the server may write: in its own data directory, on the same file system as the tables.
    let data_directory: String = session
        .query_one("SELECT current_setting('data_directory')", &[])
        .await?
        .get(0);
    let folder = format!("{data_directory}/hyperhaul_bench");
    shell(&session, &format!("mkdir -p \"{folder}\"")).await?;
    let mut sessions = Vec::new();
    for _ in 0..bench.workers {
        sessions.push(bench.database.session().await?);
    }
    session.batch("CHECKPOINT").await?;
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for session in sessions {
        running.spawn(copy_all(session, Arc::clone(&pairs), folder.clone()));
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    let copy_seconds = begun.elapsed().as_secs_f64();
    shell(&session, &format!("rm -r \"{folder}\"")).await?;
    hypertable::count(&session, &format!("{SCHEMA}.fixes"), bench.database).await?;
    Ok(Measured {
        copy_seconds,
        ..Measured::default()
    })
}

async fn copy_all(session: Session, pairs: Arc<Shared<LeafToChunk>>, folder: String) -> Result<()> {
    while let Some(pair) = pairs.next() {
        let file = format!("'{folder}/{}.{}'", pair.leaf.name, session.backend_pid());
        session.batch(&pair.copy_to(&file)).await?;
        session.batch(&pair.copy_from(&file)).await?;
    }
    Ok(())
}

/// Runs a command as the server's user, on the server's machine. Without rows, which it would have to read.
async fn shell(session: &Session, command: &str) -> Result<()> {
    let literal = command.replace('\'', "''");
    Ok(session
        .batch(&format!("COPY (SELECT WHERE false) TO PROGRAM '{literal}'"))
        .await?)
}
