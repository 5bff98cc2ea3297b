//! From a feed to its tables: one batch is written while the next one is decoded.
//!
//! ```text
//!   Feed::next --> decode --> [at most BATCHES_AHEAD batches] --> Writer::write --> committed
//! ```

use crate::Error;
use crate::batch::Batch;
use crate::feed::{BatchLimits, Feed};
use crate::learn::Learned;
use crate::limits::BATCHES_AHEAD;
use crate::meter::Meter;
use crate::prepare;
use crate::write::Writer;
use hyperhaul_ledger::Outcome;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// A feed, and what is done with its batches.
pub(crate) struct Pump<F, C> {
    pub(crate) feed: F,
    pub(crate) limits: BatchLimits,
    /// The source's name.
    pub(crate) source: Arc<str>,
    pub(crate) meter: Meter,
    /// Told when everything up to a position is committed, and what became of it.
    pub(crate) committed: C,
}

/// A batch that is in.
#[derive(Clone, Debug)]
pub(crate) struct Committed {
    /// Everything up to here is dealt with.
    pub(crate) position: u64,
    pub(crate) outcome: Outcome,
    /// Bytes of its records.
    pub(crate) bytes: u64,
    /// What its records were, where their decoder tells that.
    pub(crate) kinds: BTreeMap<&'static str, u64>,
}

impl<F: Feed + 'static, C: FnMut(&Committed) + Send> Pump<F, C> {
    /// Until the feed ends.
    ///
    /// # Errors
    ///
    /// The feed's or the writer's; what is not committed then comes again.
    pub(crate) async fn run(self, writer: &mut Writer) -> Result<(), Error> {
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        self.meter.begun();
        let meter = self.meter.clone();
        let learned = writer.learned();
        // A task of its own: a feed that blocks while it waits for a sender must not hold up what is being written.
        let mut decoding = JoinSet::new();
        decoding.spawn(decode_all(
            self.feed,
            self.limits,
            learned,
            self.source,
            self.meter,
            sender,
        ));
        write_all(writer, receiver, &meter, self.committed).await?;
        match decoding.join_next().await {
            Some(Ok(ended)) => ended,
            Some(Err(panic)) => Err(Error::unexpected(panic.to_string())),
            None => Ok(()),
        }
    }
}

async fn decode_all<F: Feed>(
    mut feed: F,
    limits: BatchLimits,
    learned: watch::Receiver<Arc<Learned>>,
    source: Arc<str>,
    meter: Meter,
    sender: mpsc::Sender<Batch>,
) -> Result<(), Error> {
    // The feed is asked only when there is room behind it.
    while let Ok(room) = sender.reserve().await {
        let Some(taken) = feed.next(&limits).await? else {
            break;
        };
        meter.taken(taken.to, &taken.records);
        if F::RECEIVES {
            meter.received(&taken.records);
        }
        let now = Arc::clone(&learned.borrow());
        room.send(prepare::decode(taken, now, Arc::clone(&source)).await);
    }
    Ok(())
}

async fn write_all(
    writer: &mut Writer,
    mut batches: mpsc::Receiver<Batch>,
    meter: &Meter,
    mut committed: impl FnMut(&Committed),
) -> Result<(), Error> {
    while let Some(batch) = batches.recv().await {
        let position = batch.taken.to;
        let bytes = batch.taken.records.iter();
        let bytes = bytes.map(|record| record.payload.len() as u64).sum();
        let kinds = batch.kinds.clone();
        let outcome = writer.write(batch).await?;
        meter.dealt_with(position);
        committed(&Committed {
            position,
            outcome,
            bytes,
            kinds,
        });
    }
    Ok(())
}
