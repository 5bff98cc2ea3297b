//! Buffers of a routed slice: a list of segments for each chunk, and what all of them reserve. Knows bytes and rows, not times.
//!
//! ```text
//!   buffer    [4 KiB][4 KiB][8 KiB][16 KiB] ... [256 KiB][256 KiB .....      ]
//!                                                         ^ last: appended to; never moved, never grown
//! ```

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::limits::{ROUTED_BUFFER_BYTES_MAX, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};

/// One buffer per destination.
#[derive(Debug)]
pub(crate) struct Buffers {
    buffers: Vec<Buffer>,
    /// What all segments reserve, filled or not.
    reserved_bytes: usize,
}

#[derive(Debug, Default)]
struct Buffer {
    segments: VecDeque<Segment>,
    reserved_bytes: usize,
    rows: u64,
}

#[derive(Debug)]
struct Segment {
    bytes: BytesMut,
    reserved_bytes: usize,
    rows: u64,
}

impl Buffers {
    pub(crate) fn new(count: usize) -> Buffers {
        Buffers {
            buffers: std::iter::repeat_with(Buffer::default)
                .take(count)
                .collect(),
            reserved_bytes: 0,
        }
    }

    /// Appends one row's bytes to a buffer.
    pub(crate) fn append(&mut self, number: usize, row: &[u8]) {
        let Some(buffer) = self.buffers.get_mut(number) else {
            return;
        };
        buffer.rows += 1;
        if let Some(last) = buffer.segments.back_mut()
            && last.reserved_bytes - last.bytes.len() >= row.len()
        {
            last.bytes.extend_from_slice(row);
            last.rows += 1;
            return;
        }
        let usual_bytes = buffer
            .reserved_bytes
            .clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        let reserved_bytes = usual_bytes.max(row.len());
        let mut bytes = BytesMut::with_capacity(reserved_bytes);
        bytes.extend_from_slice(row);
        buffer.segments.push_back(Segment {
            bytes,
            reserved_bytes,
            rows: 1,
        });
        buffer.reserved_bytes += reserved_bytes;
        self.reserved_bytes += reserved_bytes;
    }

    /// More is reserved than may be.
    pub(crate) fn is_over_limit(&self) -> bool {
        self.reserved_bytes > ROUTED_BUFFER_BYTES_MAX
    }

    /// The buffer that reserves most; none if all are empty.
    pub(crate) fn fullest(&self) -> Option<usize> {
        let numbered = self
            .buffers
            .iter()
            .enumerate()
            .filter(|(_, buffer)| buffer.rows > 0);
        numbered
            .max_by_key(|(_, buffer)| buffer.reserved_bytes)
            .map(|(number, _)| number)
    }

    /// Rows in a buffer.
    pub(crate) fn rows(&self, number: usize) -> u64 {
        self.buffers.get(number).map_or(0, |buffer| buffer.rows)
    }

    /// Takes the oldest segment out of a buffer: its bytes and how many rows they are.
    pub(crate) fn take_segment(&mut self, number: usize) -> Option<(Bytes, u64)> {
        let buffer = self.buffers.get_mut(number)?;
        let segment = buffer.segments.pop_front()?;
        buffer.rows -= segment.rows;
        buffer.reserved_bytes -= segment.reserved_bytes;
        self.reserved_bytes -= segment.reserved_bytes;
        Some((segment.bytes.freeze(), segment.rows))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn drain(buffers: &mut Buffers, number: usize) -> (Vec<u8>, u64) {
        let (mut all, mut total) = (Vec::new(), 0);
        while let Some((bytes, rows)) = buffers.take_segment(number) {
            all.extend_from_slice(&bytes);
            total += rows;
        }
        (all, total)
    }

    #[test]
    fn what_is_appended_comes_out_in_order_and_frees_what_it_reserved() {
        let mut buffers = Buffers::new(2);
        let mut expected = Vec::new();
        for number in 0..10_000_u32 {
            let row = number.to_be_bytes().repeat(1 + number as usize % 50);
            expected.extend_from_slice(&row);
            buffers.append(1, &row);
        }
        buffers.append(0, b"other");
        assert_eq!(buffers.fullest(), Some(1));
        assert_eq!(buffers.rows(1), 10_000);
        let (bytes, rows) = drain(&mut buffers, 1);
        assert_eq!(rows, 10_000);
        assert!(bytes == expected);
        assert_eq!(buffers.fullest(), Some(0));
        assert_eq!(drain(&mut buffers, 0), (b"other".to_vec(), 1));
        assert_eq!(buffers.fullest(), None);
        assert_eq!(buffers.reserved_bytes, 0);
    }

    #[test]
    fn a_row_larger_than_the_limit_fits_and_is_seen_to_exceed_it() {
        let mut buffers = Buffers::new(1);
        buffers.append(0, b"small");
        assert!(!buffers.is_over_limit());
        buffers.append(0, &vec![7; ROUTED_BUFFER_BYTES_MAX]);
        assert!(buffers.is_over_limit());
        assert_eq!(drain(&mut buffers, 0).1, 2);
        assert!(!buffers.is_over_limit());
    }

    #[test]
    fn fifteen_hundred_chunks_with_a_row_each_stay_under_the_limit() {
        let mut buffers = Buffers::new(1_500);
        for number in 0..1_500 {
            buffers.append(number, &[1; 434]);
        }
        assert!(!buffers.is_over_limit());
    }
}
