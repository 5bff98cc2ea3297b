//! Leaves that are loaded into tables of their own, which become chunks.

use super::{Plan, Slice, Step, StepId, TablePlan};
use crate::{ChunkRange, Relation};
use serde::{Deserialize, Serialize};

/// A leaf whose rows are loaded into a table of its own, which becomes a chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedLeaf {
    /// The leaf.
    pub leaf: Relation,
    /// Leaf's oid.
    pub leaf_oid: u32,
    /// The table that its rows are loaded into; as a chunk it keeps this name.
    pub chunk: Relation,
    /// Its partition bound, which becomes the chunk's interval.
    pub range: ChunkRange,
    /// Rows, estimated.
    pub rows_estimate: u64,
    /// Bytes of heap and TOAST.
    pub bytes: u64,
    /// The step that builds its keys and indexes, when its rows are in.
    pub build: StepId,
    /// The step that attaches it, after that.
    pub attach: StepId,
}

impl Plan {
    /// The leaf whose rows a slice loads into a table of its own.
    pub fn staged_leaf(&self, slice: &Slice) -> Option<&StagedLeaf> {
        self.tables.get(slice.table)?.staged_leaf(slice.leaf_oid)
    }

    /// The steps that make the leaf's table a chunk once its rows are in, in order. One without keys and indexes needs no build.
    pub fn finishing(&self, leaf: &StagedLeaf) -> Vec<&Step> {
        let steps = [&leaf.build, &leaf.attach].into_iter();
        steps.filter_map(|id| self.step(id)).collect()
    }
}

impl TablePlan {
    /// The leaf with this oid, if it is loaded into a table of its own.
    pub fn staged_leaf(&self, leaf_oid: u32) -> Option<&StagedLeaf> {
        self.staged.iter().find(|leaf| leaf.leaf_oid == leaf_oid)
    }

    /// Chunks that rows are loaded into, as far as they are known: those that are attached as they are have none.
    pub fn loaded_chunks(&self) -> usize {
        self.chunks.len() + self.staged.len()
    }

    /// Whether leaves become its chunks, in whatever way.
    pub(crate) fn takes_leaves(&self) -> bool {
        !self.attached.is_empty() || !self.staged.is_empty()
    }

    /// Whether the hypertable has its keys and indexes before its rows: what becomes a chunk brings its own, which are
    /// matched only if the hypertable has them; and live rows need them before history comes.
    pub(crate) fn is_built_first(&self) -> bool {
        self.takes_leaves() || self.backfilled
    }
}
