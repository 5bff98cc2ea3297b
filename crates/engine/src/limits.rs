//! Every size, queue length and wait of this crate, with its reason. Nothing here grows with a table.
//!
//! Memory of one worker in pass-through, at most:
//!
//! ```text
//!   gathered by the session, waiting there, held by the reader    3 x BATCH_BYTES
//!   read queue                                   READ_QUEUE_BATCHES x BATCH_BYTES
//!   batch being framed                                            1 x BATCH_BYTES
//!   write queue                               WRITE_QUEUE_MESSAGES x BATCH_BYTES
//!   message being sent, and its copies in the client library      3 x MESSAGE_BYTES_MAX
//!                                                                ---------------------
//!                                                                11 x 256 KiB = 2.75 MiB
//! ```
//!
//! Measured, two workers, 3.0M fixes, whole process with mimalloc: 40 MiB resident, reached in the first second and then flat, of which
//! 17 MiB are there before the first row. Routed: 75 to 87 MiB.
//!
//! Routing by time adds `ROUTED_BUFFER_BYTES_MAX`. A single tuple that is larger than a batch passes through every place
//! above on its own: such a worker needs about five times the tuple's size for that moment.

use std::time::Duration;

/// Bytes of COPY data that travel together. Large enough that a hand-over between threads (some microseconds) does not
/// count, small enough that a batch is still in the cache when the next stage touches it.
pub const BATCH_BYTES: usize = hyperhaul_pg::COPY_BATCH_BYTES;

/// Batches between the reader and the work: one in hand and one that arrives meanwhile would do; a few more
/// absorb the pauses of the other side (WAL switches, vacuumed buffers).
pub const READ_QUEUE_BATCHES: usize = 2;

/// Messages between the work and the writer.
pub const WRITE_QUEUE_MESSAGES: usize = 2;

/// The most that one CopyData message to the target carries.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// What all buffers of a routed slice may reserve together; one tuple may exceed it. When full, the
/// fullest buffer becomes one COPY into its chunk.
pub const ROUTED_BUFFER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The first segment of a chunk's buffer: 1,500 chunks must fit under [`ROUTED_BUFFER_BYTES_MAX`].
pub const SEGMENT_BYTES_MIN: usize = 4 * 1024;

/// The largest segment of a chunk's buffer, unless a single tuple is larger.
pub const SEGMENT_BYTES_MAX: usize = MESSAGE_BYTES_MAX;

/// Buckets into which [`differences`](crate::differences) sorts keys. A digest each is 2 MiB a side; a bucket of a chunk with a
/// hundred million rows then holds about 1,500 of them.
pub const DIFFERENCE_BUCKETS: usize = 64 * 1024;

/// Rows of the source that [`losses`](crate::losses()) holds the hashes of, about: 16 bytes each, twice while the list grows. A chunk
/// of more rows is read once for each such part.
pub const LOSS_HASHES_MAX: u64 = 1024 * 1024;

/// Lost rows whose keys are looked up at a time: some tens of MiB. A chunk is read twice for each such part.
pub const LOSS_KEYS_MAX: usize = 100_000;

/// How long a reader that is dropped, or whose read is given up, may take to cancel and to end. Past it, its thread is left to
/// end by itself.
pub const STOP_WAIT: Duration = Duration::from_secs(5);
