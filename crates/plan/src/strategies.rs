//! Strategies: how the rows of each leaf get to the hypertable, chosen leaf by leaf, with the reasons.
//!
//! `auto` takes the first way that nothing rules out, in the order of [`Strategy::ALL`]. One thing is decided for a table as
//! a whole: attached leaves need their keys and indexes on the hypertable beforehand, so the rows of other leaves are
//! indexed one by one. Where those other leaves hold more than the attached ones, nothing is attached.

mod stage;

use crate::expiry::is_left_out;
use crate::facts::{Facts, Leaf, LeafBound, License, RelationKind, TableFacts};
use crate::time::has_literal;
use crate::{
    AttachedLeaf, ChunkRange, Mode, Options, Proof, StagedLeaf, Strategy, StrategyChoice,
    TableOptions, Topology, Way, columnstore, phrase,
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
    /// The leaves that are loaded into tables of their own.
    pub(crate) staged: Vec<StagedLeaf>,
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
        mode: options.mode,
        skip_before_us,
    };
    let mut no_attach = table
        .rules_out(Strategy::Attach)
        .or_else(|| columnstore::rules_attaching_out(found, wanted, facts));
    if no_attach.is_none() && asked == StrategyChoice::Auto {
        no_attach = table.not_worth_attaching();
    }
    let no_server = table.rules_out(Strategy::Server);
    let no_stage = table.rules_out(Strategy::Stage);
    let choose_leaf = |leaf: &Leaf| {
        let obstacle = |strategy| match strategy {
            Strategy::Attach => no_attach.clone().or_else(|| table.cannot_attach(leaf)),
            Strategy::Server => no_server.clone(),
            Strategy::Stage => no_stage.clone().or_else(|| table.cannot_stage(leaf)),
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
    let staged = moved()
        .zip(&ways)
        .filter(|(_, way)| way.strategy == Strategy::Stage)
        .filter_map(|(leaf, _)| stage::staged(found, leaf))
        .collect();
    let through_here = |way: &Way| matches!(way.strategy, Strategy::Copy | Strategy::Stage);
    let proof = if ways.iter().any(through_here) || no_server.is_some() {
        Proof::Tuples
    } else {
        Proof::RecordHash
    };
    Choice {
        skip_before_us,
        ways,
        attached,
        staged,
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
    let mut candidates = Strategy::ALL.into_iter().filter(|strategy| {
        // Not quicker than copying where it was measured: only for those who want it.
        *strategy != Strategy::Stage || first == Strategy::Stage
    });
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
        Strategy::Stage => "rows are loaded into a table of their own, which becomes a chunk",
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

/// Why a leaf's bounds cannot become a chunk's.
fn lacks_bounds(leaf: &Leaf) -> Option<String> {
    match (bounds(leaf), leaf.bound) {
        (Some(range), _) if has_literal(range.start_us) && has_literal(range.end_us) => None,
        (_, LeafBound::Default) => Some("the default partition has no bounds".to_owned()),
        (_, LeafBound::Unbounded) => Some("nothing bounds its rows in time".to_owned()),
        (_, LeafBound::Range { .. }) => Some("its bounds are open".to_owned()),
    }
}

/// A table of which it is asked what is possible.
struct Table<'a> {
    found: &'a TableFacts,
    facts: &'a Facts,
    topology: Topology,
    mode: Mode,
    skip_before_us: Option<i64>,
}

impl Table<'_> {
    /// Why a strategy is impossible for the whole table.
    fn rules_out(&self, strategy: Strategy) -> Option<String> {
        match strategy {
            Strategy::Copy => None,
            Strategy::Attach | Strategy::Stage if self.mode == Mode::Backfill => {
                Some("history that follows beside live rows is moved row by row".to_owned())
            }
            Strategy::Stage => self.lacks_attach_chunk(),
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

    /// Why the target's TimescaleDB cannot attach a table as a chunk.
    fn lacks_attach_chunk(&self) -> Option<String> {
        let timescale = self.facts.target.timescale.as_ref()?;
        if timescale.license == License::Apache {
            return Some("the Apache edition cannot attach".to_owned());
        }
        if timescale.version < ATTACH_CHUNK_SINCE {
            let (major, minor, _) = ATTACH_CHUNK_SINCE;
            return Some(format!("TimescaleDB attaches from {major}.{minor} on"));
        }
        None
    }

    fn lacks_attach(&self) -> Option<String> {
        let lacks = self.lacks_attach_chunk();
        if lacks.is_some() {
            return lacks;
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
        lacks_bounds(leaf)
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
mod tests;
