//! The plan: what will happen, step by step, as plain data.
//!
//! Dry run, SQL preview, resume, progress and tests all read this one object. Step ids are stable: the
//! ledger knows a step by its id alone.

mod backfilled;
mod carried;
mod phase;
mod proof;
mod staged;
mod workers;

pub use backfilled::MeetingKey;
pub(crate) use backfilled::meeting_keys;
pub use carried::{ArrayElement, CarriedSequence};
pub use phase::Phase;
pub use proof::Proof;
pub use staged::StagedLeaf;

use crate::facts::{Facts, HashFunction};
use crate::{
    ChunkRange, Declaration, Estimate, Finding, Options, Policies, Relation, Severity, Strategy,
    TimeType, ToColumnstore,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What will happen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this object's format.
    pub format: u32,
    /// What was asked for.
    pub options: Options,
    /// Whether rows stay in their database.
    pub topology: Topology,
    /// The tables.
    pub tables: Vec<TablePlan>,
    /// How the rows of each leaf get to the target, and why; in the order of tables and leaves.
    pub ways: Vec<Way>,
    /// The units of work, in the order in which workers should claim them: largest first.
    pub slices: Vec<Slice>,
    /// The steps in order.
    pub steps: Vec<Step>,
    /// What the checks saw, worst first; accepted blocks are warnings here.
    pub findings: Vec<Finding>,
    /// Time and disk.
    pub estimate: Estimate,
    /// What it was made from: `migrate` compares this with what it finds.
    pub facts: Facts,
}

impl Plan {
    /// Version of the format that this build writes and reads.
    pub const FORMAT: u32 = 2;

    /// Whether a finding forbids to start.
    pub fn blocked(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Block)
    }

    /// Whether the cutover is among the steps that are done.
    pub fn is_cut_over(&self, is_done: impl Fn(&StepId) -> bool) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| step.phase == Phase::Cutover && is_done(&step.id))
    }

    /// The step with this id.
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == *id)
    }
}

/// Whether rows stay in their database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topology {
    /// Source and target are one database.
    SameDatabase,
    /// The target is another database, on this server or another.
    OtherDatabase,
}

/// How the rows of one leaf get to the target, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// Index into [`Plan::tables`].
    pub table: usize,
    /// The leaf.
    pub leaf: Relation,
    /// The way that is taken.
    pub strategy: Strategy,
    /// Why; one line for people.
    pub reason: String,
    /// The ways that were ruled out, each with its reason.
    pub ruled_out: Vec<(Strategy, String)>,
}

/// A leaf that becomes a chunk as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedLeaf {
    /// The leaf; as a chunk it keeps its name and schema.
    pub leaf: Relation,
    /// Leaf's oid.
    pub leaf_oid: u32,
    /// Leaf's file number: the chunk has the same, since no row moves.
    pub relfilenode: u32,
    /// Its partition bound, which becomes the chunk's interval.
    pub range: ChunkRange,
    /// Rows, estimated.
    pub rows_estimate: u64,
    /// Bytes of heap and TOAST.
    pub bytes: u64,
}

/// One table of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePlan {
    /// Its name, before and after.
    pub relation: Relation,
    /// The hypertable's name until cutover.
    pub staging: Relation,
    /// The old table's name after cutover (same database only; on another server the old table stays where it is).
    pub archive: Relation,
    /// The time column.
    pub time_column: String,
    /// Its type.
    pub time_type: TimeType,
    /// Length of a chunk, microseconds.
    pub chunk_interval_us: i64,
    /// Columns that are copied, in the order of the table: all but generated ones.
    pub copy_columns: Vec<String>,
    /// Position of the time column in `copy_columns`.
    pub time_position: usize,
    /// Generated columns, which the target computes.
    pub generated_columns: Vec<String>,
    /// Columns that identify a row to people: the primary key, else a unique key, else all copied columns.
    pub key_columns: Vec<String>,
    /// Arrays whose element type's oid has to be rewritten on the way (other database only).
    pub array_elements: Vec<ArrayElement>,
    /// Intervals that hold rows, as far as the facts tell, ascending: the chunks that are made beforehand. None
    /// where tables are attached: chunks are cut around those.
    pub chunks: Vec<ChunkRange>,
    /// Rows before this time are left out, microseconds since 1970 UTC: the retention would drop their chunks at once.
    #[serde(default)]
    pub skip_before_us: Option<i64>,
    /// Leaves that become chunks as they are.
    pub attached: Vec<AttachedLeaf>,
    /// Leaves that are loaded into tables of their own, which become chunks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub staged: Vec<StagedLeaf>,
    /// Whether its rows follow after the cutover, beside live ones: [`crate::Mode::Backfill`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backfilled: bool,
    /// The hypertable's unique keys, where live rows may have some that rows of the history have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meeting_keys: Vec<MeetingKey>,
    /// What the other leaves' rows are compared by.
    pub proof: Proof,
    /// Functions that hash copied columns' values where the server hashes rows; of other columns it hashes a record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hash_functions: Vec<HashFunction>,
    /// Rows, estimated.
    pub rows_estimate: u64,
    /// Bytes of heap and TOAST over all leaves.
    pub data_bytes: u64,
    /// Bytes of indexes over all leaves.
    pub index_bytes: u64,
    /// What is to happen to its rows as they age.
    #[serde(default)]
    pub policies: Policies,
    /// Chunks that go to the columnstore during the run, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_columnstore: Option<ToColumnstore>,
}

/// Number of a slice in its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SliceId(pub u32);

/// The unit of work and of resume: one leaf, one block range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Its number.
    pub id: SliceId,
    /// Index into [`Plan::tables`].
    pub table: usize,
    /// The leaf.
    pub leaf: Relation,
    /// Leaf's oid.
    pub leaf_oid: u32,
    /// Leaf's file number when the slice was cut: block numbers mean nothing in another file.
    pub relfilenode: u32,
    /// First block.
    pub first_block: u32,
    /// Block after the last; `None`: to the leaf's end, however far that has grown since.
    pub end_block: Option<u32>,
    /// How it gets there.
    pub strategy: Strategy,
    /// Where its rows go.
    pub routing: Routing,
    /// Whether no other slice writes into its chunk, so that the chunk may be truncated first: what is given up leaves nothing
    /// behind, and COPY can freeze.
    pub sole_writer: bool,
    /// Bytes of heap and TOAST.
    pub bytes: u64,
    /// Rows, estimated.
    pub rows_estimate: u64,
    /// Why this strategy, this cut and this routing; one line for people.
    pub reason: String,
}

/// Where a slice's rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Routing {
    /// All into the chunk of this interval: the leaf's bound proves it.
    OneChunk(ChunkRange),
    /// Each by its time.
    ByTime,
}

/// A step's stable name: `phase:table[:object]`. Foreign keys keep that of their own phase in others before the cutover.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub String);

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A step of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Stable name.
    pub id: StepId,
    /// The phase that it is in.
    pub phase: Phase,
    /// Index into [`Plan::tables`]; `None` for a step about all of them.
    pub table: Option<usize>,
    /// What it does, for people.
    pub title: String,
    /// Where its statements run.
    pub side: Side,
    /// What it does.
    pub action: Action,
    /// Statements that undo it, on the same side; run in one transaction with the ledger's mark where that is the target.
    pub inverse: Vec<String>,
    /// Queries for the rows that a foreign key of the step, or of its inverse, may refuse.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orphans: Vec<String>,
    /// What it may run beside.
    pub concurrency: Concurrency,
    /// Weight for ordering concurrent steps and for progress: bytes that it has to work through.
    pub weight_bytes: u64,
}

/// What a step may run beside, among the steps of its phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Concurrency {
    /// Nothing: it waits for those before it, those after it wait for it.
    Alone,
    /// Steps of other tables: its lock on its own table conflicts with itself.
    OnePerTable,
    /// Any step of its phase.
    Free,
}

/// Which server a step's statements run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The source; where that is another database, its statements are idempotent, since the ledger's mark is elsewhere.
    Source,
    /// The target.
    Target,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Runs statements in one transaction, together with the ledger's mark where they run on the target.
    Sql {
        /// The statements in order, without `BEGIN` and `COMMIT`.
        statements: Vec<String>,
    },
    /// Runs statements that the server refuses in a transaction block, one by one. Each may be repeated: the mark follows in a
    /// transaction of its own.
    Repeatable {
        /// The statements in order.
        statements: Vec<String>,
    },
    /// Stores what is declared for the table in the ledger, where `hyperhaul maintain` finds it. It is in force while the step's
    /// mark stands, so that there is nothing to undo.
    Declare {
        /// What is declared.
        declaration: Declaration,
    },
    /// Hashes the rows of the partitions that will be attached, for the verification to compare with.
    HashLeaves,
    /// Makes the table's chunks: one real row each through the hypertable, then `TRUNCATE ONLY chunk`.
    CreateChunks,
    /// Loads every slice that is staged, and carries out the other steps of its phase as their slices are in.
    StageSlices,
    /// Puts chunks into the columnstore that end before a time, each in a transaction of its own, several at a time. One that is
    /// there already is left alone, so that the catalog itself tells what is left to do.
    ToColumnstore {
        /// The hypertable, as it is called by then.
        hypertable: Relation,
        /// Microseconds since 1970 UTC.
        before_us: i64,
    },
    /// Copies every other slice.
    CopySlices,
    /// Moves the target's sequences of the table to where the source's stand.
    CarrySequences {
        /// Source sequence and target sequence; a staging identity sequence is found by its table and column.
        sequences: Vec<CarriedSequence>,
    },
    /// Proves equality; the run stops if it fails.
    Verify,
}
