//! Slices: claimed, and marked done in the transaction that copies their rows.

use crate::{Error, RunId};
use chrono::{DateTime, Utc};
use hyperhaul_pg::{Row, Session};
use hyperhaul_pgcopy::Digest;
use hyperhaul_plan::{ChunkDigest, ChunkRange, Slice, SliceId, Strategy};
use std::collections::BTreeMap;

/// What copying a slice came to.
#[derive(Clone, Debug)]
pub struct SliceResult {
    /// Rows of the source.
    pub rows: u64,
    /// Of those, how many stayed out because a live row has their key.
    pub skipped: u64,
    /// Bytes of their binary tuples.
    pub bytes: u64,
    /// The rows per chunk interval, as far as it is known where they went.
    pub chunks: Vec<ChunkRows>,
    /// When the copying began, by this machine's clock.
    pub started_at: DateTime<Utc>,
    /// Number of the worker in its process, from 0.
    pub worker: u32,
}

/// Rows of a slice that lie in one chunk interval.
#[derive(Clone, Copy, Debug)]
pub struct ChunkRows {
    /// The interval.
    pub range: ChunkRange,
    /// How many.
    pub rows: u64,
    /// Digest of the source's rows; `None` where they stayed within the server.
    pub digest: Option<Digest>,
}

/// A slice as the ledger has it.
#[derive(Clone, Debug)]
pub struct SliceRecord {
    /// What was planned.
    pub slice: Slice,
    /// Whether its rows are in.
    pub done: bool,
    /// Rows, once done.
    pub rows: Option<u64>,
    /// Of those, how many stayed out because a live row has their key.
    pub skipped: u64,
    /// Bytes, once done.
    pub bytes: Option<u64>,
    /// Seconds that it took, once done.
    pub seconds: Option<f64>,
    /// When it began, once done; by the target's clock, as all times of the ledger.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended, once done.
    pub finished_at: Option<DateTime<Utc>>,
    /// Number of the worker in its process, from 0, once done; `None` also where an older hyperhaul did it.
    pub worker: Option<u32>,
}

/// Slices that one phase of a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// Those that are loaded into tables of their own.
    Staged,
    /// Those that are moved into the hypertable.
    Direct,
}

impl Batch {
    /// Whether a slice is one of them.
    pub fn has(self, slice: &Slice) -> bool {
        (slice.strategy == Strategy::Stage) == (self == Batch::Staged)
    }
}

/// Picks the slices of a batch, `$2`: whether that is [`Batch::Staged`].
const OF_BATCH: &str = "(spec ->> 'strategy' = 'stage') = $2";

/// Claims the next pending slice of a batch for the current transaction: nobody else gets it until that ends. Those of `last` come
/// behind all others. `None` when every slice is done or claimed.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn claim(
    session: &Session,
    run: RunId,
    batch: Batch,
    last: &[SliceId],
) -> Result<Option<Slice>, Error> {
    let sql = format!(
        "SELECT slice_id, spec FROM hyperhaul.slice WHERE run_id = $1 AND NOT done AND {OF_BATCH} \
         ORDER BY slice_id = ANY ($3), slice_id LIMIT 1 FOR UPDATE SKIP LOCKED"
    );
    let last: Vec<i32> = last.iter().copied().map(signed_id).collect();
    let staged = batch == Batch::Staged;
    session
        .query_opt(&sql, &[&run.0, &staged, &last])
        .await?
        .map(|row| decode_spec(row.get(0), row.get(1)))
        .transpose()
}

/// Marks a claimed slice as done, in the transaction that copied its rows.
///
/// # Errors
///
/// If the slice is done already, which means that its rows must not be committed again; or the server refuses or is lost.
pub async fn finish_slice(
    session: &Session,
    run: RunId,
    slice: SliceId,
    result: &SliceResult,
) -> Result<(), Error> {
    let sql = "UPDATE hyperhaul.slice SET done = true, times_done = times_done + 1, row_count = $3, copied_bytes = $4, \
               started_at = clock_timestamp() - make_interval(secs => $5), finished_at = clock_timestamp(), worker = $6, \
               skipped_count = $7 \
               WHERE run_id = $1 AND slice_id = $2 AND NOT done";
    let (rows, bytes) = (signed(result.rows), signed(result.bytes));
    let skipped = signed(result.skipped);
    let took = seconds_since(result.started_at);
    let worker = i32::try_from(result.worker).unwrap_or(i32::MAX);
    let changed = session
        .execute(
            sql,
            &[
                &run.0,
                &signed_id(slice),
                &rows,
                &bytes,
                &took,
                &worker,
                &skipped,
            ],
        )
        .await?;
    if changed != 1 {
        return Err(Error::content(
            format!("slice {}", slice.0),
            "it was done already",
        ));
    }
    let (mut starts, mut ends, mut counts, mut sums) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for chunk in &result.chunks {
        starts.push(chunk.range.start_us);
        ends.push(chunk.range.end_us);
        counts.push(signed(chunk.rows));
        sums.push(chunk.digest.map(|digest| digest.sum_hex()));
    }
    let sql = "INSERT INTO hyperhaul.slice_chunk (run_id, slice_id, start_us, end_us, row_count, digest_sum) \
               SELECT $1, $2, * FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::text[])";
    session
        .execute(
            sql,
            &[&run.0, &signed_id(slice), &starts, &ends, &counts, &sums],
        )
        .await?;
    Ok(())
}

/// Whether a slice is done: what to ask when the answer to COMMIT was lost.
///
/// # Errors
///
/// If there is no such slice, or the server refuses or is lost.
pub async fn is_done(session: &Session, run: RunId, slice: SliceId) -> Result<bool, Error> {
    let sql = "SELECT done FROM hyperhaul.slice WHERE run_id = $1 AND slice_id = $2";
    Ok(session
        .query_one(sql, &[&run.0, &signed_id(slice)])
        .await?
        .get(0))
}

/// Slices of a batch that are not done.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn pending_count(session: &Session, run: RunId, batch: Batch) -> Result<u64, Error> {
    let sql = format!(
        "SELECT count(*) FROM hyperhaul.slice WHERE run_id = $1 AND NOT done AND {OF_BATCH}"
    );
    let staged = batch == Batch::Staged;
    let row = session.query_one(&sql, &[&run.0, &staged]).await?;
    Ok(unsigned(row.get(0)))
}

/// Every slice of a run, in order.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn slices(session: &Session, run: RunId) -> Result<Vec<SliceRecord>, Error> {
    let sql = "SELECT slice_id, spec, done, row_count, copied_bytes, \
               extract(epoch FROM finished_at - started_at)::float8, started_at, finished_at, worker, skipped_count \
               FROM hyperhaul.slice WHERE run_id = $1 ORDER BY slice_id";
    session
        .query(sql, &[&run.0])
        .await?
        .iter()
        .map(decode_record)
        .collect()
}

/// Digests of the source's rows per chunk interval, over all finished slices of a table that were copied.
///
/// # Errors
///
/// If the server refuses or is lost, or a digest can't be read.
pub async fn source_digests(
    session: &Session,
    run: RunId,
    table_index: usize,
) -> Result<Vec<ChunkDigest>, Error> {
    let sql = "SELECT c.start_us, c.end_us, c.row_count, c.digest_sum FROM hyperhaul.slice_chunk c \
               JOIN hyperhaul.slice s USING (run_id, slice_id) WHERE run_id = $1 AND s.table_index = $2 AND s.done \
               AND c.digest_sum IS NOT NULL";
    let index = i32::try_from(table_index).map_err(|error| Error::content("table index", error))?;
    let mut sums: BTreeMap<ChunkRange, Digest> = BTreeMap::new();
    for row in session.query(sql, &[&run.0, &index]).await? {
        let range = ChunkRange {
            start_us: row.get(0),
            end_us: row.get(1),
        };
        let digest = Digest::from_hex(unsigned(row.get(2)), row.get(3))
            .map_err(|error| Error::content("digest", error))?;
        sums.entry(range).or_default().merge(digest);
    }
    let digests = sums.into_iter();
    Ok(digests
        .map(|(range, digest)| ChunkDigest {
            range,
            rows: digest.rows,
            sum: digest.sum_hex(),
        })
        .collect())
}

/// Locks the slices of a leaf until the transaction ends: waits for whoever copies one of them, and keeps others off.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn lock_leaf(session: &Session, run: RunId, leaf_oid: u32) -> Result<(), Error> {
    let sql = "SELECT FROM hyperhaul.slice WHERE run_id = $1 AND leaf_oid = $2 ORDER BY slice_id FOR UPDATE";
    session.query(sql, &[&run.0, &leaf_oid]).await?;
    Ok(())
}

/// Exchanges the slices of a leaf for new ones, all pending. Belongs into the transaction that takes the rows of those
/// that were done out of the target. New slices get numbers after the run's last.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn replace_leaf(
    session: &Session,
    run: RunId,
    leaf_oid: u32,
    slices: &[Slice],
) -> Result<(), Error> {
    let sql = "DELETE FROM hyperhaul.slice WHERE run_id = $1 AND leaf_oid = $2";
    session.execute(sql, &[&run.0, &leaf_oid]).await?;
    let sql = "SELECT coalesce(max(slice_id), -1) + 1 FROM hyperhaul.slice WHERE run_id = $1";
    let next: i32 = session.query_one(sql, &[&run.0]).await?.get(0);
    let renumber = |(slice, id): (&Slice, u32)| Slice {
        id: SliceId(id),
        ..slice.clone()
    };
    let renumbered: Vec<Slice> = slices
        .iter()
        .zip(next.unsigned_abs()..)
        .map(renumber)
        .collect();
    insert_slices(session, run, &renumbered).await
}

pub(crate) async fn insert_slices(
    session: &Session,
    run: RunId,
    slices: &[Slice],
) -> Result<(), Error> {
    let (mut ids, mut tables, mut leaves, mut specs) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for slice in slices {
        ids.push(signed_id(slice.id));
        tables.push(
            i32::try_from(slice.table).map_err(|error| Error::content("table index", error))?,
        );
        leaves.push(slice.leaf_oid);
        specs.push(serde_json::to_value(slice).map_err(|error| Error::content("slice", error))?);
    }
    let sql = "INSERT INTO hyperhaul.slice (run_id, slice_id, table_index, leaf_oid, spec) \
               SELECT $1, * FROM unnest($2::integer[], $3::integer[], $4::oid[], $5::jsonb[])";
    session
        .execute(sql, &[&run.0, &ids, &tables, &leaves, &specs])
        .await?;
    Ok(())
}

fn decode_spec(id: i32, spec: serde_json::Value) -> Result<Slice, Error> {
    serde_json::from_value(spec).map_err(|error| Error::content(format!("slice {id}"), error))
}

fn decode_record(row: &Row) -> Result<SliceRecord, Error> {
    Ok(SliceRecord {
        slice: decode_spec(row.get(0), row.get(1))?,
        done: row.get(2),
        rows: row.get::<_, Option<i64>>(3).map(unsigned),
        bytes: row.get::<_, Option<i64>>(4).map(unsigned),
        seconds: row.get(5),
        started_at: row.get(6),
        finished_at: row.get(7),
        worker: row.get::<_, Option<i32>>(8).map(i32::unsigned_abs),
        skipped: unsigned(row.get(9)),
    })
}

/// Seconds since a moment of this machine's clock: the ledger's times are the target's, whose clock may be another.
pub(crate) fn seconds_since(moment: DateTime<Utc>) -> f64 {
    (Utc::now() - moment).as_seconds_f64().max(0.0)
}

fn signed_id(id: SliceId) -> i32 {
    i32::try_from(id.0).unwrap_or(i32::MAX)
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// A chunk interval that a leaf's finished slices wrote into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenChunk {
    /// The interval.
    pub range: ChunkRange,
    /// Whether finished slices of other leaves wrote into it too.
    pub shared: bool,
}

/// The chunk intervals that the finished slices of a leaf wrote rows into.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn chunks_of_leaf(
    session: &Session,
    run: RunId,
    leaf_oid: u32,
) -> Result<Vec<WrittenChunk>, Error> {
    let sql = "SELECT c.start_us, c.end_us, bool_or(o.leaf_oid <> s.leaf_oid) \
               FROM hyperhaul.slice s JOIN hyperhaul.slice_chunk c USING (run_id, slice_id) \
               JOIN hyperhaul.slice_chunk oc ON oc.run_id = c.run_id AND oc.start_us = c.start_us AND oc.row_count > 0 \
               JOIN hyperhaul.slice o ON o.run_id = oc.run_id AND o.slice_id = oc.slice_id AND o.table_index = s.table_index \
               WHERE s.run_id = $1 AND s.leaf_oid = $2 AND s.done AND c.row_count > 0 GROUP BY 1, 2 ORDER BY 1";
    let rows = session.query(sql, &[&run.0, &leaf_oid]).await?;
    let written = |row: &Row| WrittenChunk {
        range: ChunkRange {
            start_us: row.get(0),
            end_us: row.get(1),
        },
        shared: row.get(2),
    };
    Ok(rows.iter().map(written).collect())
}
