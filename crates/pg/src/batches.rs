//! The bytes of a `COPY ... TO STDOUT` in large pieces: over the tap where the session has one, gathered here where not.

use std::future::poll_fn;
use std::task::Poll;

use bytes::{Bytes, BytesMut};

use crate::copy::CopyOut;
use crate::diversion::{COPY_BATCH_BYTES, Diversion};
use crate::error::Error;

/// The bytes of a `COPY ... TO STDOUT` in pieces of about 256 KiB, cut anywhere.
///
/// Dropped half-way, the session reads and discards the rest before its next statement: cancel it, or close the session.
#[derive(Debug)]
pub struct CopyBatches {
    copy: CopyOut,
    /// Until the end of the COPY.
    diversion: Option<Diversion>,
    /// What came through the library and is not yet a batch.
    gathered: BytesMut,
    /// To be returned before anything else.
    next: Option<Bytes>,
    ended: bool,
}

/// What comes next, from either way.
enum Arrival {
    Batch(Bytes),
    Piece(Bytes),
    End,
}

impl CopyBatches {
    pub(crate) fn new(copy: CopyOut, diversion: Option<Diversion>) -> CopyBatches {
        CopyBatches {
            copy,
            diversion,
            gathered: BytesMut::new(),
            next: None,
            ended: false,
        }
    }

    /// The next batch, or `None` at the end. The memory of a batch is used again when its last reference is gone.
    ///
    /// # Errors
    ///
    /// What the server reported, or the loss of the connection.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(batch) = self.next.take() {
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            match self.arrival().await? {
                Arrival::Batch(batch) => return Ok(Some(batch)),
                Arrival::Piece(piece) => self.gather(piece),
                Arrival::End => {
                    self.ended = true;
                    let diverted = self.diversion.take().and_then(Diversion::end);
                    let gathered = std::mem::take(&mut self.gathered).freeze();
                    self.next = diverted.or(Some(gathered).filter(|batch| !batch.is_empty()));
                }
            }
        }
    }

    async fn arrival(&mut self) -> Result<Arrival, Error> {
        let CopyBatches {
            copy, diversion, ..
        } = self;
        let arrived = poll_fn(|context| {
            if let Some(diversion) = diversion
                && let Poll::Ready(batch) = diversion.poll_batch(context)
            {
                return Poll::Ready(Ok(Arrival::Batch(batch)));
            }
            copy.poll_piece(context)
                .map_ok(|piece| piece.map_or(Arrival::End, Arrival::Piece))
        });
        match arrived.await {
            Ok(arrival) => Ok(arrival),
            Err(error) => Err(self.copy.explain(&error).await),
        }
    }

    fn gather(&mut self, piece: Bytes) {
        if piece.len() >= COPY_BATCH_BYTES && self.gathered.is_empty() {
            self.next = Some(piece);
            return;
        }
        if self.gathered.capacity() == 0 {
            self.gathered.reserve(COPY_BATCH_BYTES);
        }
        self.gathered.extend_from_slice(&piece);
        if self.gathered.len() >= COPY_BATCH_BYTES {
            self.next = Some(std::mem::take(&mut self.gathered).freeze());
        }
    }
}
