//! Reading rows for their proof: digests of the target's chunks, hashes of both sides within the server, generated columns;
//! piece by piece, in parallel.

use crate::context::{Context, Places};
use crate::{Error, Meter};
use hyperhaul_catalog::{self as catalog, Chunk};
use hyperhaul_engine::{self as engine, Pool, Side, SourceReader};
use hyperhaul_ledger as ledger;
use hyperhaul_pg::Session;
use hyperhaul_plan::sql::RowHash;
use hyperhaul_plan::{
    AttachedLeaf, ChunkDigest, ChunkRange, Proof, Relation, Slice, TablePlan, Verdict, by_interval,
    compare, sql,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Compares a table's rows on both sides by digests, chunk by chunk. Attached chunks are left out: none of their rows moved.
pub(crate) async fn verdict(
    context: &Context,
    session: &Session,
    index: usize,
    places: Places<'_>,
    meter: &Arc<Meter>,
) -> Result<Verdict, Error> {
    let table = context.table(index)?;
    // After the cutover anybody may have touched them.
    let cut_over = *places.target == table.relation;
    let hash = if cut_over {
        RowHash::Image
    } else {
        RowHash::before_cutover(table)
    };
    let source = match table.proof {
        Proof::Tuples => ledger::source_digests(session, context.run, index).await?,
        Proof::RecordHash => source_hashes(context, session, (index, places, hash), meter).await?,
    };
    let chunks = moved_chunks(session, table, places.target).await?;
    let target = match table.proof {
        Proof::Tuples => target_digests(context, index, chunks, meter).await?,
        Proof::RecordHash => target_hashes(context, (index, hash), chunks, meter).await?,
    };
    let given: Vec<ChunkRange> = table.staged.iter().map(|leaf| leaf.range).collect();
    let whole = |digests| by_interval(digests, table.chunk_interval_us, &given);
    Ok(compare(&whole(source), &whole(target)))
}

/// Reads what a verification of these slices would read, for a calibration; there is nothing to compare.
pub(crate) async fn of_sample(
    context: &Context,
    index: usize,
    slices: &[Slice],
    meter: &Arc<Meter>,
) -> Result<(), Error> {
    let table = context.table(index)?;
    let session = context.target("verify").await?;
    let chunks = catalog::chunks(&session, &table.staging).await?;
    if table.proof == Proof::Tuples {
        target_digests(context, index, chunks, meter).await?;
        return Ok(());
    }
    let hash = RowHash::before_cutover(table);
    let source = &table.relation;
    slice_hashes(context, (index, hash), slices.to_vec(), source, meter).await?;
    target_hashes(context, (index, hash), chunks, meter).await?;
    Ok(())
}

/// The chunks that rows were moved into, or have been made since.
async fn moved_chunks(
    session: &Session,
    table: &TablePlan,
    hypertable: &Relation,
) -> Result<Vec<Chunk>, Error> {
    let mut chunks = catalog::chunks(session, hypertable).await?;
    chunks.retain(|chunk| {
        let mut attached = table.attached.iter();
        !attached.any(|leaf| leaf.leaf == chunk.relation)
    });
    Ok(chunks)
}

/// Digests of chunks, each re-read by one of the run's workers.
async fn target_digests(
    context: &Context,
    index: usize,
    chunks: Vec<Chunk>,
    meter: &Arc<Meter>,
) -> Result<Vec<ChunkDigest>, Error> {
    let pool = Arc::new(Pool::new(context.workers())?);
    let digested = each(context, index, chunks, async |task: &Task, chunk: Chunk| {
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
    });
    digested.await
}

/// The server's hashes of the rows in chunks.
async fn target_hashes(
    context: &Context,
    (index, hash): (usize, RowHash),
    chunks: Vec<Chunk>,
    meter: &Arc<Meter>,
) -> Result<Vec<ChunkDigest>, Error> {
    let hashed = each(context, index, chunks, async |task: &Task, chunk: Chunk| {
        let sql = sql::chunk_hash_sql(task.table()?, &chunk.relation, hash);
        let hashes = task.hashes(&sql, |_| chunk.range, meter).await?;
        meter.item_done();
        Ok(hashes)
    });
    Ok(hashed.await?.into_iter().flatten().collect())
}

/// The server's hashes of the rows of attached partitions, by the ranges that they have as chunks; of one without rows there
/// is none. Of the binary form: no change of a value goes unseen.
pub(crate) async fn leaf_hashes(
    context: &Context,
    index: usize,
    meter: &Arc<Meter>,
) -> Result<Vec<ChunkDigest>, Error> {
    let leaves = context.table(index)?.attached.clone();
    let hashed = each(
        context,
        index,
        leaves,
        async |task: &Task, leaf: AttachedLeaf| {
            let sql = sql::chunk_hash_sql(task.table()?, &leaf.leaf, RowHash::Image);
            task.hashes(&sql, |_| leaf.range, meter).await
        },
    );
    let mut hashes: Vec<ChunkDigest> = hashed.await?.into_iter().flatten().collect();
    hashes.sort_by_key(|hash| hash.range);
    Ok(hashes)
}

/// The server's hashes of the source's rows: slice by slice, so that large leaves are hashed in parallel too.
async fn source_hashes(
    context: &Context,
    session: &Session,
    (index, places, hash): (usize, Places<'_>, RowHash),
    meter: &Arc<Meter>,
) -> Result<Vec<ChunkDigest>, Error> {
    let slices = ledger::slices(session, context.run).await?;
    let of_table = slices.into_iter().map(|record| record.slice);
    let of_table = of_table.filter(|slice| slice.table == index).collect();
    slice_hashes(context, (index, hash), of_table, places.source, meter).await
}

/// The server's hashes of the rows of slices, several of which may have rows of one interval; `source`: where the table itself is, should it be its own leaf.
async fn slice_hashes(
    context: &Context,
    (index, hash): (usize, RowHash),
    of_table: Vec<Slice>,
    source: &Relation,
    meter: &Arc<Meter>,
) -> Result<Vec<ChunkDigest>, Error> {
    let hashed = each(
        context,
        index,
        of_table,
        async |task: &Task, slice: Slice| {
            let table = task.table()?;
            // A table that is not partitioned is its own leaf, and moves at the cutover.
            let leaf = if slice.leaf == table.relation {
                source
            } else {
                &slice.leaf
            };
            let sql = sql::slice_hash_sql(table, &slice, leaf, hash);
            let interval_us = table.chunk_interval_us;
            let range = |start_us| ChunkRange::containing(start_us, interval_us);
            task.hashes(&sql, range, meter).await
        },
    );
    Ok(hashed.await?.into_iter().flatten().collect())
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
    let target = context.target("verify").await?;
    let chunks = moved_chunks(&target, context.table(index)?, hypertable).await?;
    let counts = each(context, index, chunks, async |task: &Task, chunk: Chunk| {
        let chunk = &chunk.relation;
        task.asked(catalog::generated_mismatches(
            &task.session,
            chunk,
            &found.columns,
        ))
        .await
    });
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
        self.context.table(self.index)
    }

    /// What the server answers this task's session, unless the run is to give up what is open.
    async fn asked<T, E: Into<Error>>(
        &self,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error> {
        tokio::select! {
            answer = answer => answer.map_err(Into::into),
            () = self.context.interrupt.aborted() => {
                // The server would go on without being told.
                self.session.canceller().cancel().await?;
                Err(Error::interrupted())
            }
        }
    }

    /// Asks for hashes of rows, one for each interval; `range` tells an interval by its start.
    async fn hashes(
        &self,
        sql: &str,
        range: impl Fn(i64) -> ChunkRange,
        meter: &Meter,
    ) -> Result<Vec<ChunkDigest>, Error> {
        let rows = self.asked(self.session.query(sql, &[])).await?;
        let mut hashes = Vec::new();
        for row in rows {
            let (start_us, count, sum): (i64, i64, String) = (row.get(0), row.get(1), row.get(2));
            let sum: i128 = sum
                .parse()
                .map_err(|_| Error::unexpected("the server's sum of hashes is no whole number"))?;
            let rows = count.unsigned_abs();
            meter.progress.add(rows, 0);
            hashes.push(ChunkDigest {
                range: range(start_us),
                rows,
                sum: ChunkDigest::sum_text(sum.cast_unsigned()),
            });
        }
        Ok(hashes)
    }
}

/// Runs `work` on every piece, several at a time, each thread with its own sessions.
async fn each<I, T>(
    context: &Context,
    index: usize,
    pieces: Vec<I>,
    work: impl AsyncFn(&Task, I) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let threads = context.workers().min(pieces.len());
    let queue = Mutex::new(VecDeque::from(pieces));
    let is_work_left = || {
        !queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    };
    let lane = async |number: usize| {
        let task = Task {
            context: context.clone(),
            index,
            session: context.target("verify").await?,
            reader: SourceReader::start_on(Side::Target, &context.connections.target, None)?,
        };
        let mut results = Vec::new();
        loop {
            if context.interrupt.draining() {
                return Err(Error::interrupted());
            }
            if number > 0 && number + 1 == threads {
                context.leave_a_core(is_work_left).await;
            }
            let next = queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            let Some(piece) = next else {
                return Ok(results);
            };
            results.push(work(&task, piece).await?);
        }
    };
    // Reading and digesting happen on the readers' threads and on the pool; these futures only wait.
    let lanes: Vec<_> = (0..threads).map(lane).collect();
    let results: Result<Vec<Vec<T>>, Error> = futures_util::future::join_all(lanes)
        .await
        .into_iter()
        .collect();
    Ok(results?.into_iter().flatten().collect())
}
