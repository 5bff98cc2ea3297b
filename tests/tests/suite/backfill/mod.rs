//! Mode `backfill`: the hypertable takes the table's place first, and its history follows beside live rows.

mod ingest;
mod killed;
mod lifecycle;
mod load;
mod waiting;
mod writers;
