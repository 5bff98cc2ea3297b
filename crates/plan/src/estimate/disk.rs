//! Disk at the peak: what the target must hold in addition.

use crate::TablePlan;
use crate::facts::{Facts, KeyKind, TableFacts};

/// Heap, indexes and WAL, in bytes.
pub(super) fn disk(facts: &Facts, tables: &[TablePlan], width: u32) -> (u64, u64, u64) {
    let heap_bytes: u64 = tables.iter().map(moved_bytes).sum();
    let pairs = tables.iter().zip(&facts.tables);
    let built = pairs.filter(|(table, _)| table.attached.is_empty());
    let mut sizes: Vec<u64> = built.flat_map(|(_, found)| index_sizes(found)).collect();
    let indexes: u64 = sizes.iter().sum();
    // As many builds as there are workers sort at once, those of the largest indexes at the worst.
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let in_memory = facts.target.settings.maintenance_work_mem_bytes;
    let sorting: u64 = sizes
        .into_iter()
        .take(width as usize)
        .filter(|size| *size > in_memory)
        .sum();
    // Checkpoints begin at max_wal_size, and the next one's WAL piles up before the last one's is gone.
    let between_checkpoints = facts.target.settings.max_wal_size_bytes.saturating_mul(2);
    let wal_bytes = between_checkpoints.min(heap_bytes + indexes);
    (heap_bytes, indexes + sorting, wal_bytes)
}

/// Heap and TOAST of what is not attached.
fn moved_bytes(table: &TablePlan) -> u64 {
    let attached: u64 = table.attached.iter().map(|leaf| leaf.bytes).sum();
    table.data_bytes.saturating_sub(attached)
}

fn index_sizes(found: &TableFacts) -> impl Iterator<Item = u64> {
    let keys = found
        .unique_keys
        .iter()
        .filter(|key| key.kind != KeyKind::Exclusion);
    let indexes = found.indexes.iter().filter(|index| index.valid);
    keys.map(|key| key.size_bytes)
        .chain(indexes.map(|index| index.size_bytes))
}
