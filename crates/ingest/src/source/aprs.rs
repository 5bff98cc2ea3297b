//! APRS-IS over TCP: packets as they come, and every time in which none could come.
//!
//! ```text
//!   servers, one at a time          session: reads always, waits for nobody               hand-over
//!   connect ─ login ─ logresp ──> socket ─ lines ─┬─ '#': sign of life                     │ waits for the sink
//!      ^                                          └─ packets ─> queue of bounded bytes ──> PacketSink::take, ::gap
//!      └─ pause, next server <── closed, broken, silent ─ outage ─> gap ─^   full: dropped, counted, a gap
//! ```
//!
//! A server disconnects who reads slowly, so the socket is read whatever the sink does. An outage begins with the last line before it, and
//! ends when a server has us in again; it is told then, in its place among the packets. One that the process does not live to tell is
//! told by the next one, which is given the time of the last packet stored.

mod counts;
mod gap;
mod line;
mod login;
mod place;
mod queue;
mod session;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyperhaul_pg::retry::{Backoff, Limits};

pub use counts::AprsCounts;
pub use gap::{Gap, GapReason};
pub use line::LINE_BYTES_MAX;
pub use login::Login;
pub use place::AprsPlace;
pub(crate) use place::SpoolSink;

use crate::clock::now_us;
use counts::add;
use gap::Outage;
use session::{Ended, Link};

/// A packet as it came, without the end of its line: at most [`LINE_BYTES_MAX`] bytes, or one more where the rest of a longer line was
/// cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Its bytes; they need not be UTF-8.
    pub bytes: Bytes,
    /// When it came: microseconds since 1970, UTC.
    pub received_at_us: i64,
}

/// Who stores packets. Both calls may take as long as they have to; they are made one after the other, in the order of what happened.
pub trait PacketSink: Send + Sync + 'static {
    /// Why nothing can be stored any more.
    type Error: Send;

    /// Stores packets, at least one, in this order. They are safe when it returns.
    ///
    /// # Errors
    ///
    /// If it can never store them; the source stops.
    fn take(&self, packets: Vec<Packet>) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Stores that packets are missing.
    ///
    /// # Errors
    ///
    /// As [`take`](PacketSink::take).
    fn gap(&self, gap: Gap) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Times and sizes; the defaults fit APRS-IS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AprsLimits {
    /// For looking a server's name up, and again for reaching it: all of its addresses together.
    pub connect_max: Duration,
    /// From the connection to the answer to the login.
    pub login_max: Duration,
    /// Without a line. Servers say something every 20 seconds.
    pub silence_max: Duration,
    /// How often we say something.
    pub keepalive_every: Duration,
    /// The first pause before the next server; they grow while none has us in.
    pub pause_first: Duration,
    /// The longest pause.
    pub pause_max: Duration,
    /// After a connection that lasted so long the pauses begin anew.
    pub settled_after: Duration,
    /// Bytes of packets that wait for the sink.
    pub queue_bytes_max: usize,
}

impl Default for AprsLimits {
    fn default() -> Self {
        Self {
            connect_max: Duration::from_secs(10),
            login_max: Duration::from_secs(20),
            silence_max: Duration::from_secs(60),
            keepalive_every: Duration::from_secs(240),
            pause_first: Duration::from_secs(1),
            pause_max: Duration::from_secs(30),
            settled_after: Duration::from_secs(60),
            // The whole network at its busiest, 3,000 packets a second, for about a minute.
            queue_bytes_max: 32 << 20,
        }
    }
}

/// Why a source can't begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AprsSourceError {
    /// There is no server to connect to.
    #[error("APRS source has no servers")]
    NoServers,
    /// The call sign is none.
    #[error("APRS call sign \"{0}\" is not 1 to 9 letters, digits and hyphens")]
    CallSign(String),
    /// The filter can't be sent.
    #[error("APRS filter {0}")]
    Filter(&'static str),
}

/// Why a source ended.
#[derive(Debug, thiserror::Error)]
pub enum AprsEnd<E> {
    /// It could not begin.
    #[error(transparent)]
    Source(#[from] AprsSourceError),
    /// The sink can't store anything any more.
    #[error("packets can't be stored")]
    Sink(#[source] E),
}

/// A source of packets.
#[derive(Clone, Debug)]
pub struct AprsSource {
    /// Servers as `host:port`, tried one after the other, round and round.
    pub servers: Vec<String>,
    /// Who we are.
    pub login: Login,
    /// Whether lines of the servers themselves are packets too.
    pub takes_server_lines: bool,
    /// When the last packet of this source was stored, if one was: what came since then is missing.
    pub stored_until_us: Option<i64>,
    /// Times and sizes.
    pub limits: AprsLimits,
    /// What is counted.
    pub counts: Arc<AprsCounts>,
}

impl AprsSource {
    /// Takes packets in until `stop` is ready; what was taken in by then is stored when it returns.
    ///
    /// # Errors
    ///
    /// If it can't begin, or the sink fails.
    pub async fn run<S: PacketSink>(
        &self,
        sink: Arc<S>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), AprsEnd<S::Error>> {
        if self.servers.is_empty() {
            return Err(AprsSourceError::NoServers.into());
        }
        let login_line = self.login.line()?;
        let (filler, drain) = queue::queue(self.limits.queue_bytes_max, &self.counts);
        // A task of its own: the socket is read while the sink works.
        let mut stored = tokio::spawn(drain.into_sink(sink));
        let mut link = Link {
            source: self,
            login_line: &login_line,
            filler,
            heard_us: self.stored_until_us,
            outage: self.stored_until_us.map(|from_us| Outage {
                from_us,
                reason: GapReason::NotRunning,
                server: None,
                attempts: 0,
            }),
        };
        let ended = tokio::select! {
            // A sink that ends while there is somebody to fill it has failed.
            ended = &mut stored => Some(ended),
            () = stop => None,
            never = self.follow(&mut link) => match never {},
        };
        link.filler.end_overflow();
        drop(link);
        let ended = match ended {
            Some(ended) => ended,
            None => stored.await,
        };
        match ended {
            Ok(result) => result.map_err(AprsEnd::Sink),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// One connection after the other, for ever.
    async fn follow(&self, link: &mut Link<'_>) -> std::convert::Infallible {
        let mut backoff = self.backoff();
        let started_us = now_us();
        let mut servers = self.servers.iter().cycle();
        loop {
            let server = servers.next().map_or("", String::as_str);
            if let Some(outage) = &mut link.outage {
                outage.attempts += 1;
            }
            let Ended { reason, lasted } = link.run(server).await;
            add(&self.counts.failures, 1);
            let from_us = link.heard_us.unwrap_or(started_us);
            link.outage.get_or_insert(Outage {
                from_us,
                reason,
                server: Some(server.to_owned()),
                attempts: 0,
            });
            if lasted >= self.limits.settled_after {
                backoff = self.backoff();
            }
            backoff.pause().await;
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(Limits {
            pause_first: self.limits.pause_first,
            pause_max: self.limits.pause_max,
            total_max: Duration::MAX,
            pause_count_max: u32::MAX,
        })
    }
}
