//! Verification: equality of source and target, proved.

use crate::{Connections, Error, Interrupt, Observer, RunId};
use hyperhaul_plan::{ChunkRange, Relation, Verdict};
use serde::Serialize;

/// The outcome of verifying a run.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// The run.
    pub run: RunId,
    /// Per table, in the order of the plan.
    pub tables: Vec<TableVerification>,
}

impl Verification {
    /// Whether everything is equal.
    pub fn equal(&self) -> bool {
        self.tables.iter().all(TableVerification::equal)
    }
}

/// The outcome of verifying one table.
#[derive(Clone, Debug, Serialize)]
pub struct TableVerification {
    /// The table.
    pub table: Relation,
    /// Per chunk: counts and whether the digests are the same.
    pub verdict: Verdict,
    /// Rows that differ, for the chunks that are not equal.
    pub differences: Vec<ChunkDifferences>,
    /// What differs in columns, indexes, constraints: a line each.
    pub structure: Vec<String>,
    /// Generated columns that differ from their own expression, with the number of rows.
    pub generated: Vec<(String, u64)>,
    /// Sequences that stand behind the rows: a line each.
    pub sequences: Vec<String>,
}

impl TableVerification {
    /// Whether everything is equal.
    pub fn equal(&self) -> bool {
        self.verdict.equal() && self.structure.is_empty() && self.generated.is_empty() && self.sequences.is_empty()
    }
}

/// Rows of one chunk that differ, named by their keys as text, e.g. `(7f..., "2025-12-11 00:00:00+00")`.
#[derive(Clone, Debug, Serialize)]
pub struct ChunkDifferences {
    /// The chunk's interval.
    pub range: ChunkRange,
    /// In the source only.
    pub missing: Vec<String>,
    /// In the target only.
    pub extra: Vec<String>,
    /// In both, with different columns.
    pub different: Vec<String>,
    /// Whether there are more than are listed.
    pub truncated: bool,
}
