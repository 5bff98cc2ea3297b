//! Estimates of time and disk, made from sizes alone.
//!
//! Rates come from one measurement: 3.0M rows shaped like SOAR's `fixes`, 434 bytes each, 1.3 GB, ten daily
//! partitions, on two cores and a RAM disk, PostgreSQL 17 with TimescaleDB 2.19. Disks and networks that are slower
//! than two cores, and rows of another shape, make them wrong: they tell minutes from hours, no more.

use crate::facts::{Facts, Index, KeyKind, TableFacts};
use crate::{Options, Phase, Proof, Slice, Strategy, TablePlan, policies};
use serde::{Deserialize, Serialize};

/// Copying, bytes of heap and TOAST a second and worker: 1.3 GB in 9.4 s with two workers.
const COPY_BYTES_PER_S: f64 = 1.3e9 / 9.4 / 2.0;

/// Inserting within the server, bytes a second and worker: 1.3 GB in 6.4 s with two sessions.
const SERVER_BYTES_PER_S: f64 = 1.3e9 / 6.4 / 2.0;

/// Hashing rows within the server, bytes a second and worker: 300,000 rows of 434 bytes in 0.4 s.
const HASH_BYTES_PER_S: f64 = 0.13e9 / 0.4;

/// Verifying, bytes a second and worker: 1.3 GB in 5.7 core-seconds of COPY TO; the digest is hidden behind it.
const VERIFY_BYTES_PER_S: f64 = 1.3e9 / 5.7;

/// Rows of the measurement.
const MEASURED_ROWS: f64 = 3.0e6;

/// GiST, seconds a row: 12.3 s for two indexes.
const GIST_S_PER_ROW: f64 = 12.3 / 2.0 / MEASURED_ROWS;

/// GIN, seconds a row: 6.1 s for one index.
const GIN_S_PER_ROW: f64 = 6.1 / MEASURED_ROWS;

/// B-tree, seconds a row: of the 38.3 s for keys, indexes and foreign keys, six B-trees took about 14.4 s.
const BTREE_S_PER_ROW: f64 = 14.4 / 6.0 / MEASURED_ROWS;

/// BRIN, seconds a row: not measured; it reads the table once and writes next to nothing.
const BRIN_S_PER_ROW: f64 = BTREE_S_PER_ROW / 5.0;

/// Validating a foreign key, seconds a referencing row: of the same 38.3 s, three took about 5.5 s.
const FOREIGN_KEY_S_PER_ROW: f64 = 5.5 / 3.0 / MEASURED_ROWS;

/// Making a chunk and emptying it again, seconds: 300 took 0.16 s within one session without fsync; a commit that
/// waits for the disk is most of it elsewhere.
const CHUNK_S: f64 = 0.01;

/// Attaching a leaf, seconds, without reading its rows: 0.6 s for ten with a primary key and 1.3 GB of rows.
const ATTACH_S: f64 = 0.02;

/// Reading rows within the server for a condition on one column, bytes a second: 3M rows of 434 bytes in 0.65 s.
const SCAN_BYTES_PER_S: f64 = 1.3e9 / 0.65;

/// A step that only changes the catalog, seconds: mostly waiting for its lock.
const CATALOG_S: f64 = 0.5;

/// Gathering statistics, seconds a chunk: 0.7 to 2 s measured on SOAR's fixes with 40,000 rows a chunk, where the statistics of
/// PostGIS and jsonb columns take longest; narrow tables are quicker.
const ANALYZE_S: f64 = 0.5;

/// What the run will take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Time per phase, in order; phases without work are left out.
    pub phases: Vec<PhaseEstimate>,
    /// Bytes that the target's disk must hold in addition at the peak: heap, TOAST, indexes, WAL.
    pub disk_bytes: u64,
    /// Of those, heap and TOAST.
    pub heap_bytes: u64,
    /// Of those, indexes, with the space that their builds sort in.
    pub index_bytes: u64,
    /// Of those, WAL that piles up between checkpoints.
    pub wal_bytes: u64,
}

/// Time of one phase.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseEstimate {
    /// The phase.
    pub phase: Phase,
    /// Seconds, estimated from sizes and from rates measured on two cores.
    pub seconds: f64,
}

impl Estimate {
    /// What the numbers rest on, to be printed with them.
    pub const BASIS: &'static str = "estimated from sizes and from rates measured on 2 cores and a RAM disk; slower disks \
         and a network between the servers make it longer";

    /// Seconds of all phases.
    pub fn seconds(&self) -> f64 {
        self.phases.iter().map(|phase| phase.seconds).sum()
    }
}

/// Estimates the run.
pub(crate) fn estimate(
    facts: &Facts,
    options: &Options,
    tables: &[TablePlan],
    slices: &[Slice],
) -> Estimate {
    let (heap_bytes, index_bytes, wal_bytes) = disk(facts, options, tables);
    let work = Work {
        facts,
        tables,
        slices,
        width: width(facts, options),
    };
    let phases = Phase::ALL
        .into_iter()
        .map(|phase| PhaseEstimate {
            phase,
            seconds: work.seconds(phase),
        })
        .filter(|estimate| estimate.seconds > 0.0)
        .collect();
    Estimate {
        phases,
        disk_bytes: heap_bytes + index_bytes + wal_bytes,
        heap_bytes,
        index_bytes,
        wal_bytes,
    }
}

/// Workers that make progress side by side: no more than the target has cores.
fn width(facts: &Facts, options: &Options) -> u32 {
    let cores = facts.target.cores;
    let workers = options.workers.or(cores).unwrap_or(Options::WORKERS_UNSEEN);
    cores.map_or(workers, |cores| workers.min(cores)).max(1)
}

/// Heap, indexes and WAL, in bytes.
fn disk(facts: &Facts, options: &Options, tables: &[TablePlan]) -> (u64, u64, u64) {
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
        .take(width(facts, options) as usize)
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

struct Work<'a> {
    facts: &'a Facts,
    tables: &'a [TablePlan],
    slices: &'a [Slice],
    width: u32,
}

impl Work<'_> {
    fn seconds(&self, phase: Phase) -> f64 {
        let table_count = self.tables.len() as f64;
        match phase {
            Phase::Fence | Phase::Create => CATALOG_S * table_count,
            Phase::Attach => self.attach(),
            Phase::Chunks => CHUNK_S * self.chunk_count(),
            Phase::Copy => self.copy(),
            Phase::Keys => self.keys(),
            Phase::Indexes => self.indexes(),
            Phase::ForeignKeys => self.foreign_keys(),
            Phase::Finish => CATALOG_S * table_count,
            Phase::Verify => self.verify(),
            Phase::Cutover => CATALOG_S,
            Phase::After => self.after() + ANALYZE_S * self.chunk_count(),
            Phase::Policies => policies::seconds(self.tables, self.facts, CATALOG_S),
        }
    }

    fn chunk_count(&self) -> f64 {
        let chunks = self.tables.iter().map(|table| table.chunks.len());
        chunks.sum::<usize>() as f64
    }

    /// Tables whose keys and indexes are built over rows; those with attached leaves bring theirs along.
    fn built(&self) -> impl Iterator<Item = (&TablePlan, &TableFacts)> {
        self.pairs().filter(|(table, _)| table.attached.is_empty())
    }

    fn pairs(&self) -> impl Iterator<Item = (&TablePlan, &TableFacts)> {
        self.tables.iter().zip(&self.facts.tables)
    }

    /// Side by side, a phase takes its share of all the work, but never less than its longest piece.
    fn side_by_side(&self, pieces: impl Iterator<Item = f64>) -> f64 {
        let (sum, longest) = pieces.fold((0.0, 0.0_f64), |(sum, longest), piece| {
            (sum + piece, longest.max(piece))
        });
        (sum / f64::from(self.width)).max(longest)
    }

    fn copy(&self) -> f64 {
        let slices = self.slices.iter();
        self.side_by_side(slices.map(|slice| {
            let bytes_per_s = match slice.strategy {
                Strategy::Server => SERVER_BYTES_PER_S,
                Strategy::Copy | Strategy::Attach => COPY_BYTES_PER_S,
            };
            slice.bytes as f64 / bytes_per_s
        }))
    }

    /// One after another for each table: the detaching locks the table. Rows are read for the bound.
    fn attach(&self) -> f64 {
        self.side_by_side(self.tables.iter().map(|table| {
            let bytes: u64 = table.attached.iter().map(|leaf| leaf.bytes).sum();
            table.attached.len() as f64 * ATTACH_S + bytes as f64 / SCAN_BYTES_PER_S
        }))
    }

    /// One piece for each chunk, which a leaf stands for here. Of attached leaves only the catalog is read, of rows that stayed
    /// within the server both sides are hashed.
    fn verify(&self) -> f64 {
        self.side_by_side(self.pairs().flat_map(|(table, found)| {
            let leaves = found.leaves.iter();
            let moved = leaves.filter(|leaf| {
                let mut attached = table.attached.iter();
                !attached.any(|attached| attached.leaf_oid == leaf.oid)
            });
            let bytes_per_s = match table.proof {
                Proof::Tuples => VERIFY_BYTES_PER_S,
                Proof::RecordHash => HASH_BYTES_PER_S / 2.0,
            };
            moved.map(move |leaf| (leaf.heap_bytes + leaf.toast_bytes) as f64 / bytes_per_s)
        }))
    }

    /// Keys of one table come one after another, tables side by side.
    fn keys(&self) -> f64 {
        self.side_by_side(self.built().map(|(table, found)| {
            let keys = found.unique_keys.iter();
            let built = keys.filter(|key| key.kind != KeyKind::Exclusion).count();
            built as f64 * table.rows_estimate as f64 * BTREE_S_PER_ROW
        }))
    }

    fn indexes(&self) -> f64 {
        self.side_by_side(self.built().flat_map(|(table, found)| {
            let rows = table.rows_estimate as f64;
            let indexes = found.indexes.iter().filter(|index| index.valid);
            indexes.map(move |index| rows * index_s_per_row(index))
        }))
    }

    fn foreign_keys(&self) -> f64 {
        self.side_by_side(self.built().map(validation))
    }

    fn after(&self) -> f64 {
        if !self.facts.same_database {
            return 0.0;
        }
        let keys = self
            .facts
            .tables
            .iter()
            .flat_map(|found| &found.referenced_by);
        let referencing: f64 = keys
            .filter(|key| key.validated)
            .map(|key| key.rows_estimate as f64 * FOREIGN_KEY_S_PER_ROW)
            .sum();
        let attached = self.pairs().filter(|(table, _)| !table.attached.is_empty());
        referencing + self.side_by_side(attached.map(validation))
    }
}

/// Validating a table's own foreign keys.
fn validation((table, found): (&TablePlan, &TableFacts)) -> f64 {
    let validated = found.foreign_keys.iter().filter(|key| key.validated);
    validated.count() as f64 * table.rows_estimate as f64 * FOREIGN_KEY_S_PER_ROW
}

fn index_s_per_row(index: &Index) -> f64 {
    match index.method.as_str() {
        "gist" | "spgist" => GIST_S_PER_ROW,
        "gin" => GIN_S_PER_ROW,
        "brin" => BRIN_S_PER_ROW,
        _ => BTREE_S_PER_ROW,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::StrategyChoice;
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
}
