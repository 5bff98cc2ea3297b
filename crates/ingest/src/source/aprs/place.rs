//! APRS-IS as a stream's source: what is said of it, and the spool that its packets go to.

use super::{
    AprsCounts, AprsEnd, AprsLimits, AprsSource, AprsSourceError, Gap, Login, Packet, PacketSink,
};
use crate::Error;
use crate::envelope::Envelope;
use crate::intake::Intake;
use crate::meter::Peer;
use crate::secret::Secret;
use hyperhaul_decode::Span;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Packets of APRS-IS: `[stream.source]` with `kind = "aprs"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AprsPlace {
    /// Servers as `HOST:PORT`, one after the other.
    pub servers: Vec<String>,
    /// Call sign, which nobody else may use at the same time: servers end the older connection.
    pub call_sign: String,
    /// To be let in as a licensed station. Listening works without.
    pub passcode: Option<Secret>,
    /// The file that holds the passcode, instead.
    pub passcode_file: Option<PathBuf>,
    /// In the server's language, such as `r/48.0/11.0/200`. Servers ignore it on a port of the full feed.
    pub filter: Option<String>,
    /// Whether lines of the servers themselves are kept, too.
    #[serde(default)]
    pub server_lines: bool,
    /// A server that says nothing for so long is gone (60 s).
    pub silence_max: Option<Span>,
    /// How long reaching a server may take (10 s).
    pub connect_max: Option<Span>,
    /// The longest pause between attempts to connect (30 s).
    pub pause_max: Option<Span>,
}

impl AprsPlace {
    /// The source, which has stored everything up to `stored_until_us`.
    pub(crate) fn source(&self, stored_until_us: Option<i64>) -> Result<AprsSource, Error> {
        let default = AprsLimits::default();
        let of = |span: Option<Span>, otherwise| span.map_or(otherwise, duration);
        let pause_max = of(self.pause_max, default.pause_max);
        Ok(AprsSource {
            servers: self.servers.clone(),
            login: Login {
                call_sign: self.call_sign.clone(),
                passcode: self.passcode()?,
                filter: self.filter.clone(),
            },
            takes_server_lines: self.server_lines,
            stored_until_us,
            limits: AprsLimits {
                silence_max: of(self.silence_max, default.silence_max),
                connect_max: of(self.connect_max, default.connect_max),
                pause_first: default.pause_first.min(pause_max),
                pause_max,
                ..default
            },
            counts: Arc::new(AprsCounts::default()),
        })
    }

    fn passcode(&self) -> Result<Option<u16>, Error> {
        let secret = Secret::read(self.passcode.as_ref(), self.passcode_file.as_deref())?;
        let passcode = secret.map(|secret| secret.text().trim().parse::<u16>());
        passcode.transpose().map_err(|_| {
            Error::usage("the APRS passcode is no number up to 65535")
                .hint("Leave it out to listen alone.")
        })
    }
}

fn duration(span: Span) -> Duration {
    Duration::from_micros(span.us().unsigned_abs())
}

/// A stream's spool: packets and gaps are durable there, in the order in which they happened.
pub(crate) struct SpoolSink(pub(crate) Intake);

/// What a record takes up in the spool besides the packet.
const PACKET_OVERHEAD_BYTES: usize = 64;

impl PacketSink for SpoolSink {
    type Error = Error;

    async fn take(&self, packets: Vec<Packet>) -> Result<(), Error> {
        let attributes: Arc<[(String, String)]> = [].into();
        let records: Vec<Envelope> = packets
            .into_iter()
            .map(|packet| Envelope {
                position: 0,
                received_at_us: packet.received_at_us,
                attributes: Arc::clone(&attributes),
                payload: packet.bytes,
                refused: None,
            })
            .collect();
        // A small spool does not take them all at once.
        let at_once = self.0.record_bytes_max() / (super::LINE_BYTES_MAX + PACKET_OVERHEAD_BYTES);
        for records in records.chunks(at_once.max(1)) {
            self.0.store_in_time(records).await?;
        }
        Ok(())
    }

    async fn gap(&self, gap: Gap) -> Result<(), Error> {
        self.0.store_gap(&gap).await?;
        let meter = self.0.meter();
        meter.gap(gap.reason.code(), gap.packets.unwrap_or(0));
        if gap.reason.is_of_a_server() {
            meter.reconnected(Peer::Source);
        }
        Ok(())
    }
}

impl From<AprsEnd<Error>> for Error {
    fn from(ended: AprsEnd<Error>) -> Error {
        match ended {
            AprsEnd::Source(error) => {
                let hint = match error {
                    AprsSourceError::NoServers => "Name some: servers = [\"HOST:14580\"].",
                    AprsSourceError::CallSign(_) => "Choose one that nobody else uses.",
                    AprsSourceError::Filter(_) => "Correct filter of the stream's source.",
                };
                Error::usage(error.to_string()).hint(hint)
            }
            AprsEnd::Sink(error) => error,
        }
    }
}
