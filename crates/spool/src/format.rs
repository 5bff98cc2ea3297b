//! The bytes of a segment: names, headers and checksums at their offsets. Nothing here reads or writes a file.

use crc32c::{crc32c, crc32c_append};

use crate::{POSITION_MAX, Position};

/// The format's version. Magic, version and checksum stay where they are in every version, so that others are told from damage.
pub(crate) const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"HHSPOOL\n";

/// One copy of a segment's header.
const COPY_BYTES: usize = 32;
const COPY_COUNT: usize = 2;

/// A segment's header: two copies of the same, so that no single damage costs the records of a segment.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = (COPY_BYTES * COPY_COUNT) as u64;

/// A record's header.
pub(crate) const RECORD_HEADER_BYTES: usize = 16;

/// A new segment until it is whole and durable.
pub(crate) const TEMPORARY: &str = "new";

/// Bytes that are given up so that a new segment can be made on a full disk.
pub(crate) const RESERVE: &str = "reserve";

const NAME_ENDING: &str = ".segment";
const NAME_DIGITS: usize = 20;

/// The name of the segment that begins with a position: its digits sort as the positions do.
pub(crate) fn segment_name(first: Position) -> String {
    format!("{first:0width$}{NAME_ENDING}", width = NAME_DIGITS)
}

/// The position that a segment's name tells; none for other files.
pub(crate) fn position_in_name(name: &str) -> Option<Position> {
    let digits = name.strip_suffix(NAME_ENDING)?;
    let is_ours = digits.len() == NAME_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_possible = |first: &Position| is_ours && (1..=POSITION_MAX).contains(first);
    digits.parse().ok().filter(is_possible)
}

/// What a segment's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SegmentHeader {
    Valid {
        first: Position,
        salt: u64,
    },
    /// Written by another version of the format.
    Version(u32),
    /// Neither copy can be believed.
    Damaged,
}

/// A segment's header, both copies of it.
///
/// ```text
/// offset  bytes
///      0      8  magic           "HHSPOOL\n"
///      8      4  version         1
///     12      8  first position
///     20      8  salt            at random
///     28      4  CRC32C of bytes 0 to 27
///     32     32  the same again
/// ```
pub(crate) fn segment_header(first: Position, salt: u64) -> Vec<u8> {
    let mut copy = Vec::with_capacity(COPY_BYTES);
    copy.extend_from_slice(&MAGIC);
    copy.extend_from_slice(&VERSION.to_le_bytes());
    copy.extend_from_slice(&first.to_le_bytes());
    copy.extend_from_slice(&salt.to_le_bytes());
    let checksum = crc32c(&copy);
    copy.extend_from_slice(&checksum.to_le_bytes());
    copy.repeat(COPY_COUNT)
}

/// Reads a segment's header from its first bytes, however many there are.
pub(crate) fn read_segment_header(bytes: &[u8]) -> SegmentHeader {
    bytes
        .chunks_exact(COPY_BYTES)
        .take(COPY_COUNT)
        .find_map(read_copy)
        .unwrap_or(SegmentHeader::Damaged)
}

fn read_copy(copy: &[u8]) -> Option<SegmentHeader> {
    let (magic, rest) = copy.split_first_chunk::<8>()?;
    let (version, rest) = rest.split_first_chunk::<4>()?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let (salt, checksum) = rest.split_first_chunk::<8>()?;
    let checked = copy.get(..COPY_BYTES - 4)?;
    if *magic != MAGIC || crc32c(checked).to_le_bytes() != *checksum {
        return None;
    }
    Some(match u32::from_le_bytes(*version) {
        VERSION => SegmentHeader::Valid {
            first: u64::from_le_bytes(*first),
            salt: u64::from_le_bytes(*salt),
        },
        other => SegmentHeader::Version(other),
    })
}

/// A record's header that its checksum vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    /// Bytes of the payload.
    pub(crate) length: u32,
    /// How many records of the segment come before this one.
    pub(crate) index: u32,
    pub(crate) payload_checksum: u32,
}

/// What a segment's records are sealed with: the checksum of its first position and salt, with which the checksum of every record's header
/// begins.
///
/// A sender chooses payloads, but does not know the salt: bytes of a payload are never taken for a record when a reader looks for the next
/// one behind damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seal(u32);

impl Seal {
    pub(crate) fn new(first: Position, salt: u64) -> Self {
        Self(crc32c_append(
            crc32c(&first.to_le_bytes()),
            &salt.to_le_bytes(),
        ))
    }

    /// Reads a record's header from its 16 bytes; none if the checksum does not vouch for it.
    pub(crate) fn read(self, header: &[u8; RECORD_HEADER_BYTES]) -> Option<RecordHeader> {
        let (checked, checksum) = header.split_last_chunk::<4>()?;
        let (length, rest) = checked.split_first_chunk::<4>()?;
        let (index, payload_checksum) = rest.split_first_chunk::<4>()?;
        (crc32c_append(self.0, checked).to_le_bytes() == *checksum).then_some(RecordHeader {
            length: u32::from_le_bytes(*length),
            index: u32::from_le_bytes(*index),
            payload_checksum: u32::from_le_bytes(payload_checksum.try_into().ok()?),
        })
    }

    /// Numbers whole records that stand one behind the other, from `index` on, and seals their headers.
    pub(crate) fn number(self, mut records: &mut [u8], mut index: u32) {
        while let Some((header, rest)) = records.split_first_chunk_mut::<RECORD_HEADER_BYTES>() {
            let (checked, checksum) = header.split_at_mut(RECORD_HEADER_BYTES - 4);
            let length = length_of(checked);
            if let Some(place) = checked.get_mut(4..8) {
                place.copy_from_slice(&index.to_le_bytes());
            }
            checksum.copy_from_slice(&crc32c_append(self.0, checked).to_le_bytes());
            index = index.wrapping_add(1);
            records = rest.get_mut(length..).unwrap_or_default();
        }
    }
}

fn length_of(header: &[u8]) -> usize {
    header
        .first_chunk::<4>()
        .map_or(0, |length| u32::from_le_bytes(*length) as usize)
}

/// The index that a record's header claims, before its checksum was looked at.
pub(crate) fn claimed_index(header: &[u8; RECORD_HEADER_BYTES]) -> u32 {
    let [_, _, _, _, a, b, c, d, ..] = *header;
    u32::from_le_bytes([a, b, c, d])
}

/// Writes a record whose number and seal are still to come.
///
/// ```text
/// offset  bytes
///      0      4  length     bytes of the payload
///      4      4  index      how many records of the segment come before this one
///      8      4  CRC32C of the payload
///     12      4  CRC32C of the segment's first position and salt, and bytes 0 to 11
///     16    ...  payload
/// ```
pub(crate) fn write_record(bytes: &mut Vec<u8>, payload: &[u8]) {
    // No append takes a payload that is so long that this is not its length: segments are smaller.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    bytes.reserve(RECORD_HEADER_BYTES + payload.len());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&crc32c(payload).to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
}
