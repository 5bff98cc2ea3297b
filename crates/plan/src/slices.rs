//! Slices: leaves cut by block ranges, and where the rows of each go.

use crate::facts::{Leaf, LeafBound};
use crate::{
    ChunkRange, Mode, Options, Relation, Routing, Slice, SliceId, Strategy, TablePlan, Way,
};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Cuts every leaf of every table that is not attached or left out: largest slices first, or where history follows beside live
/// rows, newest first.
pub(crate) fn slices(
    tables: &[TablePlan],
    leaves: &[&[Leaf]],
    ways: &[Way],
    options: &Options,
) -> Vec<Slice> {
    let mut slices: Vec<Slice> = Vec::new();
    for (index, (table, leaves)) in tables.iter().zip(leaves).enumerate() {
        for leaf in *leaves {
            let way = ways
                .iter()
                .find(|way| way.table == index && way.leaf == leaf.relation);
            // One that is left out has no way.
            let moved = way.map(|way| way.strategy);
            if let Some(strategy) = moved.filter(|strategy| *strategy != Strategy::Attach) {
                let cut = Cut {
                    table: index,
                    strategy,
                    slice_bytes: options.slice_bytes,
                };
                slices.extend(leaf_slices(cut, table, leaf, leaves));
            }
        }
    }
    match options.mode {
        Mode::Window => {
            slices.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| place(a).cmp(&place(b))))
        }
        Mode::Backfill => newest_first(&mut slices, leaves),
    }
    for (number, slice) in slices.iter_mut().enumerate() {
        slice.id = SliceId(u32::try_from(number).unwrap_or(u32::MAX));
    }
    slices
}

/// Where a slice's rows are.
fn place(slice: &Slice) -> (usize, &Relation, u32) {
    (slice.table, &slice.leaf, slice.first_block)
}

/// What people ask for most is there first: the leaf that ends last, and of each leaf its end, where rows were appended last.
fn newest_first(slices: &mut [Slice], leaves: &[&[Leaf]]) {
    let ends: BTreeMap<u32, i64> = leaves
        .iter()
        .flat_map(|leaves| leaves.iter())
        .map(|leaf| (leaf.oid, end_us(leaf)))
        .collect();
    slices.sort_by_key(|slice| {
        let end_us = ends.get(&slice.leaf_oid).copied().unwrap_or(i64::MAX);
        (
            Reverse(end_us),
            slice.table,
            slice.leaf.clone(),
            Reverse(slice.first_block),
        )
    });
}

/// When a leaf's rows end, as far as that is known.
fn end_us(leaf: &Leaf) -> i64 {
    let bound = match leaf.bound {
        LeafBound::Range { to_us, .. } => to_us,
        LeafBound::Default | LeafBound::Unbounded => None,
    };
    let observed = || leaf.observed.map(|observed| observed.max_us);
    bound.or_else(observed).unwrap_or(i64::MAX)
}

/// How a leaf is to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Index of its table in the plan.
    pub table: usize,
    /// How its rows get to the target.
    pub strategy: Strategy,
    /// Bytes of heap and TOAST that a slice is to have.
    pub slice_bytes: u64,
}

/// Cuts one leaf into block ranges of about [`Cut::slice_bytes`] of heap and TOAST each. The last one has no end: rows
/// that were appended between the plan and the fence are in it.
pub fn leaf_slices(cut: Cut, table: &TablePlan, leaf: &Leaf, leaves: &[Leaf]) -> Vec<Slice> {
    let bytes = leaf.heap_bytes + leaf.toast_bytes;
    let staged = table.staged_leaf(leaf.oid);
    let wanted = match staged {
        // The table is made in the transaction that loads it.
        Some(_) => 1,
        None => bytes
            .div_ceil(cut.slice_bytes.max(1))
            .clamp(1, u64::from(leaf.blocks.max(1))),
    };
    let count = u32::try_from(wanted).unwrap_or(u32::MAX);
    let (routing, routing_reason) = match staged {
        Some(staged) => (
            Routing::OneChunk(staged.range),
            "its bounds become a chunk's",
        ),
        None => routing(table, leaf),
    };
    let sole_writer = staged.is_some()
        // Live rows are in its chunk, too.
        || !table.backfilled && count == 1 && is_sole_writer(routing, leaf, leaves);
    // In u64: blocks * count may be larger than u32.
    let edge = |number: u32| {
        u32::try_from(u64::from(leaf.blocks) * u64::from(number) / u64::from(count))
            .unwrap_or(u32::MAX)
    };
    (0..count)
        .map(|number| Slice {
            id: SliceId(0),
            table: cut.table,
            leaf: leaf.relation.clone(),
            leaf_oid: leaf.oid,
            relfilenode: leaf.relfilenode,
            first_block: edge(number),
            end_block: (number + 1 < count).then(|| edge(number + 1)),
            strategy: cut.strategy,
            routing,
            sole_writer,
            bytes: bytes / u64::from(count),
            rows_estimate: leaf.rows_estimate / u64::from(count),
            reason: format!(
                "{}: {}; {routing_reason}",
                cut.strategy.name(),
                cut_reason(count, number, leaf)
            ),
        })
        .collect()
}

fn cut_reason(count: u32, number: u32, leaf: &Leaf) -> String {
    match (count, leaf.toast_bytes > leaf.heap_bytes) {
        (1, _) => "whole leaf".to_owned(),
        (_, false) => format!("part {} of {count}", number + 1),
        (_, true) => format!("part {} of {count}, cut by its TOAST", number + 1),
    }
}

/// Only a partition bound proves where rows are: what was seen in a look at the rows may have changed until the fence.
fn routing(table: &TablePlan, leaf: &Leaf) -> (Routing, &'static str) {
    let by_time = |reason| (Routing::ByTime, reason);
    match leaf.bound {
        LeafBound::Range {
            from_us: Some(from_us),
            to_us: Some(to_us),
        } => {
            let chunk = ChunkRange::containing(from_us, table.chunk_interval_us);
            if to_us <= chunk.end_us {
                (Routing::OneChunk(chunk), "its bounds lie in one chunk")
            } else {
                by_time("rows routed by time: its bounds span chunks")
            }
        }
        LeafBound::Range { .. } => by_time("rows routed by time: its bounds are open"),
        LeafBound::Default => by_time("rows routed by time: default partition"),
        LeafBound::Unbounded => by_time("rows routed by time: no bound on the time column"),
    }
}

/// Whether no row outside `leaf` can belong into its chunk: its bounds are the chunk's, and every other leaf lies
/// outside them. The default partition does: it holds no row that a partition has a place for.
fn is_sole_writer(routing: Routing, leaf: &Leaf, leaves: &[Leaf]) -> bool {
    let Routing::OneChunk(chunk) = routing else {
        return false;
    };
    let whole = LeafBound::Range {
        from_us: Some(chunk.start_us),
        to_us: Some(chunk.end_us),
    };
    let outside = |other: &Leaf| match other.bound {
        LeafBound::Range { from_us, to_us } => {
            to_us.is_some_and(|to| to <= chunk.start_us)
                || from_us.is_some_and(|from| from >= chunk.end_us)
        }
        LeafBound::Default => true,
        LeafBound::Unbounded => false,
    };
    leaf.bound == whole
        && leaves
            .iter()
            .filter(|other| other.oid != leaf.oid)
            .all(outside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Proof, Relation, TimeType};
    use proptest::prelude::*;

    const DAY_US: i64 = 86_400_000_000;

    fn table() -> TablePlan {
        let relation = Relation::new("public", "fixes");
        TablePlan {
            staging: relation.in_schema("hyperhaul_new_public"),
            archive: relation.in_schema("hyperhaul_old_public"),
            relation,
            time_column: "at".into(),
            time_type: TimeType::Timestamptz,
            chunk_interval_us: DAY_US,
            copy_columns: vec!["at".into()],
            time_position: 0,
            generated_columns: Vec::new(),
            key_columns: vec!["at".into()],
            array_elements: Vec::new(),
            chunks: Vec::new(),
            skip_before_us: None,
            attached: Vec::new(),
            staged: Vec::new(),
            backfilled: false,
            meeting_keys: Vec::new(),
            proof: Proof::Tuples,
            hash_functions: Vec::new(),
            rows_estimate: 0,
            data_bytes: 0,
            index_bytes: 0,
            policies: Default::default(),
            to_columnstore: None,
        }
    }

    fn leaf(oid: u32, bound: LeafBound, blocks: u32, toast_bytes: u64) -> Leaf {
        Leaf {
            relation: Relation::new("public", format!("leaf_{oid}")),
            oid,
            relfilenode: oid,
            bound,
            blocks,
            heap_bytes: u64::from(blocks) * 8192,
            toast_bytes,
            index_bytes: 0,
            rows_estimate: 1000,
            observed: None,
            chunk_rows: Vec::new(),
            null_times: 0,
            infinite_times: 0,
            options: Vec::new(),
            tablespace: None,
            own_indexes: Vec::new(),
            statistics_target: None,
            unlogged: false,
            foreign_server: None,
        }
    }

    fn range(from_us: i64, to_us: i64) -> LeafBound {
        LeafBound::Range {
            from_us: Some(from_us),
            to_us: Some(to_us),
        }
    }

    fn cut_to(slice_bytes: u64) -> Cut {
        Cut {
            table: 0,
            strategy: crate::Strategy::Copy,
            slice_bytes,
        }
    }

    fn cut(leaves: &[Leaf]) -> Vec<Slice> {
        leaves
            .iter()
            .flat_map(|leaf| leaf_slices(cut_to(1 << 20), &table(), leaf, leaves))
            .collect()
    }

    #[test]
    fn a_leaf_of_a_whole_chunk_is_its_only_writer() {
        let default = leaf(3, LeafBound::Default, 1, 0);
        let aligned = [
            leaf(1, range(0, DAY_US), 10, 0),
            leaf(2, range(DAY_US, 2 * DAY_US), 10, 0),
            default.clone(),
        ];
        let slices = cut(&aligned);
        assert!(slices[0].sole_writer && slices[1].sole_writer && !slices[2].sole_writer);
        assert_eq!(slices[2].routing, Routing::ByTime);

        // Half a day: the default partition may hold rows of the other half.
        let half = [leaf(1, range(0, DAY_US / 2), 10, 0), default];
        assert!(
            matches!(cut(&half)[0].routing, Routing::OneChunk(_)) && !cut(&half)[0].sole_writer
        );

        // Two leaves with the same bound, as sub-partitioning by another column makes them.
        let twins = [
            leaf(1, range(0, DAY_US), 10, 0),
            leaf(2, range(0, DAY_US), 10, 0),
        ];
        assert!(cut(&twins).iter().all(|slice| !slice.sole_writer));
    }

    #[test]
    fn history_comes_newest_first_and_each_leaf_from_its_end() {
        let mut leaves = [
            leaf(1, range(0, DAY_US), 20, 0),
            leaf(2, range(DAY_US, 2 * DAY_US), 400, 0),
            leaf(3, LeafBound::Default, 1, 0),
        ];
        leaves[2].observed = Some(crate::TimeRange {
            min_us: 0,
            max_us: DAY_US / 2,
        });
        let mut slices = cut(&leaves);
        newest_first(&mut slices, &[&leaves]);
        let order: Vec<(u32, u32)> = slices
            .iter()
            .map(|slice| (slice.leaf_oid, slice.first_block))
            .collect();
        let blocks: Vec<u32> = order
            .iter()
            .filter(|(leaf, _)| *leaf == 2)
            .map(|(_, block)| *block)
            .collect();
        assert!(
            blocks.len() > 1 && blocks.is_sorted_by(|a, b| a > b),
            "{blocks:?}"
        );
        let mut oids: Vec<u32> = order.iter().map(|(leaf, _)| *leaf).collect();
        oids.dedup();
        assert_eq!(oids, [2, 1, 3]);
    }

    #[test]
    fn bounds_that_do_not_line_up_are_routed() {
        let hour_us = DAY_US / 24;
        let slices = cut(&[leaf(1, range(-hour_us, DAY_US - hour_us), 10, 0)]);
        assert_eq!(slices[0].routing, Routing::ByTime);
    }

    #[test]
    fn a_leaf_is_cut_by_toast_bytes_too() {
        let slices = cut(&[leaf(1, range(0, DAY_US), 8, 4 << 20)]);
        assert_eq!(slices.len(), 5);
        assert!(slices.iter().all(|slice| !slice.sole_writer));
        assert!(slices[0].reason.contains("TOAST"), "{}", slices[0].reason);
    }

    proptest! {
        #[test]
        fn slices_cover_every_block_once(blocks in 0u32..=u32::MAX, toast in 0u64..1 << 40, slice_bytes in 1u64..1 << 36) {
            let leaf = leaf(1, LeafBound::Default, blocks, toast);
            prop_assume!((leaf.heap_bytes + toast) / slice_bytes < 10_000);
            let slices = leaf_slices(cut_to(slice_bytes), &table(), &leaf, std::slice::from_ref(&leaf));
            prop_assert_eq!(slices[0].first_block, 0);
            prop_assert_eq!(slices[slices.len() - 1].end_block, None);
            for pair in slices.windows(2) {
                prop_assert_eq!(pair[0].end_block, Some(pair[1].first_block));
                prop_assert!(pair[0].first_block < pair[1].first_block);
            }
        }
    }
}
