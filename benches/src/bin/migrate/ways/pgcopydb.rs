//! pgcopydb, which knows no hypertables: into plain partitions of another database on the same server.
//!
//! It runs VACUUM ANALYZE on every partition that it has filled, and 0.10 cannot be told not to. That is no part of copying, so it
//! works as a role that may write the partitions but does not own them: the server skips them.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Bench, hypertable};
use crate::client;
use crate::database::{DATABASE, LOADER};
use crate::fixes::DEFINITION;
use crate::measured::Measured;

pub(super) async fn run(bench: &Bench<'_>) -> Result<Measured> {
    let session = bench.database.other_session().await?;
    session
        .batch("CREATE EXTENSION postgis SCHEMA public")
        .await?;
    session
        .batch(&format!(
            "CREATE TABLE public.fixes ({DEFINITION}) PARTITION BY RANGE (received_at)"
        ))
        .await?;
    let mut filter = String::from("[include-only-table]\n");
    for leaf in &bench.database.leaves {
        let (name, bounds) = (&leaf.name, &leaf.bounds);
        session
            .batch(&format!(
                "CREATE TABLE public.{name} PARTITION OF public.fixes FOR VALUES {bounds}"
            ))
            .await?;
        writeln!(filter, "public.{name}")?;
    }
    session
        .batch(&format!(
            "GRANT SELECT, INSERT, TRUNCATE ON ALL TABLES IN SCHEMA public TO {LOADER}"
        ))
        .await?;
    session.batch("CHECKPOINT").await?;
    let folder = std::env::temp_dir().join(format!("hyperhaul_bench_{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    let filter_file = folder.join("filter.ini");
    fs::write(&filter_file, filter)
        .with_context(|| format!("could not write {}", filter_file.display()))?;
    let finished = client::run(
        Command::new("pgcopydb")
            .args([
                "copy",
                "table-data",
                "--table-jobs",
                &bench.workers.to_string(),
                "--not-consistent",
            ])
            .arg("--filters")
            .arg(&filter_file)
            .arg("--dir")
            .arg(folder.join("work"))
            .env("PGCOPYDB_SOURCE_PGURI", bench.database.url(DATABASE)?)
            .env("PGCOPYDB_TARGET_PGURI", bench.database.url_as_loader()?),
    );
    fs::remove_dir_all(&folder)
        .with_context(|| format!("could not remove {}", folder.display()))?;
    let finished = finished?;
    hypertable::count(&session, "public.fixes", bench.database).await?;
    Ok(Measured {
        copy_seconds: finished.seconds,
        client_cpu_seconds: Some(finished.cpu_seconds),
        ..Measured::default()
    })
}
