//! Mode `backfill`: the hypertable takes the table's place first, and its history follows beside live rows.

mod lifecycle;
