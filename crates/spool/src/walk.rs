//! The walk over a segment from record to record, past damage. Says what it found and decides nothing.
//!
//! ```text
//!   header ok, payload ok          -> Record
//!   header ok, payload damaged     -> DamagedPayload: the header tells where the next record begins
//!   header damaged                 -> look at every byte from there on for the next header that
//!        found                     -> DamagedHeaders: its index tells how many records are lost
//!        not found                 -> Tail: nothing but this is left
//!   record longer than the segment -> Tail
//! ```

use std::io;

use crc32c::crc32c;

use crate::disk::DiskFile;
use crate::format::{RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, Seal, claimed_index};

/// How much is read at a time.
const WINDOW_BYTES: u64 = 256 * 1024;

const HEADER_BYTES: u64 = RECORD_HEADER_BYTES as u64;

/// What comes next in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    Record {
        index: u32,
        payload: &'a [u8],
    },
    DamagedPayload {
        index: u32,
    },
    /// Records from `from` up to, but without, `to`.
    DamagedHeaders {
        from: u32,
        to: u32,
    },
    /// The bytes that are left are no whole record, and no record follows in them.
    Tail {
        bytes: u64,
        /// How many records can have begun in them.
        records_max: u64,
    },
}

/// Where a walk stands: between two records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) index: u32,
    pub(crate) offset: u64,
}

impl Place {
    /// In front of a segment's first record.
    pub(crate) const FIRST: Place = Place {
        index: 0,
        offset: SEGMENT_HEADER_BYTES,
    };
}

/// A walk over the records of one segment.
pub(crate) struct Walk<'f, F> {
    seal: Seal,
    place: Place,
    window: Window<'f, F>,
}

impl<'f, F: DiskFile> Walk<'f, F> {
    /// Begins at `place`, and ends at byte `end` of the file.
    pub(crate) fn new(file: &'f F, seal: Seal, place: Place, end: u64) -> Self {
        let window = Window {
            file,
            end,
            start: place.offset,
            bytes: Vec::new(),
        };
        Self {
            seal,
            place,
            window,
        }
    }

    /// Where the next step begins.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// The next step; none at the end.
    pub(crate) fn step(&mut self) -> io::Result<Option<Step<'_>>> {
        let left = self.window.end.saturating_sub(self.place.offset);
        if left == 0 {
            return Ok(None);
        }
        if left < HEADER_BYTES {
            return Ok(Some(self.tail(1)));
        }
        let header = self.window.header(self.place.offset)?;
        match self.seal.read(&header) {
            Some(header) if header.index == self.place.index => self.record(header, left).map(Some),
            _ => self.find_next().map(Some),
        }
    }

    fn record(&mut self, header: RecordHeader, left: u64) -> io::Result<Step<'_>> {
        let length = u64::from(header.length);
        if length > left - HEADER_BYTES {
            return Ok(self.tail(1));
        }
        let payload = self.window.get(self.place.offset + HEADER_BYTES, length)?;
        let index = header.index;
        self.place = Place {
            index: index.saturating_add(1),
            offset: self.place.offset + HEADER_BYTES + length,
        };
        if crc32c(payload) == header.payload_checksum {
            Ok(Step::Record { index, payload })
        } else {
            Ok(Step::DamagedPayload { index })
        }
    }

    /// Looks behind a damaged header for the next one. A record takes up no less than its header does, which bounds both where the next
    /// one can begin and how many can lie in between: with the checksum, that leaves nothing to chance.
    fn find_next(&mut self) -> io::Result<Step<'_>> {
        let Place {
            index: from,
            offset: began,
        } = self.place;
        let mut offset = began + HEADER_BYTES;
        while offset + HEADER_BYTES <= self.window.end {
            let header = self.window.header(offset)?;
            let skipped = u64::from(claimed_index(&header).wrapping_sub(from));
            let is_possible = (1..=(offset - began) / HEADER_BYTES).contains(&skipped);
            if is_possible && let Some(RecordHeader { index: to, .. }) = self.seal.read(&header) {
                self.place = Place { index: to, offset };
                return Ok(Step::DamagedHeaders { from, to });
            }
            offset += 1;
        }
        let records_max = (self.window.end - began).div_ceil(HEADER_BYTES);
        Ok(self.tail(records_max))
    }

    fn tail(&mut self, records_max: u64) -> Step<'static> {
        let bytes = self.window.end - self.place.offset;
        self.place.offset = self.window.end;
        Step::Tail { bytes, records_max }
    }
}

/// A part of the file in memory: never more than the file holds, whatever a length claims.
struct Window<'f, F> {
    file: &'f F,
    /// Where the segment ends.
    end: u64,
    /// Where in the file the bytes begin.
    start: u64,
    bytes: Vec<u8>,
}

impl<F: DiskFile> Window<'_, F> {
    fn header(&mut self, offset: u64) -> io::Result<[u8; RECORD_HEADER_BYTES]> {
        let bytes = self.get(offset, HEADER_BYTES)?;
        bytes.try_into().map_err(|_| too_short())
    }

    /// `length` bytes at `offset`, which lie in the segment.
    fn get(&mut self, offset: u64, length: u64) -> io::Result<&[u8]> {
        let is_inside =
            offset >= self.start && offset + length <= self.start + self.bytes.len() as u64;
        if !is_inside {
            self.load(offset, length)?;
        }
        let from = (offset - self.start) as usize;
        self.bytes
            .get(from..from + length as usize)
            .ok_or_else(too_short)
    }

    fn load(&mut self, offset: u64, length: u64) -> io::Result<()> {
        let wanted = length
            .max(WINDOW_BYTES)
            .min(self.end.saturating_sub(offset));
        self.start = offset;
        self.bytes.clear();
        self.bytes.resize(wanted as usize, 0);
        let read = read_all(self.file, &mut self.bytes, offset)?;
        self.bytes.truncate(read);
        Ok(())
    }
}

/// Fills the buffer as far as the file goes.
pub(crate) fn read_all<F: DiskFile>(file: &F, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..)
        && !rest.is_empty()
    {
        match file.read_at(rest, offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

fn too_short() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the segment has become shorter",
    )
}
