//! Every size, queue length and wait of this crate, with its reason.

use hyperhaul_pg::retry::Limits;
use std::time::Duration;

/// Records that one thread decodes at a time: some 200 us of work, so that a batch spreads over the threads and the hand-over
/// costs little.
pub(crate) const STRIPE_RECORDS: usize = 1024;

/// Batches that are decoded and wait for the writer: with one there is always work for it, and a second would only add to the
/// time until rows can be queried.
pub(crate) const BATCHES_AHEAD: usize = 1;

/// Bytes of tuples that are handed to a COPY at once; see `pg::CopyIn::send`.
pub(crate) const COPY_PIECE_BYTES: usize = 128 << 10;

/// Ids of looked up keys that are remembered; a key and its id take about 150 bytes.
pub(crate) const LOOKUP_KEYS_MAX: usize = 200_000;

/// Keys that are looked up in one statement.
pub(crate) const LOOKUP_BATCH_KEYS: usize = 5_000;

/// For a database that is away, or has no room: as long as it takes, but never faster than this. Whoever waits is behind a
/// bounded spool.
pub(crate) const PATIENT: Limits = Limits {
    pause_first: Duration::from_millis(50),
    pause_max: Duration::from_secs(1),
    total_max: Duration::MAX,
    pause_count_max: u32::MAX,
};

/// How long a transaction is tried again that collided with others, before the stream stops: nothing that passes by itself
/// lasts as long.
pub(crate) const COLLISIONS: Limits = Limits {
    pause_first: Duration::from_millis(10),
    pause_max: Duration::from_secs(2),
    total_max: Duration::from_secs(300),
    pause_count_max: u32::MAX,
};

/// How long the backend of a process that is gone is waited for, at the start.
pub(crate) const HOLDER_GONE_WAIT: Duration = Duration::from_secs(10);
/// How often is looked.
pub(crate) const HOLDER_LOOK: Duration = Duration::from_millis(100);

/// Batches that go the slower way for duplicates after one had some, before COPY is tried again: a refused COPY costs as
/// much as an accepted one.
pub(crate) const STAGED_BATCHES_AFTER_DUPLICATE: u32 = 20;

/// Bytes of a file that are read at once.
pub(crate) const FILE_READ_BYTES: usize = 256 << 10;
/// How often the end of a file that is followed is looked at: rows are there within it, and an idle file costs nothing.
pub(crate) const FILE_LOOK: Duration = Duration::from_millis(100);
/// A record is at most so long; what is longer is cut there, and no decoder takes it.
pub(crate) const RECORD_BYTES_MAX: usize = 8 << 20;

/// Dead letters that are tried again in one transaction.
pub(crate) const RETRIED_AT_ONCE: i64 = 1_000;
