//! Estimates from a calibration: what a sample of the rows took on these servers, scaled to all of them. Pure.

mod statistics;

use crate::estimate::{Basis, disk, referencing_s, rowstore_share};
use crate::{
    AttachedLeaf, Estimate, Phase, PhaseEstimate, Plan, Slice, SliceId, Strategy, TablePlan,
};
use serde::{Deserialize, Serialize};

/// What a prediction is uncertain by at least, as a share: no two runs are alike.
const UNCERTAIN_MIN: f64 = 0.15;
/// And in addition for a small sample: by this for each time that it has to be doubled to be everything.
const UNCERTAIN_A_DOUBLING: f64 = 0.03;

/// What a sample of one table took, seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Index into [`Plan::tables`].
    pub table: usize,
    /// The part of the table's bytes to be moved that was loaded, above 0 and at most 1.
    pub share: f64,
    /// Rows of the sample, about, and those of an attached part.
    #[serde(default)]
    pub rows: u64,
    /// Chunks that rows were loaded into.
    #[serde(default)]
    pub chunks: u32,
    /// Making the empty hypertable.
    pub create_s: f64,
    /// Making one chunk.
    pub chunk_s: f64,
    /// Loading by each way that is feasible.
    pub load_s: Vec<(Strategy, f64)>,
    /// Adding keys.
    pub keys_s: f64,
    /// Building indexes, side by side.
    pub indexes_s: f64,
    /// Adding foreign keys.
    #[serde(default)]
    pub add_foreign_keys_s: f64,
    /// Validating them, one after another.
    pub foreign_keys_s: f64,
    /// Putting all of the sample's chunks into the columnstore, where some go there before the cutover.
    #[serde(default)]
    pub columnstore_s: f64,
    /// What the chunks then took, as a share of their heap and TOAST before; `None`: it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columnstore_share: Option<f64>,
    /// Comparing the rows, as the plan proves them.
    pub verify_s: f64,
    /// Gathering statistics.
    #[serde(default)]
    pub analyze_s: f64,
    /// Where the plan attaches partitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach: Option<MeasuredAttach>,
}

/// What attaching partitions of one table took. Keys and indexes are there beforehand then, and foreign keys are validated
/// over their rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MeasuredAttach {
    /// One without rows, seconds.
    pub empty_s: f64,
    /// One with some rows, seconds.
    pub part_s: f64,
    /// Bytes of those rows, about.
    pub part_bytes: u64,
    /// Those rows, about.
    #[serde(default)]
    pub part_rows: u64,
}

impl MeasuredAttach {
    /// Attaching these partitions one after another, seconds.
    #[expect(clippy::cast_precision_loss, reason = "an estimate needs few digits")]
    fn seconds(&self, leaves: &[AttachedLeaf]) -> f64 {
        let bytes: u64 = leaves.iter().map(|leaf| leaf.bytes).sum();
        let a_byte_s = (self.part_s - self.empty_s).max(0.0) / self.part_bytes.max(1) as f64;
        leaves.len() as f64 * self.empty_s + bytes as f64 * a_byte_s
    }

    /// The part of the attached bytes that was measured.
    #[expect(clippy::cast_precision_loss, reason = "a share needs few digits")]
    fn share(&self, leaves: &[AttachedLeaf]) -> f64 {
        let bytes: u64 = leaves.iter().map(|leaf| leaf.bytes).sum();
        (self.part_bytes as f64 / bytes.max(1) as f64).clamp(f64::MIN_POSITIVE, 1.0)
    }
}

impl Measured {
    /// Bytes a second of a way, of `bytes` in all.
    #[expect(clippy::cast_precision_loss, reason = "a rate needs few digits")]
    pub fn rate(&self, strategy: Strategy, bytes: u64) -> Option<f64> {
        let mut ways = self.load_s.iter();
        let (_, seconds) = ways.find(|(way, _)| *way == strategy)?;
        Some(bytes as f64 * self.share / seconds.max(f64::MIN_POSITIVE))
    }
}

/// The slices of a table that a calibration loads: in the order of the plan until they hold about `bytes`, the last one cut.
pub fn sample(plan: &Plan, table: usize, bytes: u64) -> Vec<Slice> {
    let mut left = bytes;
    let mut sample = Vec::new();
    for slice in plan.slices.iter().filter(|slice| slice.table == table) {
        if left == 0 {
            break;
        }
        let mut slice = slice.clone();
        if slice.bytes > left {
            cut(plan, &mut slice, left);
        }
        left = left.saturating_sub(slice.bytes.max(1));
        slice.id = SliceId(u32::try_from(sample.len()).unwrap_or(u32::MAX));
        sample.push(slice);
    }
    sample
}

/// Shortens a slice to about so many bytes.
fn cut(plan: &Plan, slice: &mut Slice, bytes: u64) {
    let leaves = plan.facts.tables.iter().flat_map(|found| &found.leaves);
    let mut leaves = leaves.filter(|leaf| leaf.oid == slice.leaf_oid);
    let Some(leaf) = leaves.next() else { return };
    let end = slice.end_block.unwrap_or(leaf.blocks);
    let blocks = u64::from(end.saturating_sub(slice.first_block));
    let kept = (blocks * bytes).div_ceil(slice.bytes.max(1)).max(1);
    slice.end_block = Some(
        slice
            .first_block
            .saturating_add(u32::try_from(kept).unwrap_or(u32::MAX)),
    );
    slice.rows_estimate = slice.rows_estimate * bytes / slice.bytes.max(1);
    slice.bytes = bytes;
}

/// The plan's estimate, with what was measured in place of what sizes told.
pub fn calibrated(plan: &Plan, measured: &[Measured], survey_s: f64) -> Estimate {
    let mut estimate = plan.estimate.clone();
    let uncertain = uncertainty(measured);
    for own in &mut estimate.phases {
        if let Some(seconds) = phase_s(plan, measured, survey_s, own.phase) {
            own.seconds = seconds;
            own.range = Some((seconds * (1.0 - uncertain), seconds * (1.0 + uncertain)));
        }
    }
    estimate.with_disk(disk::disk(
        &plan.facts,
        &plan.tables,
        plan.width(),
        &|table| {
            let mut measured = measured.iter();
            measured.find(|own| own.table == table)?.columnstore_share
        },
    ));
    estimate.basis = Basis::Calibrated(measured.to_vec());
    estimate
}

fn uncertainty(measured: &[Measured]) -> f64 {
    let shares = measured
        .iter()
        .map(|own| own.share.clamp(f64::MIN_POSITIVE, 1.0));
    let smallest = shares.fold(1.0, f64::min);
    UNCERTAIN_MIN + UNCERTAIN_A_DOUBLING * (1.0 / smallest).log2()
}

/// Seconds of a phase over all measured tables; `None`: the estimate says as much.
#[expect(clippy::cast_precision_loss, reason = "an estimate needs few digits")]
fn phase_s(plan: &Plan, measured: &[Measured], survey_s: f64, phase: Phase) -> Option<f64> {
    if measured.len() != plan.tables.len() {
        return None;
    }
    let sum = |of: &dyn Fn(&Measured, &TablePlan) -> f64| {
        let tables = measured.iter().map(|own| (own, plan.tables.get(own.table)));
        let seconds = tables.map(|(own, table)| table.map_or(0.0, |table| of(own, table)));
        Some(seconds.sum::<f64>())
    };
    // Of a sample's rows; those beside attached partitions are few.
    let whole = |seconds: f64, own: &Measured, table: &TablePlan| {
        let share = own
            .attach
            .map_or(own.share, |attach| attach.share(&table.attached));
        seconds / share.max(f64::MIN_POSITIVE)
    };
    let built = |seconds: f64, own: &Measured, table: &TablePlan| match own.attach {
        Some(_) => seconds,
        None if !table.staged.is_empty() => 0.0,
        None => whole(seconds, own, table),
    };
    // Where partitions are attached, they are added while the table is empty and validated after the cutover.
    let foreign_keys_s = |seconds: f64, own: &Measured, table: &TablePlan, columnstore: bool| {
        let here = table.goes_to_columnstore_before_indexes() == columnstore;
        if own.attach.is_none() && here {
            whole(seconds, own, table)
        } else {
            0.0
        }
    };
    let create_s = sum(&|own, _| own.create_s);
    match phase {
        // The servers are surveyed again before the first change, and whenever the fence is looked at.
        Phase::Fence => create_s.map(|seconds| seconds + 2.0 * survey_s),
        Phase::Create | Phase::Finish => create_s,
        Phase::Attach => sum(&|own, table| {
            own.attach
                .map_or(0.0, |attach| attach.seconds(&table.attached))
        }),
        Phase::Chunks => sum(&|own, table| own.chunk_s * table.chunks.len() as f64),
        // The workers that load staged leaves build their keys and indexes, too.
        Phase::Stage => sum(&|own, table| match table.staged.is_empty() {
            true => 0.0,
            false => whole(load_s(plan, own) + own.keys_s + own.indexes_s, own, table),
        }),
        Phase::Copy => sum(&|own, table| match table.staged.is_empty() {
            true => load_s(plan, own) / own.share.max(f64::MIN_POSITIVE),
            false => 0.0,
        })
        .map(|seconds| seconds + survey_s),
        // Builds and validations use the other cores by themselves: tables side by side gain little.
        Phase::Keys => sum(&|own, table| built(own.keys_s, own, table)),
        Phase::Columnstore => sum(&|own, table| {
            let turned = whole(own.columnstore_s, own, table) * (1.0 - rowstore_share(table));
            let foreign_s = own.add_foreign_keys_s + own.foreign_keys_s;
            turned + foreign_keys_s(foreign_s, own, table, true)
        }),
        Phase::Indexes => {
            sum(&|own, table| built(own.indexes_s, own, table) * rowstore_share(table))
        }
        Phase::ForeignKeys => {
            sum(&|own, table| foreign_keys_s(own.add_foreign_keys_s, own, table, false))
        }
        // A table's validations take one core beside those who compare.
        Phase::Verify => sum(&|own, table| {
            let validated = foreign_keys_s(own.foreign_keys_s, own, table, false);
            let compared = whole(own.verify_s, own, table);
            validated.max(compared + validated / f64::from(plan.width()))
        }),
        Phase::Cutover => create_s.map(|seconds| seconds + survey_s),
        Phase::After => sum(&|own, table| {
            let validated = own
                .attach
                .map_or(0.0, |_| whole(own.foreign_keys_s, own, table));
            validated + statistics::analyze_s(plan, own, table)
        })
        .map(|seconds| seconds + referencing_s(&plan.facts)),
        // A plan whose history follows is not calibrated.
        Phase::Backfill | Phase::Proof | Phase::Policies => None,
    }
}

/// What the sample took by the way that most of the table's bytes go.
fn load_s(plan: &Plan, own: &Measured) -> f64 {
    let slices = || plan.slices.iter().filter(|slice| slice.table == own.table);
    let bytes = |strategy| -> u64 {
        // Rows of staged leaves are copied, too.
        let by = slices().filter(|slice| match slice.strategy {
            Strategy::Stage => strategy == Strategy::Copy,
            way => way == strategy,
        });
        by.map(|slice| slice.bytes).sum()
    };
    let ways = own.load_s.iter();
    let most = ways.max_by_key(|(strategy, _)| bytes(*strategy));
    most.map_or(0.0, |(_, seconds)| *seconds)
}

/// A phase of an estimate with its range.
impl PhaseEstimate {
    /// The least and the most that it is predicted to take, seconds; the same number where nothing was measured.
    pub fn bounds(&self) -> (f64, f64) {
        self.range.unwrap_or((self.seconds, self.seconds))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::testing::soar;
    use crate::{ChunkRange, Relation};

    fn plan() -> Plan {
        let (facts, options) = soar();
        crate::plan(facts, options).unwrap()
    }

    fn moved(plan: &Plan, table: usize) -> u64 {
        let slices = plan.slices.iter().filter(|slice| slice.table == table);
        slices.map(|slice| slice.bytes).sum()
    }

    #[test]
    fn a_sample_is_as_large_as_asked_for_and_no_larger_than_the_table() {
        let plan = plan();
        let all = moved(&plan, 1);
        for (asked, expected) in [(all / 3, all / 3), (all * 2, all)] {
            let sample = sample(&plan, 1, asked);
            let bytes: u64 = sample.iter().map(|slice| slice.bytes).sum();
            assert!(
                bytes.abs_diff(expected) <= sample.len() as u64,
                "{bytes} of {expected}"
            );
            assert!(sample.iter().all(|slice| slice.table == 1));
        }
        let cut = sample(&plan, 1, plan.slices[0].bytes.min(all) / 2);
        let last = cut.last().unwrap();
        assert!(last.end_block.is_some_and(|end| end > last.first_block));
    }

    #[test]
    fn what_a_part_took_is_scaled_to_the_whole() {
        let plan = plan();
        let measured: Vec<Measured> = (0..plan.tables.len())
            .map(|table| Measured {
                table,
                share: 0.25,
                create_s: 0.1,
                load_s: vec![(Strategy::Server, 2.0), (Strategy::Copy, 9.0)],
                indexes_s: 3.0,
                add_foreign_keys_s: 0.1,
                foreign_keys_s: 2.0,
                verify_s: 1.0,
                ..Measured::default()
            })
            .collect();
        let estimate = calibrated(&plan, &measured, 0.0);
        let seconds = |phase| {
            let mut phases = estimate.phases.iter();
            phases.find(|own| own.phase == phase).unwrap().seconds
        };
        // The plan takes the server's way.
        assert!((seconds(Phase::Copy) - 16.0).abs() < 0.01);
        assert!((seconds(Phase::Indexes) - 24.0).abs() < 0.01);
        assert!((seconds(Phase::ForeignKeys) - 0.8).abs() < 0.01);
        // Two tables, each of which is validated by one of two cores.
        assert!((seconds(Phase::Verify) - 2.0 * (4.0 + 8.0 / 2.0)).abs() < 0.01);
        assert!(estimate.margin() > 0.15 && estimate.margin() < 0.25);
        let (low, high) = estimate.phases[0].bounds();
        assert!(low < estimate.phases[0].seconds && estimate.phases[0].seconds < high);
        assert_eq!(plan.estimate.margin(), 0.5);
    }

    #[test]
    fn attaching_costs_by_partition_and_by_byte() {
        let leaf = |bytes| AttachedLeaf {
            leaf: Relation::new("public", "leaf"),
            leaf_oid: 1,
            relfilenode: 1,
            range: ChunkRange {
                start_us: 0,
                end_us: 1,
            },
            rows_estimate: 1,
            bytes,
        };
        let measured = MeasuredAttach {
            empty_s: 0.5,
            part_s: 0.75,
            part_bytes: 100,
            part_rows: 0,
        };
        let seconds = measured.seconds(&[leaf(1_000), leaf(200)]);
        assert!((seconds - (1.0 + 3.0)).abs() < 1e-9);
        assert!((measured.share(&[leaf(300), leaf(100)]) - 0.25).abs() < 1e-9);
    }
}
