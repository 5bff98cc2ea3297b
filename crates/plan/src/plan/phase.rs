//! The phases of a run, in order.

use serde::{Deserialize, Serialize};

/// Phases, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Writers are kept off.
    Fence,
    /// The target is created, empty.
    Create,
    /// Leaves become chunks as they are.
    Attach,
    /// Leaves are loaded into tables of their own, which are indexed and become chunks.
    Stage,
    /// Its chunks are made.
    Chunks,
    /// Slices are copied.
    Copy,
    /// Primary keys and unique constraints.
    Keys,
    /// Chunks go to the columnstore, behind keys and foreign keys: the server compares none with what is in it already.
    Columnstore,
    /// Other indexes: what is in the columnstore needs none, which spares their build.
    Indexes,
    /// Foreign keys of tables without such chunks are added, not validated.
    ForeignKeys,
    /// Identity sequences move on; statistics are gathered.
    Finish,
    /// Equality is proved, and foreign keys that are not yet are validated beside that.
    Verify,
    /// The hypertable takes the table's place.
    Cutover,
    /// The history follows beside live rows: slices are copied into the hypertable that is in place.
    Backfill,
    /// It is proved that the whole of it is there.
    Proof,
    /// What could be left for after the cutover: foreign keys of other tables are validated.
    After,
    /// What happens to rows as they age is set up: aggregates, columnstore, retention.
    Policies,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Phase; 17] = [
        Phase::Fence,
        Phase::Create,
        Phase::Attach,
        Phase::Stage,
        Phase::Chunks,
        Phase::Copy,
        Phase::Keys,
        Phase::Columnstore,
        Phase::Indexes,
        Phase::ForeignKeys,
        Phase::Finish,
        Phase::Verify,
        Phase::Cutover,
        Phase::Backfill,
        Phase::Proof,
        Phase::After,
        Phase::Policies,
    ];

    /// Whether the application waits for it: all phases up to the cutover.
    pub fn keeps_out(self) -> bool {
        self <= Phase::Cutover
    }

    /// Whether slices are copied into the hypertable in it.
    pub fn copies(self) -> bool {
        matches!(self, Phase::Copy | Phase::Backfill)
    }

    /// Whether equality is proved in it.
    pub fn proves(self) -> bool {
        matches!(self, Phase::Verify | Phase::Proof)
    }

    /// Its name for people and for step ids.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Fence => "fence",
            Phase::Create => "create",
            Phase::Attach => "attach",
            Phase::Stage => "stage",
            Phase::Chunks => "chunks",
            Phase::Copy => "copy",
            Phase::Keys => "keys",
            Phase::ForeignKeys => "foreign keys",
            Phase::Columnstore => "columnstore",
            Phase::Indexes => "indexes",
            Phase::Finish => "finish",
            Phase::Verify => "verify",
            Phase::Cutover => "cutover",
            Phase::Backfill => "backfill",
            Phase::Proof => "proof",
            Phase::After => "after",
            Phase::Policies => "policies",
        }
    }
}
