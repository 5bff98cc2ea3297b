//! Streams as they are declared.

use crate::feed::BatchLimits;
use crate::source::aprs::AprsPlace;
use crate::source::mqtt::MqttPlace;
use crate::source::nats::NatsPlace;
use hyperhaul_decode::Mapping;
use serde::Deserialize;
use std::path::PathBuf;

/// A declared way from a source to tables.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Its name, in the ledger and in messages.
    pub name: String,
    /// How records become rows.
    pub mapping: Mapping,
    /// Columns that tell duplicates, of which the table has a unique index. Empty: those of the first unique index that the
    /// rows have whole, if there is one.
    pub key: Vec<String>,
    /// Where records come from.
    pub origin: Origin,
    /// How large batches may be.
    pub batch: BatchLimits,
}

impl Origin {
    /// Whether it cannot keep its records: they are acknowledged when they are durable in a spool.
    pub(crate) fn is_spooled(&self) -> bool {
        match self {
            Origin::File { .. } | Origin::Stdin { .. } | Origin::Nats(_) => false,
            Origin::Http {} | Origin::Mqtt(_) | Origin::Aprs(_) => true,
        }
    }
}

/// Where records come from: `[stream.source]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Origin {
    /// Lines of a file.
    File {
        /// The file.
        path: PathBuf,
        /// Whether to go on when it grows, and with the next file of its name.
        #[serde(default)]
        follow: bool,
    },
    /// Lines of standard input.
    Stdin {
        /// Whoever sends the same bytes again gives them the same name: what is in is passed over. `None`: all is new.
        #[serde(default)]
        resume: Option<String>,
    },
    /// Bodies of requests to the address that all such streams share.
    Http {},
    /// Messages of an MQTT broker.
    Mqtt(MqttPlace),
    /// Messages of a JetStream consumer.
    Nats(NatsPlace),
    /// Packets of APRS-IS.
    Aprs(AprsPlace),
}
