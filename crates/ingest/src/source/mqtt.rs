//! MQTT 3.1.1: messages of QoS 1, acknowledged when they are durable in the spool.
//!
//! ```text
//!   broker --> poll --> waiting (bounded) --> Intake::store, all that waits at once --> PUBACK for each
//! ```
//!
//! The session is kept by the broker under a fixed client id: what was not acknowledged comes again, to this process or the next one. A
//! spool that is full acknowledges nothing, and the broker stops sending at its own limit of messages in flight.
//!
//! A message that was stored and whose PUBACK was lost comes twice: a key of the table tells duplicates.

mod connect;

use crate::Error;
use crate::clock::now_us;
use crate::envelope::Envelope;
use crate::intake::Intake;
use crate::limits::{MQTT_GOODBYE_WAIT, MQTT_WAITING_BYTES, RECONNECTING};
use crate::meter::Peer;
use crate::secret::Secret;
use crate::source::topic::TopicPattern;
use crate::stop::Stop;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, OptionFuture};
use hyperhaul_pg::retry::Backoff;
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, Packet, Publish, QoS,
    SubscribeReasonCode,
};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// Messages of a broker: `[stream.source]` with `kind = "mqtt"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttPlace {
    /// `mqtt://HOST[:PORT]`, or `mqtts://` for TLS.
    pub broker: String,
    /// Which topics; names in braces become attributes.
    pub topic: String,
    /// Under which the broker keeps the session: always the same for a stream, and no other's.
    pub client_id: String,
    /// To log in.
    pub username: Option<String>,
    /// To log in.
    pub password: Option<Secret>,
    /// The file that holds the password, instead.
    pub password_file: Option<PathBuf>,
    /// PEM file with the certificates that the broker's must come from; otherwise the system's.
    pub ca: Option<PathBuf>,
}

/// A message that waits to be stored and acknowledged.
struct Held {
    message: Publish,
    received_at_us: i64,
    /// The connection that it came by; only that one may acknowledge it.
    connection: u64,
}

type Polled = (EventLoop, Result<Event, ConnectionError>);
type Stored = Result<Vec<Held>, Error>;

/// A stream's messages.
pub(crate) struct MqttSource {
    pattern: TopicPattern,
    intake: Intake,
    client: AsyncClient,
    /// The event loop, while it is not polled.
    idle: Option<EventLoop>,
    /// Counts connections.
    connection: u64,
    /// Whether the broker has ever let us in: what it refuses at first is a mistake of the configuration.
    was_connected: bool,
    waiting: Vec<Held>,
    waiting_bytes: usize,
    retrying: Backoff,
    /// Before the next connection.
    pause: Option<Duration>,
}

impl MqttSource {
    pub(crate) fn new(place: &MqttPlace, intake: Intake) -> Result<MqttSource, Error> {
        let (client, events) = connect::client(place)?;
        Ok(MqttSource {
            pattern: TopicPattern::parse(&place.topic, '/')?,
            intake,
            client,
            idle: Some(events),
            connection: 0,
            was_connected: false,
            waiting: Vec::new(),
            waiting_bytes: 0,
            retrying: Backoff::new(RECONNECTING),
            pause: None,
        })
    }

    /// Until somebody says stop.
    pub(crate) async fn run(mut self, stop: &Stop) -> Result<(), Error> {
        let ended = self.take(stop).await;
        self.intake.close();
        ended
    }

    async fn take(&mut self, stop: &Stop) -> Result<(), Error> {
        let mut polling: OptionFuture<BoxFuture<'static, Polled>> = None.into();
        let mut storing: OptionFuture<BoxFuture<'static, Stored>> = None.into();
        // One future for all rounds: a poll that is dropped half-way loses what it has read.
        let (mut is_polling, mut is_storing) = (false, false);
        loop {
            if !is_polling
                && self.waiting_bytes < MQTT_WAITING_BYTES
                && let Some(events) = self.idle.take()
            {
                polling = Some(poll(events, self.pause.take()).boxed()).into();
                is_polling = true;
            }
            if !is_storing && !self.waiting.is_empty() {
                storing = Some(self.store().boxed()).into();
                is_storing = true;
            }
            tokio::select! {
                () = stop.asked() => break,
                Some((events, event)) = &mut polling, if is_polling => {
                    is_polling = false;
                    self.polled(events, event)?;
                }
                Some(stored) = &mut storing, if is_storing => {
                    is_storing = false;
                    self.acknowledge(&stored?);
                }
            }
        }
        self.say_goodbye(is_polling.then_some(polling), is_storing.then_some(storing))
            .await
    }

    fn polled(
        &mut self,
        mut events: EventLoop,
        event: Result<Event, ConnectionError>,
    ) -> Result<(), Error> {
        match event {
            Ok(Event::Incoming(packet)) => self.came(packet)?,
            Ok(Event::Outgoing(_)) => {}
            Err(error) => {
                // What was read and not yet said came by the connection that is gone.
                for event in std::mem::take(&mut events.state.events) {
                    if let Event::Incoming(Packet::Publish(message)) = event {
                        self.hold(message);
                    }
                }
                self.connection += 1;
                self.lost(&error)?;
            }
        }
        self.idle = Some(events);
        Ok(())
    }

    fn came(&mut self, packet: Packet) -> Result<(), Error> {
        match packet {
            Packet::ConnAck(_) => {
                if std::mem::replace(&mut self.was_connected, true) {
                    self.intake.meter().reconnected(Peer::Source);
                }
                self.retrying = Backoff::new(RECONNECTING);
                let topic = self.pattern.subscription('+');
                tracing::info!(
                    source = self.intake.source(),
                    topic,
                    "connected to the broker"
                );
                // The session may be of another topic; the queue has room for more than the broker sends.
                let asked = self.client.try_subscribe(topic, QoS::AtLeastOnce);
                asked.map_err(|error| Error::usage(format!("could not subscribe: {error}")))?;
            }
            Packet::SubAck(answer)
                if answer.return_codes.contains(&SubscribeReasonCode::Failure) =>
            {
                let topic = self.pattern.subscription('+');
                return Err(Error::usage(format!(
                    "the broker refuses the subscription to {topic}"
                ))
                .hint("Let the client read the topic in the broker's access control."));
            }
            Packet::Publish(message) => self.hold(message),
            _ => {}
        }
        Ok(())
    }

    fn hold(&mut self, message: Publish) {
        self.waiting_bytes += message.payload.len() + message.topic.len();
        self.waiting.push(Held {
            message,
            received_at_us: now_us(),
            connection: self.connection,
        });
    }

    /// The connection ended, or there was none: once more, after a pause.
    fn lost(&mut self, error: &ConnectionError) -> Result<(), Error> {
        let is_mistake = matches!(
            error,
            ConnectionError::ConnectionRefused(
                ConnectReturnCode::BadClientId
                    | ConnectReturnCode::BadUserNamePassword
                    | ConnectReturnCode::NotAuthorized
                    | ConnectReturnCode::RefusedProtocolVersion
            )
        );
        if is_mistake && !self.was_connected {
            return Err(
                Error::usage(format!("the broker refuses the connection: {error}"))
                    .hint("Correct client_id, username and password of the stream's source."),
            );
        }
        tracing::warn!(source = self.intake.source(), %error, "no connection to the broker");
        self.pause = self.retrying.next_pause();
        Ok(())
    }

    /// Stores all that waits, as far as it fits together; as long as it takes.
    fn store(&mut self) -> impl Future<Output = Stored> + Send + use<> {
        let group_bytes_max = self.intake.record_bytes_max();
        let mut bytes = 0;
        let fits = |held: &&Held| {
            bytes += held.message.payload.len() + RECORD_OVERHEAD_BYTES + held.message.topic.len();
            bytes <= group_bytes_max
        };
        let count = self.waiting.iter().take_while(fits).count().max(1);
        let group: Vec<Held> = self.waiting.drain(..count).collect();
        self.waiting_bytes = self
            .waiting
            .iter()
            .map(|held| held.message.payload.len() + held.message.topic.len())
            .sum();
        let records: Vec<Envelope> = group.iter().map(|held| self.record(held)).collect();
        let intake = self.intake.clone();
        async move {
            intake.store_in_time(&records).await?;
            Ok(group)
        }
    }

    fn record(&self, held: &Held) -> Envelope {
        let mut payload = held.message.payload.clone();
        let bytes_max = self.intake.record_bytes_max();
        if payload.len() > bytes_max {
            let (bytes, source) = (payload.len(), self.intake.source());
            tracing::error!(
                source,
                bytes,
                bytes_max,
                "a message is longer than any record may be, and was cut"
            );
            payload.truncate(bytes_max);
        }
        Envelope {
            position: 0,
            received_at_us: held.received_at_us,
            attributes: self.pattern.attributes(&held.message.topic),
            payload,
            refused: None,
        }
    }

    /// Of another connection, a number may mean another message by now; what it meant comes again.
    fn acknowledge(&self, stored: &[Held]) {
        for held in stored
            .iter()
            .filter(|held| held.connection == self.connection)
        {
            if let Err(error) = self.client.try_ack(&held.message) {
                tracing::warn!(%error, "a message was not acknowledged and comes again");
            }
        }
    }

    /// Acknowledges what is stored, so that it does not come again.
    async fn say_goodbye(
        &mut self,
        polling: Option<OptionFuture<BoxFuture<'static, Polled>>>,
        storing: Option<OptionFuture<BoxFuture<'static, Stored>>>,
    ) -> Result<(), Error> {
        let goodbye = async {
            if let Some(storing) = storing
                && let Some(stored) = storing.await
            {
                self.acknowledge(&stored?);
            }
            // Behind the acknowledgements; then the broker closes the connection.
            let _ = self.client.try_disconnect();
            let mut events = match polling {
                Some(polling) => polling.await.map(|(events, _)| events),
                None => self.idle.take(),
            };
            while let Some(left) = events.as_mut() {
                if left.poll().await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        match tokio::time::timeout(MQTT_GOODBYE_WAIT, goodbye).await {
            Ok(said) => said,
            Err(_) => Ok(()),
        }
    }
}

/// What a record takes up in the spool besides its payload and topic.
const RECORD_OVERHEAD_BYTES: usize = 64;

async fn poll(mut events: EventLoop, pause: Option<Duration>) -> Polled {
    if let Some(pause) = pause {
        tokio::time::sleep(pause).await;
    }
    let event = events.poll().await;
    (events, event)
}
