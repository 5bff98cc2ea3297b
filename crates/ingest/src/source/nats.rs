//! NATS JetStream: which consumer messages are taken from. The stream keeps them itself; see `feed::jetstream`.

use crate::Error;
use crate::limits::{NATS_ACK_PENDING_MAX, NATS_ACK_WAIT};
use crate::meter::{Meter, Peer};
use crate::secret::Secret;
use crate::source::topic::TopicPattern;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::{Client, ConnectOptions, Event};
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Messages of a JetStream consumer, which several processes may share: `[stream.source]` with `kind = "nats"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsPlace {
    /// `nats://HOST[:PORT]`, or `tls://`; several, separated by commas.
    pub server: String,
    /// The JetStream stream; it must be there.
    pub stream: String,
    /// The durable consumer; made where it is not there.
    pub consumer: String,
    /// Which subjects; names in braces become attributes.
    pub subject: String,
    /// To log in.
    pub username: Option<String>,
    /// To log in; without a user's name it is a token.
    pub password: Option<Secret>,
    /// The file that holds the password, instead.
    pub password_file: Option<PathBuf>,
    /// PEM file with the certificates that the server's must come from; otherwise the system's.
    pub ca: Option<PathBuf>,
}

/// A consumer to take messages from.
pub(crate) struct Consumer {
    pub(crate) client: Client,
    pub(crate) consumer: PullConsumer,
    pub(crate) pattern: TopicPattern,
    /// The same for all processes that share it, and for no other stream that once has the same name.
    pub(crate) name: Arc<str>,
}

impl Consumer {
    /// Connects. `None`: the server is away.
    pub(crate) async fn open(place: &NatsPlace, meter: &Meter) -> Result<Option<Consumer>, Error> {
        let pattern = TopicPattern::parse(&place.subject, '.')?;
        let servers: Vec<&str> = place.server.split(',').map(str::trim).collect();
        let options = options(place)?.event_callback(telling(meter.clone()));
        let client = match options.connect(servers).await {
            Ok(client) => client,
            Err(error) => return Ok(away(&error)),
        };
        let context = async_nats::jetstream::new(client.clone());
        let stream = match context.get_stream(&place.stream).await {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), GetStreamErrorKind::Request) => {
                return Ok(away(&error));
            }
            Err(error) => {
                let message = format!("JetStream stream {} cannot be read: {error}", place.stream);
                return Err(Error::usage(message)
                    .hint("Create it, or name another one in the stream's source."));
            }
        };
        let wanted = pull::Config {
            durable_name: Some(place.consumer.clone()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: NATS_ACK_WAIT,
            max_ack_pending: NATS_ACK_PENDING_MAX,
            filter_subject: pattern.subscription('*'),
            ..pull::Config::default()
        };
        let consumer = match stream.get_or_create_consumer(&place.consumer, wanted).await {
            Ok(consumer) => consumer,
            Err(error) => {
                return Err(Error::usage(format!(
                    "consumer {} cannot be had: {error}",
                    place.consumer
                )));
            }
        };
        // Sequences that were committed are those of this subject: a consumer made anew for another one has others.
        let created = stream.cached_info().created.unix_timestamp_nanos();
        let subject = pattern.subscription('*');
        let consumer = Consumer {
            client,
            consumer,
            pattern,
            name: format!(
                "nats {} {} {created} {subject}",
                place.stream, place.consumer
            )
            .into(),
        };
        consumer.check()?;
        Ok(Some(consumer))
    }

    fn takes_other_subjects(&self) -> bool {
        let filter = &self.consumer.cached_info().config.filter_subject;
        !filter.is_empty() && *filter != self.pattern.subscription('*')
    }

    /// A consumer that somebody else has made may lose messages.
    fn check(&self) -> Result<(), Error> {
        let info = self.consumer.cached_info();
        let wrong = match (&info.config.ack_policy, info.config.max_deliver) {
            (AckPolicy::Explicit, ..=0) if self.takes_other_subjects() => {
                "takes messages of another subject (filter_subject)"
            }
            (AckPolicy::Explicit, ..=0) => return Ok(()),
            (AckPolicy::Explicit, _) => {
                "gives messages up that were delivered some times (max_deliver)"
            }
            _ => "does not acknowledge messages one by one (ack_policy)",
        };
        Err(Error::usage(format!("consumer {} {wrong}", info.name))
            .hint("Name one that is not there: it is made as it has to be."))
    }
}

fn away(error: &dyn std::error::Error) -> Option<Consumer> {
    tracing::warn!(%error, "no connection to the NATS server");
    None
}

/// Tells the meter of connections after the first.
fn telling(meter: Meter) -> impl Fn(Event) -> std::future::Ready<()> {
    let was_lost = AtomicBool::new(false);
    move |event| {
        match event {
            Event::Disconnected => was_lost.store(true, Ordering::Relaxed),
            Event::Connected if was_lost.swap(false, Ordering::Relaxed) => {
                meter.reconnected(Peer::Source);
            }
            _ => {}
        }
        std::future::ready(())
    }
}

fn options(place: &NatsPlace) -> Result<ConnectOptions, Error> {
    let password = Secret::read(place.password.as_ref(), place.password_file.as_deref())?;
    let mut options = ConnectOptions::new().name("hyperhaul ingest");
    options = match (&place.username, password) {
        (Some(username), password) => {
            let password = password.as_ref().map_or("", Secret::text);
            options.user_and_password(username.clone(), password.to_owned())
        }
        (None, Some(token)) => options.token(token.text().to_owned()),
        (None, None) => options,
    };
    if let Some(ca) = &place.ca {
        options = options.add_root_certificates(ca.clone());
    }
    Ok(options)
}
