//! The plan that SOAR wrote to be run by hand: a new hypertable, INSERT ... SELECT, keys and indexes in order, row counts compared.
//!
//! In a schema of its own instead of after a rename: the old table's indexes have the names that the new ones get. The plan
//! leaves planner statistics to autovacuum; here they are gathered after all else, since hyperhaul gathers them too.

use std::time::Instant;

use anyhow::Result;

use super::{Bench, hypertable};
use crate::database::SCHEMA;
use crate::fixes::{COLUMNS, KEYS_AND_INDEXES};
use crate::measured::{Measured, Part};

pub(super) async fn run(bench: &Bench<'_>) -> Result<Measured> {
    let session = bench.database.session().await?;
    let begun = Instant::now();
    hypertable::create(&session, true).await?;
    let mut parts = vec![Part {
        title: "create_hypertable".to_owned(),
        seconds: begun.elapsed().as_secs_f64(),
    }];
    let copy = format!("INSERT INTO {SCHEMA}.fixes ({COLUMNS}) SELECT {COLUMNS} FROM public.fixes");
    for (title, sql) in
        std::iter::once(("INSERT ... SELECT", copy.as_str())).chain(KEYS_AND_INDEXES)
    {
        let step = Instant::now();
        session.batch(sql).await?;
        parts.push(Part {
            title: title.to_owned(),
            seconds: step.elapsed().as_secs_f64(),
        });
    }
    let lifecycle_seconds = begun.elapsed().as_secs_f64();
    let step = Instant::now();
    session
        .batch(&format!(
            "SELECT (SELECT count(*) FROM public.fixes) = (SELECT count(*) FROM {SCHEMA}.fixes)"
        ))
        .await?;
    let verified_seconds = begun.elapsed().as_secs_f64();
    parts.push(Part {
        title: "compare counts".to_owned(),
        seconds: step.elapsed().as_secs_f64(),
    });
    let step = Instant::now();
    session.batch(&format!("ANALYZE {SCHEMA}.fixes")).await?;
    let whole_seconds = begun.elapsed().as_secs_f64();
    parts.push(Part {
        title: "ANALYZE".to_owned(),
        seconds: step.elapsed().as_secs_f64(),
    });
    hypertable::count(&session, &format!("{SCHEMA}.fixes"), bench.database).await?;
    Ok(Measured {
        copy_seconds: parts.get(1).map_or(0.0, |part| part.seconds),
        lifecycle_seconds: Some(lifecycle_seconds),
        verified_seconds: Some(verified_seconds),
        whole_seconds: Some(whole_seconds),
        parts,
        ..Measured::default()
    })
}
