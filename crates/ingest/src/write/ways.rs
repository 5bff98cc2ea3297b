//! The ways of a batch's rows into their tables, each within the caller's transaction.

use super::sieve::Suspects;
use crate::batch::Batch;
use crate::limits::COPY_PIECE_BYTES;
use crate::statements::{
    CLEAR_LEFT_OUT, CONSTRAINTS_AT_ONCE, CREATE_LEFT_OUT, LEFT_OUT_ROWS, LIFT_DECOMPRESSION_LIMIT,
    Table, clear_stage,
};
use crate::trouble::Trouble;
use bytes::{BufMut, BytesMut};
use hyperhaul_pg::{CopyIn, Error as ServerError, Row, Session};
use hyperhaul_pgcopy::Encoder;
use std::collections::{BTreeMap, HashSet};

/// How a batch is written; each is slower than the one before, and gets past more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// COPY into the tables.
    Copy,
    /// COPY of the rows whose keys were not seen lately; the others staged.
    Sifted,
    /// Staged, and inserted where the key is not there yet.
    Staged,
    /// Staged, and inserted row by row.
    RowByRow,
}

/// What became of the rows.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// New rows, for each table.
    pub(super) inserted: Vec<u64>,
    /// Records whose key a table has with other values, by index in the batch, and which table.
    pub(super) conflicts: BTreeMap<usize, usize>,
    /// Rows that the slowest way left out.
    pub(super) left_out: Vec<LeftOut>,
}

impl Written {
    /// Records that a table refused, or has with other values.
    pub(super) fn gone(&self) -> HashSet<usize> {
        let refused = self.left_out.iter().filter(|row| row.refused.is_some());
        let refused = refused.map(|row| row.record);
        refused.chain(self.conflicts.keys().copied()).collect()
    }
}

/// A row that was not inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Index of the table.
    pub(super) table: usize,
    /// Index of the record in the batch.
    pub(super) record: usize,
    /// `None`: its key was there.
    pub(super) refused: Option<Refused>,
}

/// Why the server refuses a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) sqlstate: String,
    pub(super) column: Option<String>,
    pub(super) constraint: Option<String>,
}

/// Makes the session's own tables for rows that go a slower way.
pub(crate) async fn create_stages(session: &Session, tables: &[Table]) -> Result<(), ServerError> {
    session.batch(CREATE_LEFT_OUT).await?;
    for (index, table) in tables.iter().enumerate() {
        session.batch(&table.create_stage(index)).await?;
    }
    Ok(())
}

/// Empties them within a transaction that writes several batches.
pub(super) async fn clear_stages(session: &Session, tables: &[Table]) -> Result<(), ServerError> {
    session.batch(CLEAR_LEFT_OUT).await?;
    for index in 0..tables.len() {
        session.batch(&clear_stage(index)).await?;
    }
    Ok(())
}

/// Keeps the tables from being changed until the transaction ends, and makes sure that they were not changed before.
pub(super) async fn hold_shape(session: &Session, tables: &[Table]) -> Result<(), Trouble> {
    for table in tables {
        session.batch(&table.lock()).await?;
        let shape = hyperhaul_catalog::shape(session, &table.relation).await?;
        if shape.as_ref() != Some(&table.shape) {
            return Err(Trouble::Reshaped);
        }
    }
    Ok(())
}

/// Writes the batch's rows. What a table refuses, or has with other values, goes into none of the tables behind it.
pub(super) async fn write(
    session: &Session,
    tables: &[Table],
    batch: &Batch,
    way: Way,
    suspects: &Suspects,
) -> Result<Written, Trouble> {
    let mut written = Written::default();
    if way > Way::Copy {
        session.batch(CONSTRAINTS_AT_ONCE).await?;
    }
    if way == Way::RowByRow && batch.taken.records.len() == 1 {
        session.batch(LIFT_DECOMPRESSION_LIMIT).await?;
    }
    for (index, table) in tables.iter().enumerate() {
        if batch.row_count(index) == 0 {
            written.inserted.push(0);
            continue;
        }
        match way {
            Way::Copy => copy(session, table, batch, index, &mut written).await?,
            Way::Sifted => sift(session, table, batch, index, suspects, &mut written).await?,
            Way::Staged => {
                let all = |_| true;
                let inserted =
                    insert_staged(session, table, batch, index, all, &mut written).await?;
                written.inserted.push(inserted);
            }
            Way::RowByRow => insert_row_by_row(session, table, batch, index, &mut written).await?,
        }
    }
    Ok(written)
}

async fn copy(
    session: &Session,
    table: &Table,
    batch: &Batch,
    index: usize,
    written: &mut Written,
) -> Result<(), Trouble> {
    let mut pieces = Pieces::begin(session, &table.copy()).await?;
    for rows in batch.of_table(index) {
        pieces.put(rows.bytes()).await?;
    }
    let inserted = pieces.finish().await?;
    written.inserted.push(inserted);
    if inserted < batch.row_count(index) as u64 {
        return Err(Trouble::Uncounted);
    }
    Ok(())
}

/// Copies all but suspects, which are staged.
async fn sift(
    session: &Session,
    table: &Table,
    batch: &Batch,
    index: usize,
    suspects: &Suspects,
    written: &mut Written,
) -> Result<(), Trouble> {
    let mut pieces = Pieces::begin(session, &table.copy()).await?;
    let clear = |row| !suspects.has(index, row);
    let mut expected = 0;
    for (_, tuple) in chosen(batch, index, clear, &written.gone()) {
        pieces.put(tuple).await?;
        expected += 1;
    }
    let copied = pieces.finish().await?;
    if copied < expected {
        return Err(Trouble::Uncounted);
    }
    let mut inserted = 0;
    if suspects.count(index) > 0 {
        let suspect = |row| suspects.has(index, row);
        inserted = insert_staged(session, table, batch, index, suspect, written).await?;
    }
    written.inserted.push(copied + inserted);
    Ok(())
}

/// Inserts those of a table's rows that are `chosen`, where their keys are not there yet. How many.
async fn insert_staged(
    session: &Session,
    table: &Table,
    batch: &Batch,
    index: usize,
    is_chosen: impl Fn(usize) -> bool,
    written: &mut Written,
) -> Result<u64, Trouble> {
    let staged = stage(session, table, batch, index, is_chosen, written).await?;
    let inserted = session.execute(&table.insert_staged(index), &[]).await?;
    if inserted == staged {
        return Ok(inserted);
    }
    let conflicts = conflicts(session, table, index).await?;
    // Whether the first table's row of such a record is new cannot be told by this way either.
    let is_told = index == 0 || conflicts.is_empty();
    if !is_told || conflicts.len() as u64 > staged.saturating_sub(inserted) {
        return Err(Trouble::Uncounted);
    }
    let conflicts = conflicts.into_iter().map(|record| (record, index));
    written.conflicts.extend(conflicts);
    Ok(inserted)
}

async fn insert_row_by_row(
    session: &Session,
    table: &Table,
    batch: &Batch,
    index: usize,
    written: &mut Written,
) -> Result<(), Trouble> {
    let staged = stage(session, table, batch, index, |_| true, written).await?;
    session.batch(&table.insert_row_by_row(index)).await?;
    let target = i32::try_from(index).unwrap_or(i32::MAX);
    let rows = session.query(LEFT_OUT_ROWS, &[&target]).await?;
    let left_out: Vec<LeftOut> = rows.iter().map(|row| left_out(index, row)).collect();
    written
        .inserted
        .push(staged.saturating_sub(left_out.len() as u64));
    // What was inserted and changed by a trigger is no conflict, and what was refused neither.
    let there = left_out.iter().filter(|row| row.refused.is_none());
    let there: HashSet<usize> = there.map(|row| row.record).collect();
    if !there.is_empty() {
        let conflicts = conflicts(session, table, index).await?;
        let conflicts = conflicts
            .into_iter()
            .filter(|record| there.contains(record));
        written
            .conflicts
            .extend(conflicts.map(|record| (record, index)));
    }
    written.left_out.extend(left_out);
    Ok(())
}

async fn conflicts(
    session: &Session,
    table: &Table,
    index: usize,
) -> Result<Vec<usize>, ServerError> {
    let is_spread = match table.is_spread(index) {
        Some(sql) => session.query_one(&sql, &[]).await?.get(0),
        None => false,
    };
    let sql = table.conflicts_of_spread(index).filter(|_| is_spread);
    let sql = sql.unwrap_or_else(|| table.conflicts(index));
    let rows = session.query(&sql, &[]).await?;
    Ok(rows.iter().map(|row| number(row, 0)).collect())
}

fn left_out(table: usize, row: &Row) -> LeftOut {
    let sqlstate: Option<String> = row.get(1);
    LeftOut {
        table,
        record: number(row, 0),
        refused: sqlstate.map(|sqlstate| Refused {
            sqlstate,
            column: row.get(2),
            constraint: row.get(3),
        }),
    }
}

fn number(row: &Row, column: usize) -> usize {
    usize::try_from(row.get::<_, i32>(column)).unwrap_or(usize::MAX)
}

/// The rows of a table that are chosen, each with the index of its record, but for records that a table before has not taken.
fn chosen<'a>(
    batch: &'a Batch,
    table: usize,
    is_chosen: impl Fn(usize) -> bool + 'a,
    gone: &'a HashSet<usize>,
) -> impl Iterator<Item = (usize, &'a [u8])> {
    let rows = batch
        .of_table(table)
        .flat_map(|rows| (0..rows.len()).map(move |row| (rows.position(row), rows.row_bytes(row))));
    let rows = rows.enumerate().filter(move |(row, _)| is_chosen(*row));
    rows.filter_map(|(_, (position, tuple))| {
        let record = position.and_then(|position| batch.index_of(position));
        let record = record.unwrap_or_default();
        (!gone.contains(&record)).then_some((record, tuple))
    })
}

/// Rows with the number of their record in front. How many.
async fn stage(
    session: &Session,
    table: &Table,
    batch: &Batch,
    index: usize,
    is_chosen: impl Fn(usize) -> bool,
    written: &Written,
) -> Result<u64, ServerError> {
    let gone = written.gone();
    let mut pieces = Pieces::begin(session, &table.copy_stage(index)).await?;
    let mut numbered = BytesMut::new();
    for (record, tuple) in chosen(batch, index, is_chosen, &gone) {
        numbered.clear();
        put_numbered(&mut numbered, tuple, record);
        pieces.put(&numbered).await?;
    }
    pieces.finish().await
}

/// A tuple with one more field in front: an `integer`.
fn put_numbered(numbered: &mut BytesMut, tuple: &[u8], record: usize) {
    let Some((count, fields)) = tuple.split_first_chunk::<2>() else {
        return;
    };
    numbered.put_i16(i16::from_be_bytes(*count) + 1);
    numbered.put_i32(4);
    numbered.put_i32(i32::try_from(record).unwrap_or(i32::MAX));
    numbered.put_slice(fields);
}

/// Gathers tuples into pieces of a size that costs little to send.
struct Pieces {
    copy: CopyIn,
    gathered: BytesMut,
}

impl Pieces {
    async fn begin(session: &Session, sql: &str) -> Result<Pieces, ServerError> {
        let mut header = Encoder::new();
        header.header();
        let mut gathered = BytesMut::with_capacity(2 * COPY_PIECE_BYTES);
        gathered.put_slice(&header.take());
        Ok(Pieces {
            copy: session.copy_in(sql).await?,
            gathered,
        })
    }

    async fn put(&mut self, mut tuples: &[u8]) -> Result<(), ServerError> {
        while !tuples.is_empty() {
            let (now, later) = tuples.split_at(tuples.len().min(COPY_PIECE_BYTES));
            self.gathered.put_slice(now);
            tuples = later;
            if self.gathered.len() >= COPY_PIECE_BYTES {
                self.copy.send(self.gathered.split().freeze()).await?;
            }
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<u64, ServerError> {
        let mut trailer = Encoder::new();
        trailer.trailer();
        self.gathered.put_slice(&trailer.take());
        self.copy.send(self.gathered.freeze()).await?;
        self.copy.finish().await
    }
}
