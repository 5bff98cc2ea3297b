//! Two (or more) pipes of psql, each taking partition after partition.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};

use super::hypertable::LeafToChunk;
use super::{Bench, Shared, hypertable};
use crate::client::children_cpu_seconds;
use crate::database::{DATABASE, SCHEMA};
use crate::measured::Measured;

pub(super) async fn run(bench: &Bench<'_>) -> Result<Measured> {
    let session = bench.database.session().await?;
    hypertable::create(&session, false).await?;
    let pairs = Shared::new(hypertable::create_chunks(&session, bench.database).await?);
    session.batch("CHECKPOINT").await?;
    let url = bench.database.url(DATABASE)?;
    let cpu_before = children_cpu_seconds()?;
    let begun = Instant::now();
    thread::scope(|scope| {
        let pipe = || -> Result<()> {
            while let Some(pair) = pairs.next() {
                copy(&url, &pair)?;
            }
            Ok(())
        };
        let pipes: Vec<_> = (0..bench.workers).map(|_| scope.spawn(pipe)).collect();
        pipes.into_iter().try_for_each(|pipe| {
            pipe.join()
                .map_err(|_| anyhow!("a pipe's thread panicked"))?
        })
    })?;
    let copy_seconds = begun.elapsed().as_secs_f64();
    let client_cpu_seconds = Some(children_cpu_seconds()? - cpu_before);
    hypertable::count(&session, &format!("{SCHEMA}.fixes"), bench.database).await?;
    Ok(Measured {
        copy_seconds,
        client_cpu_seconds,
        ..Measured::default()
    })
}

fn copy(url: &str, pair: &LeafToChunk) -> Result<()> {
    let psql = |sql: &str| {
        let mut command = Command::new("psql");
        // Table names of ways other than hyperhaul are qualified but for PostGIS's functions, which the server finds itself.
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]);
        command
    };
    let mut reader = psql(&pair.copy_to("STDOUT"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("could not run psql")?;
    let stream = reader.stdout.take().context("psql has no output")?;
    let writer = psql(&pair.copy_from("STDIN"))
        .stdin(stream)
        .stdout(Stdio::null())
        .status()
        .context("could not run psql")?;
    let reader = reader.wait().context("could not wait for psql")?;
    ensure!(
        writer.success() && reader.success(),
        "a psql of the pipe for {} failed",
        pair.leaf.name
    );
    Ok(())
}
