//! Which rows of the source are not in the target as they were, where the target may have gained rows: in bounded memory,
//! however many those are.
//!
//! ```text
//!   for each part of the rows, by their hash, of at most LOSS_HASHES_MAX rows of the source:
//!     source: hash of each row -> counts
//!     target: each row crosses one off -> what is left is lost; a row that finds none is new
//!     for lost rows, LOSS_KEYS_MAX at a time, until `keys_max` are named and one is missing:
//!       source: their keys by their hashes -> target: which of these keys are there, and so different
//! ```

use std::collections::{HashMap, HashSet};

use hyperhaul_pgcopy::{Digest, Tuple};

use crate::differences::{key_of, key_text};
use crate::error::Error;
use crate::limits::{LOSS_HASHES_MAX, LOSS_KEYS_MAX};
use crate::pool::Pool;
use crate::progress::Progress;
use crate::reader::SourceReader;
use crate::request::ArrayRewrite;
use crate::scan::{RowSink, scan};

/// What became of the source's rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses {
    /// Rows of the source that the target does not have as they are.
    pub lost_count: u64,
    /// Rows of the target that the source does not have as they are.
    pub new_count: u64,
    /// Keys of lost rows that the target has no row of: empty only if there is no such row.
    pub missing: Vec<String>,
    /// Keys of lost rows that the target has a row of, with other values.
    pub different: Vec<String>,
}

impl Losses {
    /// Whether more rows are lost than are named.
    pub fn truncated(&self) -> bool {
        (self.named() as u64) < self.lost_count
    }
}

/// Two queries whose rows are compared: `COPY (SELECT columns, key) TO STDOUT (FORMAT binary)`, the compared columns and, as
/// the last, the key as text.
#[derive(Debug)]
pub struct Compared<'a> {
    /// The source.
    pub source: &'a SourceReader,
    /// The target.
    pub target: &'a SourceReader,
    /// Where rows are hashed.
    pub pool: &'a Pool,
    /// The source's query.
    pub source_sql: String,
    /// The target's query.
    pub target_sql: String,
    /// Apply to the source.
    pub rewrites: Vec<ArrayRewrite>,
}

/// Finds the rows of the source that the target does not have as they are. `source_rows`: how many the source's query gives.
/// A row that occurs several times counts as often. The target may be written to meanwhile.
///
/// # Errors
///
/// Those of the queries and connections.
pub async fn losses(
    compared: &Compared<'_>,
    source_rows: u64,
    keys_max: usize,
) -> Result<Losses, Error> {
    let mut losses = Losses::default();
    let count = u128::from(source_rows.div_ceil(LOSS_HASHES_MAX).max(1));
    for number in 0..count {
        let part = Part { number, count };
        let hashes = compared
            .source(Hashes {
                part,
                hashes: Vec::new(),
            })
            .await?;
        let crossed = compared.target(Counts::of(hashes)).await?;
        losses.new_count += crossed.new_count;
        let lost: Vec<(u128, u32)> = crossed.left().collect();
        losses.lost_count += lost.iter().map(|(_, left)| u64::from(*left)).sum::<u64>();
        for some in lost.chunks(LOSS_KEYS_MAX) {
            if losses.named() < keys_max || losses.missing.is_empty() {
                losses.name(compared, some, keys_max).await?;
            }
        }
    }
    losses.missing.sort_unstable();
    losses.different.sort_unstable();
    Ok(losses)
}

impl Losses {
    fn named(&self) -> usize {
        self.missing.len() + self.different.len()
    }

    /// Looks up the keys of some lost rows, and which of them are there. Of those that are missing at least one is named.
    async fn name(
        &mut self,
        compared: &Compared<'_>,
        lost: &[(u128, u32)],
        keys_max: usize,
    ) -> Result<(), Error> {
        let found = compared
            .source(KeysOf {
                named: lost.iter().copied().collect(),
                keys: Vec::new(),
            })
            .await?;
        let wanted = found.keys.iter().cloned().collect();
        let present = HashSet::new();
        let present = compared.target(Present { wanted, present }).await?.present;
        for key in found.keys {
            let is_there = present.contains(&key);
            if self.named() >= keys_max {
                if is_there || !self.missing.is_empty() {
                    continue;
                }
                self.different.pop();
            }
            let list = if is_there {
                &mut self.different
            } else {
                &mut self.missing
            };
            list.push(key_text(key.as_deref()));
        }
        Ok(())
    }
}

impl Compared<'_> {
    async fn source<S: RowSink>(&self, sink: S) -> Result<S, Error> {
        let (sql, progress) = (self.source_sql.clone(), Progress::new());
        scan(self.source, self.pool, sql, &self.rewrites, sink, &progress).await
    }

    async fn target<S: RowSink>(&self, sink: S) -> Result<S, Error> {
        let (sql, progress) = (self.target_sql.clone(), Progress::new());
        scan(self.target, self.pool, sql, &[], sink, &progress).await
    }
}

/// One of `count` parts of all rows.
#[derive(Debug, Clone, Copy)]
struct Part {
    number: u128,
    count: u128,
}

impl Part {
    fn has(self, hash: u128) -> bool {
        hash % self.count == self.number
    }
}

fn hash(tuple: Tuple<'_>) -> u128 {
    let mut digest = Digest::default();
    digest.add(tuple);
    digest.sum
}

/// The hashes of a part's rows.
struct Hashes {
    part: Part,
    hashes: Vec<u128>,
}

impl RowSink for Hashes {
    fn row(&mut self, tuple: Tuple<'_>) -> Result<(), Error> {
        let hash = hash(tuple);
        if self.part.has(hash) {
            self.hashes.push(hash);
        }
        Ok(())
    }
}

/// How often each hash is still to be found.
struct Counts {
    part: Part,
    hashes: Vec<u128>,
    counts: Vec<u32>,
    new_count: u64,
}

impl Counts {
    fn of(Hashes { part, mut hashes }: Hashes) -> Counts {
        hashes.sort_unstable();
        let runs = hashes.chunk_by(|a, b| a == b);
        let counts = runs
            .map(|run| u32::try_from(run.len()).unwrap_or(u32::MAX))
            .collect();
        hashes.dedup();
        Counts {
            part,
            hashes,
            counts,
            new_count: 0,
        }
    }

    fn cross_off(&mut self, hash: u128) {
        let found = self.hashes.binary_search(&hash).ok();
        match found.and_then(|at| self.counts.get_mut(at)) {
            Some(count) if *count > 0 => *count -= 1,
            _ => self.new_count += 1,
        }
    }

    fn left(self) -> impl Iterator<Item = (u128, u32)> {
        let pairs = self.hashes.into_iter().zip(self.counts);
        pairs.filter(|(_, count)| *count > 0)
    }
}

impl RowSink for Counts {
    fn row(&mut self, tuple: Tuple<'_>) -> Result<(), Error> {
        let hash = hash(tuple);
        if self.part.has(hash) {
            self.cross_off(hash);
        }
        Ok(())
    }
}

/// A key as text; `None`: NULL.
type Key = Option<Box<[u8]>>;

/// The keys of rows that are known by their hashes, as many of each as are wanted.
struct KeysOf {
    named: HashMap<u128, u32>,
    keys: Vec<Key>,
}

impl RowSink for KeysOf {
    fn row(&mut self, tuple: Tuple<'_>) -> Result<(), Error> {
        if let Some(count) = self.named.get_mut(&hash(tuple))
            && *count > 0
        {
            *count -= 1;
            self.keys.push(key_of(tuple)?.map(Box::from));
        }
        Ok(())
    }
}

/// Which of some keys are there.
struct Present {
    wanted: HashSet<Key>,
    present: HashSet<Key>,
}

impl RowSink for Present {
    fn row(&mut self, tuple: Tuple<'_>) -> Result<(), Error> {
        let key: Key = key_of(tuple)?.map(Box::from);
        if self.wanted.contains(&key) {
            self.present.insert(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_crossed_off_as_often_as_they_are_there() {
        let part = Part {
            number: 0,
            count: 1,
        };
        let table = [
            (vec![1, 1, 2], vec![1, 2, 1], 0, vec![]),
            (vec![1, 1, 2], vec![1, 3], 1, vec![(1, 1), (2, 1)]),
            (vec![], vec![4, 4], 2, vec![]),
            (vec![5], vec![5, 5], 1, vec![]),
        ];
        for (hashes, target, new_count, left) in table {
            let mut counts = Counts::of(Hashes { part, hashes });
            target.iter().for_each(|hash| counts.cross_off(*hash));
            assert_eq!(counts.new_count, new_count, "{target:?}");
            assert_eq!(counts.left().collect::<Vec<_>>(), left, "{target:?}");
        }
    }

    #[test]
    fn each_row_is_in_one_part() {
        for hash in [0, 1, 7, u128::MAX] {
            let parts = (0..3).filter(|number| {
                Part {
                    number: *number,
                    count: 3,
                }
                .has(hash)
            });
            assert_eq!(parts.count(), 1, "{hash}");
        }
    }
}
