//! The spool on real disks: one that is full, and one whose process is killed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod full_disk;
mod killed;
