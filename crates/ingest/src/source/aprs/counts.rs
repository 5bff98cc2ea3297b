//! What a source has done so far, to be read while it runs.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one source; they only grow.
#[derive(Debug, Default)]
pub struct AprsCounts {
    /// Packets that came, those included that were dropped.
    pub packets: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Lines of servers themselves.
    pub server_lines: AtomicU64,
    /// Lines that were cut because they are too long; they count as packets too.
    pub cut_lines: AtomicU64,
    /// Lines that a connection ended in the middle of; they are in the gap.
    pub broken_lines: AtomicU64,
    /// Packets that found no room in the queue.
    pub dropped_packets: AtomicU64,
    /// Their bytes.
    pub dropped_bytes: AtomicU64,
    /// Times that a server let us in.
    pub logins: AtomicU64,
    /// Attempts that did not lead to that, and connections that ended.
    pub failures: AtomicU64,
    /// Gaps.
    pub gaps: AtomicU64,
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}
