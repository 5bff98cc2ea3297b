//! Records from a stream's spool, from a position on. They were acknowledged when they became durable there; they are let go of when
//! the ledger says that they are dealt with.

use super::{BatchLimits, Feed};
use crate::Error;
use crate::batch::Taken;
use crate::envelope::{Spooled, Unreadable};
use crate::intake::{Intake, spool_error};
use bytes::Bytes;
use hyperhaul_spool::{Batch, BatchLimits as ReadLimits, Position, Reader, RealDisk, Reason};
use std::collections::VecDeque;
use tokio::sync::watch;

/// A stream's spool.
pub(crate) struct SpooledFeed {
    intake: Intake,
    reader: Reader<RealDisk>,
    /// Up to where records were read.
    read: Position,
    /// Read and not yet given.
    waiting: VecDeque<Taken>,
    durable: watch::Receiver<Position>,
    closed: watch::Receiver<bool>,
}

impl SpooledFeed {
    pub(crate) fn new(intake: Intake) -> SpooledFeed {
        SpooledFeed {
            reader: intake.reader(),
            read: 0,
            waiting: VecDeque::new(),
            durable: intake.durable(),
            closed: intake.closed(),
            intake,
        }
    }

    /// Goes on behind what the ledger says is dealt with. A process that was killed between COMMIT and release has left it in the
    /// spool.
    pub(crate) fn begin(&mut self, position: u64) -> Result<(), Error> {
        let found = self.intake.found();
        if position > found.last {
            let source = self.intake.source();
            let message = format!(
                "{source} ended at position {} when it was opened, and the ledger is at {position}",
                found.last
            );
            return Err(Error::usage(message).hint(
                "The spool's folder was set back: bring the newer one back, or remove its file \"source\", after which all that it holds is ingested.",
            ));
        }
        self.intake.release(position);
        // The ledger does not know the spool at all, as in another database: what was let go of is in the one before.
        if position == 0 && found.first > 1 {
            self.skip_to(found.first - 1);
        }
        self.read = self.read.max(position);
        Ok(())
    }

    fn skip_to(&mut self, position: Position) {
        let source = self.intake.source();
        tracing::warn!(
            source,
            position,
            "records up to here were let go of before this ledger knew the spool"
        );
        self.waiting.push_back(Taken::skipped(self.read, position));
        self.read = position;
    }

    /// Reads on; false where nothing more is durable.
    fn read(&mut self, limits: &BatchLimits) -> Result<bool, Error> {
        let limits = ReadLimits {
            records_max: limits.records_max,
            bytes_max: limits.bytes_max,
        };
        let (reader, from) = (&mut self.reader, self.read + 1);
        let batch = tokio::task::block_in_place(|| reader.read(from, limits));
        let batch = batch.map_err(|error| spool_error(self.intake.source(), &error))?;
        for loss in batch.losses() {
            let (source, reason) = (self.intake.source(), loss.reason.code());
            tracing::error!(
                source,
                reason,
                from = loss.from,
                to = loss.to,
                "positions of the spool have no record"
            );
        }
        let pieces = pieces(from - 1, &batch).map_err(|Unreadable| {
            Error::unexpected(format!(
                "{} holds records that this version cannot read",
                self.intake.source()
            ))
            .hint("Let the hyperhaul that wrote them, or a newer one, ingest them.")
        })?;
        self.read = batch.next() - 1;
        self.waiting.extend(pieces);
        Ok(!batch.is_empty())
    }
}

/// A batch of the spool as batches that follow each other: positions that were never acknowledged are one by themselves.
fn pieces(from: Position, batch: &Batch) -> Result<Vec<Taken>, Unreadable> {
    let mut pieces = Vec::new();
    let mut records = batch.records().peekable();
    let mut take = |from: Position, to: Position| -> Result<Taken, Unreadable> {
        let mut taken = Taken {
            to,
            ..Taken::none(from)
        };
        while let Some((position, payload)) = records.next_if(|(position, _)| *position <= to) {
            match Spooled::read(position, Bytes::copy_from_slice(payload))? {
                Spooled::Record(record) => taken.records.push(record),
                Spooled::Gap(gap) => {
                    taken.gaps.push((position, gap));
                    taken.skipped += 1;
                }
            }
        }
        Ok(taken)
    };
    let mut at = from;
    for loss in batch
        .losses()
        .iter()
        .filter(|loss| loss.reason == Reason::Unfinished)
    {
        if loss.from - 1 > at {
            pieces.push(take(at, loss.from - 1)?);
        }
        pieces.push(Taken::skipped(loss.from - 1, loss.to));
        at = loss.to;
    }
    if batch.next() - 1 > at {
        pieces.push(take(at, batch.next() - 1)?);
    }
    Ok(pieces)
}

impl Feed for SpooledFeed {
    const RECEIVES: bool = false;

    async fn next(&mut self, limits: &BatchLimits) -> Result<Option<Taken>, Error> {
        loop {
            if let Some(taken) = self.waiting.pop_front() {
                return Ok(Some(taken));
            }
            // Asked before reading: what is stored until then is read.
            let is_closed = *self.closed.borrow_and_update();
            self.durable.borrow_and_update();
            if self.read(limits)? {
                continue;
            }
            if is_closed {
                return Ok(None);
            }
            tokio::select! {
                _ = self.durable.changed() => {}
                _ = self.closed.changed() => {}
            }
        }
    }
}
