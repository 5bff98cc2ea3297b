//! The pure core of a migration: facts and options go in, a [`Plan`], its [`Finding`]s, its
//! estimates and the SQL text of every step come out.
//!
//! Nothing here does IO, reads a clock or holds a connection: `catalog` gathers the [`facts`],
//! `ledger` stores the plan, `migrate` carries it out.

mod calibration;
mod columnstore;
mod drift;
mod error;
mod estimate;
mod expiry;
pub mod facts;
mod finding;
mod findings;
mod ident;
mod options;
mod phrase;
mod plan;
mod planner;
mod policies;
mod slices;
pub mod sql;
mod steps;
mod strategies;
mod structure;
#[cfg(test)]
mod testing;
mod time;
mod verdict;
pub mod watchdog;

pub use calibration::{Measured, MeasuredAttach, calibrated, sample};
pub use columnstore::{Moment, ToColumnstore};
pub use drift::{Change, Object, Since, changes};
pub use error::Error;
pub use estimate::{Basis, Estimate, PhaseEstimate};
pub use finding::{Code, Finding, Severity};
pub use findings::findings;
pub use ident::{Relation, quote_ident, quote_literal};
pub use options::{Mode, Options, Strategy, StrategyChoice, TableOptions};
pub use phrase::grouped;
pub use plan::{
    Action, ArrayElement, AttachedLeaf, CarriedSequence, Concurrency, MeetingKey, Phase, Plan,
    Proof, Routing, Side, Slice, SliceId, StagedLeaf, Step, StepId, TablePlan, Topology, Way,
};
pub use planner::plan;
pub use policies::{
    Aggregate, BUCKET_COLUMN, Columnstore, ColumnstoreBegins, Declaration, Measure,
    MeasureFunction, OrderBy, Policies,
};
pub use slices::{Cut, leaf_slices};
pub use structure::{Structure, structure_differences, wanted_structure};
pub use time::{ChunkRange, TimeRange, TimeType, format_unix_us};
pub use verdict::{ChunkDigest, ChunkVerdict, Verdict, by_interval, compare};
