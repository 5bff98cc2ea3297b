//! Narrowing two sets of rows that should be equal down to the rows that are not, in bounded memory.
//!
//! ```text
//!   pass 1, both sides:   key -> bucket (DIFFERENCE_BUCKETS) -> a digest per bucket
//!                         buckets whose digests differ, fewest rows first, as many as `keys_max` rows allow
//!   pass 2, both sides:   rows of these buckets -> (key, hash of the row) -> compared as multisets
//! ```

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use hyperhaul_pgcopy::{Digest, Tuple};

use crate::error::{Error, Kind};
use crate::limits::DIFFERENCE_BUCKETS;
use crate::pool::Pool;
use crate::progress::Progress;
use crate::reader::SourceReader;
use crate::request::ArrayRewrite;
use crate::scan::{RowSink, scan};

/// Stands for a key that is NULL.
const NULL_KEY: &str = "NULL";

/// Keys of rows that are not the same on both sides, each list in order of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// In the source only.
    pub missing: Vec<String>,
    /// In the target only.
    pub extra: Vec<String>,
    /// On both sides, with other values.
    pub different: Vec<String>,
    /// More rows differ than could be looked at: the lists are part of the truth.
    pub truncated: bool,
    /// All rows of the source's query.
    pub source_rows: u64,
    /// All rows of the target's query.
    pub target_rows: u64,
}

impl Differences {
    /// Nothing differs.
    pub fn is_empty(&self) -> bool {
        !self.truncated
            && self.missing.is_empty()
            && self.extra.is_empty()
            && self.different.is_empty()
    }
}

/// Finds the rows in which two queries differ. Both are `COPY (SELECT columns, key) TO STDOUT (FORMAT binary)`: the compared columns
/// and, as the last, the key as text. The rewrites apply to the source. A row that occurs several times counts as often.
///
/// Each query runs twice and must see the same rows both times. At most `keys_max` rows of each side are held.
///
/// # Errors
///
/// Those of the queries and connections; rows that changed between the passes.
pub async fn differences(
    source: &SourceReader,
    target: &SourceReader,
    pool: &Pool,
    source_sql: String,
    target_sql: String,
    rewrites: Vec<ArrayRewrite>,
    keys_max: usize,
) -> Result<Differences, Error> {
    let progress = Progress::new();
    let (source_buckets, target_buckets) = tokio::try_join!(
        scan(
            source,
            pool,
            source_sql.clone(),
            &rewrites,
            Buckets::new(),
            &progress
        ),
        scan(
            target,
            pool,
            target_sql.clone(),
            &[],
            Buckets::new(),
            &progress
        ),
    )?;
    let chosen = choose(&source_buckets, &target_buckets, keys_max);
    let mut differences = Differences {
        truncated: chosen.incomplete,
        source_rows: source_buckets.rows(),
        target_rows: target_buckets.rows(),
        ..Differences::default()
    };
    if chosen.numbers.is_empty() {
        return Ok(differences);
    }
    let numbers = Arc::new(chosen.numbers);
    let keys = || Keys {
        numbers: Arc::clone(&numbers),
        keys_max,
        found: BTreeMap::new(),
        rows: 0,
    };
    let (source_keys, target_keys) = tokio::try_join!(
        scan(source, pool, source_sql, &rewrites, keys(), &progress),
        scan(target, pool, target_sql, &[], keys(), &progress),
    )?;
    compare(source_keys.found, target_keys.found, &mut differences);
    Ok(differences)
}

/// The key of a row: its last field. Any hash will do that is the same on both sides.
pub(crate) fn key_of(tuple: Tuple<'_>) -> Result<Option<&[u8]>, Error> {
    let last = tuple.field_count().checked_sub(1);
    let last = last.ok_or_else(|| Error::stream(Kind::NoKeyColumn))?;
    tuple.field(last).map_err(Error::stream)
}

/// A key as it is shown.
pub(crate) fn key_text(key: Option<&[u8]>) -> String {
    match key {
        Some(key) => String::from_utf8_lossy(key).into_owned(),
        None => NULL_KEY.to_owned(),
    }
}

fn bucket_of(key: Option<&[u8]>) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    (hasher.finish() % DIFFERENCE_BUCKETS as u64) as usize
}

/// Pass 1.
struct Buckets(Vec<Digest>);

impl Buckets {
    fn new() -> Buckets {
        Buckets(vec![Digest::default(); DIFFERENCE_BUCKETS])
    }

    fn rows(&self) -> u64 {
        self.0.iter().map(|digest| digest.rows).sum()
    }
}

impl RowSink for Buckets {
    fn row(&mut self, tuple: Tuple<'_>) -> Result<(), Error> {
        if let Some(digest) = self.0.get_mut(bucket_of(key_of(tuple)?)) {
            digest.add(tuple);
        }
        Ok(())
    }
}

struct Chosen {
    numbers: HashSet<usize>,
    incomplete: bool,
}

fn choose(source: &Buckets, target: &Buckets, keys_max: usize) -> Chosen {
    let pairs = source.0.iter().zip(&target.0).enumerate();
    let mut differing: Vec<(u64, usize)> = pairs
        .filter(|(_, (source, target))| source != target)
        .map(|(number, (source, target))| (source.rows.max(target.rows), number))
        .collect();
    differing.sort_unstable();
    let mut room = keys_max as u64;
    let mut chosen = Chosen {
        numbers: HashSet::new(),
        incomplete: false,
    };
    for (rows, number) in differing {
        match room.checked_sub(rows) {
            Some(left) => {
                room = left;
                chosen.numbers.insert(number);
            }
            None => chosen.incomplete = true,
        }
    }
    chosen
}

/// Row hashes by key.
type Hashes = BTreeMap<Option<Box<[u8]>>, Vec<u128>>;

/// Pass 2.
struct Keys {
    numbers: Arc<HashSet<usize>>,
    keys_max: usize,
    found: Hashes,
    rows: usize,
}

impl RowSink for Keys {
    fn row(&mut self, tuple: Tuple<'_>) -> Result<(), Error> {
        let key = key_of(tuple)?;
        if !self.numbers.contains(&bucket_of(key)) {
            return Ok(());
        }
        self.rows += 1;
        if self.rows > self.keys_max {
            // Pass 1 counted fewer.
            return Err(Error::stream(Kind::RowsChanged));
        }
        let mut digest = Digest::default();
        digest.add(tuple);
        self.found
            .entry(key.map(Box::from))
            .or_default()
            .push(digest.sum);
        Ok(())
    }
}

fn compare(source: Hashes, mut target: Hashes, differences: &mut Differences) {
    for (key, hashes) in source {
        let others = target.remove(&key).unwrap_or_default();
        report(key.as_deref(), hashes, others, differences);
    }
    for (key, others) in target {
        report(key.as_deref(), Vec::new(), others, differences);
    }
    differences.extra.sort_unstable();
}

/// Compares the rows of one key.
fn report(
    key: Option<&[u8]>,
    mut source: Vec<u128>,
    mut target: Vec<u128>,
    differences: &mut Differences,
) {
    remove_common(&mut source, &mut target);
    let both = source.len().min(target.len());
    let text = || key_text(key);
    let Differences {
        missing,
        extra,
        different,
        ..
    } = differences;
    different.extend(std::iter::repeat_with(text).take(both));
    missing.extend(std::iter::repeat_with(text).take(source.len() - both));
    extra.extend(std::iter::repeat_with(text).take(target.len() - both));
}

/// Takes out of both lists what they have in common, as often as it is in both.
fn remove_common(source: &mut Vec<u128>, target: &mut Vec<u128>) {
    target.sort_unstable();
    source.retain(|hash| match target.binary_search(hash) {
        Ok(at) => {
            target.remove(at);
            false
        }
        Err(_) => true,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_key_are_compared_as_multisets() {
        let table = [
            (vec![1], vec![1], (0, 0, 0)),
            (vec![1], vec![], (1, 0, 0)),
            (vec![], vec![1], (0, 1, 0)),
            (vec![1], vec![2], (0, 0, 1)),
            (vec![1, 1], vec![1], (1, 0, 0)),
            (vec![1, 2, 3], vec![3, 2, 4, 5], (0, 1, 1)),
        ];
        for (source, target, (missing, extra, different)) in table {
            let mut found = Differences::default();
            report(Some(b"k"), source.clone(), target.clone(), &mut found);
            let counts = (
                found.missing.len(),
                found.extra.len(),
                found.different.len(),
            );
            assert_eq!(counts, (missing, extra, different), "{source:?} {target:?}");
        }
    }

    #[test]
    fn buckets_that_exceed_the_limit_are_left_out_and_said_to_be() {
        let (mut source, target) = (Buckets::new(), Buckets::new());
        source.0[3] = Digest { rows: 5, sum: 1 };
        source.0[9] = Digest { rows: 500, sum: 1 };
        let chosen = choose(&source, &target, 100);
        assert_eq!(chosen.numbers, HashSet::from([3]));
        assert!(chosen.incomplete);
        assert!(!choose(&source, &target, 505).incomplete);
    }
}
