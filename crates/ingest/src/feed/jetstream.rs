//! Messages of a JetStream consumer. The stream keeps them until they are acknowledged, which is after the COMMIT that holds them; what comes
//! again was perhaps committed by this process or another one, which `hyperhaul_ledger::commit_sequences` tells.
//!
//! Positions are this process's own: it counts what it was given, and has a source of its own in the ledger.

use super::{BatchLimits, Feed, is_full};
use crate::Error;
use crate::batch::{Delivery, Taken};
use crate::clock::now_us;
use crate::envelope::Envelope;
use crate::limits::{NATS_BATCH_WAIT, NATS_FLOOR_AGE_MAX, RECONNECTING};
use crate::source::nats::Consumer;
use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::message::Acker;
use futures_util::{FutureExt, StreamExt};
use hyperhaul_pg::retry::Backoff;
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// A consumer's messages.
pub(crate) struct JetStreamFeed {
    consumer: Consumer,
    messages: Option<pull::Stream>,
    /// Messages that were given.
    given: u64,
    unacknowledged: Unacknowledged,
    /// Up to which no message comes again, and when that was asked.
    floor: (i64, Option<Instant>),
    patience: Backoff,
    stop: watch::Receiver<bool>,
}

/// Messages that were given, by where their batches end.
#[derive(Clone, Default)]
pub(crate) struct Unacknowledged(Arc<Mutex<VecDeque<Given>>>);

/// Where a batch ends, and what acknowledges its messages.
type Given = (u64, Vec<Acker>);

impl Unacknowledged {
    /// Those up to a position, which are committed.
    pub(crate) fn up_to(&self, position: u64) -> Vec<Acker> {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut committed = Vec::new();
        while given.front().is_some_and(|(end, _)| *end <= position) {
            committed.extend(given.pop_front().into_iter().flat_map(|(_, ackers)| ackers));
        }
        committed
    }

    fn push(&self, end: u64, ackers: Vec<Acker>) {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given.push_back((end, ackers));
    }
}

/// A batch that is being gathered.
struct Gathering {
    taken: Taken,
    delivery: Delivery,
    ackers: Vec<Acker>,
    seen: HashSet<i64>,
    bytes: usize,
}

impl JetStreamFeed {
    pub(crate) fn new(consumer: Consumer, stop: watch::Receiver<bool>) -> JetStreamFeed {
        JetStreamFeed {
            consumer,
            messages: None,
            given: 0,
            unacknowledged: Unacknowledged::default(),
            floor: (0, None),
            patience: Backoff::new(RECONNECTING),
            stop,
        }
    }

    pub(crate) fn unacknowledged(&self) -> Unacknowledged {
        self.unacknowledged.clone()
    }

    /// Waits for a message; `None`: the connection has to be made anew.
    async fn first(&mut self, limits: &BatchLimits) -> Option<Message> {
        if self.messages.is_none() {
            let wanted = self
                .consumer
                .consumer
                .stream()
                .max_messages_per_batch(limits.records_max);
            match wanted.messages().await {
                Ok(messages) => self.messages = Some(messages),
                Err(error) => tracing::warn!(%error, "the consumer cannot be read"),
            }
        }
        match self.messages.as_mut()?.next().await {
            Some(Ok(message)) => Some(message),
            Some(Err(error)) => {
                tracing::warn!(%error, "the consumer cannot be read");
                self.messages = None;
                None
            }
            None => {
                self.messages = None;
                None
            }
        }
    }

    /// What is there already, up to the limits.
    fn gather(&mut self, gathering: &mut Gathering, limits: &BatchLimits) {
        while !is_full(gathering.taken.records.len(), gathering.bytes, limits) {
            let Some(messages) = &mut self.messages else {
                break;
            };
            match messages.next().now_or_never() {
                Some(Some(Ok(message))) => self.add(gathering, message),
                Some(_) => self.messages = None,
                None => break,
            }
        }
    }

    fn add(&mut self, gathering: &mut Gathering, message: Message) {
        let Ok(sequence) = message.info().map(|info| info.stream_sequence) else {
            // Not from the stream: nobody waits for an acknowledgement.
            return;
        };
        let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
        let (message, acker) = message.split();
        gathering.ackers.push(acker);
        // It came again while it waited here.
        if !gathering.seen.insert(sequence) {
            return;
        }
        self.given += 1;
        gathering.bytes += message.payload.len();
        gathering.delivery.sequences.push(sequence);
        gathering.taken.records.push(Envelope {
            position: self.given,
            received_at_us: now_us(),
            attributes: self.consumer.pattern.attributes(&message.subject),
            payload: message.payload,
            refused: None,
        });
    }

    async fn look_at_floor(&mut self) {
        if self
            .floor
            .1
            .is_some_and(|at| at.elapsed() < NATS_FLOOR_AGE_MAX)
        {
            return;
        }
        if let Ok(info) = self.consumer.consumer.get_info().await {
            self.floor.0 = i64::try_from(info.ack_floor.stream_sequence).unwrap_or(0);
        }
        // A server that does not answer is not asked with every batch either.
        self.floor.1 = Some(Instant::now());
    }
}

impl Feed for JetStreamFeed {
    const RECEIVES: bool = true;

    async fn next(&mut self, limits: &BatchLimits) -> Result<Option<Taken>, Error> {
        let mut stop = self.stop.clone();
        let first = loop {
            let first = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(None),
                first = self.first(limits) => first,
            };
            match first {
                Some(message) => break message,
                None => {
                    tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => return Ok(None),
                        _ = self.patience.pause() => {}
                    }
                }
            }
        };
        self.patience = Backoff::new(RECONNECTING);
        self.look_at_floor().await;
        let mut gathering = Gathering {
            taken: Taken::none(self.given),
            delivery: Delivery {
                consumer: Arc::clone(&self.consumer.name),
                sequences: Vec::new(),
                floor: self.floor.0,
            },
            ackers: Vec::new(),
            seen: HashSet::new(),
            bytes: 0,
        };
        self.add(&mut gathering, first);
        tokio::time::sleep(NATS_BATCH_WAIT).await;
        self.gather(&mut gathering, limits);
        let Gathering {
            mut taken,
            delivery,
            ackers,
            ..
        } = gathering;
        taken.to = self.given;
        taken.delivery = Some(delivery);
        self.unacknowledged.push(taken.to, ackers);
        Ok(Some(taken))
    }
}
