//! Calibration: moves a sample of real rows into a scratch hypertable, builds and verifies it as a run would, takes the time,
//! and drops it. The source is only read, and so are the tables that foreign keys refer to.
//!
//! ```text
//! for each table:  scratch made --> sample loaded by each feasible way --> keys, indexes, foreign keys --> verified --> dropped
//! ```

use crate::context::Context;
use crate::observe::Silent;
use crate::slice::SliceWorker;
use crate::{Connections, Error, Interrupt, Meter, RunId, chunks, columnstore, digests};
use futures_util::future::join_all;
use hyperhaul_catalog as catalog;
use hyperhaul_engine::{Pool, Progress, SourceReader};
use hyperhaul_ledger as ledger;
use hyperhaul_ledger::failpoint;
use hyperhaul_pg::Session;
use hyperhaul_plan::sql::{self, Scratch};
use hyperhaul_plan::{
    Estimate, Measured, MeasuredAttach, Plan, Relation, Routing, Slice, Strategy, Topology,
    calibrated, sample,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{iter, slice};

/// A sample holds what a worker may load in the time that is given, at this rate: 1.3 GB took two workers 6.4 to 9.4 s.
const BYTES_PER_S: f64 = 60e6;

/// The part of a sample's bytes that is copied to be attached: into a table with all its indexes, which takes longer.
const LEAF_PART: u64 = 32;

/// Measures every table of the plan whose rows are moved, and makes an estimate of it. `a_way`: how long loading by one way
/// may take for each table, roughly. `survey`: how long the look at both servers took, which a run repeats.
///
/// # Errors
///
/// If another calibration is at work in the target, or a server refuses what a run would do as well. The scratch is dropped.
pub(crate) async fn calibrate(
    connections: &Connections,
    plan: &Plan,
    a_way: Duration,
    survey: Duration,
) -> Result<Estimate, Error> {
    let target = connections.target("calibrate").await?;
    if !ledger::try_calibrate(&target).await? {
        return Err(Error::blocked(
            "another hyperhaul plan --calibrate is at work in this database",
        )
        .hint("Wait for it, or end its session: it is named hyperhaul in pg_stat_activity."));
    }
    let measured = measure(connections, plan, &target, a_way).await;
    // Also after a failure, which matters more than one to drop.
    let dropped = target.batch(&sql::drop_scratch()).await;
    let measured = measured?;
    dropped?;
    Ok(calibrated(plan, &measured, survey.as_secs_f64()))
}

/// Drops what a killed calibration has left, if there is something and nobody is at it.
pub(crate) async fn drop_leftovers(target: &Session) -> Result<(), Error> {
    if ledger::scratch_is_left(target, sql::SCRATCH_SCHEMA).await?
        && ledger::try_calibrate(target).await?
    {
        target.batch(&sql::drop_scratch()).await?;
        // The plan that is to be made may calibrate itself, in another session.
        ledger::end_calibration(target).await?;
    }
    Ok(())
}

async fn measure(
    connections: &Connections,
    plan: &Plan,
    target: &Session,
    a_way: Duration,
) -> Result<Vec<Measured>, Error> {
    let mut measured = Vec::new();
    for index in 0..plan.tables.len() {
        let bytes = a_way.as_secs_f64() * BYTES_PER_S * f64::from(plan.width());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and seconds are not negative"
        )]
        let slices = sample(plan, index, bytes as u64);
        let scratch = sql::scratch(plan, index, bytes as u64 / LEAF_PART);
        if let Some(scratch) =
            scratch.filter(|scratch| !slices.is_empty() || !scratch.leaves.is_empty())
        {
            let trial = Trial::new(connections, plan, index, scratch, slices);
            measured.push(trial.run(target).await?);
        }
    }
    Ok(measured)
}

/// One table's sample and its scratch hypertable.
struct Trial {
    context: Context,
    index: usize,
    scratch: Scratch,
    slices: Vec<Slice>,
}

impl Trial {
    /// The context is that of a run whose staging is the scratch, and which the ledger does not know.
    fn new(
        connections: &Connections,
        plan: &Plan,
        index: usize,
        scratch: Scratch,
        slices: Vec<Slice>,
    ) -> Trial {
        let mut plan = plan.clone();
        if let Some(table) = plan.tables.get_mut(index) {
            table.clone_from(&scratch.table);
        }
        let interrupt = Interrupt::default();
        let context = Context::new(connections, RunId(0), plan, &interrupt, Arc::new(Silent));
        Trial {
            context,
            index,
            scratch,
            slices,
        }
    }

    async fn run(&self, target: &Session) -> Result<Measured, Error> {
        let mut measured = Measured {
            table: self.index,
            share: self.share(),
            rows: self.rows(),
            chunks: self.chunk_count(),
            ..Measured::default()
        };
        for strategy in self.ways() {
            measured.create_s = timed(self.run_all(target, &self.scratch.create)).await?;
            measured.attach = self.attach(target, &mut measured).await?;
            measured.chunk_s = self.make_chunks(target).await?;
            let loaded_s = timed(self.load(strategy)).await?;
            if !self.slices.is_empty() {
                measured.load_s.push((strategy, loaded_s));
            }
            failpoint("calibrate.loaded");
        }
        let scratch = &self.scratch;
        if measured.attach.is_none() {
            self.build(target, &mut measured).await?;
        }
        let validations = self.validations(target).await?;
        measured.foreign_keys_s = timed(self.run_all(target, &validations)).await?;
        failpoint("calibrate.built");
        self.to_columnstore(target, &mut measured).await?;
        measured.verify_s = timed(self.verify()).await?;
        measured.analyze_s = timed(async { Ok(target.batch(&scratch.analyze).await?) }).await?;
        Ok(measured)
    }

    /// What the validation of the foreign keys asks. TimescaleDB (2.19 and 2.29) has the hypertable's own constraint look at all rows,
    /// and then each chunk's at its own.
    async fn validations(&self, target: &Session) -> Result<Vec<String>, Error> {
        let hypertable = &self.scratch.table.staging;
        let chunks = catalog::chunks(target, hypertable).await?;
        let chunks = chunks.into_iter().map(|chunk| chunk.relation);
        let relations: Vec<Relation> = iter::once(hypertable.clone()).chain(chunks).collect();
        let keys = self.scratch.foreign_keys.iter();
        Ok(keys.flat_map(|key| key.validate(&relations)).collect())
    }

    /// Keys, indexes and foreign keys that are not validated: over the sample, or beforehand where partitions are attached.
    async fn build(&self, target: &Session, measured: &mut Measured) -> Result<(), Error> {
        let scratch = &self.scratch;
        measured.keys_s = timed(self.run_all(target, &scratch.keys)).await?;
        measured.indexes_s = timed(self.build_indexes()).await?;
        let keys = &scratch.foreign_keys;
        let stand_ins: Vec<String> = keys.iter().flat_map(|key| key.make_stand_in()).collect();
        self.run_all(target, &stand_ins).await?;
        let add: Vec<String> = keys.iter().map(|key| key.add()).collect();
        measured.add_foreign_keys_s = timed(self.run_all(target, &add)).await?;
        Ok(())
    }

    /// Attaches what the scratch has for it; `None`: nothing is attached.
    async fn attach(
        &self,
        target: &Session,
        measured: &mut Measured,
    ) -> Result<Option<MeasuredAttach>, Error> {
        let mut attached = MeasuredAttach::default();
        let Some(largest) = self.scratch.leaves.iter().map(|leaf| leaf.bytes).max() else {
            return Ok(None);
        };
        self.build(target, measured).await?;
        for leaf in &self.scratch.leaves {
            self.run_all(target, &leaf.make).await?;
            let seconds = timed(self.run_all(target, slice::from_ref(&leaf.attach))).await?;
            if leaf.bytes == largest {
                (attached.part_s, attached.part_bytes) = (seconds, leaf.bytes);
                attached.part_rows = leaf.rows;
            } else {
                attached.empty_s = seconds;
            }
        }
        // The stand-ins would refuse the rows that are loaded beside the partitions.
        let keys = self.scratch.foreign_keys.iter();
        let drop: Vec<String> = keys.map(|key| key.drop()).collect();
        self.run_all(target, &drop).await?;
        Ok(Some(attached))
    }

    /// Where a run does so before the cutover; there as many chunks at once as there are workers.
    async fn to_columnstore(&self, target: &Session, measured: &mut Measured) -> Result<(), Error> {
        let Some(statements) = &self.scratch.columnstore else {
            return Ok(());
        };
        let begun = Instant::now();
        self.run_all(target, statements).await?;
        let hypertable = &self.scratch.table.staging;
        measured.columnstore_share =
            columnstore::turn_scratch(&self.context, target, hypertable).await?;
        #[expect(clippy::cast_precision_loss, reason = "a number of workers")]
        let lanes = self.lanes(self.slices.len()) as f64;
        measured.columnstore_s = begun.elapsed().as_secs_f64() / lanes;
        Ok(())
    }

    /// The part of the bytes to be moved that the sample has.
    #[expect(clippy::cast_precision_loss, reason = "a share needs few digits")]
    fn share(&self) -> f64 {
        let bytes = |slices: &mut dyn Iterator<Item = &Slice>| {
            slices.map(|slice| slice.bytes.max(1)).sum::<u64>()
        };
        let own = bytes(&mut self.slices.iter());
        let mut planned = self
            .context
            .plan
            .slices
            .iter()
            .filter(|slice| slice.table == self.index);
        // Where all rows are attached there are no slices.
        (own as f64 / bytes(&mut planned).max(1) as f64).clamp(f64::MIN_POSITIVE, 1.0)
    }

    fn rows(&self) -> u64 {
        let slices = self.slices.iter().map(|slice| slice.rows_estimate);
        let leaves = self.scratch.leaves.iter().map(|leaf| leaf.rows);
        slices.chain(leaves).sum()
    }

    fn chunk_count(&self) -> u32 {
        let ranges = self.slices.iter().filter_map(|slice| match slice.routing {
            Routing::OneChunk(range) => Some(range),
            Routing::ByTime => None,
        });
        u32::try_from(ranges.collect::<BTreeSet<_>>().len()).unwrap_or(u32::MAX)
    }

    /// Ways that are feasible; the plan's own last, so that what is built on is what a run leaves.
    fn ways(&self) -> Vec<Strategy> {
        let plan = &self.context.plan;
        let hashable = plan
            .facts
            .tables
            .get(self.index)
            .is_some_and(|found| found.unhashable.is_empty());
        let server = plan.topology == Topology::SameDatabase && hashable;
        let mut ways = vec![Strategy::Copy];
        // Where all rows are attached, nothing is loaded: once is enough.
        ways.extend((server && !self.slices.is_empty()).then_some(Strategy::Server));
        let own = self.slices.first().map(|slice| slice.strategy);
        ways.sort_by_key(|way| Some(*way) == own);
        ways
    }

    /// Makes the chunks of the sample as a run does. Seconds a chunk.
    async fn make_chunks(&self, target: &Session) -> Result<f64, Error> {
        let mut wanted = BTreeMap::new();
        for slice in &self.slices {
            if let Routing::OneChunk(range) = slice.routing {
                wanted.entry(range).or_insert((slice.leaf.clone(), None));
            }
        }
        let reader = SourceReader::start(&self.context.connections.source, None)?;
        let pool = Pool::new(1)?;
        let wanted: Vec<_> = wanted.iter().collect();
        let table = &self.scratch.table;
        let made = chunks::create_some(&self.context, &reader, target, &pool, table, &wanted);
        let seconds = timed(made).await?;
        #[expect(clippy::cast_precision_loss, reason = "a number of chunks")]
        let each_s = seconds / wanted.len().max(1) as f64;
        Ok(each_s)
    }

    /// Loads the sample as the workers of a run would, but for the ledger's marks.
    async fn load(&self, strategy: Strategy) -> Result<(), Error> {
        let slices = self
            .slices
            .iter()
            .cloned()
            .map(|slice| Slice { strategy, ..slice });
        let queue = Arc::new(Mutex::new(slices.collect::<VecDeque<Slice>>()));
        let workers = self.lanes(self.slices.len());
        let pool = Arc::new(Pool::new(workers)?);
        let mut running = Vec::new();
        for _ in 0..workers {
            let (context, pool, queue) = (self.context.clone(), pool.clone(), queue.clone());
            running.push(tokio::task::spawn_blocking(move || {
                load_some(&context, pool, &queue)
            }));
        }
        for worker in join_all(running).await {
            worker.map_err(|_| Error::unexpected("a worker panicked"))??;
        }
        Ok(())
    }

    fn lanes(&self, pieces: usize) -> usize {
        self.context.workers().min(pieces).max(1)
    }

    async fn build_indexes(&self) -> Result<(), Error> {
        let queue = Mutex::new(self.scratch.indexes.iter().collect::<VecDeque<_>>());
        let lane = async || -> Result<(), Error> {
            let session = self.context.target("calibrate").await?;
            while let Some(statements) = pop(&queue) {
                self.run_all(&session, statements).await?;
            }
            Ok(())
        };
        let lanes: Vec<_> = (0..self.lanes(self.scratch.indexes.len()))
            .map(|_| lane())
            .collect();
        join_all(lanes).await.into_iter().collect()
    }

    /// Reads both sides as far as a verification would, and the generated columns.
    async fn verify(&self) -> Result<(), Error> {
        let meter = Arc::new(Meter::default());
        digests::of_sample(&self.context, self.index, &self.slices, &meter).await?;
        let hypertable = &self.scratch.table.staging;
        digests::generated_mismatches(&self.context, self.index, hypertable).await?;
        Ok(())
    }
}

/// A worker: a thread with its own runtime, as in a run.
fn load_some(
    context: &Context,
    pool: Arc<Pool>,
    queue: &Mutex<VecDeque<Slice>>,
) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime
        .map_err(|error| Error::unexpected(format!("could not start a runtime: {error}")))?;
    runtime.block_on(async {
        let mut worker = SliceWorker::open(context, pool, Progress::new(), 0, None).await?;
        while let Some(slice) = pop(queue) {
            worker.load_unmarked(&slice).await?;
        }
        Ok(())
    })
}

fn pop<T>(queue: &Mutex<VecDeque<T>>) -> Option<T> {
    queue
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .pop_front()
}

impl Trial {
    /// In one transaction, as a step of a run: whoever holds what it needs is waited for no longer than there.
    async fn run_all(&self, session: &Session, statements: &[String]) -> Result<(), Error> {
        let timeout_ms = self.context.plan.options.lock_timeout_ms;
        let done = session.transaction(async || {
            session.limit_lock_waits(timeout_ms).await?;
            for statement in statements {
                session.batch(statement).await?;
            }
            Ok::<(), Error>(())
        });
        done.await.map_err(|error| {
            error.about("calibrating").or_hint(
                "Nothing was changed but the scratch, which is dropped. Try again, or plan without --calibrate.",
            )
        })
    }
}

/// Seconds that it takes.
async fn timed(work: impl Future<Output = Result<(), Error>>) -> Result<f64, Error> {
    let begun = Instant::now();
    work.await?;
    Ok(begun.elapsed().as_secs_f64())
}
