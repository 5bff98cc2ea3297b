//! The segment that is written to, and how one begins: it has its name only when its header is durable.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::Position;
use crate::disk::{Disk, DiskFile};
use crate::error::Error;
use crate::format::{SEGMENT_HEADER_BYTES, Seal, TEMPORARY, segment_header, segment_name};
use crate::parcel::Parcel;
use crate::shelf::Segment;

/// The last segment.
pub(crate) struct Active<F> {
    pub(crate) file: F,
    pub(crate) first: Position,
    pub(crate) bytes: u64,
    pub(crate) synced_bytes: u64,
    /// What records are sealed with; none where the segment takes no more: a process appends only to segments of its own making, since it
    /// cannot know what became of writes and syncs before its time.
    pub(crate) seal: Option<Seal>,
    pub(crate) next_index: u32,
}

impl<F: DiskFile> Active<F> {
    /// Begins a segment with position `first`. A crash at any moment leaves a whole and empty segment with that name, or none.
    pub(crate) fn begin<D: Disk<File = F>>(disk: &D, first: Position) -> Result<Self, Error> {
        let salt = salt();
        let header = segment_header(first, salt);
        let file = write_file(disk, TEMPORARY, &header)?;
        file.sync().map_err(|error| Error::sync(TEMPORARY, error))?;
        let name = segment_name(first);
        if let Err(error) = disk.rename(TEMPORARY, &name) {
            // What stays behind is in nobody's way.
            let _ = disk.remove(TEMPORARY);
            return Err(Error::io("make segment", &name, error));
        }
        disk.sync_folder()
            .map_err(|error| Error::sync("the name of a new segment", error))?;
        Ok(Self {
            file,
            first,
            bytes: SEGMENT_HEADER_BYTES,
            synced_bytes: SEGMENT_HEADER_BYTES,
            seal: Some(Seal::new(first, salt)),
            next_index: 0,
        })
    }

    /// As readers see it.
    pub(crate) fn as_segment(&self) -> Segment {
        Segment {
            first: self.first,
            seal: self.seal,
            bytes: self.synced_bytes,
        }
    }

    pub(crate) fn has_room(&self, bytes: u64, segment_bytes: u64) -> bool {
        self.seal.is_some() && self.bytes + bytes <= segment_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes <= SEGMENT_HEADER_BYTES
    }

    /// Numbers the parcels' records and lays them one behind the other. None if this segment takes no more.
    pub(crate) fn lay_out(&self, parcels: &[Parcel], buffer: &mut Vec<u8>) -> Option<()> {
        let seal = self.seal?;
        buffer.clear();
        for parcel in parcels {
            buffer.extend_from_slice(parcel.as_bytes());
        }
        seal.number(buffer, self.next_index);
        Some(())
    }
}

/// Makes a file with these bytes, or none.
pub(crate) fn write_file<D: Disk>(disk: &D, name: &str, bytes: &[u8]) -> Result<D::File, Error> {
    let written = disk
        .create(name)
        .and_then(|file| file.append(bytes).map(|()| file));
    written.map_err(|error| {
        // Where it can't be removed, the next one with that name replaces it.
        let _ = disk.remove(name);
        Error::io("write", name, error)
    })
}

/// A number that senders cannot guess, from the system's randomness by way of the standard library.
fn salt() -> u64 {
    RandomState::new().build_hasher().finish()
}
