//! A record as a source took it in, and its form in the spool.
//!
//! ```text
//! offset  bytes
//!      0      1  what it is, and the version of its form: 1, a record; 2, a gap, whose members follow as a JSON object
//!      1      8  when it was received: microseconds since 1970 (UTC), i64, little endian
//!      9      1  number of attributes
//!     10      *  attributes: u8 length and name, u16 length (little endian) and value
//!      *      *  the record's own bytes
//! ```

use crate::source::aprs::Gap;
use bytes::{BufMut, Bytes, BytesMut};
use hyperhaul_decode::Refusal;
use std::sync::Arc;

const RECORD: u8 = 1;
const GAP: u8 = 2;

/// What a position of a spool has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Spooled {
    /// What was said.
    Record(Envelope),
    /// A time in which nobody heard what was said.
    Gap(Gap),
}

/// A record as a source took it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// Its position in the source; see `Feed`.
    pub(crate) position: u64,
    /// Microseconds since 1970 (UTC) at which it was received.
    pub(crate) received_at_us: i64,
    /// What came beside it: captures of a topic or subject. Most records have none, and many share theirs.
    pub(crate) attributes: Arc<[(String, String)]>,
    /// Its bytes.
    pub(crate) payload: Bytes,
    /// Why no decoder may see it; sources that spool refuse such records themselves.
    pub(crate) refused: Option<Refusal>,
}

/// Bytes of the spool are no record: another version wrote them, since a checksum has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

impl Envelope {
    /// The form in which the spool keeps it; the position is the spool's own.
    pub(crate) fn to_spool(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(10 + self.payload.len());
        bytes.put_u8(RECORD);
        bytes.put_i64_le(self.received_at_us);
        let attributes = &self.attributes[..self.attributes.len().min(usize::from(u8::MAX))];
        bytes.put_u8(attributes.len() as u8);
        for (name, value) in attributes {
            let name = cut(name, usize::from(u8::MAX));
            let value = cut(value, usize::from(u16::MAX));
            bytes.put_u8(name.len() as u8);
            bytes.put_slice(name);
            bytes.put_u16_le(value.len() as u16);
            bytes.put_slice(value);
        }
        bytes.put_slice(&self.payload);
        bytes.freeze()
    }

    /// Reads what stands behind the first byte.
    fn from_spool(position: u64, mut rest: Bytes) -> Result<Envelope, Unreadable> {
        let received_at_us = i64::from_le_bytes(fixed(&take(&mut rest, 8)?)?);
        let count = take(&mut rest, 1)?[0];
        let mut attributes = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let name_bytes = take(&mut rest, 1)?[0];
            let name = text(&take(&mut rest, usize::from(name_bytes))?)?;
            let value_bytes = u16::from_le_bytes(fixed(&take(&mut rest, 2)?)?);
            let value = text(&take(&mut rest, usize::from(value_bytes))?)?;
            attributes.push((name, value));
        }
        Ok(Envelope {
            position,
            received_at_us,
            attributes: attributes.into(),
            payload: rest,
            refused: None,
        })
    }

    /// As the decoders take it.
    pub(crate) fn record<'a>(&'a self, source: &'a str) -> hyperhaul_decode::Record<'a> {
        hyperhaul_decode::Record {
            payload: &self.payload,
            received_at_us: self.received_at_us,
            position: self.position,
            source,
            attributes: &self.attributes,
        }
    }
}

impl Spooled {
    /// Reads what [`Envelope::to_spool`] and [`gap_to_spool`] wrote.
    ///
    /// # Errors
    ///
    /// If it is of another version.
    pub(crate) fn read(position: u64, mut bytes: Bytes) -> Result<Spooled, Unreadable> {
        match take(&mut bytes, 1)?[0] {
            RECORD => Ok(Spooled::Record(Envelope::from_spool(position, bytes)?)),
            GAP => {
                let gap = serde_json::from_slice(&bytes).map_err(|_| Unreadable)?;
                Ok(Spooled::Gap(gap))
            }
            _ => Err(Unreadable),
        }
    }

    /// Up to when its source has heard everything that is stored: microseconds since 1970, UTC.
    pub(crate) fn until_us(&self) -> i64 {
        match self {
            Spooled::Record(record) => record.received_at_us,
            Spooled::Gap(gap) => gap.to_us,
        }
    }
}

/// The form in which the spool keeps a gap.
pub(crate) fn gap_to_spool(gap: &Gap) -> Bytes {
    let mut bytes = vec![GAP];
    // Writing to memory cannot fail, nor can numbers and texts.
    let _ = serde_json::to_writer(&mut bytes, gap);
    bytes.into()
}

/// At most so many bytes of a text, whole characters.
fn cut(text: &str, bytes_max: usize) -> &[u8] {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text.as_bytes()[..end]
}

fn take(rest: &mut Bytes, length: usize) -> Result<Bytes, Unreadable> {
    if rest.len() < length {
        return Err(Unreadable);
    }
    Ok(rest.split_to(length))
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Unreadable> {
    bytes.try_into().map_err(|_| Unreadable)
}

fn text(bytes: &[u8]) -> Result<String, Unreadable> {
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::aprs::GapReason;

    fn envelope() -> Envelope {
        Envelope {
            position: 7,
            received_at_us: -1,
            attributes: [("well_id".to_owned(), "W-ä".repeat(400))].into(),
            payload: Bytes::from_static(b"\x00{}"),
            refused: None,
        }
    }

    #[test]
    fn what_goes_into_the_spool_comes_out_of_it() {
        let written = envelope().to_spool();
        assert_eq!(Spooled::read(7, written), Ok(Spooled::Record(envelope())));
        for packets in [None, Some(12)] {
            let gap = Gap {
                from_us: -1,
                to_us: i64::MAX,
                reason: GapReason::NotRunning,
                server: packets.map(|_| "glidern1.glidernet.org:14580 \"ä\"".to_owned()),
                attempts: 3,
                packets,
            };
            let written = gap_to_spool(&gap);
            assert_eq!(Spooled::read(7, written), Ok(Spooled::Gap(gap)));
        }
    }

    #[test]
    fn bytes_that_end_too_soon_or_are_of_another_version_are_refused() {
        let written = envelope().to_spool();
        let header = written.len() - envelope().payload.len();
        for end in 0..header {
            assert_eq!(
                Spooled::read(7, written.slice(..end)),
                Err(Unreadable),
                "{end}"
            );
        }
        let mut other = written.to_vec();
        for version in [0, GAP, GAP + 1] {
            other[0] = version;
            assert_eq!(Spooled::read(7, other.clone().into()), Err(Unreadable));
        }
    }

    #[test]
    fn a_value_that_is_too_long_is_cut_between_characters() {
        let long = Envelope {
            attributes: [("n".to_owned(), "ä".repeat(40_000))].into(),
            ..envelope()
        };
        let Ok(Spooled::Record(read)) = Spooled::read(7, long.to_spool()) else {
            panic!("it is not read");
        };
        assert_eq!(read.attributes[0].1.chars().count(), 32_767);
    }
}
