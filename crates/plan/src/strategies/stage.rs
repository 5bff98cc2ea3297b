//! Staging: which leaves can be loaded into a table of their own that becomes a chunk.

use super::{Table, bounds, lacks_bounds};
use crate::expiry::is_left_out;
use crate::facts::{Leaf, TableFacts};
use crate::{StagedLeaf, StepId, phrase, sql};

/// The largest leaf that is staged, bytes of heap and TOAST. It is one transaction of one worker: a kill costs all of it,
/// minutes of work at the rates that were measured (70 MB a second and worker), and nobody can help that worker.
const STAGE_BYTES_MAX: u64 = 32 << 30;

impl Table<'_> {
    /// Why a leaf cannot be staged, although others of its table can.
    pub(super) fn cannot_stage(&self, leaf: &Leaf) -> Option<String> {
        if let Some(server) = &leaf.foreign_server {
            return Some(format!("it is a foreign table of {server}"));
        }
        if let Some(reason) = lacks_bounds(leaf) {
            return Some(reason);
        }
        let range = bounds(leaf)?;
        if self
            .skip_before_us
            .is_some_and(|before_us| range.start_us < before_us)
        {
            return Some("a part of its rows is left out".to_owned());
        }
        let mut others = self
            .found
            .leaves
            .iter()
            .filter(|other| other.oid != leaf.oid && !is_left_out(other, self.skip_before_us));
        if others.any(|other| bounds(other).is_some_and(|other| other.overlaps(range))) {
            return Some("another partition has rows of the same time".to_owned());
        }
        let bytes = leaf.heap_bytes + leaf.toast_bytes;
        (bytes > STAGE_BYTES_MAX).then(|| {
            format!(
                "it holds {}, and would be one transaction of one worker; {} are the most",
                phrase::bytes(bytes),
                phrase::bytes(STAGE_BYTES_MAX)
            )
        })
    }
}

/// The leaf as it is staged.
pub(super) fn staged(found: &TableFacts, leaf: &Leaf) -> Option<StagedLeaf> {
    let step = |what: &str| {
        let (table, leaf) = (found.relation.plain(), leaf.relation.plain());
        StepId(format!("stage:{table}:{what} {leaf}"))
    };
    Some(StagedLeaf {
        leaf: leaf.relation.clone(),
        leaf_oid: leaf.oid,
        chunk: sql::staged_chunk(&found.relation, leaf),
        range: bounds(leaf)?,
        rows_estimate: leaf.rows_estimate,
        bytes: leaf.heap_bytes + leaf.toast_bytes,
        build: step("build"),
        attach: step("attach"),
    })
}
