//! How much a spool may hold, and how it is cut into segments.

use crate::error::{Error, Kind};
use crate::format::SEGMENT_HEADER_BYTES;

/// The smallest segment: below that, headers and syncs of new segments are most of the work.
pub const SEGMENT_BYTES_MIN: u64 = 1024;

/// The largest segment. Released space comes back a segment at a time, and a start reads the last segment as a whole.
pub const SEGMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// What a spool may take up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// All segments together, in bytes. At least two segments, so that a spool whose records are all released can go on.
    pub bytes_max: u64,
    /// One segment, in bytes. One append fits into a segment, so that it is on the disk as a whole or not at all.
    pub segment_bytes: u64,
}

impl Default for Limits {
    /// 4 GiB in segments of 64 MiB: about an hour of 5,000 records of 200 bytes a second.
    fn default() -> Self {
        Self {
            bytes_max: 4 * 1024 * 1024 * 1024,
            segment_bytes: 64 * 1024 * 1024,
        }
    }
}

impl Limits {
    /// How many bytes one append may hold, headers of records included: see [`crate::Parcel::bytes`].
    pub fn append_bytes_max(&self) -> u64 {
        self.segment_bytes.saturating_sub(SEGMENT_HEADER_BYTES)
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong = if self.segment_bytes < SEGMENT_BYTES_MIN {
            "a segment is smaller than 1 KiB"
        } else if self.segment_bytes > SEGMENT_BYTES_MAX {
            "a segment is larger than 1 GiB"
        } else if self.bytes_max / 2 < self.segment_bytes {
            "the spool's limit holds less than two segments"
        } else {
            return Ok(());
        };
        Err(Kind::Limits(wrong).into())
    }
}
