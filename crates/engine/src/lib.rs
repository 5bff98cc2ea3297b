//! Rows from a source's COPY stream, through bounded batches, into a target's COPY stream.
//!
//! One worker is three stages, each with a thread of its own, joined by two bounded queues:
//!
//! ```text
//!   source                                                                               target
//!   session                                                                              session
//!      |                                                                                    ^
//!      v                                                                                    |
//!   1 read             read queue          2 work                write queue            3 write
//!   SourceReader  -->  READ_QUEUE_   -->   framing, digest  -->  WRITE_QUEUE_     -->   COPY FROM STDIN
//!   gathers            BATCHES             by chunk, routing,    MESSAGES orders        <= MESSAGE_BYTES_MAX
//!   BATCH_BYTES        (crossbeam)         OIDs of arrays        (tokio mpsc)           a message
//!
//!   own thread and                         a thread of the                              the caller's runtime
//!   runtime                                Pool (rayon)
//! ```
//!
//! Back-pressure: a full queue blocks the stage before it; a blocked reader leaves the socket alone, and the server waits.
//! Stopping: each stage ends when the one next to it does. An error of the reader travels through the queues to the writer, which
//! drops its COPY unfinished; an error of the writer closes the queues, and the reader cancels its query.
//!
//! Nothing is lost silently. A COPY counts only when
//!
//! - the source's server ended the stream without an error, and the stream its rows with the trailer;
//! - the target's server reports as many rows as were framed here;
//! - and the caller commits the transaction that all of it happened in.
//!
//! This crate does not know what a migration, a ledger or a catalog is: SQL text comes in, counts and digests go out. All sizes
//! and queue lengths are in [`limits`].

mod buffer;
mod copy;
mod differences;
mod error;
pub mod limits;
mod losses;
mod pass;
mod pool;
mod progress;
mod reader;
mod request;
mod route;
mod scan;
mod work;
mod write;

pub use copy::copy;
pub use differences::{Differences, differences};
pub use error::{Error, Side};
pub use losses::{Compared, Losses, losses};
pub use pool::Pool;
pub use progress::Progress;
pub use reader::SourceReader;
pub use request::{ArrayRewrite, ChunkKey, ChunkTarget, Copied, CopyRequest, Destination};
pub use scan::digest;
