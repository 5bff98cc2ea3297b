//! Verdicts: is what is in the target's chunks what was in the source?

use crate::ChunkRange;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Digest of the rows of one chunk interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkDigest {
    /// The interval.
    pub range: ChunkRange,
    /// Rows.
    pub rows: u64,
    /// Sum modulo 2^128 of a hash of each row, 32 hexadecimal digits; which hash, the table's [`crate::Proof`] says.
    pub sum: String,
}

impl ChunkDigest {
    /// The sum of an interval's hashes as text.
    pub fn sum_text(sum: u128) -> String {
        format!("{sum:032x}")
    }
}

/// Adds digests up by the chunk intervals that they would have if no chunk had been cut: beside attached chunks the server
/// makes shorter ones, each within one interval. What lies in a chunk of `given` bounds stays by itself: that may be longer
/// than an interval, and begin anywhere. A sum that cannot be read makes its interval unequal to any other.
pub fn by_interval(
    digests: Vec<ChunkDigest>,
    interval_us: i64,
    given: &[ChunkRange],
) -> Vec<ChunkDigest> {
    let mut whole: BTreeMap<ChunkRange, ChunkDigest> = BTreeMap::new();
    for digest in digests {
        let mut given = given.iter();
        let range = match given.find(|given| given.covers(digest.range)) {
            Some(given) => *given,
            None => ChunkRange::containing(digest.range.start_us, interval_us),
        };
        match whole.entry(range) {
            Entry::Vacant(new) => {
                new.insert(ChunkDigest { range, ..digest });
            }
            Entry::Occupied(mut sum) => add(sum.get_mut(), &digest),
        }
    }
    whole.into_values().collect()
}

fn add(into: &mut ChunkDigest, digest: &ChunkDigest) {
    let sum = |text: &str| u128::from_str_radix(text, 16);
    into.rows += digest.rows;
    into.sum = match (sum(&into.sum), sum(&digest.sum)) {
        (Ok(one), Ok(other)) => ChunkDigest::sum_text(one.wrapping_add(other)),
        _ => format!("{} + {}", into.sum, digest.sum),
    };
}

/// Verdict on one chunk interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkVerdict {
    /// The interval.
    pub range: ChunkRange,
    /// Rows in the source.
    pub source_rows: u64,
    /// Rows in the target.
    pub target_rows: u64,
    /// Whether count and sum are the same.
    pub equal: bool,
    /// Sum of the source's hashes; `None` without rows there, or where an older hyperhaul compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_sum: Option<String>,
    /// Sum of the target's hashes, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_sum: Option<String>,
}

impl ChunkVerdict {
    /// Whether retention has done its part: no row is left of a chunk whose rows are all from before `cutoff_us`.
    pub fn expired(&self, cutoff_us: Option<i64>) -> bool {
        self.target_rows == 0 && cutoff_us.is_some_and(|cutoff_us| self.range.end_us <= cutoff_us)
    }
}

/// Verdict on a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// One per interval that has rows on either side, ascending.
    pub chunks: Vec<ChunkVerdict>,
}

impl Verdict {
    /// Whether every chunk is equal.
    pub fn equal(&self) -> bool {
        self.chunks.iter().all(|chunk| chunk.equal)
    }

    /// Rows in the source.
    pub fn source_rows(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.source_rows).sum()
    }

    /// Rows in the target.
    pub fn target_rows(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.target_rows).sum()
    }
}

/// Compares two lists of digests. Intervals need no order; an interval must not stand twice in one list.
/// One that has no row on either side gets no verdict.
pub fn compare(source: &[ChunkDigest], target: &[ChunkDigest]) -> Verdict {
    let mut ranges: Vec<ChunkRange> = source
        .iter()
        .chain(target)
        .filter(|digest| digest.rows > 0)
        .map(|digest| digest.range)
        .collect();
    ranges.sort_unstable();
    ranges.dedup();
    let find =
        |list: &[ChunkDigest], range| list.iter().find(|digest| digest.range == range).cloned();
    let chunks = ranges
        .into_iter()
        .map(|range| verdict(range, find(source, range), find(target, range)))
        .collect();
    Verdict { chunks }
}

fn verdict(
    range: ChunkRange,
    source: Option<ChunkDigest>,
    target: Option<ChunkDigest>,
) -> ChunkVerdict {
    let rows = |digest: &Option<ChunkDigest>| digest.as_ref().map_or(0, |digest| digest.rows);
    ChunkVerdict {
        range,
        source_rows: rows(&source),
        target_rows: rows(&target),
        equal: source.is_some() && source == target,
        source_sum: source.map(|digest| digest.sum),
        target_sum: target.map(|digest| digest.sum),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(start_us: i64, rows: u64, sum: &str) -> ChunkDigest {
        ChunkDigest {
            range: ChunkRange {
                start_us,
                end_us: start_us + 10,
            },
            rows,
            sum: sum.to_owned(),
        }
    }

    #[test]
    fn only_the_same_count_and_sum_are_equal() {
        let source = [digest(0, 3, "aa"), digest(10, 1, "bb"), digest(20, 0, "00")];
        assert!(compare(&source, &source).equal());
        for target in [
            vec![digest(0, 3, "aa")],
            vec![digest(0, 3, "aa"), digest(10, 1, "bc")],
            vec![digest(0, 3, "aa"), digest(10, 2, "bb")],
            vec![digest(0, 3, "aa"), digest(10, 1, "bb"), digest(30, 1, "cc")],
        ] {
            assert!(!compare(&source, &target).equal(), "{target:?}");
            assert!(!compare(&target, &source).equal(), "{target:?}");
        }
    }

    #[test]
    fn cut_chunks_add_up_to_their_interval() {
        let cut = |start_us: i64, end_us: i64, sum: u128| ChunkDigest {
            range: ChunkRange { start_us, end_us },
            rows: 2,
            sum: ChunkDigest::sum_text(sum),
        };
        let whole = by_interval(
            vec![cut(0, 3, u128::MAX), cut(7, 10, 3), cut(10, 20, 5)],
            10,
            &[],
        );
        assert_eq!(whole.len(), 2);
        assert_eq!((whole[0].rows, whole[0].range.end_us), (4, 10));
        assert_eq!(whole[0].sum, ChunkDigest::sum_text(2));
        assert_eq!(whole[1], cut(10, 20, 5));
    }

    #[test]
    fn a_chunk_of_given_bounds_stays_by_itself() {
        let sum = |start_us: i64, end_us: i64| ChunkDigest {
            range: ChunkRange { start_us, end_us },
            ..digest(0, 1, "aa")
        };
        let given = ChunkRange {
            start_us: 8,
            end_us: 38,
        };
        // Rows behind it, whose interval begins in it, are of their interval.
        let all = vec![sum(0, 8), sum(8, 38), sum(38, 40), sum(30, 40), sum(9, 10)];
        let whole = by_interval(all, 10, &[given]);
        let found: Vec<(i64, i64, u64)> = whole
            .iter()
            .map(|own| (own.range.start_us, own.range.end_us, own.rows))
            .collect();
        assert_eq!(found, [(0, 10, 1), (8, 38, 2), (30, 40, 2)]);
    }

    #[test]
    fn rows_add_up_and_empty_intervals_are_left_out() {
        let verdict = compare(
            &[digest(0, 3, "aa"), digest(20, 0, "00")],
            &[digest(10, 5, "bb")],
        );
        assert_eq!(
            (
                verdict.source_rows(),
                verdict.target_rows(),
                verdict.chunks.len()
            ),
            (3, 5, 2)
        );
    }
}
