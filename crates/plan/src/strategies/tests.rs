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
