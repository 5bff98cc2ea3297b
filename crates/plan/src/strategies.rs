//! Strategies: how the rows of each leaf get to the hypertable, chosen leaf by leaf, with the reasons.
//!
//! `auto` takes the first way that nothing rules out, in the order of [`Strategy::ALL`]. One thing is decided for a table as
//! a whole: attached leaves need their keys and indexes on the hypertable beforehand, so the rows of other leaves are
//! indexed one by one. Where those other leaves hold more than the attached ones, nothing is attached.

use crate::expiry::is_left_out;
use crate::facts::{Facts, Leaf, LeafBound, License, RelationKind, TableFacts};
use crate::time::has_literal;
use crate::{
    AttachedLeaf, ChunkRange, Options, Proof, Strategy, StrategyChoice, TableOptions, Topology,
    Way, columnstore, phrase,
};

/// The first version of TimescaleDB that has `attach_chunk`.
const ATTACH_CHUNK_SINCE: (u32, u32, u32) = (2, 21, 0);

/// The ways of a table's leaves, and what follows from them for the table.
pub(crate) struct Choice {
    /// Rows before this time are left out.
    pub(crate) skip_before_us: Option<i64>,
    /// One for each leaf.
    pub(crate) ways: Vec<Way>,
    /// The leaves that are attached.
    pub(crate) attached: Vec<AttachedLeaf>,
    /// What the rows of the others are compared by.
    pub(crate) proof: Proof,
}

/// The table that ways are chosen for.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// Its index in the plan.
    pub(crate) index: usize,
    pub(crate) found: &'a TableFacts,
    pub(crate) wanted: &'a TableOptions,
    /// Rows before this time are left out.
    pub(crate) skip_before_us: Option<i64>,
}

/// Chooses for every leaf of a table that is not left out.
pub(crate) fn choose(
    subject: Subject<'_>,
    options: &Options,
    facts: &Facts,
    topology: Topology,
) -> Choice {
    let Subject {
        index,
        found,
        wanted,
        skip_before_us,
    } = subject;
    let asked = wanted.strategy.unwrap_or(options.strategy);
    let table = Table {
        found,
        facts,
        topology,
    };
    let mut no_attach = table
        .rules_out(Strategy::Attach)
        .or_else(|| columnstore::rules_attaching_out(found, wanted, facts));
    if no_attach.is_none() && asked == StrategyChoice::Auto {
        no_attach = table.not_worth_attaching();
    }
    let no_server = table.rules_out(Strategy::Server);
    let choose_leaf = |leaf: &Leaf| {
        let obstacle = |strategy| match strategy {
            Strategy::Attach => no_attach.clone().or_else(|| table.cannot_attach(leaf)),
            Strategy::Server => no_server.clone(),
            Strategy::Copy => None,
        };
        way(index, leaf, asked, obstacle)
    };
    let moved = || {
        let leaves = found.leaves.iter();
        leaves.filter(|leaf| !is_left_out(leaf, skip_before_us))
    };
    let ways: Vec<Way> = moved().map(choose_leaf).collect();
    let attached = moved()
        .zip(&ways)
        .filter(|(_, way)| way.strategy == Strategy::Attach)
        .filter_map(|(leaf, _)| attached(leaf))
        .collect();
    let copied = ways.iter().any(|way| way.strategy == Strategy::Copy);
    let proof = if copied || no_server.is_some() {
        Proof::Tuples
    } else {
        Proof::RecordHash
    };
    Choice {
        skip_before_us,
        ways,
        attached,
        proof,
    }
}

/// The first way that is asked for, or liked, and possible. What is asked for but impossible falls back to the next one:
/// worse ones than what was asked for are what is left, better ones are none of our business.
fn way(
    table: usize,
    leaf: &Leaf,
    asked: StrategyChoice,
    obstacle: impl Fn(Strategy) -> Option<String>,
) -> Way {
    let first = match asked {
        StrategyChoice::Auto => Strategy::Attach,
        StrategyChoice::Only(only) => only,
    };
    let mut ruled_out = Vec::new();
    let mut candidates = Strategy::ALL.into_iter();
    let strategy = candidates.find(|strategy| {
        if *strategy < first {
            return false;
        }
        let reason = obstacle(*strategy);
        ruled_out.extend(reason.iter().map(|reason| (*strategy, reason.clone())));
        reason.is_none()
    });
    let strategy = strategy.unwrap_or(Strategy::Copy);
    let asked_for = asked == StrategyChoice::Only(strategy);
    Way {
        table,
        leaf: leaf.relation.clone(),
        strategy,
        reason: reason(strategy, asked_for, ruled_out.is_empty()),
        ruled_out,
    }
}

fn reason(strategy: Strategy, asked_for: bool, first: bool) -> String {
    let what = match strategy {
        Strategy::Attach => "the partition becomes a chunk, no row moves",
        Strategy::Server => "rows stay within the server",
        Strategy::Copy => "always possible",
    };
    match (asked_for, first) {
        (true, _) => format!("as asked for; {what}"),
        (false, true) => format!("the quickest way; {what}"),
        (false, false) => what.to_owned(),
    }
}

fn attached(leaf: &Leaf) -> Option<AttachedLeaf> {
    Some(AttachedLeaf {
        leaf: leaf.relation.clone(),
        leaf_oid: leaf.oid,
        relfilenode: leaf.relfilenode,
        range: bounds(leaf)?,
        rows_estimate: leaf.rows_estimate,
        bytes: leaf.heap_bytes + leaf.toast_bytes,
    })
}

pub(crate) fn bounds(leaf: &Leaf) -> Option<ChunkRange> {
    match leaf.bound {
        LeafBound::Range {
            from_us: Some(start_us),
            to_us: Some(end_us),
        } => Some(ChunkRange { start_us, end_us }),
        LeafBound::Range { .. } | LeafBound::Default | LeafBound::Unbounded => None,
    }
}

/// A table of which it is asked what is possible.
struct Table<'a> {
    found: &'a TableFacts,
    facts: &'a Facts,
    topology: Topology,
}

impl Table<'_> {
    /// Why a strategy is impossible for the whole table.
    fn rules_out(&self, strategy: Strategy) -> Option<String> {
        match strategy {
            Strategy::Copy => None,
            _ if self.topology == Topology::OtherDatabase => {
                Some("the target is another database".to_owned())
            }
            Strategy::Attach => self.lacks_attach(),
            Strategy::Server => {
                let column = self.found.unhashable.first()?;
                Some(format!(
                    "column {column} has a type that the server cannot hash, so equality could not be proved within it"
                ))
            }
        }
    }

    fn lacks_attach(&self) -> Option<String> {
        let timescale = self.facts.target.timescale.as_ref()?;
        if timescale.license == License::Apache {
            return Some("the Apache edition cannot attach".to_owned());
        }
        if timescale.version < ATTACH_CHUNK_SINCE {
            let (major, minor, _) = ATTACH_CHUNK_SINCE;
            return Some(format!("TimescaleDB attaches from {major}.{minor} on"));
        }
        if self.found.kind != RelationKind::Partitioned {
            return Some(
                "the table is one piece, and would be one wide chunk, which nothing divides without keeping readers out"
                    .to_owned(),
            );
        }
        if !self.found.branches.is_empty() {
            return Some("the table is partitioned in several levels".to_owned());
        }
        let time_column = self.found.time_column.as_deref();
        let mut columns = self.found.columns.iter();
        columns
            .any(|column| Some(column.name.as_str()) == time_column && !column.not_null)
            .then(|| "its time column may be NULL".to_owned())
    }

    /// Why a leaf cannot be attached, although others of its table can.
    fn cannot_attach(&self, leaf: &Leaf) -> Option<String> {
        if let Some(server) = &leaf.foreign_server {
            return Some(format!("it is a foreign table of {server}"));
        }
        if leaf.unlogged {
            return Some("it is unlogged, and a crash would empty it".to_owned());
        }
        let mut triggers = self.found.triggers.iter();
        if triggers.any(|trigger| trigger.leaf.as_ref() == Some(&leaf.relation)) {
            return Some("it has triggers of its own".to_owned());
        }
        match bounds(leaf) {
            Some(range) if has_literal(range.start_us) && has_literal(range.end_us) => None,
            _ if leaf.bound == LeafBound::Default => {
                Some("the default partition has no bounds".to_owned())
            }
            _ => Some("its bounds are open".to_owned()),
        }
    }

    /// Where most bytes would have to be indexed row by row beside a few attached ones.
    fn not_worth_attaching(&self) -> Option<String> {
        let bytes = |attachable: bool| -> u64 {
            let leaves = self.found.leaves.iter();
            leaves
                .filter(|leaf| self.cannot_attach(leaf).is_none() == attachable)
                .map(|leaf| leaf.heap_bytes + leaf.toast_bytes)
                .sum()
        };
        let (attachable, other) = (bytes(true), bytes(false));
        (other > attachable).then(|| {
            format!(
                "{} of the table cannot be attached, {} can: its indexes would have to be there before the rest is loaded",
                phrase::bytes(other),
                phrase::bytes(attachable)
            )
        })
    }
}

#[cfg(test)]
mod tests {
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
}
