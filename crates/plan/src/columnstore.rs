//! Chunks that go to the columnstore during the run: which ones, at which moment, and why not otherwise.
//!
//! What the server does (2.29 measured) decides the moment. A unique key that is added over chunks in the columnstore is not
//! compared with what they hold, and no constraint is validated there: keys and foreign keys come before. An index is built
//! over no row of such a chunk: indexes come after. No chunk goes there that a foreign key refers to: those of other tables
//! come back at the cutover, which is after.
//!
//! Attached partitions are the only copy of their rows, and what proves them before the cutover is their file: they go there
//! when that is over. The way back stays open, since the inverse brings them back.

use crate::expiry::placed;
use crate::facts::{Facts, TableFacts};
use crate::policies::Keeper;
use crate::strategies::Choice;
use crate::{ChunkRange, ColumnstoreBegins, TableOptions, TablePlan};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Chunks that go to the columnstore during the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToColumnstore {
    /// Those that end before, microseconds since 1970 UTC: the declared age before the target's clock, when it was planned.
    pub before_us: i64,
    /// When they go.
    pub moment: Moment,
    /// How many, as far as the facts tell.
    pub chunks: u64,
    /// Bytes of heap and TOAST in them, estimated.
    pub bytes: u64,
    /// Of those, bytes of the largest.
    pub largest_bytes: u64,
}

/// When chunks go to the columnstore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// When keys and foreign keys are there, before other indexes are built.
    BeforeIndexes,
    /// When the application is back.
    AfterCutover,
}

impl TablePlan {
    /// Whether some of its chunks go there before its indexes are built.
    pub fn goes_to_columnstore_before_indexes(&self) -> bool {
        let moment = self.to_columnstore.map(|chosen| chosen.moment);
        moment == Some(Moment::BeforeIndexes)
    }
}

/// Whether chunks go there during the run.
pub(crate) fn begins_now(wanted: &TableOptions) -> bool {
    let columnstore = wanted.policies.columnstore.as_ref();
    columnstore.is_some_and(|columnstore| columnstore.begins == ColumnstoreBegins::Now)
}

/// Which chunks of a table go there during the run; `None`: none, or the edition has no columnstore.
pub(crate) fn chosen(
    found: &TableFacts,
    wanted: &TableOptions,
    facts: &Facts,
    choice: &Choice,
) -> Option<ToColumnstore> {
    if !begins_now(wanted) || Keeper::of(facts) != Keeper::Server {
        return None;
    }
    let after_us = wanted.policies.columnstore.as_ref()?.after_us;
    let before_us = facts.target.clock_us.saturating_sub(after_us);
    let mut chunks = bytes_by_chunk(found, wanted.chunk_interval_us, choice);
    chunks.retain(|chunk, _| chunk.end_us <= before_us);
    Some(ToColumnstore {
        before_us,
        moment: match choice.attached.is_empty() {
            true => Moment::BeforeIndexes,
            false => Moment::AfterCutover,
        },
        chunks: chunks.len() as u64,
        bytes: chunks.values().sum(),
        largest_bytes: chunks.values().copied().max().unwrap_or(0),
    })
}

fn bytes_by_chunk(
    found: &TableFacts,
    interval_us: i64,
    choice: &Choice,
) -> BTreeMap<ChunkRange, u64> {
    let mut chunks: BTreeMap<ChunkRange, u64> = BTreeMap::new();
    chunks.extend(choice.attached.iter().map(|leaf| (leaf.range, leaf.bytes)));
    let moved = found.leaves.iter().filter(|leaf| {
        let mut attached = choice.attached.iter();
        !attached.any(|attached| attached.leaf_oid == leaf.oid)
    });
    for leaf in moved {
        let bytes = u128::from(leaf.heap_bytes + leaf.toast_bytes);
        let parts = placed(leaf, interval_us);
        let rows: u64 = parts.iter().map(|(_, rows, _)| rows).sum();
        for (chunk, part, _) in parts {
            if choice
                .skip_before_us
                .is_some_and(|before_us| chunk.end_us <= before_us)
            {
                continue;
            }
            let share = bytes * u128::from(part) / u128::from(rows.max(1));
            *chunks.entry(chunk).or_default() += u64::try_from(share).unwrap_or(u64::MAX);
        }
    }
    chunks
}

/// Why partitions of the table cannot be attached where chunks go to the columnstore during the run.
pub(crate) fn rules_attaching_out(
    found: &TableFacts,
    wanted: &TableOptions,
    facts: &Facts,
) -> Option<String> {
    let stays = found.referenced_by.iter().find(|key| {
        let mut moved = facts.tables.iter();
        !key.from_hypertable && !moved.any(|table| table.relation == key.relation)
    })?;
    begins_now(wanted).then(|| {
        format!(
            "foreign key {} of {} refers to the table, which keeps chunks out of the columnstore after the cutover, and \
             attached ones cannot go there before",
            stays.name,
            stays.relation.plain()
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::facts::License;
    use crate::testing::{DAY_US, declared, measured_fixes, soar};
    use crate::{Action, Options, Phase, Plan, Severity, Strategy, StrategyChoice};

    /// Rows of ten days, declared to go there after `days`, planned a day after the last.
    fn planned(days: i64, (mut facts, mut options): (Facts, Options)) -> Plan {
        let timescale = facts.target.timescale.as_mut().unwrap();
        (timescale.version, timescale.license) = ((2, 29, 2), License::Community);
        for (wanted, found) in options.tables.iter_mut().zip(&mut facts.tables) {
            let mut policies = declared();
            let columnstore = policies.columnstore.as_mut().unwrap();
            (columnstore.begins, columnstore.after_us) = (ColumnstoreBegins::Now, days * DAY_US);
            columnstore.segment_by.clear();
            policies.retention_us = None;
            policies.aggregates.clear();
            wanted.policies = policies;
            facts.target.clock_us = found
                .leaves
                .iter()
                .filter_map(|leaf| crate::strategies::bounds(leaf).map(|range| range.end_us))
                .max()
                .unwrap();
        }
        crate::plan(facts, options).unwrap()
    }

    fn fixes(strategy: Strategy) -> (Facts, Options) {
        let (facts, mut options) = measured_fixes();
        options.strategy = StrategyChoice::Only(strategy);
        (facts, options)
    }

    fn phases(plan: &Plan) -> Vec<Phase> {
        let steps = plan.steps.iter();
        let turns = steps.filter(|step| matches!(step.action, Action::ToColumnstore { .. }));
        turns.map(|step| step.phase).collect()
    }

    #[test]
    fn old_chunks_go_there_between_keys_and_indexes() {
        let plan = planned(3, fixes(Strategy::Server));
        let chosen = plan.tables[0].to_columnstore.unwrap();
        assert_eq!((chosen.chunks, chosen.moment), (7, Moment::BeforeIndexes));
        assert_eq!(phases(&plan), [Phase::Columnstore]);
        assert!(Phase::Keys < Phase::Columnstore && Phase::Columnstore < Phase::Indexes);
        let at = |of: &dyn Fn(&crate::Step) -> bool| plan.steps.iter().rposition(of).unwrap();
        let validated = at(&|step| step.title.starts_with("validate foreign key fixes"));
        assert_eq!(plan.steps[validated].phase, Phase::Columnstore);
        assert!(validated < at(&|step| matches!(step.action, Action::ToColumnstore { .. })));
        assert!(Phase::Indexes < Phase::ForeignKeys && Phase::ForeignKeys < Phase::Verify);
        assert!(plan.steps.is_sorted_by_key(|step| step.phase));
    }

    #[test]
    fn attached_ones_go_there_after_the_cutover() {
        let plan = planned(3, fixes(Strategy::Attach));
        let chosen = plan.tables[0].to_columnstore.unwrap();
        assert_eq!((chosen.chunks, chosen.moment), (7, Moment::AfterCutover));
        assert_eq!(phases(&plan), [Phase::Policies]);
        // raw_messages, which others refer to, is not attached.
        let plan = planned(3, soar());
        assert!(plan.tables[0].attached.is_empty());
        assert!(plan.ways[0].ruled_out[0].1.contains("refers to the table"));
    }

    #[test]
    fn no_index_is_estimated_for_what_is_there() {
        let indexes = |plan: &Plan| {
            let mut phases = plan.estimate.phases.iter();
            phases
                .find(|own| own.phase == Phase::Indexes)
                .unwrap()
                .seconds
        };
        let none = planned(300, fixes(Strategy::Server));
        let most = planned(2, fixes(Strategy::Server));
        assert!((indexes(&most) / indexes(&none) - 0.2).abs() < 0.01);
        assert_eq!(none.estimate.columnstore_bytes, 0);
    }

    #[test]
    fn the_peak_is_before_rows_leave_their_heap_or_while_indexes_are_built() {
        let none = planned(300, fixes(Strategy::Server)).estimate;
        // Small indexes: the peak is when everything is loaded and two chunks are there twice.
        let most = planned(2, fixes(Strategy::Server));
        let chosen = most.tables[0].to_columnstore.unwrap();
        assert_eq!(most.estimate.heap_bytes, none.heap_bytes);
        assert_eq!(most.estimate.columnstore_bytes, chosen.largest_bytes);
        // Large ones: when they are built over what is left.
        let (mut facts, options) = fixes(Strategy::Server);
        facts.tables[0].indexes[0].size_bytes = 100 << 30;
        let large = planned(2, (facts, options)).estimate;
        assert_eq!(large.heap_bytes, none.heap_bytes - chosen.bytes);
        assert_eq!(large.columnstore_bytes, chosen.bytes / 2);
    }

    #[test]
    fn the_apache_edition_and_row_security_block() {
        let (mut facts, mut options) = fixes(Strategy::Server);
        let mut policies = declared();
        policies.columnstore.as_mut().unwrap().begins = ColumnstoreBegins::Now;
        options.tables[0].policies = policies;
        let blocks = |plan: &Plan| {
            let mut findings = plan.findings.iter();
            findings.any(|found| {
                found.code == crate::Code::Columnstore && found.severity == Severity::Block
            })
        };
        let apache = crate::plan(facts.clone(), options).unwrap();
        assert!(blocks(&apache) && phases(&apache).is_empty());
        facts.tables[0].force_row_security = true;
        let (_, options) = fixes(Strategy::Server);
        assert!(blocks(&planned(3, (facts, options))));
    }
}
