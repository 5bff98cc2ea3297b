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
use crate::steps::Lane;
use crate::{Error, Kind, Meter};
use chrono::Utc;
use futures_util::future::join_all;
use hyperhaul_catalog as catalog;
use hyperhaul_ledger as ledger;
use hyperhaul_ledger::failpoint;
use hyperhaul_pg::Session;
use hyperhaul_pg::retry::{Backoff, Limits};
use hyperhaul_plan::sql::RowHash;
use hyperhaul_plan::{Moment, Relation, Step, TablePlan, sql};
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
    (index, hypertable, before_us): (usize, &Relation, i64),
    meter: &Arc<Meter>,
) -> Result<(), Error> {
    let table = context.table(index)?;
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
    let lanes = context.workers().min(chunks.len());
    let queue = Queue {
        waiting: RefCell::new(chunks.into_iter().map(|chunk| chunk.relation).collect()),
    };
    // Before the cutover the verification reads them all.
    let chosen = table.to_columnstore;
    let only_copy = chosen.is_some_and(|chosen| chosen.moment == Moment::AfterCutover);
    let turning = Turning {
        context,
        prove: only_copy.then_some(table),
    };
    let done = join_all((0..lanes).map(|_| lane(turning, &queue, meter))).await;
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

/// What all lanes have in common.
#[derive(Clone, Copy)]
struct Turning<'a> {
    context: &'a Context,
    /// The table whose rows are hashed before and afterwards, since nothing else proves that none was lost.
    prove: Option<&'a TablePlan>,
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

async fn lane(turning: Turning<'_>, queue: &Queue, meter: &Meter) -> Result<(), Error> {
    let mut session = queue.check(turning.context.target("columnstore").await)?;
    while let Some(chunk) = queue.next() {
        queue.check(patiently(turning, &mut session, &chunk).await)?;
        meter.item_done();
    }
    Ok(())
}

/// Tries again what gave way or lost its session: what is committed by then is seen, and left alone.
async fn patiently(
    turning: Turning<'_>,
    session: &mut Session,
    chunk: &Relation,
) -> Result<(), Error> {
    let context = turning.context;
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
        let Err(error) = one(turning, session, chunk).await else {
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
async fn one(turning: Turning<'_>, session: &Session, chunk: &Relation) -> Result<(), Error> {
    let context = turning.context;
    let form = catalog::chunk_form(session, chunk).await?;
    if form.is_some_and(catalog::ChunkForm::is_turned) {
        return Ok(());
    }
    let turned = session.transaction(async || {
        convert(turning, session, chunk).await?;
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
async fn convert(turning: Turning<'_>, session: &Session, chunk: &Relation) -> Result<(), Error> {
    let Turning { context, prove } = turning;
    let timeout = context.plan.options.lock_timeout_ms;
    session.limit_lock_waits(timeout).await?;
    if !ledger::hold_running(session, context.run).await? {
        return Err(Error::blocked(format!(
            "another hyperhaul process has taken run {} over",
            context.run
        ))
        .hint("See where it stands with hyperhaul status."));
    }
    let Some(table) = prove else {
        return turn_one(context, session, chunk).await;
    };
    // Writers are let in again by the COMMIT; readers go on.
    let lock = format!("LOCK TABLE ONLY {chunk} IN EXCLUSIVE MODE");
    session.batch(&lock).await?;
    let before = rows_hash(session, table, chunk).await?;
    turn_one(context, session, chunk).await?;
    if rows_hash(session, table, chunk).await? == before {
        return Ok(());
    }
    Err(Error::new(
        Kind::Differs,
        format!(
            "chunk {} would have other rows in the columnstore",
            chunk.plain()
        ),
    )
    .detail("It was left as it was: the sums of its rows' hashes before and afterwards differ.")
    .hint("Go back with hyperhaul rollback, then make a plan that leaves its table out of the columnstore."))
}

/// Count and sum of the server's hash of each row's binary form; `None`: there is no row.
async fn rows_hash(
    session: &Session,
    table: &TablePlan,
    chunk: &Relation,
) -> Result<Option<(i64, String)>, Error> {
    let sql = sql::chunk_hash_sql(table, chunk, RowHash::Image);
    let row = session.query_opt(&sql, &[]).await?;
    Ok(row.map(|row| (row.get(1), row.get(2))))
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
