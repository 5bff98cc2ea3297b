//! A stream of JetStream messages: taken from a consumer, written, acknowledged.

use super::Feeding;
use crate::Error;
use crate::feed::jetstream::JetStreamFeed;
use crate::limits::{LAST_WAIT, RECONNECTING};
use crate::source::nats::{Consumer, NatsPlace};
use async_nats::jetstream::message::Acker;
use hyperhaul_ledger::PositionUnit;
use hyperhaul_pg::retry::Backoff;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use uuid::Uuid;

impl Feeding {
    /// Messages of a consumer that other processes may share: this one has a source of its own.
    pub(super) async fn nats(&self, place: &NatsPlace) -> Result<(), Error> {
        let mut patience = Backoff::new(RECONNECTING);
        let consumer = loop {
            if let Some(consumer) = Consumer::open(place, &self.meter).await? {
                break consumer;
            }
            tokio::select! {
                () = self.stop.asked() => return Ok(()),
                _ = patience.pause() => {}
            }
        };
        let source = format!("{} {}", consumer.name, Uuid::new_v4());
        let client = consumer.client.clone();
        let feed = JetStreamFeed::new(consumer, self.stop.watch());
        let unacknowledged = feed.unacknowledged();
        let (committed, acknowledging) = unbounded_channel();
        let acknowledging = tokio::spawn(acknowledge(acknowledging));
        let dealt_with = move |position| {
            for acker in unacknowledged.up_to(position) {
                // Whoever acknowledges lives until this is dropped.
                let _ = committed.send(acker);
            }
        };
        let pump = async move {
            let mut writer = self.writer(&source, PositionUnit::Record).await?;
            self.pump(&source, feed, &mut writer, dealt_with).await
        };
        let pumped = self.unless_late(pump).await;
        // What is committed and not acknowledged would only come again to be left out.
        let said = async {
            let _ = acknowledging.await;
            client.flush().await
        };
        let _ = tokio::time::timeout(LAST_WAIT, said).await;
        pumped
    }
}

async fn acknowledge(mut committed: UnboundedReceiver<Acker>) {
    while let Some(acker) = committed.recv().await {
        if let Err(error) = acker.ack().await {
            tracing::warn!(%error, "a message was not acknowledged and comes again");
        }
    }
}
