//! A tap on the way from the socket to the client library: diverts the payload of CopyData messages into large batches, and
//! passes every other message on. The state that both ends share is in `diversion`; what opens sessions with a tap is `tap_connect`.
//!
//! The library hands out one reference-counted piece per row, which costs a third of a client's work in a bulk copy. It still does
//! everything else: startup, authentication, TLS, errors, notices, cancelling.
//!
//! ```text
//!   socket or TLS --> buffer (READ_BYTES) --+-- CopyData while diverting --> batch (COPY_BATCH_BYTES) --> ready --> CopyBatches
//!                                           |                                                              one slot; full: reads
//!                                           |                                                              nothing more until taken
//!                                           +-- all other messages, unchanged --> client library
//! ```
//!
//! Message framing ("Message Formats" in PostgreSQL's documentation of the protocol): a tag byte, then a length of four
//! bytes, big-endian, which counts itself and not the tag.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use crate::diversion::{Phase, State, Tap};

/// The most that is read from the socket at once. Small enough to be copied on while it is in the cache.
const READ_BYTES: usize = 128 * 1024;

const COPY_DATA: u8 = b'd';
const COPY_OUT_RESPONSE: u8 = b'H';

/// A connection's stream with the tap in it.
#[derive(Debug)]
pub(crate) struct Tapped<S> {
    stream: S,
    tap: Tap,
    /// What was read and not yet passed on or diverted: `buffer[start..end]`.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    place: Place,
}

/// Where in the server's messages the tap is.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// In a message's tag and length, of which so many bytes have arrived.
    Head { bytes: [u8; 5], have: usize },
    /// In a message that passes: so many bytes of its head and of its body are still to come.
    Pass {
        head: [u8; 5],
        head_left: usize,
        body_left: usize,
    },
    /// In a message that is diverted.
    Divert { body_left: usize },
}

/// Why the tap stopped going through its buffer.
enum Stop {
    /// All of it is gone.
    Empty,
    /// The library's buffer is full.
    OutFull,
    /// The batch is full, and the one before it was not taken.
    NoRoom,
}

const BETWEEN_MESSAGES: Place = Place::Head {
    bytes: [0; 5],
    have: 0,
};

impl<S> Tapped<S> {
    pub(crate) fn new(stream: S, tap: Tap) -> Tapped<S> {
        Tapped {
            stream,
            tap,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            place: BETWEEN_MESSAGES,
        }
    }

    /// Goes through what was read, as far as that is possible now.
    fn go_through(&mut self, state: &mut State, out: &mut ReadBuf<'_>) -> Stop {
        loop {
            let input = self.buffer.get(self.start..self.end).unwrap_or_default();
            let (used, stop) = match &mut self.place {
                Place::Head { bytes, have } => {
                    let used = fill(bytes, have, input);
                    (used, self.after_head(state))
                }
                Place::Pass {
                    head,
                    head_left,
                    body_left,
                } => {
                    if *head_left > 0 {
                        let rest = head.len() - *head_left;
                        *head_left -= put(out, head.get(rest..).unwrap_or_default());
                        (0, (*head_left > 0).then_some(Stop::OutFull))
                    } else {
                        let body = input.get(..*body_left).unwrap_or(input);
                        let used = put(out, body);
                        *body_left -= used;
                        let stop = if *body_left == 0 {
                            self.place = BETWEEN_MESSAGES;
                            None
                        } else if used < body.len() {
                            Some(Stop::OutFull)
                        } else {
                            Some(Stop::Empty)
                        };
                        (used, stop)
                    }
                }
                Place::Divert { body_left } => {
                    let body = input.get(..*body_left).unwrap_or(input);
                    let used = match state.phase {
                        Phase::Diverting => state.gather(body),
                        // Given up in the middle of a message.
                        _ => body.len(),
                    };
                    *body_left -= used;
                    let stop = if *body_left == 0 {
                        self.place = BETWEEN_MESSAGES;
                        None
                    } else if used < body.len() {
                        (!state.hand_over()).then_some(Stop::NoRoom)
                    } else {
                        Some(Stop::Empty)
                    };
                    (used, stop)
                }
            };
            self.start += used;
            if let Some(stop) = stop {
                return stop;
            }
        }
    }

    /// Decides about a message when its head is there.
    fn after_head(&mut self, state: &mut State) -> Option<Stop> {
        let Place::Head { bytes, have } = self.place else {
            return None;
        };
        if have < bytes.len() {
            return Some(Stop::Empty);
        }
        let [tag, length @ ..] = bytes;
        // A length below four is not the protocol; the library gets to see it and says so.
        let body_left = (u32::from_be_bytes(length) as usize).saturating_sub(4);
        if state.phase == Phase::Diverting {
            if tag == COPY_DATA {
                self.place = Place::Divert { body_left };
                return None;
            }
            // Whoever hears of the COPY's end finds all its data.
            if !state.hand_over() {
                return Some(Stop::NoRoom);
            }
        }
        if state.phase == Phase::Armed && tag == COPY_OUT_RESPONSE {
            state.phase = Phase::Diverting;
        }
        self.place = Place::Pass {
            head: bytes,
            head_left: bytes.len(),
            body_left,
        };
        None
    }
}

/// Copies into an array from `have` on.
fn fill(bytes: &mut [u8; 5], have: &mut usize, input: &[u8]) -> usize {
    let room = bytes.get_mut(*have..).unwrap_or_default();
    let used = room.len().min(input.len());
    for (to, from) in room.iter_mut().zip(input) {
        *to = *from;
    }
    *have += used;
    used
}

/// Gives the library as much as it has room for.
fn put(out: &mut ReadBuf<'_>, bytes: &[u8]) -> usize {
    let taken = bytes.get(..out.remaining()).unwrap_or(bytes);
    out.put_slice(taken);
    taken.len()
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let tap = this.tap.clone();
        let filled_before = out.filled().len();
        loop {
            let mut state = tap.state();
            let stop = this.go_through(&mut state, out);
            if out.filled().len() > filled_before {
                return Poll::Ready(Ok(()));
            }
            match stop {
                Stop::OutFull => return Poll::Ready(Ok(())),
                Stop::NoRoom => {
                    state.wants_room = Some(context.waker().clone());
                    return Poll::Pending;
                }
                Stop::Empty => {}
            }
            drop(state);
            let mut read = ReadBuf::new(&mut this.buffer);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut read))?;
            (this.start, this.end) = (0, read.filled().len());
            if this.end == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Tapped<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

#[cfg(test)]
#[path = "tap_tests.rs"]
mod tests;
