//! Which way is chosen, and why not another.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::testing::{fixes, soar, soar_elsewhere};
use crate::{Action, Phase, Plan};

fn community() -> (Facts, Options) {
    let (mut facts, options) = soar();
    let timescale = facts.target.timescale.as_mut().unwrap();
    timescale.license = License::Community;
    timescale.version = (2, 29, 2);
    (facts, options)
}

fn planned((facts, options): (Facts, Options)) -> Plan {
    crate::plan(facts, options).unwrap()
}

fn ways(plan: &Plan, strategy: Strategy) -> usize {
    let ways = plan.ways.iter();
    ways.filter(|way| way.strategy == strategy).count()
}

#[test]
fn partitions_are_attached_where_that_is_possible() {
    let plan = planned(community());
    assert_eq!(ways(&plan, Strategy::Attach), 14);
    // The default partition of raw_messages.
    assert_eq!(ways(&plan, Strategy::Server), 1);
    assert_eq!(plan.slices.len(), 1);
    assert!(plan.ways.iter().all(|way| {
        way.strategy == Strategy::Attach
            || way.ruled_out
                == [(
                    Strategy::Attach,
                    "the default partition has no bounds".to_owned(),
                )]
    }));
}

#[test]
fn what_attached_leaves_have_is_there_before_them() {
    let plan = planned(community());
    let attached = plan
        .steps
        .iter()
        .position(|step| step.phase == Phase::Attach)
        .unwrap();
    let built = |step: &crate::Step| match &step.action {
        Action::Sql { statements } => statements.iter().any(|sql| sql.contains("INDEX")),
        _ => false,
    };
    assert!(plan.steps[..attached].iter().any(built));
    assert!(!plan.steps[attached..].iter().any(|step| {
        matches!(
            step.phase,
            Phase::Chunks | Phase::Keys | Phase::Indexes | Phase::ForeignKeys
        )
    }));
}

#[test]
fn the_apache_edition_and_another_database_rule_ways_out() {
    let plan = planned(soar());
    assert_eq!(ways(&plan, Strategy::Server), 15);
    assert!(
        plan.tables
            .iter()
            .all(|table| table.proof == Proof::RecordHash)
    );
    let plan = planned(soar_elsewhere());
    assert_eq!(ways(&plan, Strategy::Copy), 15);
    assert_eq!(plan.ways[0].ruled_out.len(), 2);
    assert!(plan.tables.iter().all(|table| table.proof == Proof::Tuples));
}

#[test]
fn a_type_without_a_hash_is_copied() {
    let (mut facts, options) = soar();
    fixes(&mut facts).unhashable = vec!["place".into()];
    let plan = planned((facts, options));
    assert_eq!(ways(&plan, Strategy::Copy), 7);
    assert_eq!(plan.tables[1].proof, Proof::Tuples);
    assert_eq!(plan.tables[0].proof, Proof::RecordHash);
}

#[test]
fn what_is_asked_for_is_taken_or_told() {
    let (facts, mut options) = community();
    options.strategy = StrategyChoice::Only(Strategy::Copy);
    let plan = planned((facts, options));
    assert_eq!(ways(&plan, Strategy::Copy), 15);
    assert!(plan.ways[0].ruled_out.is_empty());

    let (facts, mut options) = soar();
    options.strategy = StrategyChoice::Only(Strategy::Attach);
    let plan = planned((facts, options));
    let found = plan
        .findings
        .iter()
        .find(|finding| finding.code == crate::Code::Strategy)
        .unwrap();
    assert!(
        found.message.contains("Apache edition"),
        "{}",
        found.message
    );
}

#[test]
fn a_few_leaves_are_not_attached_beside_many_bytes() {
    let (mut facts, options) = community();
    fixes(&mut facts).leaves[0].bound = LeafBound::Default;
    fixes(&mut facts).leaves[0].heap_bytes = 1 << 40;
    let plan = planned((facts, options));
    assert!(plan.tables[1].attached.is_empty());
    assert!(!plan.tables[0].attached.is_empty());
}

fn staged((facts, mut options): (Facts, Options)) -> Plan {
    options.strategy = StrategyChoice::Only(Strategy::Stage);
    planned((facts, options))
}

#[test]
fn partitions_are_staged_if_that_is_asked_for() {
    assert_eq!(ways(&planned(community()), Strategy::Stage), 0);
    let plan = staged(community());
    assert_eq!(ways(&plan, Strategy::Stage), 14);
    // The default partition of raw_messages goes the one way that can be proved like the others.
    assert_eq!(ways(&plan, Strategy::Copy), 1);
    assert!(plan.tables.iter().all(|table| table.proof == Proof::Tuples));
    let slices = plan.slices.iter();
    let staged = slices.filter(|slice| slice.strategy == Strategy::Stage);
    assert!(staged.clone().all(|slice| slice.end_block.is_none()));
    assert_eq!(staged.count(), 14);
    let leaf = &plan.tables[1].staged[0];
    assert_eq!(plan.finishing(leaf).len(), 2);
    // Rows that are copied beside them come after them, so that no chunk is in their way.
    let phases: Vec<Phase> = plan.steps.iter().map(|step| step.phase).collect();
    assert!(phases.is_sorted());
    assert!(phases.contains(&Phase::Stage) && !phases.contains(&Phase::Chunks));
    let seconds = |phase| {
        let mut phases = plan.estimate.phases.iter();
        phases.find(|own| own.phase == phase).map(|own| own.seconds)
    };
    assert!(seconds(Phase::Stage) > seconds(Phase::Copy));
    assert_eq!(seconds(Phase::Indexes), None);
}

#[test]
fn the_apache_edition_cannot_stage() {
    let plan = staged(soar_elsewhere());
    assert_eq!(ways(&plan, Strategy::Copy), 15);
    let (strategy, reason) = &plan.ways[0].ruled_out[0];
    assert_eq!(*strategy, Strategy::Stage);
    assert_eq!(reason, "the Apache edition cannot attach");
}

#[test]
fn a_leaf_that_cannot_be_a_chunk_of_its_own_is_copied_and_says_why() {
    const DAY_US: i64 = 86_400_000_000;
    let day = |number: i64| LeafBound::Range {
        from_us: Some(number * DAY_US),
        to_us: Some((number + 1) * DAY_US),
    };
    type Change = fn(&mut Leaf, LeafBound);
    let cases: [(&str, Change); 5] = [
        ("the same time", |leaf, other| leaf.bound = other),
        ("bounds are open", |leaf, _| {
            leaf.bound = LeafBound::Range {
                from_us: None,
                to_us: Some(0),
            };
        }),
        ("nothing bounds its rows", |leaf, _| {
            leaf.bound = LeafBound::Unbounded
        }),
        ("foreign table", |leaf, _| {
            leaf.foreign_server = Some("far".into())
        }),
        ("one transaction of one worker", |leaf, _| {
            leaf.heap_bytes = 1 << 40
        }),
    ];
    for (reason, change) in cases {
        let (mut facts, options) = community();
        let leaves = &mut fixes(&mut facts).leaves;
        for (number, leaf) in (0..).zip(leaves.iter_mut()) {
            leaf.bound = day(number);
        }
        let other = leaves[1].bound;
        change(&mut leaves[0], other);
        let name = leaves[0].relation.clone();
        let plan = staged((facts, options));
        let way = plan.ways.iter().find(|way| way.leaf == name).unwrap();
        assert_eq!(way.strategy, Strategy::Copy, "{reason}");
        assert!(way.ruled_out[0].1.contains(reason), "{:?}", way.ruled_out);
    }
}
