//! Live ingest: records from sources become rows of hypertables, each exactly once, and what was acknowledged is durable.
//!
//! ```text
//!   sources that keep their records     others (HTTP, MQTT, APRS)          source
//!   (files, JetStream)                    |
//!     |                                 spool, acknowledged when durable   intake, spool_folder
//!     |                                   |
//!   Feed: records, positions  <-----------+                                feed
//!     |
//!   rows and refusals, decoded side by side                              prepare, learn, lookup
//!     |
//!   one transaction: rows, dead letters, conflicts,                      write
//!   and the source's position in the ledger
//! ```
//!
//! Nothing here knows what a migration is, and nothing is printed.

mod batch;
mod claim;
mod clock;
mod compression;
mod dlq;
mod envelope;
mod error;
mod feed;
mod health;
mod heard;
mod intake;
mod learn;
mod limits;
mod listen;
mod lookup;
mod meter;
mod monitor;
mod needs;
mod prepare;
mod pump;
mod receipts;
mod repeats;
mod run;
mod secret;
pub mod source;
mod spool_folder;
mod standing;
mod statements;
mod stop;
mod stream;
mod tls;
mod trouble;
mod write;

pub use dlq::{Retried, dead_letter, dead_letters, drop_dead_letters, retry};
pub use error::{Error, Kind};
pub use feed::BatchLimits;
pub use hyperhaul_decode::{Mapping, MappingError, fill_from_profile, profile_names};
pub use hyperhaul_ledger::{Content, DeadLetter, Outcome, Receipt, Selection, Standing};
pub use meter::{Counter, Distribution, Gauge, Histogram, Meters, Reading};
pub use receipts::receipts;
pub use run::{Done, Work, run};
pub use secret::Secret;
pub use source::aprs::AprsPlace;
pub use source::http::HttpPlace;
pub use source::mqtt::MqttPlace;
pub use source::nats::NatsPlace;
pub use spool_folder::SpoolPlace;
pub use standing::{SourceStatus, readings_at, source_statuses};
pub use stop::Stop;
pub use stream::{Origin, Stream};
