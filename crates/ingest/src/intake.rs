//! Where sources that cannot keep their records hand them over: into the stream's spool, and acknowledged when they are durable.
//!
//! ```text
//!   store() --+
//!   store() --+--> spool's keeper: one append, one fsync for all --> positions, then acknowledged by the source
//!   store() --+                        |
//!                                      +--> SpooledFeed (reads durable records alone) --> tables --> release()
//! ```

use crate::Error;
use crate::envelope::{Envelope, Spooled, gap_to_spool};
use crate::limits::{PATIENT, RECORD_BYTES_MAX, REFUSAL_AGE_MAX};
use crate::meter::{Meter, SpoolDepth};
use crate::source::aprs::Gap;
use crate::spool_folder::SpoolFolder;
use bytes::Bytes;
use hyperhaul_ledger::failpoint;
use hyperhaul_pg::retry::Backoff;
use hyperhaul_spool::{
    BatchLimits, Error as SpoolError, Keeper, KeeperLimits, Parcel, Position, Reader, RealDisk,
};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;
use tokio::sync::{oneshot, watch};

/// A stream's spool, shared by those that store and the one that reads.
#[derive(Clone)]
pub(crate) struct Intake(Arc<Inner>);

struct Inner {
    keeper: Keeper,
    /// Where the spool stood when it was opened.
    found: Found,
    /// What its source is called in the ledger.
    source: String,
    folder: PathBuf,
    /// The last position that is durable.
    durable: watch::Sender<Position>,
    /// No more records come.
    closed: watch::Sender<bool>,
    segment_bytes: u64,
    /// When records were refused last because the spool was full.
    refused_at: Mutex<Option<Instant>>,
    /// Why nothing can be acknowledged any more.
    failed: watch::Sender<Option<SpoolError>>,
    meter: Meter,
    /// Up to where records were let go of.
    released: AtomicU64,
    /// When the oldest record was received, as long as nobody has read any: microseconds since 1970 (UTC).
    oldest_us: OnceLock<i64>,
}

/// What positions a spool held when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Of the oldest record that may be there.
    pub(crate) first: Position,
    /// Of the last record that was ever there; 0 if none was.
    pub(crate) last: Position,
}

/// Why records were not stored: none of them is in the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotStored {
    pub(crate) reason: NoRoom,
    pub(crate) message: String,
    pub(crate) hint: &'static str,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// The spool is full; there will be room when the database has taken some.
    Full,
    /// More comes in than the disk takes: there will be room in a moment.
    Busy,
    /// They would never fit together.
    TooLarge,
    /// The disk failed.
    Failed,
}

impl NoRoom {
    /// Its name in metrics.
    fn code(self) -> &'static str {
        match self {
            NoRoom::Full => "full",
            NoRoom::Busy => "busy",
            NoRoom::TooLarge => "too-large",
            NoRoom::Failed => "failed",
        }
    }
}

/// How a spool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpoolState {
    Open,
    Full,
    Failed,
}

impl Intake {
    /// Opens the spool in a stream's folder, or begins one there.
    pub(crate) fn open(folder: &SpoolFolder, meter: Meter) -> Result<Intake, Error> {
        let opened = folder.open()?;
        let (durable, closed) = (
            watch::Sender::new(opened.found.last),
            watch::Sender::new(false),
        );
        let tell = durable.clone();
        let on_durable = Box::new(move |position| {
            tell.send_replace(position);
        });
        let keeper = Keeper::start(opened.spool, KeeperLimits::default(), on_durable)
            .map_err(|error| folder.failed(&error))?;
        let intake = Intake(Arc::new(Inner {
            released: AtomicU64::new(opened.found.first - 1),
            oldest_us: oldest(&keeper, opened.found)
                .map(OnceLock::from)
                .unwrap_or_default(),
            keeper,
            found: opened.found,
            source: opened.source,
            folder: folder.path().to_owned(),
            durable,
            closed,
            segment_bytes: opened.segment_bytes,
            refused_at: Mutex::default(),
            failed: watch::Sender::new(None),
            meter,
        }));
        let weak = Arc::downgrade(&intake.0);
        let depth = move || weak.upgrade().map(|inner| Intake(inner).depth());
        intake.0.meter.watch_spool(depth);
        Ok(intake)
    }

    fn depth(&self) -> SpoolDepth {
        let status = self.0.keeper.status();
        SpoolDepth {
            records: status
                .durable
                .saturating_sub(self.0.released.load(Ordering::Relaxed)),
            bytes: status.bytes,
            bytes_max: status.bytes_max,
            oldest_us: self.0.oldest_us.get().copied(),
        }
    }

    /// Makes records durable, all of them or none, and returns their positions; those that they hold have no meaning.
    pub(crate) async fn store(&self, records: &[Envelope]) -> Result<Range<Position>, NotStored> {
        let begun = Instant::now();
        let stored = self.hand_over(parcel(records)).await;
        match &stored {
            Ok(_) => {
                self.0.meter.spooled(records, begun.elapsed());
                if let Some(first) = records.first() {
                    self.0.oldest_us.get_or_init(|| first.received_at_us);
                }
            }
            Err(not_stored) => self.0.meter.refused(records, not_stored.reason.code()),
        }
        stored
    }

    /// The same, however long it takes until there is room.
    ///
    /// # Errors
    ///
    /// If they would never fit together, or nothing can be stored any more.
    pub(crate) async fn store_in_time(&self, records: &[Envelope]) -> Result<(), Error> {
        let mut patience = Backoff::new(PATIENT);
        while let Err(not_stored) = self.store(records).await {
            self.wait_for_room(not_stored, &mut patience).await?;
        }
        Ok(())
    }

    /// Makes a gap durable, behind the records that were stored before; as [`store_in_time`](Intake::store_in_time).
    pub(crate) async fn store_gap(&self, gap: &Gap) -> Result<(), Error> {
        let parcel: Parcel = [gap_to_spool(gap)].into_iter().collect();
        let mut patience = Backoff::new(PATIENT);
        while let Err(not_stored) = self.hand_over(parcel.clone()).await {
            self.wait_for_room(not_stored, &mut patience).await?;
        }
        Ok(())
    }

    /// Before the next attempt.
    async fn wait_for_room(
        &self,
        not_stored: NotStored,
        patience: &mut Backoff,
    ) -> Result<(), Error> {
        if not_stored.reason == NoRoom::TooLarge || self.0.failed.borrow().is_some() {
            let message = format!("{}: {}", self.source(), not_stored.message);
            return Err(Error::unexpected(message).hint(not_stored.hint));
        }
        if patience.pause_count() == 0 {
            let (source, reason) = (self.source(), &not_stored.message);
            tracing::warn!(source, reason, "records wait for room in the spool");
        }
        patience.pause().await;
        Ok(())
    }

    async fn hand_over(&self, parcel: Parcel) -> Result<Range<Position>, NotStored> {
        let (answer, answered) = oneshot::channel();
        let done = Box::new(move |stored| {
            // Whoever asked may have gone: the records are stored all the same.
            let _ = answer.send(stored);
        });
        self.0.keeper.store(parcel, done);
        let stored = match answered.await {
            Ok(Ok(positions)) => positions,
            Ok(Err(error)) => return Err(self.not_stored(error)),
            // The keeper answers before it ends.
            Err(_) => {
                return Err(NotStored {
                    reason: NoRoom::Failed,
                    message: "the spool's thread gave no answer".to_owned(),
                    hint: "Start the process again.",
                });
            }
        };
        failpoint("ingest.stored");
        Ok(stored)
    }

    fn not_stored(&self, error: SpoolError) -> NotStored {
        let reason = match () {
            () if error.is_full() => {
                let mut refused_at = self
                    .0
                    .refused_at
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                *refused_at = Some(Instant::now());
                NoRoom::Full
            }
            () if error.is_busy() => NoRoom::Busy,
            () if error.is_misuse() => NoRoom::TooLarge,
            () => NoRoom::Failed,
        };
        let not_stored = NotStored {
            reason,
            message: error.to_string(),
            hint: error.hint(),
        };
        if error.is_poisoned() || error.is_closed() {
            self.0.failed.send_replace(Some(error));
        }
        not_stored
    }

    /// Returns when nothing can be acknowledged any more: the process has to end and begin anew.
    pub(crate) async fn failed(&self) -> Error {
        let mut failed = self.0.failed.subscribe();
        // The sender lives as long as this.
        let _ = failed.wait_for(Option::is_some).await;
        match &*failed.borrow() {
            Some(error) => spool_error(&self.0.source, error),
            None => Error::unexpected(format!("{}: the spool is gone", self.0.source)),
        }
    }

    /// Says that no more records come.
    pub(crate) fn close(&self) {
        self.0.closed.send_replace(true);
    }

    pub(crate) fn state(&self) -> SpoolState {
        let status = self.0.keeper.status();
        let was_refused = match &status.store_error {
            Some(error) if error.is_full() => true,
            Some(_) => return SpoolState::Failed,
            None => false,
        };
        // A refusal says nothing for long: whoever looks at this may send nothing until then.
        let is_full = if was_refused {
            self.was_refused_lately() || status.bytes + self.0.segment_bytes > status.bytes_max
        } else {
            status.is_full
        };
        if is_full {
            SpoolState::Full
        } else {
            SpoolState::Open
        }
    }

    fn was_refused_lately(&self) -> bool {
        let refused_at = *self
            .0
            .refused_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        refused_at.is_some_and(|at| at.elapsed() < REFUSAL_AGE_MAX)
    }

    /// Bytes that a record may have, whatever comes with it; several fit together up to as many.
    pub(crate) fn record_bytes_max(&self) -> usize {
        let segment_bytes = usize::try_from(self.0.segment_bytes).unwrap_or(usize::MAX);
        RECORD_BYTES_MAX.min(segment_bytes / 2)
    }

    /// The stream's.
    pub(crate) fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// What its source is called in the ledger.
    pub(crate) fn source(&self) -> &str {
        &self.0.source
    }

    /// Where the spool lies.
    pub(crate) fn folder(&self) -> &Path {
        &self.0.folder
    }

    pub(crate) fn found(&self) -> Found {
        self.0.found
    }

    pub(crate) fn reader(&self) -> Reader<RealDisk> {
        self.0.keeper.reader()
    }

    /// Told of each new durable position.
    pub(crate) fn durable(&self) -> watch::Receiver<Position> {
        self.0.durable.subscribe()
    }

    /// Told when no more records come.
    pub(crate) fn closed(&self) -> watch::Receiver<bool> {
        self.0.closed.subscribe()
    }

    /// Lets go of records up to a position, which the ledger says is dealt with.
    pub(crate) fn release(&self, up_to: Position) {
        self.0.released.fetch_max(up_to, Ordering::Relaxed);
        self.0.keeper.release(up_to);
        if let Some(error) = self.0.keeper.status().release_error {
            tracing::warn!(source = %self.0.source, %error, "the spool keeps what it could let go of");
        }
    }
}

fn parcel(records: &[Envelope]) -> Parcel {
    records.iter().map(Envelope::to_spool).collect()
}

/// When the first record was received that was found.
fn oldest(keeper: &Keeper, found: Found) -> Option<i64> {
    let one = BatchLimits {
        records_max: 1,
        bytes_max: 1,
    };
    let batch = keeper.reader().read(found.first, one).ok()?;
    let (position, payload) = batch.records().next()?;
    let spooled = Spooled::read(position, Bytes::copy_from_slice(payload));
    Some(spooled.ok()?.until_us())
}

/// What a failure of a spool is to the user.
pub(crate) fn spool_error(what: impl fmt::Display, error: &SpoolError) -> Error {
    Error::unexpected(format!("{what}: {error}")).hint(error.hint())
}
