//! COPY as two streams of bytes. What the bytes mean is `pgcopy`'s business.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_postgres::{CopyInSink, CopyOutStream};

use crate::error::Error;
use crate::link::Link;

/// The bytes of a `COPY ... TO STDOUT`: one piece per CopyData message, which for the binary
/// format is the header, then one tuple each, then the trailer.
///
/// Dropped half-way, the session reads and discards the rest before its next statement: cancel
/// it, or close the session.
pub struct CopyOut {
    stream: Pin<Box<CopyOutStream>>,
    link: Link,
    attempted: String,
}

impl CopyOut {
    pub(crate) fn new(stream: CopyOutStream, link: Link, attempted: String) -> CopyOut {
        CopyOut {
            stream: Box::pin(stream),
            link,
            attempted,
        }
    }

    /// The next piece, or `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match poll_fn(|context| self.poll_piece(context)).await {
            Ok(piece) => Ok(piece),
            Err(error) => Err(self.explain(&error).await),
        }
    }

    /// [`CopyOut::next`], with the client library's error.
    pub(crate) fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, tokio_postgres::Error>> {
        self.stream.poll_next_unpin(context).map(Option::transpose)
    }

    pub(crate) async fn explain(&self, error: &tokio_postgres::Error) -> Error {
        self.link.explain(self.attempted.clone(), error).await
    }
}

impl std::fmt::Debug for CopyOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyOut")
            .field("attempted", &self.attempted)
            .finish_non_exhaustive()
    }
}

/// The receiving end of a `COPY ... FROM STDIN`. Dropping it without [`CopyIn::finish`] makes the
/// server abort the COPY, and with it the transaction.
pub struct CopyIn {
    sink: Pin<Box<CopyInSink<Bytes>>>,
    link: Link,
    attempted: String,
}

impl CopyIn {
    pub(crate) fn new(sink: CopyInSink<Bytes>, link: Link, attempted: String) -> CopyIn {
        CopyIn {
            sink: Box::pin(sink),
            link,
            attempted,
        }
    }

    /// Hands over bytes, cut anywhere; waits while the socket is full. Pieces of 64 to 256 KiB
    /// cost least. The server's complaints about the data arrive at [`CopyIn::finish`].
    pub async fn send(&mut self, piece: Bytes) -> Result<(), Error> {
        match self.sink.feed(piece).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.link.explain(self.attempted.clone(), &error).await),
        }
    }

    /// Ends the COPY and returns the number of rows that the server took in.
    pub async fn finish(mut self) -> Result<u64, Error> {
        match self.sink.as_mut().finish().await {
            Ok(row_count) => Ok(row_count),
            Err(error) => Err(self.link.explain(self.attempted, &error).await),
        }
    }
}

impl std::fmt::Debug for CopyIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyIn")
            .field("attempted", &self.attempted)
            .finish_non_exhaustive()
    }
}
