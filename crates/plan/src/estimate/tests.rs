//! The measured table gets back what was measured, and what changes it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::StrategyChoice;
use crate::facts::License;
use crate::testing::{fixes, measured_fixes, soar};

fn estimated(facts: &Facts, options: &Options) -> Estimate {
    crate::plan(facts.clone(), options.clone())
        .unwrap()
        .estimate
}

fn phase(estimate: &Estimate, phase: Phase) -> f64 {
    let mut phases = estimate.phases.iter();
    phases
        .find(|found| found.phase == phase)
        .map_or(0.0, |found| found.seconds)
}

#[test]
fn the_measured_table_gets_back_what_was_measured() {
    let (facts, mut options) = measured_fixes();
    let server = estimated(&facts, &options);
    assert!((phase(&server, Phase::Copy) - 6.4).abs() < 0.5);
    options.strategy = StrategyChoice::Only(Strategy::Copy);
    let estimate = estimated(&facts, &options);
    assert!((phase(&estimate, Phase::Copy) - 9.4).abs() < 0.5);
    // Side by side on two cores: half of what the indexes took one after another.
    let indexes = phase(&estimate, Phase::Indexes);
    assert!((14.0..18.0).contains(&indexes), "{indexes}");
}

#[test]
fn statistics_are_gathered_however_rows_have_come() {
    let (mut facts, mut options) = measured_fixes();
    for server in [&mut facts.source, &mut facts.target] {
        if let Some(timescale) = &mut server.timescale {
            (timescale.version, timescale.license) = ((2, 29, 2), License::Community);
        }
    }
    let mut after = |strategy| {
        options.strategy = StrategyChoice::Only(strategy);
        phase(&estimated(&facts, &options), Phase::After)
    };
    let copied = after(Strategy::Copy);
    assert!(copied > 0.0);
    assert_eq!(after(Strategy::Stage), copied);
    assert!(after(Strategy::Attach) >= copied);
}

#[test]
fn foreign_keys_are_validated_by_a_core_that_does_not_compare() {
    let (mut facts, mut options) = measured_fixes();
    let keys = std::mem::take(&mut fixes(&mut facts).foreign_keys);
    let compared = phase(&estimated(&facts, &options), Phase::Verify);
    fixes(&mut facts).foreign_keys = keys;
    let validated = validations(&facts);
    let both = phase(&estimated(&facts, &options), Phase::Verify);
    assert!((both - (compared + validated / 2.0)).abs() < 0.1, "{both}");
    // There is but one of each table at a time, however many cores there are.
    facts.target.cores = Some(64);
    options.workers = Some(64);
    let wide = phase(&estimated(&facts, &options), Phase::Verify);
    assert!((wide - validated).abs() < 0.01, "{wide}");
}

fn validations(facts: &Facts) -> f64 {
    let plan = crate::plan(facts.clone(), measured_fixes().1).unwrap();
    plan.tables.iter().zip(&facts.tables).map(validation).sum()
}

#[test]
fn more_workers_than_cores_promise_nothing_more() {
    let (facts, mut options) = measured_fixes();
    let with_two = estimated(&facts, &options).seconds();
    options.workers = Some(16);
    assert_eq!(estimated(&facts, &options).seconds(), with_two);
    options.workers = Some(1);
    assert!(estimated(&facts, &options).seconds() > with_two);
}

#[test]
fn one_large_slice_bounds_the_copy() {
    let (facts, mut options) = measured_fixes();
    options.slice_bytes = u64::MAX;
    options.strategy = StrategyChoice::Only(Strategy::Copy);
    let mut single = facts.clone();
    let found = fixes(&mut single);
    found.leaves.truncate(1);
    found.leaves[0].heap_bytes = 1_300_000_000;
    let copy = phase(&estimated(&single, &options), Phase::Copy);
    assert!((copy - 18.8).abs() < 0.1, "{copy}");
}

#[test]
fn the_disk_holds_heap_indexes_the_sort_and_wal() {
    let (mut facts, options) = measured_fixes();
    facts.target.settings.maintenance_work_mem_bytes = 64 << 20;
    facts.target.settings.max_wal_size_bytes = 100 << 20;
    let found = fixes(&mut facts);
    for key in &mut found.unique_keys {
        key.size_bytes = 10 << 20;
    }
    for index in &mut found.indexes {
        index.size_bytes = 20 << 20;
    }
    found.indexes[0].size_bytes = 200 << 20;
    let index_count = found.indexes.len() as u64;
    let estimate = estimated(&facts, &options);
    let built = (10 + 200 + 20 * (index_count - 1)) << 20;
    assert_eq!(estimate.index_bytes, built + (200 << 20));
    assert_eq!(estimate.wal_bytes, 200 << 20);
    assert_eq!(
        estimate.disk_bytes,
        estimate.heap_bytes + estimate.index_bytes + estimate.wal_bytes
    );
}

#[test]
fn a_small_table_writes_no_more_wal_than_it_has() {
    let (facts, options) = soar();
    let estimate = estimated(&facts, &options);
    assert!(estimate.wal_bytes <= estimate.heap_bytes + estimate.index_bytes);
}
