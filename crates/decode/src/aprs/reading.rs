//! A packet, read: what it is, who heard it, and the fix in it. Total: any bytes give a reading.
//!
//! ```text
//!   bytes ─ too long, '#' ──────────────────────────> Oversized, ServerLine
//!     │ Packet::cut
//!     └─ header, data ─ '>' ':' '_' ... ────────────> Status, Message, Weather, Other
//!                  │ '/' '@' with time, '!' '=' without
//!                  └─ Stamp, Place, Comment ─ Device ─> Fix, ReceiverPosition, NoTracking, ...
//! ```
//!
//! Own parsing, not a library's: `ogn-parser` 0.3.19 wants ASCII lines (one umlaut in a comment costs the position), takes 99 minutes
//! for a place, signs for digits and a packet's day for today, refuses altitudes below the sea and reaches a panic on local times. What
//! would be left of it behind checks of all that is the cutting of a comment into words. The tests hold it, and `aprs-parser`, against
//! what is read here.

use std::borrow::Cow;

use super::comment::Comment;
use super::device::Device;
use super::kind::Kind;
use super::packet::Packet;
use super::place::{NoFix, Place};
use super::stamp::{STAMP_BYTES, Stamp};

/// Bytes of a packet at most, its line end not counted (APRS-IS, "Connecting to APRS-IS": 512 with CR and LF). Two more are let pass:
/// servers differ in what they count.
pub(crate) const PACKET_BYTES_MAX: usize = 512;

/// Stands for the receiver of a line that names none.
pub(crate) const NO_RECEIVER: &str = "unknown";

/// How far the time of a packet may be from its time of reception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeLimits {
    /// Microseconds before reception at most.
    pub(crate) past_max_us: i64,
    /// Microseconds after reception at most.
    pub(crate) future_max_us: i64,
}

/// A packet, read.
#[derive(Clone, Debug)]
pub(super) struct Reading<'a> {
    pub(super) kind: Kind,
    /// Call sign of the station that heard it.
    pub(super) receiver: &'a str,
    /// There if `kind` is [`Kind::Fix`].
    pub(super) fix: Option<Fix<'a>>,
    /// Why it could not be read, or the words that were not understood.
    pub(super) unparsed: Option<String>,
}

/// The position of an aircraft.
#[derive(Clone, Debug)]
pub(super) struct Fix<'a> {
    pub(super) packet: Packet<'a>,
    /// Microseconds since 1970, UTC.
    pub(super) timestamp_us: i64,
    pub(super) place: Place,
    pub(super) device: Device,
    pub(super) comment: Comment<'a>,
}

/// Reads a packet that was received at `received_at_us`, microseconds since 1970.
pub(super) fn read(payload: &[u8], received_at_us: i64, limits: TimeLimits) -> Reading<'_> {
    let without_header = |kind| Reading::without_fix(kind, NO_RECEIVER, payload);
    if payload.len() > PACKET_BYTES_MAX {
        return without_header(Kind::Oversized);
    }
    if payload.first() == Some(&b'#') {
        return without_header(Kind::ServerLine);
    }
    let packet = match Packet::cut(payload) {
        Ok(packet) => packet,
        Err(kind) => return without_header(kind),
    };
    let receiver = packet.receiver();
    let kind = match packet.data.first() {
        Some(b'/' | b'@' | b'!' | b'=') => {
            return match position(packet, received_at_us, limits) {
                Ok(fix) => Reading::with_fix(receiver, fix),
                Err((kind, part)) => Reading::without_fix(kind, receiver, part),
            };
        }
        Some(b'>') => Kind::Status,
        Some(b':') => Kind::Message,
        Some(b'_' | b'*' | b'#') => Kind::Weather,
        // Chapter 5, "APRS data type identifier".
        Some(
            b';' | b')' | b'T' | b'`' | b'\'' | b'?' | b'<' | b'{' | b'}' | b'$' | b'%' | b','
            | b'[',
        ) => Kind::Other,
        _ => Kind::DataType,
    };
    Reading::without_fix(kind, receiver, packet.data)
}

/// Reads the position of a packet.
fn position(
    packet: Packet<'_>,
    received_at_us: i64,
    limits: TimeLimits,
) -> Result<Fix<'_>, NoFix<'_>> {
    let (stamp, data) = stamped(packet.data)?;
    let (place, text) = Place::cut(data)?;
    let comment = Comment::read(text);
    let place = Place::read(place, comment.precision.unwrap_or_default())?;
    // An underscore is the symbol of weather stations (chapter 12).
    if place.symbol == b'_' {
        return Err((Kind::Weather, text));
    }
    let device = comment
        .device
        .or_else(|| Device::from_call_sign(packet.sender));
    let Some(device) = device else {
        let kind = if packet.is_direct() {
            Kind::ReceiverPosition
        } else {
            Kind::NoAddress
        };
        return Err((kind, text));
    };
    if device.no_tracking {
        return Err((Kind::NoTracking, text));
    }
    let timestamp_us = match stamp {
        // A position without a time is one of this moment.
        None => received_at_us,
        Some(stamp) => Stamp::read(stamp)
            .map_err(|kind| (kind, stamp))?
            .nearest(received_at_us)
            .filter(|moment_us| is_plausible(*moment_us, received_at_us, limits))
            .ok_or((Kind::ImplausibleTime, stamp))?,
    };
    Ok(Fix {
        packet,
        timestamp_us,
        place,
        device,
        comment,
    })
}

/// Cuts the time off, where the type of the data says that there is one.
fn stamped(data: &[u8]) -> Result<(Option<&[u8]>, &[u8]), NoFix<'_>> {
    let (kind, rest) = data.split_at_checked(1).ok_or((Kind::DataType, data))?;
    if kind == b"!" || kind == b"=" {
        return Ok((None, rest));
    }
    let (stamp, rest) = rest
        .split_at_checked(STAMP_BYTES)
        .ok_or((Kind::Truncated, data))?;
    Ok((Some(stamp), rest))
}

fn is_plausible(moment_us: i64, received_at_us: i64, limits: TimeLimits) -> bool {
    let ahead_us = moment_us.saturating_sub(received_at_us);
    ahead_us <= limits.future_max_us && ahead_us >= limits.past_max_us.saturating_neg()
}

impl<'a> Reading<'a> {
    fn with_fix(receiver: &'a str, fix: Fix<'a>) -> Self {
        let unread = &fix.comment.unread;
        let unparsed = (!unread.is_empty()).then(|| {
            let words: Vec<_> = unread.iter().map(|word| as_text(word)).collect();
            words.join(" ")
        });
        Self {
            kind: Kind::Fix,
            receiver,
            fix: Some(fix),
            unparsed,
        }
    }

    /// A packet without a fix; `part` is what makes it one.
    fn without_fix(kind: Kind, receiver: &'a str, part: &[u8]) -> Self {
        let unparsed = (!kind.is_in_order()).then(|| format!("{}: {}", kind.code(), as_text(part)));
        Self {
            kind,
            receiver,
            fix: None,
            unparsed,
        }
    }
}

/// Bytes as text that PostgreSQL takes: what is not UTF-8, and U+0000, is shown as U+FFFD. The bytes themselves are in the raw message.
fn as_text(bytes: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(bytes);
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{FFFD}"))
    } else {
        text
    }
}
