//! One slice: claimed, copied (or inserted by the server itself) and marked in one transaction of the target.

mod beside;
mod destination;

use crate::Error;
use crate::context::Context;
use beside::Manners;
use chrono::Utc;
use destination::{destination, key, one_chunk};
use hyperhaul_catalog::{self as catalog, Chunk};
use hyperhaul_engine::{
    self as engine, ArrayRewrite, ChunkKey, CopyRequest, Destination, Pool, Progress, SourceReader,
};
use hyperhaul_ledger::failpoint;
use hyperhaul_ledger::{self as ledger, Batch, ChunkRows, SliceResult};
use hyperhaul_pg::{Disposition, Session};
use hyperhaul_pgcopy::Digest;
use hyperhaul_plan::{ChunkRange, Plan, Relation, Slice, SliceId, Strategy, TablePlan, sql};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What became of a worker's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// A slice was copied and committed.
    Copied(Finished),
    /// Every slice is done or claimed.
    NonePending,
    /// The slice's leaf is another file than the one that was cut: nothing was copied, the leaf is to be cut anew.
    Rewritten,
}

/// A slice that was copied and committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Finished {
    /// Index into the plan's tables.
    pub(crate) table: usize,
    /// Oid of its leaf.
    pub(crate) leaf_oid: u32,
    /// Bytes of heap and TOAST.
    pub(crate) bytes: u64,
    /// From claim to commit.
    pub(crate) elapsed: Duration,
}

/// Slices that a worker could not move. Others come first, so that one in whose way somebody stands holds none of them up.
#[derive(Debug, Default)]
pub(crate) struct Hindered(Mutex<BTreeSet<SliceId>>);

impl Hindered {
    fn add(&self, slice: SliceId) {
        self.locked().insert(slice);
    }

    fn list(&self) -> Vec<SliceId> {
        self.locked().iter().copied().collect()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeSet<SliceId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sessions of a worker, and what it knows of the tables that it has met.
pub(crate) struct SliceWorker {
    context: Context,
    target: Session,
    /// Looks at leaves; their rows come through the reader.
    source: Session,
    reader: SourceReader,
    pool: Arc<Pool>,
    progress: Progress,
    /// Number of the worker in this process.
    number: u32,
    /// Where its rows go beside live ones.
    manners: Option<Manners>,
    tables: HashMap<usize, KnownTable>,
}

/// What moving a slice's rows came to.
struct Moved {
    rows: u64,
    /// Of those, how many stayed out because a live row has their key.
    skipped: u64,
    bytes: u64,
    chunks: Vec<ChunkRows>,
}

/// A table's chunks and rewrites: they do not change while slices are copied.
struct KnownTable {
    chunks: Vec<Chunk>,
    rewrites: Vec<ArrayRewrite>,
}

impl KnownTable {
    /// The chunk of this interval.
    fn chunk(&self, range: Option<ChunkRange>) -> Option<&Relation> {
        let mut chunks = self.chunks.iter();
        let found = chunks.find(|chunk| Some(chunk.range) == range);
        found.map(|chunk| &chunk.relation)
    }
}

impl SliceWorker {
    /// Opens the sessions. A backend that an earlier try has lost is ended first: it may still hold its slice.
    pub(crate) async fn open(
        context: &Context,
        pool: Arc<Pool>,
        progress: Progress,
        number: u32,
        lost_backend: Option<i32>,
    ) -> Result<SliceWorker, Error> {
        let target = context.target("worker").await?;
        if let Some(pid) = lost_backend {
            catalog::end_backend(&target, pid).await?;
        }
        let manners = Manners::of(context, &target).await?;
        let source = context.source("worker").await?;
        let reader = SourceReader::start(&context.connections.source, None)?;
        Ok(SliceWorker {
            context: context.clone(),
            target,
            source,
            reader,
            pool,
            progress,
            number,
            manners,
            tables: HashMap::new(),
        })
    }

    /// Pid of the target's backend.
    pub(crate) fn target_pid(&self) -> i32 {
        self.target.backend_pid()
    }

    /// Claims and copies a slice of a batch.
    ///
    /// # Errors
    ///
    /// After one, the sessions are to be given up: the transaction may still be open.
    pub(crate) async fn next_slice(
        &mut self,
        batch: Batch,
        hindered: &Hindered,
    ) -> Result<Turn, Error> {
        self.target.batch("BEGIN").await?;
        self.target.limit_lock_waits(self.lock_timeout_ms()).await?;
        let run = self.context.run;
        let claimed = ledger::claim(&self.target, run, batch, &hindered.list()).await?;
        let Some(mut slice) = claimed else {
            self.target.batch("ROLLBACK").await?;
            return Ok(Turn::NonePending);
        };
        slice.leaf = self.context.plan.leaf_when_copied(&slice).clone();
        let claimed = Instant::now();
        failpoint("slice.claimed");
        let moved = self
            .move_rows(&slice)
            .await
            .map_err(|error| about(&self.context.plan, &slice, error));
        if let Err(error) = moved {
            self.target.roll_back().await;
            hindered.add(slice.id);
            return Err(error);
        }
        // Only now: rows that were read from another file are rows of other slices.
        if !self.is_same_file(&slice).await? {
            self.target.roll_back().await;
            return Ok(Turn::Rewritten);
        }
        failpoint("slice.before_commit");
        match self.target.batch("COMMIT").await {
            Ok(()) => {}
            Err(error) if error.disposition() == Disposition::Reconnect => {
                self.settle(slice.id, error).await?
            }
            Err(error) => return Err(error.into()),
        }
        failpoint("slice.after_commit");
        Ok(Turn::Copied(Finished {
            table: slice.table,
            leaf_oid: slice.leaf_oid,
            bytes: slice.bytes,
            elapsed: claimed.elapsed(),
        }))
    }

    /// Whether the leaf still is the file that was cut. Files are never reused, so it was all the while that it was read,
    /// whether or not the guard held it.
    async fn is_same_file(&self, slice: &Slice) -> Result<bool, Error> {
        let files = catalog::file_numbers(&self.source, &[slice.leaf_oid]).await?;
        Ok(files.first() == Some(&Some(slice.relfilenode)))
    }

    /// The answer to COMMIT was lost: the ledger knows whether it happened. It is asked in a new session, after the
    /// old backend has ended: until then the outcome may still change.
    async fn settle(&mut self, slice: SliceId, lost: hyperhaul_pg::Error) -> Result<(), Error> {
        let old_backend = self.target.backend_pid();
        self.target = self.context.target("worker").await?;
        catalog::end_backend(&self.target, old_backend).await?;
        if ledger::is_done(&self.target, self.context.run, slice).await? {
            Ok(())
        } else {
            Err(lost.into())
        }
    }

    /// Moves a slice's rows in a transaction that the ledger knows nothing of: for calibrations.
    ///
    /// # Errors
    ///
    /// After one, the sessions are to be given up.
    pub(crate) async fn load_unmarked(&mut self, slice: &Slice) -> Result<(), Error> {
        self.target.batch("BEGIN").await?;
        self.transfer(slice).await?;
        Ok(self.target.batch("COMMIT").await?)
    }

    /// Moves the slice's rows by its strategy, and marks it.
    async fn move_rows(&mut self, slice: &Slice) -> Result<(), Error> {
        let started_at = Utc::now();
        let moved = self.transfer(slice).await?;
        failpoint("slice.copied");
        let result = SliceResult {
            rows: moved.rows,
            skipped: moved.skipped,
            bytes: moved.bytes,
            chunks: moved.chunks,
            started_at,
            worker: self.number,
        };
        Ok(ledger::finish_slice(&self.target, self.context.run, slice.id, &result).await?)
    }

    /// Moves the slice's rows by its strategy.
    async fn transfer(&mut self, slice: &Slice) -> Result<Moved, Error> {
        let context = self.context.clone();
        let table = context.table(slice.table)?;
        match slice.strategy {
            Strategy::Server => self.insert(slice, table).await,
            Strategy::Stage => self.stage(slice, table).await,
            Strategy::Copy if table.backfilled => self.copy_beside(slice, table).await,
            Strategy::Copy | Strategy::Attach => self.copy(slice, table).await,
        }
    }

    /// Lets the server itself insert the rows: source and target are one database. Their hashes are for the verification
    /// to ask for, since the source is there as long as there is a way back.
    async fn insert(&mut self, slice: &Slice, table: &TablePlan) -> Result<Moved, Error> {
        let known = self.known_table(slice.table, table).await?;
        let chunk = known.chunk(one_chunk(slice.routing));
        let truncated = slice.sole_writer && chunk.is_some();
        let into = chunk.unwrap_or_else(|| table.copied_into()).clone();
        if truncated {
            // Into a new file, which goes away if this fails: rows that were given up would stay as bloat.
            self.target.batch(&format!("TRUNCATE ONLY {into}")).await?;
        }
        let (rows, skipped) = if table.backfilled {
            self.insert_beside(slice, table, &into).await?
        } else {
            let sql = sql::slice_insert_sql(table, slice, &into);
            (self.executed(&sql).await?, 0)
        };
        self.progress.add(rows, slice.bytes);
        let written = |range| ChunkRows {
            range,
            rows,
            digest: None,
        };
        Ok(Moved {
            rows,
            skipped,
            bytes: slice.bytes,
            chunks: one_chunk(slice.routing).map(written).into_iter().collect(),
        })
    }

    /// Rows that a statement has changed, unless the run is to give up what is open.
    async fn executed(&self, sql: &str) -> Result<u64, Error> {
        tokio::select! {
            rows = self.target.execute(sql, &[]) => Ok(rows?),
            () = self.context.interrupt.aborted() => {
                // The server would go on without being told.
                self.target.canceller().cancel().await?;
                Err(Error::interrupted())
            }
        }
    }

    /// Copies the rows into a table of their own, which this transaction makes.
    async fn stage(&mut self, slice: &Slice, table: &TablePlan) -> Result<Moved, Error> {
        let context = self.context.clone();
        let leaf = context.plan.staged_leaf(slice);
        let leaf = leaf.ok_or_else(|| Error::unexpected("a staged slice has no table to go to"))?;
        for statement in sql::create_staged(&context.plan, slice) {
            self.target.batch(&statement).await?;
        }
        let destination = Destination::OneChunk {
            copy_sql: sql::chunk_copy_sql(table, &leaf.chunk, true),
            chunk: key(leaf.range),
        };
        self.copy_to(destination, slice, table).await
    }

    /// Copies the rows through this process, which digests them on the way.
    async fn copy(&mut self, slice: &Slice, table: &TablePlan) -> Result<Moved, Error> {
        let known = self.known_table(slice.table, table).await?;
        let (destination, truncate) = destination(slice, table, &known.chunks);
        if let Some(chunk) = truncate {
            self.target.batch(&format!("TRUNCATE ONLY {chunk}")).await?;
        }
        self.copy_to(destination, slice, table).await
    }

    async fn copy_to(
        &mut self,
        destination: Destination,
        slice: &Slice,
        table: &TablePlan,
    ) -> Result<Moved, Error> {
        let known = self.known_table(slice.table, table).await?;
        let rewrites = known.rewrites.clone();
        let request = CopyRequest {
            source_sql: sql::slice_copy_sql(table, slice),
            destination,
            rewrites,
        };
        let copy = engine::copy(
            &self.reader,
            &self.target,
            &self.pool,
            request,
            &self.progress,
        );
        let copied = tokio::select! {
            copied = copy => copied?,
            () = self.context.interrupt.aborted() => return Err(Error::interrupted()),
        };
        let written = |(key, digest): (ChunkKey, Digest)| ChunkRows {
            range: ChunkRange {
                start_us: key.start_us,
                end_us: key.end_us,
            },
            rows: digest.rows,
            digest: Some(digest),
        };
        Ok(Moved {
            rows: copied.rows,
            skipped: 0,
            bytes: copied.bytes,
            chunks: copied.digests.into_iter().map(written).collect(),
        })
    }

    async fn known_table(&mut self, index: usize, table: &TablePlan) -> Result<&KnownTable, Error> {
        match self.tables.entry(index) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(new) => {
                let chunks = catalog::chunks(&self.target, table.copied_into()).await?;
                let rewrites = self.context.rewrites(&self.target, table).await?;
                Ok(new.insert(KnownTable { chunks, rewrites }))
            }
        }
    }
}

/// Says which slice failed, and that nothing of it is left.
fn about(plan: &Plan, slice: &Slice, error: Error) -> Error {
    let end = slice
        .end_block
        .map_or("end".to_owned(), |block| block.to_string());
    let what = format!(
        "slice {} ({} blocks {}..{end})",
        slice.id.0,
        slice.leaf.plain(),
        slice.first_block
    );
    let hint = match plan.is_backfill() {
        true => {
            "Nothing of this slice is in; live rows go on. If a foreign key refuses it, put back what its rows refer to. Then run \
             hyperhaul migrate again: it goes on where it stopped."
        }
        false => {
            "Nothing of this slice is in. Resolve it, then run hyperhaul migrate again: it goes on where it stopped."
        }
    };
    error.about(&what).or_hint(hint)
}
