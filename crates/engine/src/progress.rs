//! How much has been done, for whoever draws bars. Not durable, and not a proof of anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows and bytes done so far, by all copies and digests that were given a clone of this value.
///
/// A copy or digest that fails or is dropped takes back what it had added.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl Progress {
    /// Nothing done yet.
    pub fn new() -> Progress {
        Progress::default()
    }

    /// Rows handed to the target, or digested.
    pub fn rows(&self) -> u64 {
        self.0.rows.load(Ordering::Relaxed)
    }

    /// Bytes of COPY data handed to the target, or digested.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Counts work that was done elsewhere: rows that the server itself moved or hashed.
    pub fn add(&self, rows: u64, bytes: u64) {
        self.0.rows.fetch_add(rows, Ordering::Relaxed);
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A share that is taken back unless it is kept.
    pub(crate) fn share(&self) -> Share {
        Share {
            progress: self.clone(),
            rows: 0,
            bytes: 0,
        }
    }
}

/// What one copy has added.
#[derive(Debug)]
pub(crate) struct Share {
    progress: Progress,
    rows: u64,
    bytes: u64,
}

impl Share {
    pub(crate) fn add(&mut self, rows: u64, bytes: usize) {
        let bytes = bytes as u64;
        self.rows += rows;
        self.bytes += bytes;
        self.progress.add(rows, bytes);
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The work is done: what was added stays.
    pub(crate) fn keep(mut self) {
        self.rows = 0;
        self.bytes = 0;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.progress.0.rows.fetch_sub(self.rows, Ordering::Relaxed);
        self.progress
            .0
            .bytes
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_is_not_kept_is_taken_back() {
        let progress = Progress::new();
        let mut kept = progress.share();
        let mut dropped = progress.share();
        kept.add(2, 20);
        dropped.add(3, 30);
        assert_eq!((progress.rows(), progress.bytes()), (5, 50));
        drop(dropped);
        kept.keep();
        assert_eq!((progress.rows(), progress.bytes()), (2, 20));
    }
}
