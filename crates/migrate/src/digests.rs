//! Re-reading the target: digests of its chunks and its generated columns, chunk by chunk, in parallel.

use crate::context::Context;
use crate::{Error, Meter};
use hyperhaul_catalog::{self as catalog, Chunk};
use hyperhaul_engine::{self as engine, Pool, SourceReader};
use hyperhaul_pg::Session;
use hyperhaul_plan::{ChunkDigest, Relation, TablePlan, sql};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Digests of the chunks of `hypertable`, each re-read by one of the run's workers.
pub(crate) async fn target_digests(
    context: &Context,
    index: usize,
    hypertable: &Relation,
    meter: &Arc<Meter>,
) -> Result<Vec<ChunkDigest>, Error> {
    let pool = Arc::new(Pool::new(workers(context))?);
    let digested = each_chunk(
        context,
        index,
        hypertable,
        async |task: &Task, chunk: Chunk| {
            let rows = sql::verify_rows_sql(task.table()?, &chunk.relation, None, false);
            let read = engine::digest(&task.reader, &pool, rows, Vec::new(), &meter.progress);
            let digest = tokio::select! {
                digest = read => digest?,
                () = task.context.interrupt.aborted() => return Err(Error::interrupted()),
            };
            meter.item_done();
            Ok(ChunkDigest {
                range: chunk.range,
                rows: digest.rows,
                sum: digest.sum_hex(),
            })
        },
    );
    digested.await
}

/// Generated columns whose stored value is not what their expression gives, with the number of rows.
pub(crate) async fn generated_mismatches(
    context: &Context,
    index: usize,
    hypertable: &Relation,
) -> Result<Vec<(String, u64)>, Error> {
    let Some(found) = context.plan.facts.tables.get(index) else {
        return Ok(Vec::new());
    };
    if found
        .columns
        .iter()
        .all(|column| column.generation.is_none())
    {
        return Ok(Vec::new());
    }
    let counts = each_chunk(
        context,
        index,
        hypertable,
        async |task: &Task, chunk: Chunk| {
            Ok(
                catalog::generated_mismatches(&task.session, &chunk.relation, &found.columns)
                    .await?,
            )
        },
    );
    let mut totals: BTreeMap<String, u64> = BTreeMap::new();
    for (column, rows) in counts.await?.into_iter().flatten() {
        *totals.entry(column).or_default() += rows;
    }
    totals.retain(|_, rows| *rows > 0);
    Ok(totals.into_iter().collect())
}

/// What a thread needs to work on chunks.
struct Task {
    context: Context,
    index: usize,
    session: Session,
    reader: SourceReader,
}

impl Task {
    fn table(&self) -> Result<&TablePlan, Error> {
        self.context
            .plan
            .tables
            .get(self.index)
            .ok_or_else(|| Error::unexpected("there is no such table in the plan"))
    }
}

/// Runs `work` on every chunk, several at a time, each thread with its own sessions.
async fn each_chunk<T: Send + 'static>(
    context: &Context,
    index: usize,
    hypertable: &Relation,
    work: impl AsyncFn(&Task, Chunk) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let target = context.target("verify").await?;
    let chunks = catalog::chunks(&target, hypertable).await?;
    let threads = workers(context).min(chunks.len());
    let queue = Mutex::new(VecDeque::from(chunks));
    let lane = async || {
        let task = Task {
            context: context.clone(),
            index,
            session: context.target("verify").await?,
            reader: SourceReader::start(&context.connections.target, None)?,
        };
        let mut results = Vec::new();
        loop {
            if context.interrupt.draining() {
                return Err(Error::interrupted());
            }
            let next = queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            let Some(chunk) = next else {
                return Ok(results);
            };
            results.push(work(&task, chunk).await?);
        }
    };
    // Reading and digesting happen on the readers' threads and on the pool; these futures only wait.
    let lanes: Vec<_> = (0..threads).map(|_| lane()).collect();
    let results: Result<Vec<Vec<T>>, Error> = futures_util::future::join_all(lanes)
        .await
        .into_iter()
        .collect();
    Ok(results?.into_iter().flatten().collect())
}

fn workers(context: &Context) -> usize {
    usize::try_from(context.plan.workers()).unwrap_or(usize::MAX)
}
