//! Rows that the retention would drop at its first run: which of them are left out where that is asked for.

use crate::facts::{Facts, Leaf, LeafBound, TableFacts};
use crate::{ChunkRange, Options, TableOptions};

/// The start of the first chunk that is moved, microseconds since 1970 UTC: all rows before it lie in chunks that the
/// retention would drop. `None`: everything is moved.
///
/// A table that others refer to is moved whole: their foreign keys would miss the rows.
pub(crate) fn skip_before(
    found: &TableFacts,
    wanted: &TableOptions,
    options: &Options,
    facts: &Facts,
) -> Option<i64> {
    let retention_us = wanted.policies.retention_us?;
    if !options.skip_expired || !found.referenced_by.is_empty() {
        return None;
    }
    let cutoff_us = facts.target.clock_us.checked_sub(retention_us)?;
    Some(ChunkRange::containing(cutoff_us, wanted.chunk_interval_us).start_us)
}

/// Whether a leaf's bounds prove that all of its rows are left out.
pub(crate) fn is_left_out(leaf: &Leaf, skip_before_us: Option<i64>) -> bool {
    let (
        LeafBound::Range {
            to_us: Some(to_us), ..
        },
        Some(skip_before_us),
    ) = (leaf.bound, skip_before_us)
    else {
        return false;
    };
    to_us <= skip_before_us
}

/// A leaf's rows by chunk: counted where they were read, else estimated where the leaf's bounds lie in one chunk.
pub(crate) fn placed(leaf: &Leaf, interval_us: i64) -> Vec<(ChunkRange, u64, bool)> {
    if !leaf.chunk_rows.is_empty() {
        let counted = leaf.chunk_rows.iter();
        return counted
            .map(|rows| {
                (
                    ChunkRange::containing(rows.start_us, interval_us),
                    rows.rows,
                    true,
                )
            })
            .collect();
    }
    match leaf.bound {
        LeafBound::Range {
            from_us: Some(from_us),
            to_us: Some(_),
        } => vec![(
            ChunkRange::containing(from_us, interval_us),
            leaf.rows_estimate,
            false,
        )],
        _ => Vec::new(),
    }
}
