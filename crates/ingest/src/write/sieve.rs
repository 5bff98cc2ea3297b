//! The rows of a batch whose keys were seen before, so that all others can go the quick way where duplicates come.
//!
//! ```text
//!   COPY ── a key is there ──> sifted: COPY of rows whose key is new to the memory, staging of the few that are not
//!                                │ a key is there that the memory does not know
//!                                v
//!                              staged, for some batches; the memory learns
//! ```
//!
//! The server decides what is a duplicate; the memory only chooses the way of a row. What it has forgotten, or never knew, costs time.

use super::Way;
use crate::batch::Batch;
use crate::limits::{
    SIFTED_BATCHES_AFTER_DUPLICATE, SIFTED_KEYS_MAX, STAGED_BATCHES_AFTER_DUPLICATE,
};
use crate::statements::Table;
use hyperhaul_decode::RecentKeys;

/// Chooses the way of batches.
#[derive(Debug, Default)]
pub(super) struct Sieve {
    /// Batches that go the staged way before another one is tried.
    staged_left: u32,
    /// Batches that are sifted before COPY is tried.
    sifted_left: u32,
    /// The state of the tables that the memories are for.
    generation: Option<u64>,
    /// One for each table; none for one without a key.
    memories: Vec<Option<RecentKeys>>,
}

/// Rows whose keys were seen before.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// By table, in the order of its rows.
    tables: Vec<Vec<bool>>,
}

impl Suspects {
    /// Whether the `row`th row of a table is one.
    pub(super) fn has(&self, table: usize, row: usize) -> bool {
        let rows = self.tables.get(table);
        rows.and_then(|rows| rows.get(row))
            .copied()
            .unwrap_or(false)
    }

    /// How many are of a table.
    pub(super) fn count(&self, table: usize) -> usize {
        let rows = self.tables.get(table).into_iter().flatten();
        rows.filter(|is_suspect| **is_suspect).count()
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.tables.iter().flatten().any(|is_suspect| *is_suspect)
    }
}

impl Sieve {
    /// How the next batch is tried first.
    pub(super) fn first_way(&mut self) -> Way {
        for (left, way) in [
            (&mut self.staged_left, Way::Staged),
            (&mut self.sifted_left, Way::Sifted),
        ] {
            if *left > 0 {
                *left -= 1;
                return way;
            }
        }
        Way::Copy
    }

    /// How a batch is tried that had a duplicate on its way.
    pub(super) fn after_duplicate(&mut self, way: Way, batch: &Batch, tables: &[Table]) -> Way {
        self.sifted_left = SIFTED_BATCHES_AFTER_DUPLICATE;
        if way == Way::Copy && !self.sift(batch, tables).is_empty() {
            return Way::Sifted;
        }
        self.staged_left = STAGED_BATCHES_AFTER_DUPLICATE;
        Way::Staged
    }

    /// Learns the keys of the batch's rows, and tells which were seen before: in it, or in one that was sifted or staged lately.
    pub(super) fn sift(&mut self, batch: &Batch, tables: &[Table]) -> Suspects {
        if self.generation != Some(batch.generation) {
            self.generation = Some(batch.generation);
            self.memories = tables.iter().map(memory).collect();
        }
        let memories = self.memories.iter_mut().enumerate();
        let suspects = memories.map(|(index, memory)| match memory {
            Some(memory) => batch
                .of_table(index)
                .flat_map(|rows| memory.repeated(rows))
                .collect(),
            None => Vec::new(),
        });
        let suspects = Suspects {
            tables: suspects.collect(),
        };
        if !suspects.is_empty() {
            self.sifted_left = SIFTED_BATCHES_AFTER_DUPLICATE;
        }
        suspects
    }
}

fn memory(table: &Table) -> Option<RecentKeys> {
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| column.name.clone())
        .collect();
    let key: Vec<&str> = table.key.iter().map(String::as_str).collect();
    if key.is_empty() {
        return None;
    }
    RecentKeys::new(&columns, &key, SIFTED_KEYS_MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::batch::{Stripe, Taken};
    use hyperhaul_decode::Rows;
    use hyperhaul_plan::Relation;

    /// A table whose only column is its key.
    fn table() -> Table {
        Table {
            relation: Relation::new("public", "esp"),
            shape: String::new(),
            columns: vec![crate::statements::Column {
                name: "well".to_owned(),
                type_sql: "integer".to_owned(),
                compared_as_text: false,
                not_null: true,
            }],
            key: vec!["well".to_owned()],
        }
    }

    /// Records from a position on with these keys.
    fn batch(first: u64, keys: &[i32]) -> Batch {
        let mut rows = Rows::new(1, &[]);
        for (position, key) in (first..).zip(keys) {
            let mut tuple = rows.tuple(position);
            tuple.field().int4(*key);
            tuple.finish().unwrap();
        }
        Batch {
            taken: Taken::none(0),
            stripes: vec![Stripe {
                rows: vec![rows],
                refused: Vec::new(),
            }],
            generation: 1,
            condemned: None,
            kinds: std::collections::BTreeMap::new(),
            firsts: std::collections::HashSet::new(),
        }
    }

    #[test]
    fn duplicates_in_a_batch_are_sifted_and_others_stage_it() {
        let tables = [table()];
        let mut sieve = Sieve::default();
        assert_eq!(sieve.first_way(), Way::Copy);
        let twice = batch(1, &[7, 8, 7]);
        assert_eq!(
            sieve.after_duplicate(Way::Copy, &twice, &tables),
            Way::Sifted
        );
        assert_eq!(sieve.sift(&twice, &tables).tables, [[false, false, true]]);
        // What is known from an earlier batch.
        assert_eq!(sieve.first_way(), Way::Sifted);
        assert_eq!(
            sieve.sift(&batch(4, &[9, 8]), &tables).tables,
            [[false, true]]
        );
        // What only the table knows.
        let other = batch(6, &[10, 11]);
        assert_eq!(
            sieve.after_duplicate(Way::Sifted, &other, &tables),
            Way::Staged
        );
        assert_eq!(sieve.first_way(), Way::Staged);
        let mut fresh = Sieve::default();
        assert_eq!(
            fresh.after_duplicate(Way::Copy, &other, &tables),
            Way::Staged
        );
    }

    #[test]
    fn copy_is_tried_again_after_batches_without_duplicates() {
        let mut sieve = Sieve::default();
        sieve.after_duplicate(Way::Sifted, &batch(1, &[7]), &[table()]);
        let slow = STAGED_BATCHES_AFTER_DUPLICATE + SIFTED_BATCHES_AFTER_DUPLICATE;
        let ways: Vec<Way> = (0..=slow).map(|_| sieve.first_way()).collect();
        let count = |way| ways.iter().filter(|other| **other == way).count();
        assert_eq!(count(Way::Staged), STAGED_BATCHES_AFTER_DUPLICATE as usize);
        assert_eq!(count(Way::Sifted), SIFTED_BATCHES_AFTER_DUPLICATE as usize);
        assert_eq!(ways.last(), Some(&Way::Copy));
    }
}
