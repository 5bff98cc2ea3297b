//! Making the target's chunks before rows come.
//!
//! Whoever makes a chunk holds a lock on the hypertable until its transaction ends, so loaders that make chunks as they
//! go run one after another. The Apache edition has no way to make a chunk but to insert a row: one real row of the
//! source goes through the hypertable for each, and the chunk is truncated, in the same transaction.

use crate::context::Context;
use crate::steps::Lane;
use crate::{Error, Meter};
use chrono::Utc;
use hyperhaul_catalog as catalog;
use hyperhaul_engine::{
    self as engine, ArrayRewrite, ChunkKey, CopyRequest, Destination, Pool, Progress, SourceReader,
};
use hyperhaul_ledger as ledger;
use hyperhaul_ledger::failpoint;
use hyperhaul_pg::Session;
use hyperhaul_plan::{ChunkRange, Relation, Routing, Step, TablePlan, sql};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Chunks that one transaction makes: bounds its locks.
const CHUNKS_PER_TRANSACTION: usize = 64;

/// A row that lies in a chunk: of this leaf, at this ctid (any row, where the leaf lies in one chunk).
type Sample = (Relation, Option<String>);

/// Makes every chunk that has rows, then marks the step. Chunks that an earlier process made are left alone: no slice is
/// copied before the mark is set, so whatever is truncated here is empty but for the row just put in.
pub(crate) async fn create(
    context: &Context,
    step: &Step,
    index: usize,
    meter: &Arc<Meter>,
) -> Result<(), Error> {
    let table = context.table(index)?;
    let started_at = Utc::now();
    let source = context.source("chunks").await?;
    let target = context.target("chunks").await?;
    let wanted = wanted_chunks(context, &source, &target, index, table).await?;
    source.close().await;
    let existing = existing(&target, table).await?;
    let missing: Vec<(&ChunkRange, &Sample)> = wanted
        .iter()
        .filter(|(range, _)| !existing.contains(range))
        .collect();
    let reader = SourceReader::start(&context.connections.source, None)?;
    let pool = Pool::new(1)?;
    for samples in missing.chunks(CHUNKS_PER_TRANSACTION) {
        if context.interrupt.draining() {
            return Err(Error::interrupted());
        }
        create_some(context, &reader, &target, &pool, table, samples).await?;
        failpoint("chunks.some");
        meter
            .items_done
            .fetch_add(samples.len() as u64, Ordering::Relaxed);
    }
    Lane::open(context).await?.mark(step, started_at).await
}

/// Makes these chunks, as far as they are still missing. Whoever else makes chunks waits: what is truncated was made
/// here, and no sample goes into a chunk that is there already.
pub(crate) async fn create_some(
    context: &Context,
    reader: &SourceReader,
    target: &Session,
    pool: &Pool,
    table: &TablePlan,
    samples: &[(&ChunkRange, &Sample)],
) -> Result<(), Error> {
    let rewrites = context.rewrites(target, table).await?;
    let lock_timeout_ms = context.plan.options.lock_timeout_ms;
    let lock = format!(
        "LOCK TABLE ONLY {} IN SHARE UPDATE EXCLUSIVE MODE",
        table.staging
    );
    target
        .transaction(async || {
            target.limit_lock_waits(lock_timeout_ms).await?;
            target.batch(&lock).await?;
            let before = existing(target, table).await?;
            let missing: Vec<&Sample> = samples
                .iter()
                .filter(|(range, _)| !before.contains(range))
                .map(|(_, sample)| *sample)
                .collect();
            if missing.is_empty() {
                return Ok(());
            }
            let request = sample_request(table, &missing, rewrites);
            engine::copy(reader, target, pool, request, &Progress::new()).await?;
            for chunk in catalog::chunks(target, &table.staging).await? {
                if !before.contains(&chunk.range) {
                    target
                        .batch(&format!("TRUNCATE ONLY {}", chunk.relation))
                        .await?;
                }
            }
            failpoint("chunks.before_commit");
            Ok::<(), Error>(())
        })
        .await
}

/// One row for each sample, through the hypertable.
fn sample_request(
    table: &TablePlan,
    samples: &[&Sample],
    rewrites: Vec<ArrayRewrite>,
) -> CopyRequest {
    let samples: Vec<(&Relation, Option<&str>)> = samples
        .iter()
        .map(|(leaf, ctid)| (leaf, ctid.as_deref()))
        .collect();
    // The digest's key has no meaning here.
    let nowhere = ChunkKey {
        start_us: 0,
        end_us: 0,
    };
    CopyRequest {
        source_sql: sql::sample_rows_sql(table, &samples),
        destination: Destination::OneChunk {
            copy_sql: sql::chunk_copy_sql(table, &table.staging, false),
            chunk: nowhere,
        },
        rewrites,
    }
}

async fn existing(target: &Session, table: &TablePlan) -> Result<BTreeSet<ChunkRange>, Error> {
    let chunks = catalog::chunks(target, &table.staging).await?;
    Ok(chunks.into_iter().map(|chunk| chunk.range).collect())
}

/// The chunks that hold rows, each with a row that lies in it. A leaf that lies in one chunk needs no look at its rows.
async fn wanted_chunks(
    context: &Context,
    source: &Session,
    target: &Session,
    index: usize,
    table: &TablePlan,
) -> Result<BTreeMap<ChunkRange, Sample>, Error> {
    let slices = ledger::slices(target, context.run).await?;
    let mut leaves: BTreeMap<&Relation, Routing> = BTreeMap::new();
    for record in slices.iter().filter(|record| record.slice.table == index) {
        leaves.insert(&record.slice.leaf, record.slice.routing);
    }
    let mut wanted = BTreeMap::new();
    for (leaf, routing) in leaves {
        match routing {
            Routing::OneChunk(range) => {
                wanted.entry(range).or_insert_with(|| (leaf.clone(), None));
            }
            Routing::ByTime => {
                for row in source.query(&sql::chunk_rows_sql(table, leaf), &[]).await? {
                    let range = ChunkRange::containing(row.get(0), table.chunk_interval_us);
                    wanted.insert(range, (leaf.clone(), Some(row.get::<_, String>(1))));
                }
            }
        }
    }
    Ok(wanted)
}
