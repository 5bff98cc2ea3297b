//! Estimates of time and disk, made from sizes alone.
//!
//! Rates come from one measurement: 3.0M rows shaped like SOAR's `fixes`, 434 bytes each, 1.3 GB, ten daily
//! partitions, on two cores and a RAM disk, PostgreSQL 17 with TimescaleDB 2.19. Disks and networks that are slower
//! than two cores, and rows of another shape, make them wrong: they tell minutes from hours, no more.

mod backfill;
pub(crate) mod disk;

use crate::facts::{Facts, Index, KeyKind, TableFacts};
use crate::{Measured, Moment, Options, Phase, Proof, Slice, Strategy, TablePlan, policies};
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

/// Putting rows into the columnstore, bytes of heap and TOAST a second and worker: 300,000 rows of 434 bytes in 2.3 s.
const COLUMNSTORE_BYTES_PER_S: f64 = 0.13e9 / 2.3;

/// A step that only changes the catalog, seconds: mostly waiting for its lock.
const CATALOG_S: f64 = 0.5;

/// Gathering statistics, seconds a chunk: 0.7 to 2 s measured on SOAR's fixes with 40,000 rows a chunk, where the statistics of
/// PostGIS and jsonb columns take longest; narrow tables are quicker.
const ANALYZE_S: f64 = 0.5;

/// Rates of other machines and rows tell minutes from hours: half of it again is what they may well be off by.
const MARGIN_ESTIMATED: f64 = 0.5;

/// What the run will take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// What the times rest on.
    #[serde(default)]
    pub basis: Basis,
    /// Time per phase, in order; phases without work are left out.
    pub phases: Vec<PhaseEstimate>,
    /// Bytes that the target's disk must hold in addition at the peak: heap, TOAST, indexes, WAL.
    pub disk_bytes: u64,
    /// Of those, heap and TOAST.
    pub heap_bytes: u64,
    /// Of those, indexes, with the space that their builds sort in.
    pub index_bytes: u64,
    /// Of those, chunks in the columnstore: what they come to, or what is written while their rows are still there as well.
    #[serde(default)]
    pub columnstore_bytes: u64,
    /// Of those, WAL that piles up between checkpoints.
    pub wal_bytes: u64,
}

/// What times rest on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Sizes, and rates that were measured once on another machine.
    #[default]
    Estimated,
    /// What a sample of the rows took on these servers.
    Calibrated(Vec<Measured>),
}

/// Time of one phase.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseEstimate {
    /// The phase.
    pub phase: Phase,
    /// Seconds.
    pub seconds: f64,
    /// The least and the most, seconds, where it was calibrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(f64, f64)>,
}

impl Estimate {
    /// What the numbers rest on, to be printed with them.
    pub const BASIS: &'static str = "estimated from sizes and from rates measured on 2 cores and a RAM disk; slower disks \
         and a network between the servers make it longer";

    /// What a window has to have in addition, as a share of the estimate, so that a run is sure to fit in.
    pub fn margin(&self) -> f64 {
        match self.basis {
            Basis::Estimated => MARGIN_ESTIMATED,
            Basis::Calibrated(_) => {
                let out = || self.phases.iter().filter(|own| own.phase.keeps_out());
                let most: f64 = out().map(|own| own.bounds().1).sum();
                let likely: f64 = out().map(|own| own.seconds).sum();
                most / likely.max(f64::MIN_POSITIVE) - 1.0
            }
        }
    }

    /// What the numbers rest on.
    pub fn basis_text(&self) -> &'static str {
        match self.basis {
            Basis::Estimated => Estimate::BASIS,
            Basis::Calibrated(_) => {
                "calibrated: a sample of the rows was moved, indexed and verified on these servers"
            }
        }
    }

    pub(crate) fn with_disk(&mut self, disk: disk::Disk) {
        self.disk_bytes = disk.bytes();
        self.heap_bytes = disk.heap_bytes;
        self.index_bytes = disk.index_bytes;
        self.columnstore_bytes = disk.columnstore_bytes;
        self.wal_bytes = disk.wal_bytes;
    }

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
    let width = options.width_of(facts.target.cores);
    let work = Work {
        facts,
        tables,
        slices,
        width,
    };
    let phases = Phase::ALL
        .into_iter()
        .map(|phase| PhaseEstimate {
            phase,
            seconds: work.seconds(phase),
            range: None,
        })
        .filter(|estimate| estimate.seconds > 0.0)
        .collect();
    let mut estimate = Estimate {
        phases,
        ..Estimate::default()
    };
    estimate.with_disk(disk::disk(facts, tables, work.width, &|_| None));
    estimate
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
            Phase::Stage => self.stage(),
            Phase::Chunks => CHUNK_S * self.chunk_count(),
            Phase::Copy if self.is_backfill() => 0.0,
            Phase::Copy => self.copy(),
            Phase::Backfill if self.is_backfill() => self.copy() + self.row_by_row(),
            Phase::Keys => self.keys(),
            Phase::Indexes => self.indexes(),
            Phase::ForeignKeys => CATALOG_S * self.foreign_keys(false).count() as f64,
            Phase::Finish => CATALOG_S * table_count,
            Phase::Verify if self.is_backfill() => 0.0,
            Phase::Verify => self.verify(),
            Phase::Proof if self.is_backfill() => self.verify(),
            Phase::Backfill | Phase::Proof => 0.0,
            Phase::Cutover => CATALOG_S,
            Phase::After => self.after() + self.analyze(),
            Phase::Columnstore => {
                self.side_by_side(self.foreign_keys(true)) + self.columnstore(Moment::BeforeIndexes)
            }
            Phase::Policies => {
                policies::seconds(self.tables, self.facts, CATALOG_S)
                    + self.columnstore(Moment::AfterCutover)
            }
        }
    }

    /// Chunks that are made; attached and staged leaves become chunks by themselves.
    fn chunk_count(&self) -> f64 {
        let chunks = self.tables.iter().map(|table| table.chunks.len());
        chunks.sum::<usize>() as f64
    }

    /// Of all chunks, whatever they have come from.
    fn analyze(&self) -> f64 {
        let become_chunks = |table: &TablePlan| table.attached.len() + table.staged.len();
        let others: usize = self.tables.iter().map(become_chunks).sum();
        ANALYZE_S * (self.chunk_count() + others as f64)
    }

    /// Tables whose keys and indexes are built over all rows together; attached and staged leaves bring theirs along.
    fn built(&self) -> impl Iterator<Item = (&TablePlan, &TableFacts)> {
        self.pairs().filter(|(table, _)| !table.is_built_first())
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
        let slices = slices.filter(|slice| slice.strategy != Strategy::Stage);
        self.side_by_side(slices.map(|slice| {
            let bytes_per_s = match slice.strategy {
                Strategy::Server => SERVER_BYTES_PER_S,
                Strategy::Copy | Strategy::Attach | Strategy::Stage => COPY_BYTES_PER_S,
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

    /// A leaf is one piece: one worker loads it and builds its keys and indexes; then its rows are read for the bound.
    fn stage(&self) -> f64 {
        self.side_by_side(self.pairs().flat_map(|(table, found)| {
            let each_row: f64 = keys_s_per_row(found) + indexes_s_per_row(found).sum::<f64>();
            table.staged.iter().map(move |leaf| {
                let bytes = leaf.bytes as f64;
                bytes / COPY_BYTES_PER_S
                    + leaf.rows_estimate as f64 * each_row
                    + bytes / SCAN_BYTES_PER_S
                    + ATTACH_S
            })
        }))
    }

    /// One piece for each chunk, which a leaf stands for here, and one for each table whose foreign keys are validated beside that.
    /// Of attached leaves only the catalog is read, of rows that stayed within the server both sides are hashed.
    fn verify(&self) -> f64 {
        let compared = self.pairs().flat_map(|(table, found)| {
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
        });
        self.side_by_side(compared.chain(self.foreign_keys(false)))
    }

    /// Keys of one table come one after another, tables side by side.
    fn keys(&self) -> f64 {
        self.side_by_side(
            self.built()
                .map(|(table, found)| table.rows_estimate as f64 * keys_s_per_row(found)),
        )
    }

    fn indexes(&self) -> f64 {
        self.side_by_side(self.built().flat_map(|(table, found)| {
            let rows = table.rows_estimate as f64 * rowstore_share(table);
            indexes_s_per_row(found).map(move |seconds| rows * seconds)
        }))
    }

    /// Chunk by chunk, one table after another.
    fn columnstore(&self, moment: Moment) -> f64 {
        let chosen = self.tables.iter().filter_map(|table| table.to_columnstore);
        let tables = chosen.filter(|chosen| chosen.moment == moment);
        let seconds = tables.map(|chosen| {
            let even = chosen.bytes as f64 / f64::from(self.width);
            CATALOG_S + even.max(chosen.largest_bytes as f64) / COLUMNSTORE_BYTES_PER_S
        });
        seconds.sum()
    }

    /// The validations of each table with foreign keys some of whose chunks go to the columnstore before indexes are built, or of
    /// each other one.
    fn foreign_keys(&self, before_columnstore: bool) -> impl Iterator<Item = f64> {
        let tables = self.pairs().filter(move |(table, found)| {
            !found.foreign_keys.is_empty()
                && table.attached.is_empty()
                && !table.backfilled
                && table.goes_to_columnstore_before_indexes() == before_columnstore
        });
        tables.map(validation)
    }

    fn after(&self) -> f64 {
        if !self.facts.same_database {
            return 0.0;
        }
        let attached = self.pairs().filter(|(table, _)| !table.attached.is_empty());
        referencing_s(self.facts) + self.side_by_side(attached.map(validation))
    }
}

/// Validating the foreign keys that refer to the tables, seconds.
pub(crate) fn referencing_s(facts: &Facts) -> f64 {
    if !facts.same_database {
        return 0.0;
    }
    let keys = facts.tables.iter().flat_map(|found| &found.referenced_by);
    keys.filter(|key| key.validated)
        .map(|key| key.rows_estimate as f64 * FOREIGN_KEY_S_PER_ROW)
        .sum()
}

/// Validating a table's own foreign keys.
fn validation((table, found): (&TablePlan, &TableFacts)) -> f64 {
    let validated = found.foreign_keys.iter().filter(|key| key.validated);
    validated.count() as f64 * table.rows_estimate as f64 * FOREIGN_KEY_S_PER_ROW
}

fn keys_s_per_row(found: &TableFacts) -> f64 {
    let keys = found.unique_keys.iter();
    let built = keys.filter(|key| key.kind != KeyKind::Exclusion).count();
    built as f64 * BTREE_S_PER_ROW
}

fn indexes_s_per_row(found: &TableFacts) -> impl Iterator<Item = f64> {
    let indexes = found.indexes.iter().filter(|index| index.valid);
    indexes.map(index_s_per_row)
}

/// The part of a table's bytes that indexes are built over: all but what is in the columnstore before.
pub(crate) fn rowstore_share(table: &TablePlan) -> f64 {
    match table.to_columnstore {
        Some(chosen) if chosen.moment == Moment::BeforeIndexes && table.data_bytes > 0 => {
            1.0 - (chosen.bytes as f64 / table.data_bytes as f64).min(1.0)
        }
        _ => 1.0,
    }
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
mod tests;
