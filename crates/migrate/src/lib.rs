//! The lifecycle of a migration: check, plan, migrate, status, verify, rollback, cleanup; and the report on it.
//!
//! Facts come from `catalog`, what to do comes from `plan`, what was done goes to `ledger`, rows go through `engine`.
//! This crate decides nothing about SQL text and prints nothing: it carries steps out, each in one transaction with
//! the ledger's mark, and tells an [`Observer`] what happens.
//!
//! ```text
//! survey --Facts--> plan --Plan--> ledger
//!                                    |
//! lead (one process a run) <---------+
//!   |- steps     SQL in a transaction with its mark; lock timeouts and lost sessions are tried again
//!   |- chunks    the target's chunks, before rows come
//!   |- workers   slices, in parallel, exactly once
//!   '- verify    digests, structure, generated columns, sequences
//! ```

mod adapt;
mod attached;
mod calibrate;
mod calls;
mod chunks;
mod cleanup;
mod columnstore;
mod connections;
mod context;
mod creep;
mod crew;
mod deadline;
mod differences;
mod digests;
mod drift;
mod error;
mod fence;
mod forecast;
mod guard;
mod identity;
mod interrupt;
mod jobs;
mod lanes;
mod late_writes;
mod lead;
mod leader;
mod maintain;
mod new_rows;
mod observe;
mod policies;
mod prove;
mod report;
mod rollback;
mod sequences;
mod slice;
mod staged;
mod status;
mod steps;
mod structure;
mod survey;
mod timekeeper;
mod verify;
mod watch;
mod watchdog;
mod window;
mod worker;

pub use cleanup::{CleanupOptions, CleanupPlan, cleanup, cleanup_plan};
pub use connections::Connections;
pub use deadline::{Deadline, OnDeadline, clock};
pub use differences::{ChunkDifferences, SinceCutover};
pub use error::{Error, Kind};
pub use forecast::{Forecast, PhaseLeft};
pub use interrupt::Interrupt;
pub use lead::{Outcome, migrate};
pub use maintain::{
    Maintenance, Refusal, Retention, RollUp, ScheduledCommand, TableMaintenance, maintain,
    scheduled_commands,
};
pub use observe::{Event, Meter, Observer};
pub use report::{
    ChunkReport, FindingReport, LeafReport, Report, ServerReport, SliceReport, StepReport,
    TableReport, VerdictReport, report,
};
pub use rollback::{RollbackOptions, rollback};
pub use status::{RunStatus, StepStatus, TableStatus, status};
pub use survey::{check, plan};
pub use verify::{TableVerification, Verification, verify};

pub use hyperhaul_ledger::{Call, HeldJob, Run, RunId, RunState};
