//! One slice from a source COPY to a target COPY: puts the three stages together.

use bytes::Bytes;
use hyperhaul_pg::Session;
use tokio::sync::mpsc;

use crate::error::Error;
use crate::limits::WRITE_QUEUE_MESSAGES;
use crate::pass::{Rewritten, Unchanged};
use crate::pool::Pool;
use crate::progress::Progress;
use crate::reader::{Reading, SourceReader};
use crate::request::{Copied, CopyRequest, Destination};
use crate::route::Routed;
use crate::work::{Halt, Rewriter, for_each_batch};
use crate::write::{Order, Outlet, Writer};

/// What the work does with the batches of a slice.
pub(crate) trait Stage: Send + 'static {
    /// The next bytes of the source's stream.
    fn batch(&mut self, batch: Bytes, outlet: &Outlet) -> Result<(), Halt>;
    /// The server has ended the stream: check that it was whole, and order what is left and `Done`.
    fn end(self: Box<Self>, outlet: &Outlet) -> Result<(), Halt>;
}

/// Copies one slice inside the transaction that the caller opened on `target`, and which the caller commits.
///
/// On success, the source's stream had ended without an error and with its trailer, and the server took in exactly the rows that
/// were framed. On an error the transaction is aborted on the server, and the reader ends.
///
/// The future may be dropped at any moment: the open COPY is aborted, and the reader ends. A COPY that was finished before (one
/// of several chunks, or one whose answer was awaited) is then still in the open transaction: roll it back.
///
/// The future belongs on a runtime of the worker's own; the target session's connection task runs there, too.
///
/// # Errors
///
/// [`Error::side`] tells who failed, [`Error::disposition`] what to do.
pub async fn copy(
    reader: &SourceReader,
    target: &Session,
    pool: &Pool,
    request: CopyRequest,
    progress: &Progress,
) -> Result<Copied, Error> {
    let CopyRequest {
        source_sql,
        destination,
        rewrites,
    } = request;
    let (mut stage, statements) = prepare(destination, Rewriter::new(&rewrites)?)?;
    let side = reader.side();
    let (sender, orders) = mpsc::channel(WRITE_QUEUE_MESSAGES);
    let Reading { pieces, hold } = reader.read(source_sql)?;
    pool.spawn(move || {
        let outlet = Outlet::new(sender);
        let ended = for_each_batch(side, &pieces, |batch| stage.batch(batch, &outlet))
            .and_then(|()| stage.end(&outlet));
        if let Err(Halt::Failed(error)) = ended {
            // Nobody to hear it: then the writer has failed itself, or was dropped.
            let _ = outlet.send(Order::Failed(error));
        }
    });
    let copied = Writer::new(target, &statements, progress.share())
        .run(orders)
        .await;
    drop(hold);
    copied
}

/// The stage for a destination, and the statements that its orders refer to.
fn prepare(
    destination: Destination,
    rewriter: Rewriter,
) -> Result<(Box<dyn Stage>, Vec<String>), Error> {
    match destination {
        Destination::OneChunk { copy_sql, chunk } => {
            let stage: Box<dyn Stage> = if rewriter.is_idle() {
                Box::new(Unchanged::new(chunk))
            } else {
                Box::new(Rewritten::new(chunk, rewriter))
            };
            Ok((stage, vec![copy_sql]))
        }
        Destination::ByTime {
            time_position,
            time_type,
            chunks,
            interval_us,
            fallback_copy_sql,
        } => {
            let keys = chunks.iter().map(|target| target.chunk).collect();
            let mut statements: Vec<_> = chunks.into_iter().map(|target| target.copy_sql).collect();
            statements.push(fallback_copy_sql);
            let stage = Routed::new(time_position, time_type, keys, interval_us, rewriter)?;
            Ok((Box::new(stage), statements))
        }
    }
}
