//! Chunks go to the columnstore during the run: each in a transaction of its own, several at a time.
//!
//! ```text
//! catalog --chunks that end before--> queue --> worker: BEGIN; run still ours?; convert; where are the rows now?; COMMIT
//! ```
//!
//! The catalog is the journal: a chunk is there, or it is not, and one that is there is left alone. So a kill at any moment
//! leaves chunks wholly in or wholly out, and the next process goes on with those that are out. What the server answers is no
//! proof, since it lets a chunk be with a notice: the same transaction asks where its rows are, and gives up where they are not
//! in the columnstore.

use crate::context::Context;
use crate::failpoint::failpoint;
use crate::steps::Lane;
use crate::{Error, Meter};
use chrono::Utc;
use futures_util::future::join_all;
use hyperhaul_catalog as catalog;
use hyperhaul_ledger as ledger;
use hyperhaul_pg::Session;
use hyperhaul_pg::retry::{Backoff, Limits};
use hyperhaul_plan::{Relation, Step, sql};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Pauses of a chunk that could not be had: somebody reads it, autovacuum is at it, the server restarts.
const CHUNK_BACKOFF: Limits = Limits {
    pause_first: Duration::from_millis(200),
    pause_max: Duration::from_secs(5),
    total_max: Duration::from_secs(120),
    pause_count_max: 40,
};

/// Puts every chunk of `hypertable` that ends before `before_us` into the columnstore, then marks the step.
///
/// # Errors
///
/// The first chunk that could not be put there or that the server left as it was; those that others are at are finished.
pub(crate) async fn turn(
    context: &Context,
    step: &Step,
    (hypertable, before_us): (&Relation, i64),
    meter: &Arc<Meter>,
) -> Result<(), Error> {
    let started_at = Utc::now();
    let target = context.target("columnstore").await?;
    let mut chunks = catalog::chunks(&target, hypertable).await?;
    target.close().await;
    chunks.retain(|chunk| chunk.range.end_us <= before_us);
    let items = chunks.len() as u64;
    // One stands for the step itself.
    meter
        .items_total
        .fetch_add(items.saturating_sub(1), Ordering::Relaxed);
    let lanes = usize::try_from(context.plan.workers()).unwrap_or(usize::MAX);
    let lanes = lanes.min(chunks.len());
    let queue = Queue {
        waiting: RefCell::new(chunks.into_iter().map(|chunk| chunk.relation).collect()),
    };
    let done = join_all((0..lanes).map(|_| lane(context, &queue, meter))).await;
    done.into_iter().collect::<Result<(), Error>>()?;
    if items == 0 {
        meter.item_done();
    }
    Lane::open(context).await?.mark(step, started_at).await
}

/// Puts all chunks of a calibration's scratch there, one after another, and tells what they then take as a share of their heap
/// and TOAST before.
pub(crate) async fn turn_scratch(
    context: &Context,
    session: &Session,
    hypertable: &Relation,
) -> Result<Option<f64>, Error> {
    let heap_bytes = catalog::hypertable_heap_bytes(session, hypertable).await?;
    for chunk in catalog::chunks(session, hypertable).await? {
        turn_one(context, session, &chunk.relation).await?;
    }
    let columnstore_bytes = catalog::columnstore_bytes(session, hypertable).await?;
    #[expect(clippy::cast_precision_loss, reason = "a share needs few digits")]
    let share = columnstore_bytes as f64 / heap_bytes as f64;
    Ok((heap_bytes > 0).then_some(share))
}

/// Chunks that nobody is at yet; none after a failure.
struct Queue {
    waiting: RefCell<VecDeque<Relation>>,
}

impl Queue {
    fn next(&self) -> Option<Relation> {
        self.waiting.borrow_mut().pop_front()
    }

    /// Passes a result through; after a failure no further chunk is begun.
    fn check<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if result.is_err() {
            self.waiting.borrow_mut().clear();
        }
        result
    }
}

async fn lane(context: &Context, queue: &Queue, meter: &Meter) -> Result<(), Error> {
    let mut session = queue.check(context.target("columnstore").await)?;
    while let Some(chunk) = queue.next() {
        queue.check(patiently(context, &mut session, &chunk).await)?;
        meter.item_done();
    }
    Ok(())
}

/// Tries again what gave way or lost its session: what is committed by then is seen, and left alone.
async fn patiently(
    context: &Context,
    session: &mut Session,
    chunk: &Relation,
) -> Result<(), Error> {
    let mut backoff = Backoff::new(CHUNK_BACKOFF);
    loop {
        while !context.gate.opens_soon().await? {
            if context.interrupt.draining() {
                return Err(Error::interrupted());
            }
        }
        if context.interrupt.draining() {
            return Err(Error::interrupted());
        }
        let Err(error) = one(context, session, chunk).await else {
            return Ok(());
        };
        let what = format!("putting chunk {} into the columnstore", chunk.plain());
        context.wait_to_retry(&what, error, &mut backoff).await?;
        if session.is_closed() {
            let lost_backend = session.backend_pid();
            *session = context.target("columnstore").await?;
            // While it lives, it may still commit.
            catalog::end_backend(session, lost_backend).await?;
        }
    }
}

/// One chunk, unless it is there already.
async fn one(context: &Context, session: &Session, chunk: &Relation) -> Result<(), Error> {
    let form = catalog::chunk_form(session, chunk).await?;
    if form.is_some_and(catalog::ChunkForm::is_turned) {
        return Ok(());
    }
    let turned = session.transaction(async || {
        convert(context, session, chunk).await?;
        failpoint("columnstore.before_commit");
        Ok::<(), Error>(())
    });
    tokio::select! {
        done = turned => done?,
        () = context.interrupt.aborted() => {
            session.canceller().cancel().await?;
            return Err(Error::interrupted());
        }
    }
    failpoint("columnstore.after_commit");
    Ok(())
}

/// Within the caller's transaction.
async fn convert(context: &Context, session: &Session, chunk: &Relation) -> Result<(), Error> {
    let timeout = context.plan.options.lock_timeout_ms;
    session
        .batch(&format!("SET LOCAL lock_timeout = {timeout}"))
        .await?;
    if !ledger::hold_running(session, context.run).await? {
        return Err(Error::blocked(format!(
            "another hyperhaul process has taken run {} over",
            context.run
        ))
        .hint("See where it stands with hyperhaul status."));
    }
    turn_one(context, session, chunk).await
}

/// Puts a chunk there, and sees that it is.
async fn turn_one(context: &Context, session: &Session, chunk: &Relation) -> Result<(), Error> {
    session.take_notices();
    let statement = sql::chunk_to_columnstore(chunk, &context.plan.facts);
    session.batch(&statement).await.map_err(|error| {
        let what = format!("could not put chunk {} into the columnstore", chunk.plain());
        Error::from(error).about(&what)
    })?;
    match catalog::chunk_form(session, chunk).await? {
        Some(form) if form.is_turned() => Ok(()),
        _ => Err(left_as_it_was(session, chunk)),
    }
}

/// The server reported no error, and the rows are where they were.
fn left_as_it_was(session: &Session, chunk: &Relation) -> Error {
    let notices = session.take_notices();
    let said = match notices.last() {
        Some(notice) => format!("The server only said: {}.", notice.message),
        None => "The server said nothing.".to_owned(),
    };
    Error::blocked(format!(
        "the server left chunk {} out of the columnstore without an error",
        chunk.plain()
    ))
    .detail(format!(
        "{said} Its rows are still in the chunk's own heap; no row is lost."
    ))
    .hint(
        "Find out why (timescaledb_information.chunks shows what the server takes it for), then run hyperhaul migrate again: it \
         goes on with this chunk. Or go back with hyperhaul rollback.",
    )
}
