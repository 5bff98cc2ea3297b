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
        let share = Share {
            session,
            table,
            batch,
            index,
        };
        let inserted = match way {
            Way::Copy => share.copy().await?,
            Way::Sifted => share.sift(suspects, &mut written).await?,
            Way::Staged => share.insert_staged(|_| true, &mut written).await?,
            Way::RowByRow => share.insert_row_by_row(&mut written).await?,
        };
        written.inserted.push(inserted);
    }
    Ok(written)
}

/// What a batch has for one of its tables. Each way tells how many rows are new.
#[derive(Clone, Copy)]
struct Share<'a> {
    session: &'a Session,
    table: &'a Table,
    batch: &'a Batch,
    /// Of the table.
    index: usize,
}

impl<'a> Share<'a> {
    async fn copy(self) -> Result<u64, Trouble> {
        let mut pieces = Pieces::begin(self.session, &self.table.copy()).await?;
        for rows in self.batch.of_table(self.index) {
            pieces.put(rows.bytes()).await?;
        }
        let inserted = pieces.finish().await?;
        if inserted < self.batch.row_count(self.index) as u64 {
            return Err(Trouble::Uncounted);
        }
        Ok(inserted)
    }

    /// Copies all but suspects, which are staged.
    async fn sift(self, suspects: &Suspects, written: &mut Written) -> Result<u64, Trouble> {
        let mut pieces = Pieces::begin(self.session, &self.table.copy()).await?;
        let is_clear = |row| !suspects.has(self.index, row);
        let mut expected = 0;
        for (_, tuple) in self.chosen(is_clear, &written.gone()) {
            pieces.put(tuple).await?;
            expected += 1;
        }
        let copied = pieces.finish().await?;
        if copied < expected {
            return Err(Trouble::Uncounted);
        }
        if suspects.count(self.index) == 0 {
            return Ok(copied);
        }
        let is_suspect = |row| suspects.has(self.index, row);
        Ok(copied + self.insert_staged(is_suspect, written).await?)
    }

    /// Inserts the rows that are chosen, where their keys are not there yet.
    async fn insert_staged(
        self,
        is_chosen: impl Fn(usize) -> bool,
        written: &mut Written,
    ) -> Result<u64, Trouble> {
        let staged = self.stage(is_chosen, written).await?;
        let sql = self.table.insert_staged(self.index);
        let inserted = self.session.execute(&sql, &[]).await?;
        if inserted == staged {
            return Ok(inserted);
        }
        let conflicts = self.conflicts().await?;
        // Whether the first table's row of such a record is new cannot be told by this way either.
        let is_told = self.index == 0 || conflicts.is_empty();
        if !is_told || conflicts.len() as u64 > staged.saturating_sub(inserted) {
            return Err(Trouble::Uncounted);
        }
        let conflicts = conflicts.into_iter().map(|record| (record, self.index));
        written.conflicts.extend(conflicts);
        Ok(inserted)
    }

    async fn insert_row_by_row(self, written: &mut Written) -> Result<u64, Trouble> {
        let staged = self.stage(|_| true, written).await?;
        let sql = self.table.insert_row_by_row(self.index);
        self.session.batch(&sql).await?;
        let target = i32::try_from(self.index).unwrap_or(i32::MAX);
        let rows = self.session.query(LEFT_OUT_ROWS, &[&target]).await?;
        let left_out: Vec<LeftOut> = rows.iter().map(|row| left_out(self.index, row)).collect();
        // What was inserted and changed by a trigger is no conflict, and what was refused neither.
        let there = left_out.iter().filter(|row| row.refused.is_none());
        let there: HashSet<usize> = there.map(|row| row.record).collect();
        if !there.is_empty() {
            let conflicts = self.conflicts().await?.into_iter();
            let conflicts = conflicts.filter(|record| there.contains(record));
            let conflicts = conflicts.map(|record| (record, self.index));
            written.conflicts.extend(conflicts);
        }
        let inserted = staged.saturating_sub(left_out.len() as u64);
        written.left_out.extend(left_out);
        Ok(inserted)
    }

    async fn conflicts(self) -> Result<Vec<usize>, ServerError> {
        let Share {
            session,
            table,
            index,
            ..
        } = self;
        let is_spread = match table.is_spread(index) {
            Some(sql) => session.query_one(&sql, &[]).await?.get(0),
            None => false,
        };
        let sql = table.conflicts_of_spread(index).filter(|_| is_spread);
        let sql = sql.unwrap_or_else(|| table.conflicts(index));
        let rows = session.query(&sql, &[]).await?;
        Ok(rows.iter().map(|row| number(row, 0)).collect())
    }

    /// The rows that are chosen, each with the index of its record, but for records that a table before has not taken.
    fn chosen(
        self,
        is_chosen: impl Fn(usize) -> bool,
        gone: &HashSet<usize>,
    ) -> impl Iterator<Item = (usize, &'a [u8])> {
        let rows = self.batch.of_table(self.index).flat_map(|rows| {
            (0..rows.len()).map(move |row| (rows.position(row), rows.row_bytes(row)))
        });
        let rows = rows.enumerate().filter(move |(row, _)| is_chosen(*row));
        rows.filter_map(move |(_, (position, tuple))| {
            let record = position.and_then(|position| self.batch.index_of(position));
            let record = record.unwrap_or_default();
            (!gone.contains(&record)).then_some((record, tuple))
        })
    }

    /// Rows with the number of their record in front. How many.
    async fn stage(
        self,
        is_chosen: impl Fn(usize) -> bool,
        written: &Written,
    ) -> Result<u64, ServerError> {
        let gone = written.gone();
        let sql = self.table.copy_stage(self.index);
        let mut pieces = Pieces::begin(self.session, &sql).await?;
        let mut numbered = BytesMut::new();
        for (record, tuple) in self.chosen(is_chosen, &gone) {
            numbered.clear();
            put_numbered(&mut numbered, tuple, record);
            pieces.put(&numbered).await?;
        }
        pieces.finish().await
    }
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
