//! Reading a query's rows for their own sake: no writer, only an outcome at the end.

use hyperhaul_pgcopy::{Digest, Tuple};
use tokio::sync::oneshot;

use crate::error::{Error, Kind};
use crate::pool::Pool;
use crate::progress::{Progress, Share};
use crate::reader::{Reading, SourceReader};
use crate::request::ArrayRewrite;
use crate::work::{Halt, Rewriter, Tuples, for_each_batch};

/// What takes in the rows of a scan, one by one, on a thread of the pool.
pub(crate) trait RowSink: Send + 'static {
    fn row(&mut self, tuple: Tuple<'_>) -> Result<(), Error>;
}

impl RowSink for Digest {
    fn row(&mut self, tuple: Tuple<'_>) -> Result<(), Error> {
        self.add(tuple);
        Ok(())
    }
}

/// The digest of a query's rows: for verification. `source_sql` is `COPY (SELECT ...) TO STDOUT (FORMAT binary)`; the digest
/// is taken after the rewrites, so that it compares with the target's.
///
/// Dropping the future gives the read up and ends the reader.
///
/// # Errors
///
/// Those of the query and the connection, and a stream that is not whole.
pub async fn digest(
    reader: &SourceReader,
    pool: &Pool,
    source_sql: String,
    rewrites: Vec<ArrayRewrite>,
    progress: &Progress,
) -> Result<Digest, Error> {
    scan(
        reader,
        pool,
        source_sql,
        &rewrites,
        Digest::default(),
        progress,
    )
    .await
}

/// Feeds a query's rows to a sink and returns it.
pub(crate) async fn scan<S: RowSink>(
    reader: &SourceReader,
    pool: &Pool,
    sql: String,
    rewrites: &[ArrayRewrite],
    sink: S,
    progress: &Progress,
) -> Result<S, Error> {
    let rewriter = Rewriter::new(rewrites)?;
    let share = progress.share();
    let side = reader.side();
    let Reading { pieces, hold } = reader.read(sql)?;
    let (report, outcome) = oneshot::channel();
    pool.spawn(move || {
        let mut scan = Scan {
            tuples: Tuples::new(rewriter),
            sink,
            share,
        };
        let ended = for_each_batch(side, &pieces, |batch| scan.batch(&batch))
            .and_then(|()| scan.tuples.finish());
        let _ = match ended {
            Ok(()) => report.send(Ok(scan)),
            Err(Halt::Failed(error)) => report.send(Err(error)),
            Err(Halt::Unwanted) => Ok(()),
        };
    });
    let scan = outcome
        .await
        .map_err(|_| Error::stream(Kind::WorkEnded))??;
    drop(hold);
    scan.share.keep();
    Ok(scan.sink)
}

struct Scan<S> {
    tuples: Tuples,
    sink: S,
    share: Share,
}

impl<S: RowSink> Scan<S> {
    fn batch(&mut self, batch: &[u8]) -> Result<(), Halt> {
        let Scan {
            tuples,
            sink,
            share,
        } = self;
        let mut rows = 0;
        tuples.push(batch, |tuple| {
            rows += 1;
            sink.row(tuple).map_err(Halt::Failed)
        })?;
        share.add(rows, batch.len());
        Ok(())
    }
}
