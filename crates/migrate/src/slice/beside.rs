//! Slices of history beside live rows: where a live row has the key already, it stays.
//!
//! ```text
//! server   INSERT INTO chunk SELECT ... ON CONFLICT DO NOTHING
//! copy     COPY chunk --a key is there--> COPY hyperhaul_slice; INSERT INTO chunk SELECT ... ON CONFLICT DO NOTHING
//! ```
//!
//! How many rows of a slice stay out is in its mark: the proof at the end finds no more of them missing.

use super::destination::{destination, one_chunk};
use super::{Moved, SliceWorker};
use crate::Error;
use hyperhaul_engine::Destination;
use hyperhaul_plan::{Plan, Relation, Slice, TablePlan, sql};

/// How long a slice waits for a live transaction that has written one of its keys. Shorter than `deadlock_timeout` (1 s unless it was
/// changed): where both wait for each other, it is the slice that gives way and is tried again.
const KEY_WAIT_MAX_MS: u64 = 300;

/// How long a slice's statements wait for a lock, milliseconds.
pub(super) fn lock_timeout_ms(plan: &Plan) -> u64 {
    match plan.is_backfill() {
        true => plan.options.lock_timeout_ms.min(KEY_WAIT_MAX_MS),
        false => plan.options.lock_timeout_ms,
    }
}

impl SliceWorker {
    /// How many of a slice's rows the server did not insert, and how many it has.
    pub(super) async fn left_out(
        &mut self,
        slice: &Slice,
        table: &TablePlan,
        inserted: u64,
    ) -> Result<(u64, u64), Error> {
        let row = self
            .target
            .query_one(&sql::slice_rows_sql(table, slice), &[])
            .await?;
        let rows = row.get::<_, i64>(0).unsigned_abs();
        Ok((rows, out_of(rows, inserted)?))
    }

    /// Copies the rows into a hypertable that is in use. That one of their keys is there is rare, and found by trying.
    pub(super) async fn copy_beside(
        &mut self,
        slice: &Slice,
        table: &TablePlan,
    ) -> Result<Moved, Error> {
        let known = self.known_table(slice.table, table).await?;
        let (into_chunks, _) = destination(slice, table, &known.chunks);
        let chunk = known.chunk(one_chunk(slice.routing));
        let into = chunk.unwrap_or_else(|| table.copied_into()).clone();
        self.target.batch("SAVEPOINT hyperhaul_slice").await?;
        match self.copy_to(into_chunks.clone(), slice, table).await {
            Err(error) if error.is_duplicate_key() => {}
            copied => return copied,
        }
        self.target
            .batch("ROLLBACK TO SAVEPOINT hyperhaul_slice")
            .await?;
        self.target.batch(&sql::create_beside(table)).await?;
        let aside = aside(into_chunks, table);
        let moved = self.copy_to(aside, slice, table).await?;
        let inserted = self.executed(&sql::insert_beside(table, &into)).await?;
        Ok(Moved {
            skipped: out_of(moved.rows, inserted)?,
            ..moved
        })
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
fn aside(into_chunks: Destination, table: &TablePlan) -> Destination {
    let own = Relation::new("pg_temp", sql::BESIDE_TABLE);
    let copy_sql = sql::chunk_copy_sql(table, &own, false);
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
