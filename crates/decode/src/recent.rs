//! A bounded memory of the keys of rows that were written lately, for duplicates that no unique index can find: the same fact, told
//! twice, with another value in the partitioning column.
//!
//! ```text
//!   admit(key, position) ─> young generation ── full: becomes the old one, which is forgotten
//!                           old generation
//! ```

use std::collections::HashMap;

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

    /// Drops the rows whose key a record of another position had before, and says how many. Ids have to be filled in: they may be part
    /// of the key.
    pub fn drop_duplicates(&mut self, rows: &mut Rows) -> usize {
        let is_first: Vec<bool> = (0..rows.len())
            .map(|index| {
                let position = rows.position(index).unwrap_or(IN_TABLE);
                // A tuple without such fields has no key.
                self.key(rows.row_bytes(index), None)
                    .is_none_or(|key| self.admit(key, position))
            })
            .collect();
        let dropped = is_first.iter().filter(|is_first| !**is_first).count();
        if dropped > 0 {
            rows.retain(|index| is_first.get(index).copied().unwrap_or(true));
        }
        dropped
    }

    /// Learns the keys of rows that are in the table: binary COPY tuples of the key's columns alone, in the key's order, without header
    /// and trailer, oldest first.
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

    /// Whether the record at `position` is the first with this key, or the same again.
    fn admit(&mut self, key: Key, position: u64) -> bool {
        let known = self.young.get(&key).or_else(|| self.old.get(&key)).copied();
        match known {
            Some(first) => first == position,
            None => {
                if self.young.len() >= self.generation_max {
                    std::mem::swap(&mut self.young, &mut self.old);
                    self.young.clear();
                }
                self.young.insert(key, position);
                true
            }
        }
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
