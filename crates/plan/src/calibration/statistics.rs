//! Gathering statistics: ANALYZE looks at a number of rows of each chunk that the largest statistics target of its columns sets,
//! and again at as many of all chunks together.

use super::Measured;
use crate::{Plan, TablePlan};

/// PostgreSQL's `default_statistics_target`.
const STATISTICS_TARGET: i32 = 100;
/// ANALYZE looks at so many rows for each unit of the largest statistics target.
const ROWS_A_TARGET: f64 = 300.0;

/// The most rows that are looked at with this target.
fn rows_max(target: Option<i32>) -> f64 {
    f64::from(target.unwrap_or(STATISTICS_TARGET).max(1)) * ROWS_A_TARGET
}

/// Seconds for the whole table, from what the sample took.
#[expect(clippy::cast_precision_loss, reason = "an estimate needs few digits")]
pub(super) fn analyze_s(plan: &Plan, own: &Measured, table: &TablePlan) -> f64 {
    let Some(found) = plan.facts.tables.get(own.table) else {
        return 0.0;
    };
    let targets = found.columns.iter();
    let target = targets.filter_map(|column| column.statistics_target).max();
    let even = |rows: f64, chunks: f64| match chunks {
        0.0 => 0.0,
        chunks => chunks * (rows / chunks).min(rows_max(target)),
    };
    // A partition that becomes a chunk keeps its own columns' targets.
    let attached = table.attached.iter().map(|leaf| {
        let mut leaves = found.leaves.iter();
        let there = leaves.find(|found| found.oid == leaf.leaf_oid);
        let target = there.and_then(|leaf| leaf.statistics_target);
        (leaf.rows_estimate as f64).min(rows_max(target))
    });
    let attached_rows: u64 = table.attached.iter().map(|leaf| leaf.rows_estimate).sum();
    let others = table.rows_estimate.saturating_sub(attached_rows) as f64;
    let made = (table.chunks.len() + table.staged.len()) as f64;
    let together = (table.rows_estimate as f64).min(rows_max(target));
    let all = attached.sum::<f64>() + even(others, made) + together;
    own.analyze_s * all / sample(own, &even, target).max(1.0)
}

/// Rows that were looked at in the sample. Its attached part is new, and has the default target.
#[expect(clippy::cast_precision_loss, reason = "an estimate needs few digits")]
fn sample(own: &Measured, even: &dyn Fn(f64, f64) -> f64, target: Option<i32>) -> f64 {
    let part_rows = own.attach.map_or(0, |attach| attach.part_rows);
    let loaded = own.rows.saturating_sub(part_rows) as f64;
    let part = (part_rows as f64).min(rows_max(None));
    let together = (own.rows as f64).min(rows_max(target));
    part + even(loaded, f64::from(own.chunks)) + together
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::soar;
    use crate::{AttachedLeaf, ChunkRange, MeasuredAttach};

    fn plan() -> Plan {
        let (facts, options) = soar();
        let mut plan = crate::plan(facts, options).unwrap();
        plan.facts.tables[0].columns[0].statistics_target = Some(500);
        plan
    }

    #[test]
    fn the_rows_that_are_looked_at_count_and_no_others() {
        let plan = plan();
        let mut table = plan.tables[0].clone();
        table.attached.clear();
        let chunks = table.chunks.len() as u64;
        let own = Measured {
            table: 0,
            rows: 75_000,
            chunks: 1,
            analyze_s: 1.0,
            ..Measured::default()
        };
        // No chunk has more rows than are looked at: only the look at all together has its limit.
        table.rows_estimate = chunks * 150_000;
        let seconds = analyze_s(&plan, &own, &table);
        let expected = (chunks * 150_000 + 150_000) as f64 / 150_000.0;
        assert!((seconds - expected).abs() < 1e-6, "{seconds} {expected}");
        // Ten times as many rows are no more work.
        table.rows_estimate *= 10;
        let more = analyze_s(&plan, &own, &table);
        assert!((more - seconds).abs() < 1e-6);
    }

    #[test]
    fn partitions_that_are_attached_are_looked_at_by_their_own_targets() {
        let mut plan = plan();
        let leaves = &mut plan.facts.tables[0].leaves;
        leaves[1].statistics_target = Some(200);
        let oids = [leaves[0].oid, leaves[1].oid];
        let mut table = plan.tables[0].clone();
        (table.chunks, table.staged) = (Vec::new(), Vec::new());
        let leaf = |leaf_oid| AttachedLeaf {
            leaf: table.relation.clone(),
            leaf_oid,
            relfilenode: leaf_oid,
            range: ChunkRange {
                start_us: 0,
                end_us: 1,
            },
            rows_estimate: 1_000_000,
            bytes: 0,
        };
        table.attached = oids.into_iter().map(leaf).collect();
        table.rows_estimate = 2_000_000;
        let own = Measured {
            table: 0,
            rows: 90_000,
            analyze_s: 1.0,
            attach: Some(MeasuredAttach {
                part_rows: 90_000,
                ..MeasuredAttach::default()
            }),
            ..Measured::default()
        };
        let seconds = analyze_s(&plan, &own, &table);
        let expected = (30_000.0 + 60_000.0 + 150_000.0) / (30_000.0 + 90_000.0);
        assert!((seconds - expected).abs() < 1e-6, "{seconds} {expected}");
    }
}
