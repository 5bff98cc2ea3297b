//! A bounded memory of the keys of rows that were written lately, for duplicates that no unique index can find: the same fact, told
//! twice, with another value in the partitioning column.
//!
//! ```text
//!   admit(key, position) ─> young generation ── full: becomes the old one, which is forgotten
//!                           old generation
//! ```

use std::collections::{HashMap, HashSet};

use hyperhaul_pgcopy::Tuples;
use xxhash_rust::xxh3::xxh3_128;

use crate::rows::Rows;

/// 128 bits of a key's fields; two halves are aligned closer than one whole.
type Key = [u64; 2];

/// Stands for a row that no record of this process gave.
const IN_TABLE: u64 = u64::MAX;

/// Remembers which record first had a key.
///
/// A record that comes again, because its transaction was rolled back, is not a duplicate of itself. Records come in the order of
/// their positions but for such repetitions. One memory serves one source: positions of two mean different records.
#[derive(Debug)]
pub struct RecentKeys {
    /// Indexes of the key's columns among those of the COPY.
    fields: Vec<usize>,
    generation_max: usize,
    young: HashMap<Key, u64>,
    old: HashMap<Key, u64>,
    /// Bytes of the fields that are hashed.
    hashed: Vec<u8>,
}

impl RecentKeys {
    /// A memory of the columns `key` among `columns`, which knows between half of `keys_max` and `keys_max` keys (some 50 bytes each).
    /// `None` if a column is not there.
    pub fn new(columns: &[String], key: &[&str], keys_max: usize) -> Option<Self> {
        let index = |name: &&str| columns.iter().position(|column| column == name);
        Some(Self {
            fields: key.iter().map(index).collect::<Option<_>>()?,
            generation_max: (keys_max / 2).max(1),
            young: HashMap::new(),
            old: HashMap::new(),
            hashed: Vec::new(),
        })
    }

    /// Drops the rows whose key a record of another position had before, and returns the position of that record for each of them;
    /// `None`: the table told. Ids have to be filled in: they may be part of the key.
    pub fn drop_duplicates(&mut self, rows: &mut Rows) -> Vec<Option<u64>> {
        let mut firsts = Vec::new();
        let is_first: Vec<bool> = (0..rows.len())
            .map(|index| {
                let first = self.first(rows, index);
                firsts.extend(first.map(|first| (first != IN_TABLE).then_some(first)));
                first.is_none()
            })
            .collect();
        if !firsts.is_empty() {
            rows.retain(|index| is_first.get(index).copied().unwrap_or(true));
        }
        firsts
    }

    /// Tells of each row whether a record of another position had its key before, as unique indexes have it: a NULL is like no other value.
    pub fn repeated(&mut self, rows: &Rows) -> Vec<bool> {
        (0..rows.len())
            .map(|index| !self.has_null(rows.row_bytes(index)) && self.first(rows, index).is_some())
            .collect()
    }

    fn has_null(&self, tuple: &[u8]) -> bool {
        let tuple = Tuples::new(tuple).next().and_then(Result::ok);
        tuple.is_some_and(|tuple| {
            let mut fields = self.fields.iter();
            fields.any(|field| matches!(tuple.field(*field), Ok(None)))
        })
    }

    /// The position of the first record with a row's key, if that is another one.
    fn first(&mut self, rows: &Rows, index: usize) -> Option<u64> {
        let position = rows.position(index).unwrap_or(IN_TABLE);
        // A tuple without such fields has no key.
        let key = self.key(rows.row_bytes(index), None)?;
        let first = self.admit(key, position);
        (first != position).then_some(first)
    }

    /// Learns the keys of rows that are in the table: the tuples, without header and trailer, of a `COPY (SELECT key's columns in their
    /// order FROM table WHERE the last minutes ORDER BY reception) TO STDOUT (FORMAT binary)`.
    ///
    /// # Errors
    ///
    /// If the bytes are no such tuples.
    pub fn learn(&mut self, tuples: &[u8]) -> Result<(), hyperhaul_pgcopy::Error> {
        let order: Vec<usize> = (0..self.fields.len()).collect();
        for tuple in Tuples::new(tuples) {
            let tuple = tuple?;
            if let Some(key) = self.key(tuple.as_bytes(), Some(&order)) {
                self.admit(key, IN_TABLE);
            }
        }
        Ok(())
    }

    /// Forgets records that got no rows after all, such as those that became dead letters: the next one with the key of one of them is
    /// the first. Rare: it looks at every key.
    pub fn forget(&mut self, positions: &HashSet<u64>) {
        for generation in [&mut self.young, &mut self.old] {
            generation.retain(|_, first| !positions.contains(first));
        }
    }

    /// The position of the first record with this key, which may be that of this record.
    fn admit(&mut self, key: Key, position: u64) -> u64 {
        let known = self.young.get(&key).or_else(|| self.old.get(&key));
        if let Some(first) = known {
            return *first;
        }
        if self.young.len() >= self.generation_max {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(key, position);
        position
    }

    /// The key of a tuple, of its fields `order` or those of the COPY. A NULL is a value like others.
    fn key(&mut self, tuple: &[u8], order: Option<&[usize]>) -> Option<Key> {
        let tuple = Tuples::new(tuple).next()?.ok()?;
        self.hashed.clear();
        for field in order.unwrap_or(&self.fields) {
            let value = tuple.field(*field).ok()?;
            let length = value.map_or(-1, |value| value.len() as i64);
            self.hashed.extend_from_slice(&length.to_le_bytes());
            self.hashed.extend_from_slice(value.unwrap_or_default());
        }
        let hash = xxh3_128(&self.hashed);
        Some([hash as u64, (hash >> 64) as u64])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use hyperhaul_pgcopy::{Encoder, Row};

    /// Rows of `value, place, note` with these values and places, one record each from position `first` on.
    fn rows(first: u64, values: impl IntoIterator<Item = (Option<i32>, i64)>) -> Rows {
        let mut rows = Rows::new(3, &[]);
        for (position, (value, place)) in (first..).zip(values) {
            let mut tuple = rows.tuple(position);
            let note = format!("record {position}");
            tuple
                .field()
                .optional(value, Row::int4)
                .int8(place)
                .text(&note);
            tuple.finish().unwrap();
        }
        rows
    }

    fn memory(keys_max: usize) -> RecentKeys {
        let columns = ["value", "place", "note"].map(str::to_owned);
        RecentKeys::new(&columns, &["place", "value"], keys_max).unwrap()
    }

    fn positions(rows: &Rows) -> Vec<u64> {
        (0..rows.len())
            .map(|index| rows.position(index).unwrap())
            .collect()
    }

    #[test]
    fn the_first_record_with_a_key_stays() {
        let mut recent = memory(100);
        let mut first = rows(
            1,
            [
                (Some(7), 1),
                (Some(7), 2),
                (Some(7), 1),
                (None, 1),
                (None, 1),
            ],
        );
        assert_eq!(recent.drop_duplicates(&mut first), [Some(1), Some(4)]);
        assert_eq!(positions(&first), [1, 2, 4]);
        let mut later = rows(6, [(Some(7), 2), (Some(8), 2)]);
        assert_eq!(recent.drop_duplicates(&mut later).len(), 1);
        assert_eq!(positions(&later), [7]);
    }

    #[test]
    fn a_record_that_comes_again_is_not_its_own_duplicate() {
        let mut recent = memory(100);
        let twice = [(Some(7), 1), (Some(7), 1)];
        for _ in 0..3 {
            let mut again = rows(1, twice);
            assert_eq!(recent.drop_duplicates(&mut again).len(), 1);
            assert_eq!(positions(&again), [1]);
        }
    }

    #[test]
    fn to_unique_indexes_nulls_are_not_repeated() {
        let mut recent = memory(100);
        let batch = rows(1, [(Some(7), 1), (None, 1), (Some(7), 1), (None, 1)]);
        assert_eq!(recent.repeated(&batch), [false, false, true, false]);
        // The same records again.
        assert_eq!(recent.repeated(&batch), [false, false, true, false]);
    }

    #[test]
    fn after_a_dead_letter_the_next_record_is_the_first() {
        let mut recent = memory(100);
        let mut batch = rows(1, [(Some(7), 1), (Some(7), 1)]);
        assert_eq!(recent.drop_duplicates(&mut batch).len(), 1);
        recent.forget(&[1].into());
        let mut rest = rows(2, [(Some(7), 1)]);
        assert_eq!(recent.drop_duplicates(&mut rest).len(), 0);
    }

    #[test]
    fn memory_is_bounded_and_the_last_keys_are_in_it() {
        let mut recent = memory(1_000);
        let mut many = rows(0, (0..100_000).map(|place| (Some(7), place)));
        assert_eq!(recent.drop_duplicates(&mut many).len(), 0);
        assert!(recent.young.len() + recent.old.len() <= 1_000);
        let mut last = rows(100_000, (99_500..100_000).map(|place| (Some(7), place)));
        assert_eq!(recent.drop_duplicates(&mut last).len(), 500);
        let mut forgotten = rows(200_000, [(Some(7), 0)]);
        assert_eq!(recent.drop_duplicates(&mut forgotten).len(), 0);
    }

    #[test]
    fn what_the_table_has_is_known() {
        let mut recent = memory(100);
        let mut encoder = Encoder::new();
        encoder.row(2).int8(1).int4(7);
        encoder.row(2).int8(1).null();
        recent.learn(&encoder.take()).unwrap();
        let mut new = rows(1, [(Some(7), 1), (None, 1), (Some(8), 1)]);
        assert_eq!(recent.drop_duplicates(&mut new), [None, None]);
        assert_eq!(positions(&new), [3]);
        assert!(recent.learn(b"no tuples").is_err());
    }

    #[test]
    fn a_key_needs_its_columns() {
        assert!(RecentKeys::new(&["value".to_owned()], &["place"], 100).is_none());
    }
}
