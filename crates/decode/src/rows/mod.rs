//! Finished tuples for one table, and which record each is of. No header and no trailer, no COPY.
//!
//! ```text
//!   encoder   | tuple 0 | tuple 1: .. [0000] .. NULL NULL | tuple 2 |
//!             ^         ^              ^        ^         ^
//!   placed    position,                |        |
//!             end                      |        tail: fields that depend on what the lookup returns (Choice)
//!                                      id that is to be filled in (Pending): lookup, key, offset
//! ```
//!
//! `writer` writes a tuple, `fill` fills in what was looked up.

mod fill;
mod writer;

use crate::lookup::{IdType, Keys, LookupKey, LookupSpec};
use crate::refusal::Refusal;
use bytes::Bytes;
use hyperhaul_pgcopy::Encoder;
use std::ops::Range;
use std::sync::Arc;

pub use writer::TupleWriter;

/// Tuples of one table, in the order in which they were added.
#[derive(Debug)]
pub struct Rows {
    encoder: Encoder,
    field_count: i16,
    placed: Vec<Placed>,
    /// In the order of the rows.
    pending: Vec<Pending>,
    /// In the order of the rows.
    choices: Vec<Choice>,
    lookups: Vec<Lookup>,
    tally: Tally,
    /// Records by what they were.
    kinds: Vec<u64>,
}

/// What decoders saw and did not refuse.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Members or fields of records that no column takes.
    pub unknown_members: u64,
    /// Implausible numbers that became NULL.
    pub implausible_nulls: u64,
    /// Rows whose time is long before their reception; see [`TimeMapping`](crate::TimeMapping).
    pub late_rows: u64,
}

impl Tally {
    /// Adds what somebody else saw.
    pub fn add(&mut self, other: Tally) {
        self.unknown_members += other.unknown_members;
        self.implausible_nulls += other.implausible_nulls;
        self.late_rows += other.late_rows;
    }
}

/// Rows are asked for that wait for what is looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{count} looked up values are not filled in")]
pub struct Unresolved {
    /// How many.
    pub count: usize,
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

/// The last fields of a tuple, which depend on what a lookup returns. NULLs stand in their place.
#[derive(Debug)]
struct Choice {
    row: usize,
    lookup: usize,
    key: usize,
    alternatives: Alternatives,
}

/// What the last fields of a tuple can be.
#[derive(Debug)]
pub(crate) struct Alternatives {
    /// How many fields that are.
    pub(crate) field_count: usize,
    /// Each of them, and what is returned for it.
    pub(crate) tails: Vec<(Arc<str>, Tail)>,
    /// Which of them it is where nothing, or nothing known, is returned.
    pub(crate) otherwise: usize,
}

/// The last fields of a tuple, or why the value cannot be them.
pub(crate) type Tail = Result<Vec<u8>, Refusal>;

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
            placed: Vec::new(),
            pending: Vec::new(),
            choices: Vec::new(),
            lookups: lookups.collect(),
            tally: Tally::default(),
            kinds: Vec::new(),
        }
    }

    /// Begins the tuple of a record.
    pub fn tuple(&mut self, position: u64) -> TupleWriter<'_> {
        TupleWriter::begin(self, position)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.placed.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.placed.is_empty()
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
        if rows.end > self.placed.len() {
            return &[];
        }
        let bytes = self.start(rows.start)..self.start(rows.end);
        self.encoder.as_bytes().get(bytes).unwrap_or_default()
    }

    /// The position of the record that a row is of.
    pub fn position(&self, index: usize) -> Option<u64> {
        self.placed.get(index).map(|row| row.position)
    }

    /// What was seen since the last [`take`](Rows::take).
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Records since the last [`take`](Rows::take) by what they were, as [`kinds`](crate::Decoder::kinds) names it; kinds behind the
    /// last one that was seen are left out. A row that is dropped afterwards still counts.
    pub fn kind_counts(&self) -> &[u64] {
        &self.kinds
    }

    /// Counts a record as one of a kind.
    pub(crate) fn count_kind(&mut self, kind: usize) {
        if self.kinds.len() <= kind {
            self.kinds.resize(kind + 1, 0);
        }
        if let Some(count) = self.kinds.get_mut(kind) {
            *count += 1;
        }
    }

    /// Takes back all rows but the first `len`: a decoder that writes into several tables takes back what it wrote of a
    /// record that it then refuses.
    pub fn truncate(&mut self, len: usize) {
        self.encoder.truncate(self.start(len));
        self.placed.truncate(len);
        let pending = self.pending.partition_point(|pending| pending.row < len);
        self.pending.truncate(pending);
        let choices = self.choices.partition_point(|choice| choice.row < len);
        self.choices.truncate(choices);
    }

    /// Keeps the rows of which `keep` says so, by index. Who drops a row of one table drops the rows that the record has in
    /// others as well.
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        self.rewrite(|row| {
            if keep(row) {
                Rewrite::Keep
            } else {
                Rewrite::Drop
            }
        });
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

    /// How many looked up values are not filled in.
    pub fn unresolved(&self) -> usize {
        self.pending.len() + self.choices.len()
    }

    /// All tuples, and begins anew.
    ///
    /// # Errors
    ///
    /// If looked up values are not filled in: the rows stay.
    pub fn take(&mut self) -> Result<Bytes, Unresolved> {
        if self.unresolved() > 0 {
            return Err(Unresolved {
                count: self.unresolved(),
            });
        }
        self.placed.clear();
        self.lookups
            .iter_mut()
            .for_each(|lookup| lookup.keys.clear());
        self.tally = Tally::default();
        self.kinds.clear();
        Ok(self.encoder.take())
    }

    /// Where a row begins; the end of all for the index after the last.
    fn start(&self, index: usize) -> usize {
        let before = index.checked_sub(1).map(|before| self.placed.get(before));
        match before {
            None => 0,
            Some(Some(row)) => row.end,
            Some(None) => self.encoder.len(),
        }
    }

    /// Writes all tuples anew.
    fn rewrite<'t>(&mut self, mut rewrite: impl FnMut(usize) -> Rewrite<'t>) {
        let mut encoder = Encoder::with_capacity(self.encoder.len());
        let mut placed = Vec::with_capacity(self.placed.len());
        let mut pending = std::mem::take(&mut self.pending).into_iter().peekable();
        let mut choices = std::mem::take(&mut self.choices).into_iter().peekable();
        let mut start = 0;
        for (index, row) in self.placed.iter().enumerate() {
            let (row_at, new) = (encoder.len(), placed.len());
            let rewrite = rewrite(index);
            let kept = match rewrite {
                Rewrite::Drop => start..start,
                Rewrite::Keep => start..row.end,
                Rewrite::Tail { from, .. } => start..from,
            };
            encoder.append(self.encoder.as_bytes().get(kept).unwrap_or_default());
            if let Rewrite::Tail { bytes, .. } = rewrite {
                encoder.append(bytes);
            }
            let is_kept = !matches!(rewrite, Rewrite::Drop);
            while let Some(id) = pending.next_if(|id| id.row == index) {
                let moved = Pending {
                    row: new,
                    at: id.at - start + row_at,
                    ..id
                };
                self.pending.extend(is_kept.then_some(moved));
            }
            while let Some(choice) = choices.next_if(|choice| choice.row == index) {
                let moved = Choice { row: new, ..choice };
                self.choices.extend(is_kept.then_some(moved));
            }
            if is_kept {
                placed.push(Placed {
                    end: encoder.len(),
                    position: row.position,
                });
            }
            start = row.end;
        }
        self.encoder = encoder;
        self.placed = placed;
    }
}

/// What becomes of a tuple.
#[derive(Clone, Copy)]
enum Rewrite<'t> {
    Drop,
    Keep,
    /// It gets other bytes from an offset on.
    Tail {
        from: usize,
        bytes: &'t [u8],
    },
}

#[cfg(test)]
mod tests;
