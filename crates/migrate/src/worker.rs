//! Copying slices: workers in parallel, each slice exactly once.
//!
//! ```text
//! leader   guard session: holds ACCESS SHARE on the leaves, so that none is rewritten or dropped meanwhile
//! worker   target session:  BEGIN; claim; TRUNCATE ONLY chunk (sole writer); COPY; mark done; COMMIT
//!          SourceReader:    COPY (SELECT ... FROM ONLY leaf WHERE ctid ...) TO STDOUT
//!          source session:  before the COMMIT, whether the leaf is still the file that was cut
//! ```
//!
//! Staged slices go into tables of their own, which the same workers make chunks (`staged`), before they claim more.
//!
//! Killing anything at any moment leaves a slice wholly in or wholly out: its rows and its mark are one transaction.

use crate::context::Context;
use crate::crew::{Crew, Supervision};
use crate::slice::{Hindered, SliceWorker, Turn};
use crate::staged::Finishing;
use crate::steps::Lane;
use crate::{Error, Meter, guard, late_writes};
use chrono::Utc;
use hyperhaul_engine::Pool;
use hyperhaul_ledger::failpoint;
use hyperhaul_ledger::{self as ledger, Batch};
use hyperhaul_pg::retry::{Backoff, Limits};
use hyperhaul_plan::Step;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Pauses of a worker whose slice failed in a way that trying again may mend: the server restarts, a lock is held.
const WORKER_BACKOFF: Limits = Limits {
    pause_first: Duration::from_millis(200),
    pause_max: Duration::from_secs(5),
    total_max: Duration::from_secs(120),
    pause_count_max: 40,
};

/// How often a worker that may not claim slices looks whether it may.
const REST: Duration = Duration::from_millis(200);

/// Pauses while slices are claimed that are not ours: a backend that lost its client is about to end.
const CLAIMED_BACKOFF: Limits = Limits {
    pause_first: Duration::from_millis(100),
    pause_max: Duration::from_secs(2),
    total_max: Duration::from_secs(120),
    pause_count_max: u32::MAX,
};

/// What the workers left behind when they ended without a failure.
enum Left {
    Nothing,
    /// Slices that other sessions have claimed.
    Claimed(u64),
    /// Tables that are to become chunks: a worker that may not go on leaves what it has loaded to others, and they may be gone.
    Unfinished,
    /// Slices of a leaf that was rewritten.
    Rewritten,
}

/// Copies every slice of a batch that the ledger has as pending, then marks the step.
pub(crate) async fn copy_slices(
    context: &Context,
    step: &Step,
    batch: Batch,
    meter: &Arc<Meter>,
) -> Result<(), Error> {
    let started_at = Utc::now();
    let mut claimed = Backoff::new(CLAIMED_BACKOFF);
    late_writes::mark(context).await?;
    loop {
        // Cuts anew what was rewritten.
        let _guard = guard::Guard::take(context).await?;
        prepare_meter(context, batch, meter).await?;
        match run_workers(context, batch, meter).await? {
            Left::Nothing => break,
            Left::Rewritten | Left::Unfinished => {}
            Left::Claimed(slices) => wait_for_claimed(context, slices, &mut claimed).await?,
        }
    }
    failpoint(match batch {
        Batch::Staged => "stage.before_mark",
        Batch::Direct => "copy.before_mark",
    });
    Lane::open(context).await?.mark(step, started_at).await
}

async fn prepare_meter(context: &Context, batch: Batch, meter: &Arc<Meter>) -> Result<(), Error> {
    let session = context.target("copy").await?;
    let mut slices = ledger::slices(&session, context.run).await?;
    slices.retain(|record| batch.has(&record.slice));
    session.close().await;
    meter
        .items_total
        .store(slices.len() as u64, Ordering::Relaxed);
    meter.items_done.store(
        slices.iter().filter(|record| record.done).count() as u64,
        Ordering::Relaxed,
    );
    let rows: u64 = slices.iter().filter_map(|record| record.rows).sum();
    meter.rows_before.store(
        rows.saturating_sub(meter.progress.rows()),
        Ordering::Relaxed,
    );
    Ok(())
}

async fn wait_for_claimed(
    context: &Context,
    slices: u64,
    backoff: &mut Backoff,
) -> Result<(), Error> {
    let message = format!("{slices} slices are claimed by another session");
    let Some(pause) = backoff.next_pause() else {
        return Err(Error::blocked(message).hint(
            "Look for sessions named hyperhaul in pg_stat_activity of the target; when they are gone, run hyperhaul migrate again.",
        ));
    };
    context.retrying("copying the slices", message, pause);
    tokio::select! {
        () = tokio::time::sleep(pause) => Ok(()),
        () = context.interrupt.drained() => Err(Error::interrupted()),
    }
}

/// Runs the workers until no slice is to be had.
async fn run_workers(context: &Context, batch: Batch, meter: &Arc<Meter>) -> Result<Left, Error> {
    let session = context.target("copy").await?;
    let pending = ledger::pending_count(&session, context.run, batch).await?;
    let finishing = Arc::new(Finishing::find(context, &session, batch).await?);
    let (_, most) = context.plan.worker_range();
    let work = pending + finishing.waiting();
    let workers = most.min(u32::try_from(work).unwrap_or(most));
    let threads = usize::try_from(workers).unwrap_or(usize::MAX).max(1);
    let pool = Arc::new(Pool::new(threads)?);
    let crew = Arc::new(Crew::new(context.plan.workers()));
    let _supervision = Supervision::begin(context, &crew, meter);
    let stopped = Arc::new(AtomicBool::new(false));
    let rewritten = Arc::new(AtomicBool::new(false));
    let hindered = Arc::new(Hindered::default());
    let mut running = Vec::new();
    for number in 0..workers {
        let worker = Worker {
            number,
            batch,
            finishing: finishing.clone(),
            crew: crew.clone(),
            context: context.clone(),
            pool: pool.clone(),
            meter: meter.clone(),
            stopped: stopped.clone(),
            rewritten: rewritten.clone(),
            hindered: hindered.clone(),
        };
        running.push(worker.spawn()?);
    }
    let mut first_error = None;
    for worker in running {
        let ended = tokio::task::spawn_blocking(move || worker.join()).await;
        let result = ended
            .ok()
            .and_then(Result::ok)
            .unwrap_or_else(|| Err(Error::unexpected("a worker panicked")));
        first_error = first_error.or(result.err());
    }
    if let Some(error) = first_error {
        return Err(error);
    }
    let session = context.target("copy").await?;
    match ledger::pending_count(&session, context.run, batch).await? {
        0 if finishing.waiting() == 0 => Ok(Left::Nothing),
        _ if context.interrupt.draining() => Err(Error::interrupted()),
        _ if rewritten.load(Ordering::Relaxed) => Ok(Left::Rewritten),
        0 => Ok(Left::Unfinished),
        pending => Ok(Left::Claimed(pending)),
    }
}

/// A worker: a thread with its own runtime, so that a full queue blocks this worker's sessions and nobody else's.
struct Worker {
    /// Its number in this process, from 0 on.
    number: u32,
    batch: Batch,
    finishing: Arc<Finishing>,
    crew: Arc<Crew>,
    context: Context,
    pool: Arc<Pool>,
    meter: Arc<Meter>,
    /// Set by the first worker that fails for good or finds a leaf rewritten: the others finish their slice and stop.
    stopped: Arc<AtomicBool>,
    /// Set by a worker that finds a leaf rewritten.
    rewritten: Arc<AtomicBool>,
    /// What any worker could not move.
    hindered: Arc<Hindered>,
}

impl Worker {
    fn spawn(self) -> Result<std::thread::JoinHandle<Result<(), Error>>, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime
            .map_err(|error| Error::unexpected(format!("could not start a runtime: {error}")))?;
        std::thread::Builder::new()
            .name(format!("worker {}", self.number))
            .spawn(move || {
                let result = runtime.block_on(self.work());
                if result.is_err() {
                    self.stopped.store(true, Ordering::Relaxed);
                }
                // Connections that the slice left behind must not hold the process up.
                runtime.shutdown_timeout(Duration::from_secs(1));
                result
            })
            .map_err(|error| Error::unexpected(format!("could not start a worker: {error}")))
    }

    async fn work(&self) -> Result<(), Error> {
        let mut backoff = Backoff::new(WORKER_BACKOFF);
        let mut sessions: Option<SliceWorker> = None;
        let mut lost_backend = None;
        while !self.context.interrupt.draining() && !self.stopped.load(Ordering::Relaxed) {
            if !self.crew.allows(self.number) {
                // Its sessions would only be in the way of others.
                sessions = None;
                if self.crew.is_finished() {
                    return Ok(());
                }
                tokio::time::sleep(REST).await;
                continue;
            }
            if !self.context.gate.opens_soon().await? {
                continue;
            }
            match self.finishing.finish_one(&self.context).await {
                Ok(false) => {}
                Ok(true) => {
                    backoff = Backoff::new(WORKER_BACKOFF);
                    continue;
                }
                Err(error) => {
                    self.context
                        .wait_to_retry("making a chunk", error, &mut backoff)
                        .await?;
                    continue;
                }
            }
            match self.one_slice(&mut sessions, lost_backend).await {
                Ok(Turn::NonePending) => {
                    self.crew.finish();
                    return Ok(());
                }
                Ok(Turn::Rewritten) => {
                    self.rewritten.store(true, Ordering::Relaxed);
                    self.stopped.store(true, Ordering::Relaxed);
                }
                Ok(Turn::Copied(finished)) => {
                    self.finishing.add(&self.context, finished);
                    self.crew.slice_done(&self.context, finished);
                    self.meter.item_done();
                    backoff = Backoff::new(WORKER_BACKOFF);
                }
                Err(error) => {
                    lost_backend = sessions
                        .take()
                        .map(|sessions| sessions.target_pid())
                        .or(lost_backend);
                    self.context
                        .wait_to_retry("copying a slice", error, &mut backoff)
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// Copies one slice, with sessions that are opened when they are needed.
    async fn one_slice(
        &self,
        sessions: &mut Option<SliceWorker>,
        lost_backend: Option<i32>,
    ) -> Result<Turn, Error> {
        let worker = match sessions {
            Some(worker) => worker,
            None => {
                let progress = self.meter.progress.clone();
                let pool = self.pool.clone();
                let opened =
                    SliceWorker::open(&self.context, pool, progress, self.number, lost_backend);
                sessions.insert(opened.await?)
            }
        };
        worker.next_slice(self.batch, &self.hindered).await
    }
}
