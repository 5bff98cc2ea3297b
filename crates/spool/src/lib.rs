//! A durable queue of records in files: what `ingest` acknowledges is here first.
//!
//! A record is bytes. It is appended, made durable together with all others that wait, read in order, and released when the database has
//! it. This crate knows files alone: no socket, no clock, no server, no async runtime, and no meaning of any byte of a record. It has no
//! thread but the [`Keeper`]'s, and prints nothing.
//!
//! ```
//! use hyperhaul_spool::{BatchLimits, Limits, Parcel, RealDisk, Spool};
//!
//! # let folder = std::env::temp_dir().join(format!("spool-example-{}", std::process::id()));
//! let (mut spool, _recovery) = Spool::open(RealDisk::open(&folder)?, Limits::default())?;
//! let positions = spool.append(&[Parcel::from_iter(["a record", "another"])])?;
//! assert_eq!(positions, 1..3);
//! spool.sync()?; // acknowledge after this, never before
//!
//! let batch = spool.reader().read(1, BatchLimits { records_max: 1000, bytes_max: 1 << 20 })?;
//! assert_eq!(batch.records().next(), Some((1, &b"a record"[..])));
//! spool.release(batch.next() - 1)?;
//! # drop(spool);
//! # std::fs::remove_dir_all(&folder).ok();
//! # Ok::<(), hyperhaul_spool::Error>(())
//! ```
//!
//! # What holds
//!
//! - What [`Spool::sync`] has returned for is read back after any crash, in order, once, until it is released.
//! - What is read was appended, at that position. A payload that is not what its checksum says is never handed out.
//! - A position that was acknowledged or read never belongs to another record, whatever became of the first.
//! - Damage costs the records that it touches and no others, and is told with their positions ([`Loss`]).
//! - After a failed sync nothing more is taken ([`Error::is_poisoned`]): what the system could not write it may have dropped, and the next
//!   sync would succeed without it. Opening the spool anew is the way on.
//! - A full disk is not a failure: an append that does not fit leaves nothing behind, and the next one may fit.
//! - No lengths are believed before their checksum, and memory grows with what files hold, never with what they claim.
//!
//! # The folder
//!
//! ```text
//! 00000000000000000001.segment   the oldest segment; the number is the position of its first record
//! 00000000000000131073.segment   the last one: records are appended to it
//! new                            a segment that is being made; of no meaning when a process starts
//! reserve                        64 KiB that are given up for a new segment when the disk is full
//! lock                           locked by the process that has the spool
//! ```
//!
//! # The format of a segment
//!
//! Integers are little-endian, checksums CRC32C.
//!
//! ```text
//! offset  bytes
//!      0     32  header, described in the next lines
//!                     0  8  magic           "HHSPOOL\n"
//!                     8  4  version         1
//!                    12  8  first position  as in the file's name
//!                    20  8  salt            at random, for each segment
//!                    28  4  CRC32C of bytes 0 to 27
//!     32     32  the header once more: no single damage costs a segment
//!     64    ...  records:
//!                     0  4  length          bytes of the payload
//!                     4  4  index           0 for the segment's first record; position = first position + index
//!                     8  4  CRC32C of the payload
//!                    12  4  CRC32C of first position, salt, and bytes 0 to 11
//!                    16  n  payload
//! ```
//!
//! Behind a damaged header the next one is looked for at every byte. The index in it tells how many records are lost. The salt in its
//! checksum is why bytes of a payload are never taken for a record: a sender does not know it.
//!
//! # The order of writes
//!
//! | moment | order | what a crash leaves |
//! |---|---|---|
//! | append | write | records that nobody was told of: some, all, a part of one |
//! | sync | sync of the file | the same, or all |
//! | new segment | sync of the last one; `new` written and synced; renamed; folder synced; only then written to | none, or an empty one |
//! | release | oldest segment removed; folder synced; the next one | a segment more than was needed |
//! | open | last segment read and synced; a new segment | the same once more |
//!
//! So only the last segment can end in an unfinished write, and only it is read when a spool is opened. A process appends to segments of its
//! own making alone. It leaves a torn end where it is, unlike most logs, and begins behind it with a position that no torn record can have
//! had: cutting it off would give positions away once more, and one of them may have been acknowledged before damage made it
//! look torn. For the same reason, what a failed sync has left in the system's memory may vanish later without doing harm.
//!
//! # Limits
//!
//! - One append fits into a segment ([`Limits::append_bytes_max`]); a segment has 1 KiB to 1 GiB.
//! - Space comes back a segment at a time.
//! - Two damages in one segment can cost it as a whole only if they hit both copies of its header.
//! - A sector that cannot be read at all is an error and not a loss: whether it comes back is not for this crate to decide.
//! - A volume that finds out at a sync, and not at a write, that it has no space left (thin provisioning) poisons the spool.
//! - What is released is remembered by the consumer alone: after a restart, up to a segment of it can be read once more.
//! - The folder lies on a local file system. Only Unix is supported.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::panic))]

mod batch;
mod disk;
mod error;
mod format;
mod keeper;
mod limits;
mod parcel;
mod queue;
mod reader;
mod real_disk;
mod recovery;
mod segment;
mod shelf;
mod spool;
mod walk;

#[cfg(test)]
mod tests;

pub use batch::{Batch, Loss, Reason};
pub use disk::{Disk, DiskFile};
pub use error::Error;
pub use keeper::{Keeper, KeeperLimits, OnDurable, Status};
pub use limits::{Limits, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
pub use parcel::Parcel;
pub use queue::Completion;
pub use reader::{BatchLimits, Reader};
pub use real_disk::RealDisk;
pub use recovery::Recovery;
pub use spool::Spool;

/// A record's number in its spool: from 1 on, never given twice.
pub type Position = u64;

/// The last position that a segment may begin with: it fits into PostgreSQL's `bigint`, and no sum of positions overflows. At a million
/// records a second it is reached after 146,000 years.
pub const POSITION_MAX: Position = 1 << 62;
