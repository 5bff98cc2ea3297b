//! Which rows of the source are not in the target as they were, where the target may have gained rows: in bounded memory,
//! however many those are.
//!
//! ```text
//!   for each part of the rows, by their hash, of at most LOSS_HASHES_MAX rows of the source:
//!     source: hash of each row -> counts
//!     target: each row crosses one off -> what is left is lost; a row that finds none is new
//!     for lost rows, LOSS_KEYS_MAX at a time, until `keys_max` are named and one is missing:
//!       source: their identities by their hashes -> target: which of these are there, and so different
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

/// Two queries whose rows are compared: `COPY (SELECT columns, identities, key) TO STDOUT (FORMAT binary)`: the compared columns;
/// what identifies the row by each of its unique keys, NULL where one does not; and, as the last, the key as text.
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
    /// How many identities there are: a row of which one is there is different, not missing. Without any, the key as text is the
    /// identity.
    pub identities: usize,
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
    let form = Form {
        identities: compared.identities,
    };
    for number in 0..count {
        let part = Part { number, count };
        let hashes = compared
            .source(Hashes {
                form,
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
        let form = Form {
            identities: compared.identities,
        };
        let found = compared
            .source(LostRows {
                form,
                named: lost.iter().copied().collect(),
                rows: Vec::new(),
            })
            .await?;
        let identities = found.rows.iter().flat_map(|row| &row.identities);
        let looked_for = Present {
            form,
            wanted: identities.cloned().collect(),
            present: HashSet::new(),
        };
        let present = compared.target(looked_for).await?.present;
        for row in found.rows {
            let is_there = row.identities.iter().any(|own| present.contains(own));
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
            list.push(row.key);
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

/// What the fields of a row are: see [`Compared`].
#[derive(Debug, Clone, Copy)]
struct Form {
    identities: usize,
}

/// What identifies a row: which of its keys, and that.
type Identity = (usize, Option<Box<[u8]>>);

impl Form {
    fn columns(self, tuple: Tuple<'_>) -> usize {
        tuple.field_count().saturating_sub(self.identities + 1)
    }

    /// Of the compared columns alone: two servers may identify equal rows differently.
    fn hash(self, tuple: Tuple<'_>) -> u128 {
        let mut digest = Digest::default();
        digest.add_leading(tuple, self.columns(tuple));
        digest.sum
    }

    fn identities(self, tuple: Tuple<'_>) -> Result<Vec<Identity>, Error> {
        if self.identities == 0 {
            return Ok(vec![(0, key_of(tuple)?.map(Box::from))]);
        }
        let own = tuple.fields().skip(self.columns(tuple));
        let own = own.take(self.identities).enumerate();
        Ok(own
            .filter_map(|(number, value)| Some((number, Some(Box::from(value?)))))
            .collect())
    }
}

/// The hashes of a part's rows.
struct Hashes {
    form: Form,
    part: Part,
    hashes: Vec<u128>,
}

impl RowSink for Hashes {
    fn row(&mut self, tuple: Tuple<'_>) -> Result<(), Error> {
        let hash = self.form.hash(tuple);
        if self.part.has(hash) {
            self.hashes.push(hash);
        }
        Ok(())
    }
}

/// How often each hash is still to be found.
struct Counts {
    form: Form,
    part: Part,
    hashes: Vec<u128>,
    counts: Vec<u32>,
    new_count: u64,
}

impl Counts {
    fn of(
        Hashes {
            form,
            part,
            mut hashes,
        }: Hashes,
    ) -> Counts {
        hashes.sort_unstable();
        let runs = hashes.chunk_by(|a, b| a == b);
        let counts = runs
            .map(|run| u32::try_from(run.len()).unwrap_or(u32::MAX))
            .collect();
        hashes.dedup();
        Counts {
            form,
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
        let hash = self.form.hash(tuple);
        if self.part.has(hash) {
            self.cross_off(hash);
        }
        Ok(())
    }
}

/// A row of the source that is not there as it is.
struct LostRow {
    identities: Vec<Identity>,
    /// Its key, for people.
    key: String,
}

/// Rows that are known by their hashes, as many of each as are wanted.
struct LostRows {
    form: Form,
    named: HashMap<u128, u32>,
    rows: Vec<LostRow>,
}

impl RowSink for LostRows {
    fn row(&mut self, tuple: Tuple<'_>) -> Result<(), Error> {
        if let Some(count) = self.named.get_mut(&self.form.hash(tuple))
            && *count > 0
        {
            *count -= 1;
            self.rows.push(LostRow {
                identities: self.form.identities(tuple)?,
                key: key_text(key_of(tuple)?),
            });
        }
        Ok(())
    }
}

/// Which of some identities are there.
struct Present {
    form: Form,
    wanted: HashSet<Identity>,
    present: HashSet<Identity>,
}

impl RowSink for Present {
    fn row(&mut self, tuple: Tuple<'_>) -> Result<(), Error> {
        for identity in self.form.identities(tuple)? {
            if self.wanted.contains(&identity) {
                self.present.insert(identity);
            }
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
            let form = Form { identities: 0 };
            let mut counts = Counts::of(Hashes { form, part, hashes });
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
