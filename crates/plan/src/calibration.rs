//! Estimates from a calibration: what a sample of the rows took on these servers, scaled to all of them. Pure.

use crate::estimate::{Basis, disk, rowstore_share};
use crate::{Estimate, Phase, PhaseEstimate, Plan, Slice, SliceId, Strategy};
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
    /// Adding and validating foreign keys.
    pub foreign_keys_s: f64,
    /// Putting all of the sample's chunks into the columnstore, where some go there before the cutover.
    #[serde(default)]
    pub columnstore_s: f64,
    /// What the chunks then took, as a share of their heap and TOAST before; `None`: it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columnstore_share: Option<f64>,
    /// Comparing the rows, as the plan proves them.
    pub verify_s: f64,
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

/// The plan's estimate, with what was measured in place of what sizes told. Phases of tables that were not measured (those
/// whose partitions are attached) keep their estimate.
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
    let whole = |seconds: f64, own: &Measured| seconds / own.share.max(f64::MIN_POSITIVE);
    let sum = |of: &dyn Fn(&Measured) -> f64| Some(measured.iter().map(of).sum::<f64>());
    let chunks = |own: &Measured| {
        plan.tables
            .get(own.table)
            .map_or(0, |table| table.chunks.len())
    };
    let rowstore = |own: &Measured| plan.tables.get(own.table).map_or(1.0, rowstore_share);
    match phase {
        // The servers are surveyed again before the first change, and whenever the fence is looked at.
        Phase::Fence => sum(&|own| own.create_s).map(|seconds| seconds + 2.0 * survey_s),
        Phase::Create | Phase::Finish => sum(&|own| own.create_s),
        Phase::Chunks => sum(&|own| own.chunk_s * chunks(own) as f64),
        Phase::Copy => sum(&|own| whole(load_s(plan, own), own)).map(|seconds| seconds + survey_s),
        // Builds and validations use the other cores by themselves: tables side by side gain little.
        Phase::Keys => sum(&|own| whole(own.keys_s, own)),
        Phase::Columnstore => sum(&|own| whole(own.columnstore_s, own) * (1.0 - rowstore(own))),
        Phase::Indexes => sum(&|own| whole(own.indexes_s, own) * rowstore(own)),
        Phase::ForeignKeys => sum(&|own| whole(own.foreign_keys_s, own)),
        Phase::Verify => sum(&|own| whole(own.verify_s, own)),
        Phase::Cutover => sum(&|own| own.create_s).map(|seconds| seconds + survey_s),
        Phase::Attach | Phase::After | Phase::Policies => None,
    }
}

/// What the sample took by the way that most of the table's bytes go.
fn load_s(plan: &Plan, own: &Measured) -> f64 {
    let slices = || plan.slices.iter().filter(|slice| slice.table == own.table);
    let bytes = |strategy| -> u64 {
        let by = slices().filter(|slice| slice.strategy == strategy);
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
        assert!(estimate.margin() > 0.15 && estimate.margin() < 0.25);
        let (low, high) = estimate.phases[0].bounds();
        assert!(low < estimate.phases[0].seconds && estimate.phases[0].seconds < high);
        assert_eq!(plan.estimate.margin(), 0.5);
    }
}
