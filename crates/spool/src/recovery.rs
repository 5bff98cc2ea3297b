//! What a spool finds on its disk when it is opened. It changes nothing there.
//!
//! Only the last segment is read as a whole: a segment is durable before the next one begins, so that only the last can end in an
//! unfinished write. Damage in the others is noticed by who reads them.

use crate::Position;
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Kind};
use crate::format::{
    RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, Seal, SegmentHeader, position_in_name,
    read_segment_header, segment_name,
};
use crate::segment::Active;
use crate::shelf::Segment;
use crate::walk::{Place, Step, Walk, read_all};

/// What was found when a spool was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Segments that were there.
    pub segments: usize,
    /// Segments among them whose header is damaged in both copies: all of their records are lost.
    pub segments_damaged: usize,
    /// Position of the oldest record that may be there.
    pub first_position: Position,
    /// Position that the next record gets.
    pub next_position: Position,
    /// Bytes at the end of the last segment that are no record: a write that was not finished. They stay until their segment is released.
    pub torn_bytes: u64,
    /// Positions that are passed over, since records of a torn end may have had them. Reading them gives a loss.
    pub positions_skipped: u64,
}

/// The disk's content.
pub(crate) struct Found<F> {
    pub(crate) segments: Vec<Segment>,
    /// The last segment, which takes no more; none if there is none.
    pub(crate) last: Option<Active<F>>,
    pub(crate) recovery: Recovery,
}

/// Looks through the disk.
pub(crate) fn look<D: Disk>(disk: &D) -> Result<Found<D::File>, Error> {
    let names = disk
        .list()
        .map_err(|error| Error::io("list", "the spool's files", error))?;
    let mut firsts: Vec<Position> = names
        .iter()
        .filter_map(|name| position_in_name(name))
        .collect();
    firsts.sort_unstable();
    let (mut segments, mut last_file) = (Vec::with_capacity(firsts.len()), None);
    for first in firsts {
        let (file, segment) = read_segment(disk, first)?;
        segments.push(segment);
        last_file = Some(file);
    }
    let mut recovery = Recovery {
        segments: segments.len(),
        segments_damaged: segments.iter().filter(|s| s.seal.is_none()).count(),
        first_position: segments.first().map_or(1, |oldest| oldest.first),
        next_position: 1,
        ..Recovery::default()
    };
    let last = match (last_file, segments.last()) {
        (Some(file), Some(segment)) => Some(read_last(file, segment, &mut recovery)?),
        _ => None,
    };
    Ok(Found {
        segments,
        last,
        recovery,
    })
}

fn read_segment<D: Disk>(disk: &D, first: Position) -> Result<(D::File, Segment), Error> {
    let name = segment_name(first);
    let failed = |error| Error::io("read segment", &name, error);
    let file = disk.open(&name).map_err(failed)?;
    let bytes = file.bytes().map_err(failed)?;
    let mut header = [0; SEGMENT_HEADER_BYTES as usize];
    let read = read_all(&file, &mut header, 0).map_err(failed)?;
    let seal = match read_segment_header(header.get(..read).unwrap_or_default()) {
        SegmentHeader::Valid { first: found, salt } if found == first => {
            Some(Seal::new(first, salt))
        }
        SegmentHeader::Valid { first: found, .. } => {
            return Err(Kind::Renamed { name, found }.into());
        }
        SegmentHeader::Version(found) => return Err(Kind::Version { name, found }.into()),
        SegmentHeader::Damaged => None,
    };
    Ok((file, Segment { first, seal, bytes }))
}

/// Finds the end of the last segment's records, and makes durable what is read from it: whoever wrote it may have been killed before.
fn read_last<F: DiskFile>(
    file: F,
    segment: &Segment,
    recovery: &mut Recovery,
) -> Result<Active<F>, Error> {
    let name = segment_name(segment.first);
    let end = match segment.seal {
        Some(seal) => find_end(&file, seal, segment.bytes)
            .map_err(|error| Error::io("read segment", &name, error))?,
        None => End {
            records: 0,
            torn_bytes: segment.bytes,
            skipped: segment.bytes / RECORD_HEADER_BYTES as u64 + 1,
        },
    };
    recovery.torn_bytes = end.torn_bytes;
    recovery.positions_skipped = end.skipped;
    recovery.next_position = segment.first + end.records + end.skipped;
    file.sync().map_err(|error| Error::sync(&name, error))?;
    Ok(Active {
        file,
        first: segment.first,
        bytes: segment.bytes,
        synced_bytes: segment.bytes,
        seal: None,
        next_index: 0,
    })
}

/// Where the records of a segment end.
struct End {
    records: u64,
    torn_bytes: u64,
    skipped: u64,
}

fn find_end<F: DiskFile>(file: &F, seal: Seal, bytes: u64) -> std::io::Result<End> {
    let mut walk = Walk::new(file, seal, Place::FIRST, bytes);
    let (mut torn_bytes, mut skipped) = (0, 0);
    while let Some(step) = walk.step()? {
        if let Step::Tail { bytes, records_max } = step {
            (torn_bytes, skipped) = (bytes, records_max);
        }
    }
    Ok(End {
        records: u64::from(walk.place().index),
        torn_bytes,
        skipped,
    })
}
