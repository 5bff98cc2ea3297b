//! A batch into its tables: one transaction that holds its rows, its dead letters and where its source stands now.
//!
//! ```text
//!   COPY into each table ----------------------------------------------- commit
//!     | a key is there already
//!     v
//!   COPY of rows whose key was not seen lately, the others as below ---- commit
//!     | a key is there all the same
//!     v
//!   COPY into staging, INSERT ... ON CONFLICT DO NOTHING, conflicts ---- commit
//!     | a row is refused
//!     v
//!   the same row by row in subtransactions: refused ones die ----------- commit
//!     | not even staging takes a row
//!     v
//!   halves; at last one record, which dies ----------------------------- commit
//! ```
//!
//! Whatever happens to the connection, the ledger tells afterwards whether the batch is in: see `hyperhaul_ledger::Source`.

mod again;
mod counted;
mod delivered;
mod gaps;
mod letters;
mod place;
mod session;
mod sieve;
mod ways;

use crate::Error;
use crate::batch::{Batch, Taken};
use crate::learn::{Learned, learn};
use crate::limits::{COLLISIONS, PATIENT, TOO_MANY_DIVISOR};
use crate::lookup::Lookups;
use crate::prepare;
use crate::repeats::Repeats;
use crate::trouble::{Trouble, Verdict, judge};
use hyperhaul_ledger::{Outcome, Source, failpoint};
use hyperhaul_pg::Session;
use hyperhaul_pg::retry::Backoff;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

pub(crate) use again::write_again;
pub(crate) use letters::{condemn, sum as add};
pub(crate) use place::Place;
use sieve::{Sieve, Suspects};
use ways::Way;
pub(crate) use ways::create_stages as make_stages;

/// Writes the batches of one source, one after another.
pub(crate) struct Writer {
    place: Place,
    session: Session,
    source: Source,
    /// What tables look like; decoding reads it, and only the writer changes it.
    learned: watch::Sender<Arc<Learned>>,
    lookups: Lookups,
    /// Of a decoder that knows what comes again.
    repeats: Option<Repeats>,
    /// Generation for which the session has its staging tables.
    staged_for: Option<u64>,
    sieve: Sieve,
    /// What the transaction that was last to be committed did.
    in_doubt: Outcome,
    /// Records whose rows it did not write.
    unwritten: HashSet<u64>,
    /// How that transaction went, and when it began.
    attempted: (Way, Instant),
    /// Messages of the batch are committed already.
    leaves_out: bool,
    /// Records that go in one transaction: few after it was too much for the server, and twice as many after each that was not.
    at_once: usize,
}

/// What is left to do with a batch.
enum Next {
    Done(Outcome),
    Halve,
}

impl Writer {
    pub(crate) fn new(
        place: Place,
        session: Session,
        source: Source,
        learned: Arc<Learned>,
        lookups: Lookups,
    ) -> Writer {
        Writer {
            place,
            session,
            source,
            repeats: Repeats::new(&learned),
            learned: watch::Sender::new(learned),
            lookups,
            staged_for: None,
            sieve: Sieve::default(),
            in_doubt: Outcome::default(),
            unwritten: HashSet::new(),
            attempted: (Way::Copy, Instant::now()),
            leaves_out: false,
            at_once: usize::MAX,
        }
    }

    /// Everything up to here is dealt with.
    pub(crate) fn position(&self) -> u64 {
        u64::try_from(self.source.position).unwrap_or(0)
    }

    /// What stands in front of that position.
    pub(crate) fn mark(&self) -> Option<&str> {
        self.source.mark.as_deref()
    }

    /// What the tables look like, now and later.
    pub(crate) fn learned(&self) -> watch::Receiver<Arc<Learned>> {
        self.learned.subscribe()
    }

    /// Deals with every record of the batch, for good: when this returns, the ledger says so.
    ///
    /// # Errors
    ///
    /// If something has to be changed by a person, or another process has taken the source over. Nothing of what is not
    /// in the ledger was written then.
    pub(crate) async fn write(&mut self, batch: Batch) -> Result<Outcome, Error> {
        let mut total = Outcome::default();
        let mut left = vec![batch];
        while let Some(mut batch) = left.pop() {
            let next = if batch.taken.records.len() > self.at_once {
                Next::Halve
            } else {
                self.settle(&mut batch).await?
            };
            match next {
                Next::Done(outcome) => {
                    self.at_once = self.at_once.saturating_mul(2);
                    self.count(&batch, &outcome);
                    total = add(&total, &outcome);
                }
                Next::Halve => {
                    self.place.meter.halved();
                    let (first, second) = batch.taken.halved();
                    left.push(self.decode(second).await);
                    left.push(self.decode(first).await);
                }
            }
        }
        Ok(total)
    }

    async fn decode(&self, taken: Taken) -> Batch {
        let learned = Arc::clone(&self.learned.borrow());
        prepare::decode(taken, learned, Arc::clone(&self.place.source)).await
    }

    async fn settle(&mut self, batch: &mut Batch) -> Result<Next, Error> {
        let mut way = self.sieve.first_way();
        let mut collisions = Backoff::new(COLLISIONS);
        let mut patience = Backoff::new(PATIENT);
        let mut is_fresh = false;
        loop {
            let trouble = match self.attempt(batch, way).await {
                Ok(outcome) => return Ok(Next::Done(outcome)),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Delivered) => {
                    self.leaves_out = true;
                    continue;
                }
                Err(Trouble::Reshaped) => {
                    self.refresh(batch).await?;
                    continue;
                }
                Err(Trouble::Uncounted) => {
                    way = Way::RowByRow;
                    continue;
                }
                // Apart from each other, the refused one is forgotten before the other one's turn.
                Err(Trouble::Orphaned) => return Ok(Next::Halve),
                Err(Trouble::Server(error)) => error,
            };
            let verdict = judge(&trouble);
            tracing::debug!(stream = %self.place.stream.name, ?verdict, ?way, %trouble, "a batch was refused");
            match verdict {
                Verdict::Again => {
                    way = way.max(Way::Staged);
                    if !collisions.pause().await {
                        return Err(trouble.into());
                    }
                }
                Verdict::Reconnect => {
                    // A batch that ends its own backend would come back as fast as it can connect.
                    patience.pause().await;
                    collisions = Backoff::new(COLLISIONS);
                    if let Some(outcome) = self.reconnect(batch.taken.to).await? {
                        return Ok(Next::Done(outcome));
                    }
                }
                Verdict::TooMany | Verdict::Memory if batch.taken.records.len() > 1 => {
                    self.at_once = (batch.taken.records.len() / TOO_MANY_DIVISOR).max(1);
                    return Ok(Next::Halve);
                }
                Verdict::Wait | Verdict::Memory => {
                    if patience.pause_count() == 0 {
                        tracing::warn!(stream = %self.place.stream.name, %trouble, "the database takes no rows now; they wait");
                    }
                    patience.pause().await;
                    collisions = Backoff::new(COLLISIONS);
                }
                Verdict::Duplicates if way < Way::Staged => {
                    let tables = &self.learned.borrow().tables;
                    way = self.sieve.after_duplicate(way, batch, tables);
                }
                // What was remembered may be older than the server's tables.
                Verdict::StaleIds | Verdict::Reshaped if !is_fresh => {
                    is_fresh = true;
                    self.refresh(batch).await?;
                }
                // The tables are as they were learned: the statement itself does not fit, whatever the rows are.
                Verdict::Reshaped => return Err(trouble.into()),
                Verdict::Duplicates | Verdict::BadRows | Verdict::StaleIds => match way {
                    Way::Copy | Way::Sifted | Way::Staged => way = Way::RowByRow,
                    Way::RowByRow if batch.taken.records.len() > 1 => return Ok(Next::Halve),
                    // No record is to blame: something else in the transaction is refused.
                    Way::RowByRow
                        if batch.condemned.is_some() || batch.taken.records.is_empty() =>
                    {
                        return Err(trouble.into());
                    }
                    Way::RowByRow => letters::condemn(batch, &trouble),
                },
                // A single row goes with the limit lifted.
                Verdict::TooMany if way < Way::RowByRow => way = Way::RowByRow,
                Verdict::TooMany | Verdict::Stop => return Err(trouble.into()),
            }
        }
    }

    /// Learns tables and ids anew, and decodes the batch for them.
    async fn refresh(&mut self, batch: &mut Batch) -> Result<(), Error> {
        loop {
            let Err(trouble) = self.learn_again().await else {
                break;
            };
            // It may have changed once more while it was looked at.
            let Some(trouble) = trouble.of_server()? else {
                continue;
            };
            match judge(&trouble) {
                // Nothing was under way: the source stands where it stood.
                Verdict::Reconnect => {
                    self.reconnect(batch.taken.to).await?;
                }
                verdict if verdict.passes() => tokio::time::sleep(PATIENT.pause_max).await,
                _ => return Err(trouble.into()),
            }
        }
        let taken = std::mem::replace(&mut batch.taken, Taken::none(0));
        *batch = self.decode(taken).await;
        Ok(())
    }

    async fn learn_again(&mut self) -> Result<(), Trouble> {
        let learned = learn(&self.session, &self.place.stream).await?;
        self.lookups = Lookups::new(&self.session, learned.decoder.lookups()).await?;
        self.repeats = Repeats::new(&learned);
        tracing::info!(stream = %self.place.stream.name, "the tables were looked at again");
        self.learned.send_replace(learned);
        Ok(())
    }

    /// One transaction; commits all of it or nothing.
    async fn attempt(&mut self, batch: &mut Batch, way: Way) -> Result<Outcome, Trouble> {
        if std::mem::take(&mut self.leaves_out) {
            self.leave_out(batch).await?;
        }
        self.attempted = (way, Instant::now());
        let learned = Arc::clone(&self.learned.borrow());
        if batch.generation != learned.generation {
            return Err(Trouble::Reshaped);
        }
        self.lookups.resolve(&self.session, batch).await?;
        prepare::fill_in(batch, &self.lookups);
        if let Some(repeats) = &mut self.repeats {
            repeats.leave_out(&self.session, batch).await?;
        }
        if way > Way::Copy && self.staged_for != Some(learned.generation) {
            ways::create_stages(&self.session, &learned.tables).await?;
            self.staged_for = Some(learned.generation);
        }
        let suspects = match way {
            Way::Sifted | Way::Staged => self.sieve.sift(batch, &learned.tables),
            Way::Copy | Way::RowByRow => Suspects::default(),
        };
        let (session, source, place) = (&self.session, &self.source, &self.place);
        let (batch, tables, in_doubt) = (&*batch, &learned.tables, &mut self.in_doubt);
        let to = letters::ledger_position(batch.taken.to);
        let unwritten = &mut self.unwritten;
        session
            .transaction(async || {
                ways::hold_shape(session, tables).await?;
                let written = ways::write(session, tables, batch, way, &suspects).await?;
                *unwritten = letters::unwritten(tables, batch, &written);
                if !unwritten.is_disjoint(&batch.firsts) {
                    return Err(Trouble::Orphaned);
                }
                letters::keep(session, source, &place.stream.name, tables, batch, &written).await?;
                gaps::store(session, source, &place.stream.name, &batch.taken.gaps).await?;
                *in_doubt = letters::outcome(batch, place.unit, &written);
                let mark = batch.taken.mark.as_deref();
                if !source.advance(session, to, mark, in_doubt).await? {
                    return Err(Trouble::from(place.taken_over()));
                }
                // The last statement: others wait for its lock.
                delivered::commit(session, batch).await?;
                failpoint("ingest.before_commit");
                Ok(())
            })
            .await?;
        failpoint("ingest.after_commit");
        self.forget_unwritten();
        self.source.position = to;
        self.source.mark.clone_from(&batch.taken.mark);
        Ok(self.in_doubt)
    }

    /// What was not written stands for no other row.
    fn forget_unwritten(&mut self) {
        if let Some(repeats) = &mut self.repeats {
            repeats.forget(&self.unwritten);
        }
    }
}
