//! The ways of a batch's rows into their tables, each within the caller's transaction.

use super::Way;
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
use std::collections::HashSet;

/// What became of the rows.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// New rows, for each table.
    pub(super) inserted: Vec<u64>,
    /// Records whose key the first table has with other values, by index in the batch.
    pub(super) conflicts: Vec<usize>,
    /// Rows that the slowest way left out.
    pub(super) left_out: Vec<LeftOut>,
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

/// Writes the batch's rows.
pub(super) async fn write(
    session: &Session,
    tables: &[Table],
    batch: &Batch,
    way: Way,
) -> Result<Written, Trouble> {
    let mut written = Written::default();
    if way > Way::Copy {
        session.batch(CONSTRAINTS_AT_ONCE).await?;
    }
    if way == Way::RowByRow && batch.taken.records.len() == 1 {
        session.batch(LIFT_DECOMPRESSION_LIMIT).await?;
    }
    for (index, table) in tables.iter().enumerate() {
        let inserted = write_table(session, table, batch, index, way).await?;
        let left_out = batch.row_count(index) as u64 - inserted;
        written.inserted.push(inserted);
        if way == Way::Copy && left_out > 0 {
            return Err(Trouble::Uncounted);
        }
        // The first table decides what became of a record.
        if index == 0 && (way == Way::RowByRow || left_out > 0) {
            written.conflicts = conflicts(session, table, index).await?;
        }
        if way == Way::Staged && index == 0 && written.conflicts.len() as u64 > left_out {
            return Err(Trouble::Uncounted);
        }
    }
    if way == Way::RowByRow {
        leave_out(session, &mut written).await?;
    }
    Ok(written)
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

async fn write_table(
    session: &Session,
    table: &Table,
    batch: &Batch,
    index: usize,
    way: Way,
) -> Result<u64, ServerError> {
    let row_count = batch.row_count(index);
    if row_count == 0 {
        return Ok(0);
    }
    if way == Way::Copy {
        return copy(session, table, batch, index).await;
    }
    stage(session, table, batch, index).await?;
    if way == Way::Staged {
        return session.execute(&table.insert_staged(index), &[]).await;
    }
    session.batch(&table.insert_row_by_row(index)).await?;
    Ok(row_count as u64)
}

/// Reads which rows were left out, and takes them out of the counts.
async fn leave_out(session: &Session, written: &mut Written) -> Result<(), ServerError> {
    let rows = session.query(LEFT_OUT_ROWS, &[]).await?;
    written.left_out = rows.iter().map(left_out).collect();
    for row in &written.left_out {
        if let Some(inserted) = written.inserted.get_mut(row.table) {
            *inserted -= 1;
        }
    }
    // What was inserted and changed by a trigger is no conflict, and what was refused neither.
    let there = written.left_out.iter();
    let there = there.filter(|row| row.table == 0 && row.refused.is_none());
    let there: HashSet<usize> = there.map(|row| row.record).collect();
    written.conflicts.retain(|record| there.contains(record));
    Ok(())
}

fn left_out(row: &Row) -> LeftOut {
    let sqlstate: Option<String> = row.get(2);
    LeftOut {
        table: number(row, 0),
        record: number(row, 1),
        refused: sqlstate.map(|sqlstate| Refused {
            sqlstate,
            column: row.get(3),
            constraint: row.get(4),
        }),
    }
}

fn number(row: &Row, column: usize) -> usize {
    usize::try_from(row.get::<_, i32>(column)).unwrap_or(usize::MAX)
}

async fn copy(
    session: &Session,
    table: &Table,
    batch: &Batch,
    index: usize,
) -> Result<u64, ServerError> {
    let mut pieces = Pieces::begin(session, &table.copy()).await?;
    for rows in batch.of_table(index) {
        pieces.put(rows.bytes()).await?;
    }
    pieces.finish().await
}

/// The rows of a table with the number of their record in front.
async fn stage(
    session: &Session,
    table: &Table,
    batch: &Batch,
    index: usize,
) -> Result<(), ServerError> {
    let mut pieces = Pieces::begin(session, &table.copy_stage(index)).await?;
    let mut numbered = BytesMut::new();
    for rows in batch.of_table(index) {
        for row in 0..rows.len() {
            let position = rows.position(row);
            let record = position.and_then(|position| batch.index_of(position));
            numbered.clear();
            put_numbered(
                &mut numbered,
                rows.row_bytes(row),
                record.unwrap_or_default(),
            );
            pieces.put(&numbered).await?;
        }
    }
    pieces.finish().await?;
    Ok(())
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
