//! The ledger: what a run has done and which live rows are in, durable, in schema `hyperhaul` of the target database.
//!
//! The mark that something is done is written in the transaction that does it, so a kill at any moment leaves
//! both or neither. This crate owns the ledger's tables and every statement on them; it opens no transaction of
//! its own except where a function says so, and it knows nothing of how a step or a slice is carried out.

mod calibration;
mod call;
mod dead_letter;
mod declaration;
mod error;
mod failpoint;
mod forecast;
mod held_job;
mod ingest_consumer;
mod ingest_gap;
mod ingest_source;
mod ingest_standing;
mod leaf_hash;
mod run;
mod schema;
mod slice;
mod step;
mod verdict;
mod write_mark;

pub use calibration::{end_calibration, scratch_is_left, try_calibrate};
pub use call::{Call, CallId, Command, DONE, begin_call, calls, end_call};
pub use dead_letter::{
    Cause, Content, DeadLetter, KeptRecord, Selection, bury, dead_letter, dead_letters,
    drop_dead_letters, hold_dead_letters, keep_conflicts, rebury,
};
pub use declaration::{
    Declared, declarations, declare_sql, move_watermark, try_maintain, watermark,
};
pub use error::Error;
pub use failpoint::failpoint;
pub use forecast::{forecast, store_forecast};
pub use held_job::{HeldJob, held_jobs, hold_job, jobs_of_others, let_jobs_go, lock_jobs};
pub use ingest_consumer::{commit_sequences, committed_sequences};
pub use ingest_gap::{NewGap, store_gaps};
pub use ingest_source::{
    Outcome, PositionUnit, Receipt, Source, receipts, source_backend, take_source,
};
pub use ingest_standing::{Standing, standings};
pub use leaf_hash::{leaf_hashes, store_leaf_hashes};
pub use run::{
    Run, RunId, RunState, change_state, find_run, hold_running, is_paused, latest_run, load_run,
    overlapping_run, record_plan, runs, sessions, show_paused, try_lead,
};
pub use schema::{ensure, exists};
pub use slice::{
    Batch, ChunkRows, SliceRecord, SliceResult, WrittenChunk, chunks_of_leaf, claim, finish_slice,
    is_done, lock_leaf, pending_count, replace_leaf, slices, source_digests,
};
pub use step::{StepMark, mark_done, mark_ended, mark_undone, step_marks, steps_done};
pub use verdict::{NewVerdict, StoredVerdict, store_verdict, verdicts};
pub use write_mark::{store_write_mark, write_mark};
