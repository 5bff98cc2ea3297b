//! The writing stage: COPY FROM STDIN into one statement after another, in the caller's transaction, on the caller's runtime.

use bytes::Bytes;
use hyperhaul_pg::{CopyIn, Session};
use hyperhaul_pgcopy::Digest;
use tokio::sync::mpsc;

use crate::error::{Error, Kind, Side};
use crate::limits::MESSAGE_BYTES_MAX;
use crate::progress::Share;
use crate::request::{ChunkKey, Copied};
use crate::work::Halt;

/// What the work tells the writer, through a queue of [`WRITE_QUEUE_MESSAGES`](crate::limits::WRITE_QUEUE_MESSAGES). In order: any number of
/// `Open`, `Data`..., `Close`; then `Done` or `Failed`. A queue that closes without one of these two means that the work broke off.
#[derive(Debug)]
pub(crate) enum Order {
    /// Begin the COPY of this number.
    Open(usize),
    /// Bytes for the open COPY, and how many rows end in them.
    Data { bytes: Bytes, rows: u64 },
    /// The open COPY has all its bytes: finish it. The source's stream need not have ended; the transaction is not committed
    /// before `Done`.
    Close { rows: u64 },
    /// The source's stream was whole, and all that belongs to it was ordered.
    Done(Vec<(ChunkKey, Digest)>),
    /// The source or the stream failed: abort.
    Failed(Error),
}

/// The work's end of the queue.
#[derive(Debug)]
pub(crate) struct Outlet(mpsc::Sender<Order>);

impl Outlet {
    pub(crate) fn new(sender: mpsc::Sender<Order>) -> Outlet {
        Outlet(sender)
    }

    /// Blocks while the queue is full.
    pub(crate) fn send(&self, order: Order) -> Result<(), Halt> {
        self.0.blocking_send(order).map_err(|_| Halt::Unwanted)
    }
}

/// Carries out the orders of one slice.
pub(crate) struct Writer<'a> {
    target: &'a Session,
    /// The COPY statements that `Open` refers to.
    statements: &'a [String],
    /// Dropped on any failure, which makes the server abort the COPY and with it the transaction.
    open: Option<CopyIn>,
    share: Share,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(target: &'a Session, statements: &'a [String], share: Share) -> Writer<'a> {
        Writer {
            target,
            statements,
            open: None,
            share,
        }
    }

    /// On an error the transaction is aborted on the server, too: were it committed by mistake, nothing would be in it.
    pub(crate) async fn run(mut self, orders: mpsc::Receiver<Order>) -> Result<Copied, Error> {
        let outcome = self.carry_out(orders).await;
        match outcome {
            Ok(digests) => {
                let (rows, bytes) = (self.share.rows(), self.share.bytes());
                self.share.keep();
                Ok(Copied {
                    rows,
                    bytes,
                    digests,
                })
            }
            Err(error) => {
                self.abort().await;
                Err(error)
            }
        }
    }

    /// Drops the open COPY. Where none is open, COPYs before may be finished: opens one to drop it, which aborts the transaction
    /// like any other failed statement. Fails where the transaction is aborted already, or the session gone.
    async fn abort(&mut self) {
        if self.open.take().is_some() {
            return;
        }
        if let Some(sql) = self.statements.first() {
            drop(self.target.copy_in(sql).await);
        }
    }

    async fn carry_out(
        &mut self,
        mut orders: mpsc::Receiver<Order>,
    ) -> Result<Vec<(ChunkKey, Digest)>, Error> {
        let broken_off = || Error::stream(Kind::WorkEnded);
        while let Some(order) = orders.recv().await {
            match order {
                Order::Open(number) => {
                    let sql = self.statements.get(number).ok_or_else(broken_off)?;
                    self.open = Some(self.target.copy_in(sql).await.map_err(on_target)?);
                }
                Order::Data { bytes, rows } => self.data(bytes, rows).await?,
                Order::Close { rows } => {
                    let copy = self.open.take().ok_or_else(broken_off)?;
                    close(copy, rows).await?;
                }
                Order::Done(digests) if self.open.is_none() => return Ok(digests),
                Order::Done(_) => return Err(broken_off()),
                Order::Failed(error) => return Err(error),
            }
        }
        Err(broken_off())
    }

    async fn data(&mut self, mut bytes: Bytes, rows: u64) -> Result<(), Error> {
        let Some(copy) = &mut self.open else {
            return Err(Error::stream(Kind::WorkEnded));
        };
        let total_bytes = bytes.len();
        while !bytes.is_empty() {
            let message = bytes.split_to(bytes.len().min(MESSAGE_BYTES_MAX));
            copy.send(message).await.map_err(on_target)?;
        }
        self.share.add(rows, total_bytes);
        Ok(())
    }
}

async fn close(copy: CopyIn, sent: u64) -> Result<(), Error> {
    let reported = copy.finish().await.map_err(on_target)?;
    if reported != sent {
        return Err(Error::new(Side::Target, Kind::RowCount { sent, reported }));
    }
    Ok(())
}

fn on_target(error: hyperhaul_pg::Error) -> Error {
    Error::new(Side::Target, error)
}
