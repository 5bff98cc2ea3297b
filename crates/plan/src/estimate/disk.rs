//! Disk at the peak: what the target must hold in addition.
//!
//! Where chunks go to the columnstore during the run there are two moments to look at, and the worse one counts: when all rows
//! are loaded and the largest chunks are in both forms, and when the indexes are built over what is left.

use super::rowstore_share;
use crate::facts::{Facts, Index, KeyKind, TableFacts};
use crate::{Moment, TablePlan};

/// What a chunk takes in the columnstore, as a share of its heap and TOAST, where it was not measured. 0.3 to 0.4 were measured
/// on SOAR's fixes; wide text that repeats little comes to more.
const COLUMNSTORE_SHARE: f64 = 0.5;

/// Bytes at the peak, by what they are for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) heap_bytes: u64,
    pub(crate) index_bytes: u64,
    pub(crate) columnstore_bytes: u64,
    pub(crate) wal_bytes: u64,
}

impl Disk {
    pub(crate) fn bytes(&self) -> u64 {
        self.heap_bytes + self.index_bytes + self.columnstore_bytes + self.wal_bytes
    }
}

/// `measured`: what a table's chunks take in the columnstore, as a share, where that was measured.
pub(crate) fn disk(
    facts: &Facts,
    tables: &[TablePlan],
    width: u32,
    measured: &dyn Fn(usize) -> Option<f64>,
) -> Disk {
    let share = |table| measured(table).unwrap_or(COLUMNSTORE_SHARE);
    let building = building(facts, tables, width, &share);
    let chosen = tables.iter().any(|table| table.to_columnstore.is_some());
    let peak = match chosen {
        false => building,
        true => {
            let turning = turning(facts, tables, width, &share);
            std::cmp::max_by_key(building, turning, Disk::bytes)
        }
    };
    // Checkpoints begin at max_wal_size, and the next one's WAL piles up before the last one's is gone.
    let between_checkpoints = facts.target.settings.max_wal_size_bytes.saturating_mul(2);
    Disk {
        wal_bytes: between_checkpoints.min(peak.bytes()),
        ..peak
    }
}

/// While indexes are built; chunks that go to the columnstore before are there.
fn building(facts: &Facts, tables: &[TablePlan], width: u32, share: &dyn Fn(usize) -> f64) -> Disk {
    let mut disk = Disk::default();
    let mut sizes = Vec::new();
    for (index, (table, found)) in tables.iter().zip(&facts.tables).enumerate() {
        let in_columnstore = turned_bytes(table, Moment::BeforeIndexes);
        disk.heap_bytes += moved_bytes(table).saturating_sub(in_columnstore);
        disk.columnstore_bytes += scaled(in_columnstore, share(index));
        if table.attached.is_empty() {
            let rows = rowstore_share(table);
            sizes.extend(
                key_sizes(found)
                    .chain(index_sizes(found))
                    .map(|size| scaled(size, rows)),
            );
        }
    }
    let indexes: u64 = sizes.iter().sum();
    // As many builds as there are workers sort at once, those of the largest indexes at the worst.
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let in_memory = facts.target.settings.maintenance_work_mem_bytes;
    let sorting: u64 = sizes
        .into_iter()
        .take(width as usize)
        .filter(|size| *size > in_memory)
        .sum();
    disk.index_bytes = indexes + sorting;
    disk
}

/// While the first chunks go to the columnstore, as many as there are workers, the largest at the worst.
fn turning(facts: &Facts, tables: &[TablePlan], width: u32, share: &dyn Fn(usize) -> f64) -> Disk {
    let mut disk = Disk::default();
    for (index, (table, found)) in tables.iter().zip(&facts.tables).enumerate() {
        disk.heap_bytes += moved_bytes(table);
        if table.attached.is_empty() {
            disk.index_bytes += key_sizes(found).sum::<u64>();
        }
        if let Some(chosen) = table.to_columnstore {
            let at_once = chosen.largest_bytes.saturating_mul(u64::from(width));
            let bytes = scaled(at_once.min(chosen.bytes), share(index));
            disk.columnstore_bytes = disk.columnstore_bytes.max(bytes);
        }
    }
    disk
}

fn turned_bytes(table: &TablePlan, moment: Moment) -> u64 {
    let chosen = table
        .to_columnstore
        .filter(|chosen| chosen.moment == moment);
    chosen.map_or(0, |chosen| chosen.bytes)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate needs few digits"
)]
fn scaled(bytes: u64, share: f64) -> u64 {
    (bytes as f64 * share) as u64
}

/// Heap and TOAST of what is not attached.
fn moved_bytes(table: &TablePlan) -> u64 {
    let attached: u64 = table.attached.iter().map(|leaf| leaf.bytes).sum();
    table.data_bytes.saturating_sub(attached)
}

fn key_sizes(found: &TableFacts) -> impl Iterator<Item = u64> {
    let keys = found.unique_keys.iter();
    keys.filter(|key| key.kind != KeyKind::Exclusion)
        .map(|key| key.size_bytes)
}

fn index_sizes(found: &TableFacts) -> impl Iterator<Item = u64> {
    let indexes = found.indexes.iter().filter(|index: &&Index| index.valid);
    indexes.map(|index| index.size_bytes)
}
