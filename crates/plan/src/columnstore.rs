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
use crate::{ChunkRange, ColumnstoreBegins, TableOptions};
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

/// Whether chunks go there during the run.
fn begins_now(wanted: &TableOptions) -> bool {
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
