//! One connection: reach a server, log in, read until it ends. Whatever happens, it ends with a reason.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout, timeout_at};

use super::AprsSource;
use super::counts::add;
use super::gap::{GapReason, Outage};
use super::line::{LINE_BYTES_MAX, LineCutter};
use super::login::{Answer, answer};
use super::queue::Filler;
use crate::clock::now_us;

/// Bytes that are read from the socket at once.
const READ_BYTES: usize = 64 << 10;

/// What servers take for a sign of life.
const KEEPALIVE: &[u8] = b"# hyperhaul keepalive\r\n";

/// What lasts longer than one connection.
pub(super) struct Link<'a> {
    pub(super) source: &'a AprsSource,
    pub(super) login_line: &'a str,
    pub(super) filler: Filler,
    /// When the last line came from any server.
    pub(super) heard_us: Option<i64>,
    /// Since when no server has us in.
    pub(super) outage: Option<Outage>,
}

/// How a connection ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) reason: GapReason,
    /// How long a server had us in.
    pub(super) lasted: Duration,
}

impl Ended {
    fn early(reason: GapReason) -> Self {
        Self {
            reason,
            lasted: Duration::ZERO,
        }
    }
}

impl Link<'_> {
    /// Connects to `server`, logs in and reads until the connection ends.
    pub(super) async fn run(&mut self, server: &str) -> Ended {
        let limits = &self.source.limits;
        let mut stream = match connect(server, limits.connect_max).await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(server, %error, "can't connect to the APRS server");
                return Ended::early(GapReason::Connect);
            }
        };
        let mut reader = Reader::default();
        match timeout(
            limits.login_max,
            self.log_in(&mut stream, &mut reader, server),
        )
        .await
        {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Ended::early(reason),
            Err(_) => {
                tracing::warn!(server, "the APRS server does not answer to the login");
                return Ended::early(GapReason::Login);
            }
        }
        let since = Instant::now();
        let reason = self.read(&mut stream, &mut reader).await;
        let filler = &mut self.filler;
        let is_whole = reader
            .cutter
            .finish(|line| packet(filler, self.source, line, now_us()));
        add(&self.source.counts.broken_lines, usize::from(!is_whole));
        tracing::warn!(
            server,
            reason = reason.code(),
            "the connection to the APRS server ended"
        );
        Ended {
            reason,
            lasted: since.elapsed(),
        }
    }

    /// Says who we are, and waits until the server has us in. Packets may come before its answer.
    async fn log_in(
        &mut self,
        stream: &mut TcpStream,
        reader: &mut Reader,
        server: &str,
    ) -> Result<(), GapReason> {
        // Servers say who they are first, but do not wait for anything but the login.
        stream
            .write_all(self.login_line.as_bytes())
            .await
            .map_err(|_| GapReason::Login)?;
        loop {
            let mut said = Answer::Other;
            self.receive(stream, reader, &mut said)
                .await
                .map_err(|_| GapReason::Login)?;
            match said {
                Answer::Other => {}
                Answer::Refused => {
                    tracing::warn!(server, "the APRS server refuses the login");
                    return Err(GapReason::Login);
                }
                Answer::In {
                    is_verified,
                    server: name,
                } => {
                    if self.source.login.passcode.is_some() && !is_verified {
                        tracing::warn!(
                            server,
                            "the APRS server does not take the passcode; listening works without"
                        );
                    }
                    tracing::info!(server, name, "the APRS server has us in");
                    return Ok(());
                }
            }
        }
    }

    /// Reads until the connection ends, and says from time to time that we are there.
    async fn read(&mut self, stream: &mut TcpStream, reader: &mut Reader) -> GapReason {
        let every = self.source.limits.keepalive_every;
        let mut keepalive = interval_at(Instant::now() + every, every);
        keepalive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        reader.heard = Instant::now();
        loop {
            let silent_at = reader.heard + self.source.limits.silence_max;
            let mut said = Answer::Other;
            tokio::select! {
                read = timeout_at(silent_at, self.receive(stream, reader, &mut said)) => match read {
                    Ok(Ok(())) => {}
                    Ok(Err(reason)) => return reason,
                    Err(_) => return GapReason::Silent,
                },
                _ = keepalive.tick() => {
                    // Never waited for: a server that takes nothing in is noticed when it says nothing more.
                    if let Err(error) = stream.try_write(KEEPALIVE) && error.kind() != ErrorKind::WouldBlock {
                        return GapReason::Broken;
                    }
                }
            }
        }
    }

    /// Reads what is there, once. Lines of the server go to `said`, packets to the queue.
    async fn receive(
        &mut self,
        stream: &mut TcpStream,
        reader: &mut Reader,
        said: &mut Answer,
    ) -> Result<(), GapReason> {
        reader.buffer.resize(READ_BYTES, 0);
        let count = match stream.read(&mut reader.buffer).await {
            Ok(0) => return Err(GapReason::Closed),
            Ok(count) => count,
            Err(_) => return Err(GapReason::Broken),
        };
        let Reader {
            buffer,
            cutter,
            heard,
        } = reader;
        let received_at_us = now_us();
        cutter.push(buffer.get(..count).unwrap_or_default(), |line| {
            *heard = Instant::now();
            self.line(line, received_at_us, said);
        });
        Ok(())
    }

    fn line(&mut self, line: &[u8], received_at_us: i64, said: &mut Answer) {
        if line.first() == Some(&b'#') {
            add(&self.source.counts.server_lines, 1);
            if let answer @ (Answer::In { .. } | Answer::Refused) =
                answer(line, &self.source.login.call_sign)
            {
                self.let_in(&answer, received_at_us);
                *said = answer;
            }
            if self.source.takes_server_lines {
                packet(&mut self.filler, self.source, line, received_at_us);
            }
        } else {
            packet(&mut self.filler, self.source, line, received_at_us);
        }
        self.heard_us = Some(received_at_us);
    }

    /// Ends the outage where a server has us in, before the packets that follow in the same read.
    fn let_in(&mut self, answer: &Answer, received_at_us: i64) {
        if !matches!(answer, Answer::In { .. }) {
            return;
        }
        add(&self.source.counts.logins, 1);
        if let Some(outage) = self.outage.take() {
            self.filler.gap(outage.end(received_at_us));
        }
    }
}

/// Gives a line to the queue.
fn packet(filler: &mut Filler, source: &AprsSource, line: &[u8], received_at_us: i64) {
    add(
        &source.counts.cut_lines,
        usize::from(line.len() > LINE_BYTES_MAX),
    );
    filler.packet(line, received_at_us);
}

/// What is read of a connection.
struct Reader {
    buffer: Vec<u8>,
    cutter: LineCutter,
    /// When the last whole line came.
    heard: Instant,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            buffer: Vec::new(),
            cutter: LineCutter::default(),
            heard: Instant::now(),
        }
    }
}

/// Connects to the first address of a server that answers. Looking its name up may take `max`, and so may all of its addresses
/// together: none of them can use up the time of the others.
async fn connect(server: &str, max: Duration) -> std::io::Result<TcpStream> {
    let too_slow = |_| std::io::Error::from(ErrorKind::TimedOut);
    let addresses: Vec<_> = timeout(max, lookup_host(server))
        .await
        .map_err(too_slow)??
        .collect();
    let share = max / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut last = std::io::Error::from(ErrorKind::NotFound);
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(elapsed) => last = too_slow(elapsed),
        }
    }
    Err(last)
}
