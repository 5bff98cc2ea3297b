//! Slices of history beside live rows: where a live row has the key already, it stays, and no live session is refused for a deadlock.
//!
//! ```text
//! server   INSERT INTO chunk SELECT blocks of the leaf  ON CONFLICT DO NOTHING             part by part, in one transaction;
//! copy     COPY hyperhaul_slice; INSERT INTO chunk SELECT blocks of that ON CONFLICT ...   between two: who waits for it?
//! ```
//!
//! How many rows of a slice stay out is in its mark: the proof at the end finds no more of them missing.
//!
//! A live session that comes with a key of a slice under way waits for the slice's end, and the slice waits for a live transaction
//! that holds a key of its own. Where both wait for each other, the server makes give way who looks for the deadlock: that one
//! whose wait has lasted for `deadlock_timeout` (1 s unless it was changed), once in each wait. It must not be the live one, and that
//! the slice waits for a shorter time is not enough (of six live sessions that had begun to wait 0.75 to 0.95 s before the slice
//! did, five were refused). So the slice waits for nobody at the moment that a live session looks:
//!
//! - it asks, every now and then, whether somebody has begun to wait for it, and holds still until that one has looked;
//! - it inserts in parts that take a fraction of that time, so that nobody can begin to wait and look during one of them;
//! - then it waits only for a while, gives way, and is tried again.
//!
//! Hence no COPY into the chunks: that is one statement for all of a slice.

use super::destination::{destination, one_chunk};
use super::{Moved, SliceWorker};
use crate::Error;
use crate::context::Context;
use hyperhaul_catalog as catalog;
use hyperhaul_engine::Destination;
use hyperhaul_pg::Session;
use hyperhaul_plan::{Relation, Slice, TablePlan, sql};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Blocks of the first part; what follows is as large as time allows.
const PART_BLOCKS_FIRST: u32 = 1;

/// Blocks of a part at the most: behind some without rows, the next ones may be full.
const PART_BLOCKS_MAX: u32 = 256;

/// How many times a live session's wait a slice holds still at the most, one after another: it gives way to a queue that goes on.
const STILL_MAX: u32 = 3;

/// How a slice behaves beside live sessions: all of it together takes less time than they let pass before they look for a deadlock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manners {
    /// How long it waits for a live transaction that has written one of its keys.
    key_wait: Duration,
    /// How often it looks who waits for it.
    look_every: Duration,
    /// How long a part is to take.
    part: Duration,
    /// How long it holds still at a time.
    still_max: Duration,
}

impl Manners {
    /// `None`: nobody else writes where the slices of this run go.
    pub(super) async fn of(context: &Context, target: &Session) -> Result<Option<Manners>, Error> {
        if !context.plan.is_backfill() {
            return Ok(None);
        }
        let timeout = catalog::deadlock_timeout(target).await?;
        let limit = Duration::from_millis(context.plan.options.lock_timeout_ms);
        Ok(Some(Manners {
            // A limit of 0 is for ever.
            key_wait: [limit, timeout * 3 / 10]
                .into_iter()
                .filter(|wait| !wait.is_zero())
                .min()
                .unwrap_or(timeout),
            look_every: timeout / 10,
            part: timeout / 20,
            still_max: timeout * STILL_MAX,
        }))
    }
}

impl SliceWorker {
    /// How long a slice's statements wait for a lock, milliseconds.
    pub(super) fn lock_timeout_ms(&self) -> u64 {
        let wait = |manners: Manners| u64::try_from(manners.key_wait.as_millis());
        let beside = self.manners.map(wait).and_then(Result::ok);
        beside.unwrap_or(self.context.plan.options.lock_timeout_ms)
    }

    /// Lets the server insert a slice's rows. How many they are, and how many of them stayed out.
    pub(super) async fn insert_beside(
        &self,
        slice: &Slice,
        table: &TablePlan,
        into: &Relation,
    ) -> Result<(u64, u64), Error> {
        let end = match slice.end_block {
            Some(end) => end,
            None => catalog::block_count(&self.target, &slice.leaf).await?,
        };
        let part = |blocks: Range<u32>| {
            let part = Slice {
                first_block: blocks.start,
                end_block: Some(blocks.end),
                ..slice.clone()
            };
            sql::slice_insert_sql(table, &part, into)
        };
        let inserted = self.in_parts(slice.first_block..end, part).await?;
        let row = self
            .target
            .query_one(&sql::slice_rows_sql(table, slice), &[])
            .await?;
        let rows = row.get::<_, i64>(0).unsigned_abs();
        Ok((rows, out_of(rows, inserted)?))
    }

    /// Copies the rows into a table of the slice's own, and from there into the hypertable.
    pub(super) async fn copy_beside(
        &mut self,
        slice: &Slice,
        table: &TablePlan,
    ) -> Result<Moved, Error> {
        let known = self.known_table(slice.table, table).await?;
        let (into_chunks, _) = destination(slice, table, &known.chunks);
        let chunk = known.chunk(one_chunk(slice.routing));
        let into = chunk.unwrap_or_else(|| table.copied_into()).clone();
        self.target.batch(&sql::create_beside(table)).await?;
        let own = Relation::new("pg_temp", sql::BESIDE_TABLE);
        let aside = aside(into_chunks, table, &own);
        let moved = self.copy_to(aside, slice, table).await?;
        let end = catalog::block_count(&self.target, &own).await?;
        let part = |blocks: Range<u32>| sql::insert_beside(table, &own, blocks, &into);
        let inserted = self.in_parts(0..end, part).await?;
        Ok(Moved {
            skipped: out_of(moved.rows, inserted)?,
            ..moved
        })
    }

    /// Carries out what inserts the rows of some blocks, for all of them.
    async fn in_parts(
        &self,
        blocks: Range<u32>,
        insert_sql: impl Fn(Range<u32>) -> String,
    ) -> Result<u64, Error> {
        let manners = self.manners.ok_or_else(|| {
            Error::unexpected("rows are to be inserted beside live ones before the cutover")
        })?;
        let (mut inserted, mut from, mut size) = (0, blocks.start, PART_BLOCKS_FIRST);
        let mut looked = Instant::now();
        while from < blocks.end {
            if looked.elapsed() >= manners.look_every {
                self.until_all_have_looked(manners).await?;
                looked = Instant::now();
            }
            let end = from.saturating_add(size).min(blocks.end);
            let begun = Instant::now();
            inserted += self.executed(&insert_sql(from..end)).await?;
            from = end;
            size = match begun.elapsed() {
                long if long > manners.part => (size / 2).max(1),
                short if short < manners.part / 2 => size.saturating_mul(2).min(PART_BLOCKS_MAX),
                _ => size,
            };
        }
        Ok(inserted)
    }

    /// Holds still while somebody who waits for the slice has not looked for a deadlock yet: then there is none. Where ever new ones
    /// come, such as one that gives up and tries again, the slice gives way.
    async fn until_all_have_looked(&self, manners: Manners) -> Result<(), Error> {
        let begun = Instant::now();
        while catalog::is_waited_for_anew(&self.target).await? {
            if begun.elapsed() > manners.still_max {
                return Err(Error::gave_way(
                    "live sessions wait for its keys again and again",
                ));
            }
            tokio::select! {
                () = tokio::time::sleep(manners.part) => {}
                () = self.context.interrupt.aborted() => return Err(Error::interrupted()),
            }
        }
        Ok(())
    }
}

fn out_of(rows: u64, inserted: u64) -> Result<u64, Error> {
    rows.checked_sub(inserted).ok_or_else(|| {
        Error::unexpected(format!(
            "{inserted} rows were inserted of a slice that has {rows}"
        ))
    })
}

/// The same rows, with the same digests, into the table of the slice's own.
fn aside(into_chunks: Destination, table: &TablePlan, own: &Relation) -> Destination {
    let copy_sql = sql::chunk_copy_sql(table, own, false);
    match into_chunks {
        Destination::OneChunk { chunk, .. } => Destination::OneChunk { copy_sql, chunk },
        Destination::ByTime {
            time_position,
            time_type,
            interval_us,
            ..
        } => Destination::ByTime {
            time_position,
            time_type,
            chunks: Vec::new(),
            interval_us,
            fallback_copy_sql: copy_sql,
        },
    }
}
