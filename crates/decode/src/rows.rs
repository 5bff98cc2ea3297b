//! Finished tuples for one table, and which record each is of. No header and no trailer, no COPY.
//!
//! ```text
//!   encoder   | tuple 0 | tuple 1: .. [0000] .. | tuple 2 |
//!             ^         ^              ^        ^
//!   rows      position,           pending: row 1, lookup, key, offset of the id
//!             end
//! ```

use crate::lookup::{Found, IdType, Keys, LookupKey, LookupSpec};
use crate::refusal::{Reason, Refusal};
use bytes::Bytes;
use hyperhaul_pgcopy::{Encoder, Row};
use std::ops::Range;

/// Tuples of one table, in the order in which they were added.
#[derive(Debug)]
pub struct Rows {
    encoder: Encoder,
    field_count: i16,
    rows: Vec<Placed>,
    /// In the order of the rows.
    pending: Vec<Pending>,
    lookups: Vec<Lookup>,
    tally: Tally,
}

/// What decoders saw and did not refuse.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Members or fields of records that no column takes.
    pub unknown_members: u64,
    /// Implausible numbers that became NULL.
    pub implausible_nulls: u64,
}

/// Ids are missing in rows that were asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{ids} ids of looked up keys are not filled in")]
pub struct Unresolved {
    /// How many.
    pub ids: usize,
}

/// A tuple.
#[derive(Debug, Clone, Copy)]
struct Placed {
    /// Where it ends in the encoder's bytes.
    end: usize,
    /// The record's position in its source.
    position: u64,
}

/// An id that is to be filled in.
#[derive(Debug, Clone, Copy)]
struct Pending {
    row: usize,
    lookup: usize,
    key: usize,
    /// Where the id's bytes begin.
    at: usize,
}

#[derive(Debug)]
struct Lookup {
    id_type: IdType,
    keys: Keys,
}

impl Rows {
    /// None yet; each will have `column_count` fields. `lookups` are the decoder's.
    pub fn new(column_count: usize, lookups: &[LookupSpec]) -> Self {
        let lookups = lookups.iter().map(|spec| Lookup {
            id_type: spec.id_type,
            keys: Keys::default(),
        });
        Rows {
            encoder: Encoder::new(),
            // A table has 1,600 columns at most; with more the server refuses every tuple.
            field_count: i16::try_from(column_count).unwrap_or(i16::MAX),
            rows: Vec::new(),
            pending: Vec::new(),
            lookups: lookups.collect(),
            tally: Tally::default(),
        }
    }

    /// Begins the tuple of a record.
    pub fn tuple(&mut self, position: u64) -> TupleWriter<'_> {
        let start = self.encoder.len();
        TupleWriter {
            start,
            index: self.rows.len(),
            position,
            row: self.encoder.row(self.field_count),
            rows: &mut self.rows,
            pending: &mut self.pending,
            lookups: &mut self.lookups,
            is_finished: false,
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All tuples.
    pub fn bytes(&self) -> &[u8] {
        self.encoder.as_bytes()
    }

    /// One tuple; empty if there is none of that index.
    pub fn row_bytes(&self, index: usize) -> &[u8] {
        self.range_bytes(index..index.saturating_add(1))
    }

    /// Tuples that follow each other; empty if they are not all there.
    pub fn range_bytes(&self, rows: Range<usize>) -> &[u8] {
        if rows.end > self.rows.len() {
            return &[];
        }
        let bytes = self.start(rows.start)..self.start(rows.end);
        self.encoder.as_bytes().get(bytes).unwrap_or_default()
    }

    /// The position of the record that a row is of.
    pub fn position(&self, index: usize) -> Option<u64> {
        self.rows.get(index).map(|row| row.position)
    }

    /// What was seen since the last [`take`](Rows::take).
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// For decoders: to count what they saw.
    pub fn tally_mut(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// Takes back all rows but the first `len`: a decoder that writes into several tables takes back what it wrote of a
    /// record that it then refuses.
    pub fn truncate(&mut self, len: usize) {
        self.encoder.truncate(self.start(len));
        self.rows.truncate(len);
        let kept = self.pending.partition_point(|pending| pending.row < len);
        self.pending.truncate(kept);
    }

    /// Keeps the rows of which `keep` says so, by index. Who drops a row of one table drops the rows that the record has in
    /// others as well.
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let (mut kept, mut end, mut start) = (0, 0, 0);
        let mut pending = std::mem::take(&mut self.pending).into_iter().peekable();
        for index in 0..self.rows.len() {
            let Some(row) = self.rows.get(index).copied() else {
                break;
            };
            let is_kept = keep(index);
            while let Some(id) = pending.next_if(|id| id.row == index) {
                let at = id.at - start + end;
                let moved = Pending {
                    row: kept,
                    at,
                    ..id
                };
                self.pending.extend(is_kept.then_some(moved));
            }
            if is_kept {
                self.encoder.as_mut_bytes().copy_within(start..row.end, end);
                end += row.end - start;
                if let Some(place) = self.rows.get_mut(kept) {
                    *place = Placed { end, ..row };
                }
                kept += 1;
            }
            start = row.end;
        }
        self.rows.truncate(kept);
        self.encoder.truncate(end);
    }

    /// The distinct keys of a lookup whose ids are not filled in.
    pub fn wanted(&self, lookup: usize) -> Vec<&LookupKey> {
        let Some(keys) = self.lookups.get(lookup).map(|lookup| &lookup.keys) else {
            return Vec::new();
        };
        let mut is_wanted = vec![false; keys.len()];
        for id in self.pending.iter().filter(|id| id.lookup == lookup) {
            if let Some(wanted) = is_wanted.get_mut(id.key) {
                *wanted = true;
            }
        }
        let wanted = is_wanted.iter().enumerate().filter(|(_, wanted)| **wanted);
        wanted.filter_map(|(key, _)| keys.get(key)).collect()
    }

    /// Ids that are not filled in.
    pub fn unresolved(&self) -> usize {
        self.pending.len()
    }

    /// Fills in the ids of a lookup; `find` is asked once for each distinct key. Returns the rows that have to be dropped,
    /// because their key is not known, in order; their ids stay unresolved.
    pub fn patch<'f>(
        &mut self,
        lookup: usize,
        mut find: impl FnMut(&LookupKey) -> Option<Found<'f>>,
    ) -> Vec<(usize, Refusal)> {
        let Some(Lookup { id_type, keys }) = self.lookups.get(lookup) else {
            return Vec::new();
        };
        let mut found: Vec<Option<Option<Found<'f>>>> = vec![None; keys.len()];
        let bytes = self.encoder.as_mut_bytes();
        let mut refused = Vec::new();
        self.pending.retain(|id| {
            if id.lookup != lookup {
                return true;
            }
            let answer = found.get_mut(id.key).and_then(|answer| {
                *answer.get_or_insert_with(|| keys.get(id.key).and_then(&mut find))
            });
            let place = bytes.get_mut(id.at..id.at + id_type.bytes());
            let is_written = match (answer, place) {
                (Some(answer), Some(place)) => answer.id.write(place),
                _ => false,
            };
            if !is_written {
                refused.push((id.row, Refusal::record(Reason::UnknownKey)));
            }
            !is_written
        });
        refused
    }

    /// All tuples, and begins anew.
    ///
    /// # Errors
    ///
    /// If ids are not filled in: the rows stay.
    pub fn take(&mut self) -> Result<Bytes, Unresolved> {
        if !self.pending.is_empty() {
            return Err(Unresolved {
                ids: self.pending.len(),
            });
        }
        self.rows.clear();
        self.lookups
            .iter_mut()
            .for_each(|lookup| lookup.keys.clear());
        self.tally = Tally::default();
        Ok(self.encoder.take())
    }

    /// Where a row begins; the end of all for the index after the last.
    fn start(&self, index: usize) -> usize {
        let before = index.checked_sub(1).map(|before| self.rows.get(before));
        match before {
            None => 0,
            Some(Some(row)) => row.end,
            Some(None) => self.encoder.len(),
        }
    }
}

/// A tuple that is being written. It is taken back unless it is [finished](TupleWriter::finish).
#[derive(Debug)]
pub struct TupleWriter<'a> {
    row: Row<'a>,
    start: usize,
    index: usize,
    position: u64,
    rows: &'a mut Vec<Placed>,
    pending: &'a mut Vec<Pending>,
    lookups: &'a mut Vec<Lookup>,
    is_finished: bool,
}

impl<'a> TupleWriter<'a> {
    /// Where the next field goes: exactly one method of [`Row`] is called for each field.
    pub fn field(&mut self) -> &mut Row<'a> {
        &mut self.row
    }

    /// A field that gets the id of `key`. The values are those of the lookup's key columns and extra columns, in their order.
    pub fn lookup(&mut self, lookup: usize, key: &[&str], extra: &[Option<&str>]) {
        const LENGTH_WORD_BYTES: usize = 4;
        let Some(Lookup { id_type, keys }) = self.lookups.get_mut(lookup) else {
            self.row.null();
            return;
        };
        let key = keys.intern(key, extra);
        let at = self.start + self.row.bytes_written() + LENGTH_WORD_BYTES;
        self.pending.push(Pending {
            row: self.index,
            lookup,
            key,
            at,
        });
        const ZEROS: [u8; 16] = [0; 16];
        self.row
            .raw(ZEROS.get(..id_type.bytes()).unwrap_or_default());
    }

    /// Ends the tuple.
    ///
    /// # Errors
    ///
    /// If it is larger than a tuple can be, or does not have as many fields as the COPY has columns. It is gone then.
    pub fn finish(mut self) -> Result<(), Refusal> {
        let bytes = self.row.bytes_written();
        self.row
            .finish()
            .map_err(|_| Refusal::record(Reason::TooLarge))?;
        self.is_finished = true;
        self.rows.push(Placed {
            end: self.start + bytes,
            position: self.position,
        });
        Ok(())
    }
}

impl Drop for TupleWriter<'_> {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        self.row.abandon();
        let kept = self
            .pending
            .partition_point(|pending| pending.row < self.index);
        self.pending.truncate(kept);
    }
}
