//! Introspection: what PostgreSQL, TimescaleDB and pg_partman say about a server and its tables, as the facts of `plan`.
//! Tested on PostgreSQL 15 and 17, TimescaleDB 2.19.3 and 2.29.2, pg_partman 4.7 and 5.2; written for PostgreSQL 14 to 18.
//!
//! Every difference between those versions is known here and nowhere else. Nothing is judged (that is `plan`'s business) and
//! nothing is changed, but that [`end_backend`] ends sessions of ours that were lost. A table is looked at in one read-only
//! transaction.
//!
//! Longer queries are in `sql/`, one file for each subject; each of those returns one JSON text, shaped like the fact types, so
//! that a table with 1,500 partitions costs a dozen round trips.

mod blockers;
mod bound;
mod chunks;
mod columns;
mod dependents;
mod error;
mod fetch;
mod generated;
mod hashing;
mod holders;
mod identity;
mod jobs;
mod keys;
mod late_writes;
mod leaves;
mod live_table;
mod machine;
mod maintenance;
mod observe;
mod partman;
mod privileges;
mod sequences;
mod server;
mod sessions;
mod survey;
mod table;
mod travel;
mod vitals;
mod waits;
mod writers;

pub use blockers::{
    Blocker, blockers, deadlock_timeout, end_backend, end_sessions, is_ours, is_waited_for_anew,
};
pub use chunks::{
    Chunk, ChunkForm, block_count, chunk_form, chunks, columnstore_bytes, file_numbers,
    hypertable_heap_bytes, type_oid,
};
pub use error::Error;
pub use generated::generated_mismatches;
pub use holders::{Holder, holders, orphan_count};
pub use identity::{Identity, identity, relation_oid};
pub use jobs::{Job, JobWorker, job_workers, jobs};
pub use late_writes::{RowsSince, WriteMark, rows_since, write_mark};
pub use live_table::{LiveColumn, LiveTable, RowPrivileges, live_table, row_privileges, shape};
pub use maintenance::{
    ReferringKey, TimescaleThere, has_rows, referring_keys, row_bytes, timescale_there, total_bytes,
};
pub use sequences::{SequencePosition, column_sequence, sequence_position};
pub use server::{hypertables, server_facts};
pub use sessions::blocking_sessions;
pub use survey::survey;
pub use table::{Depth, table_facts};
pub use vitals::{VitalsSeen, vitals, vitals_seen};
pub use waits::{BackendWaits, waits};
