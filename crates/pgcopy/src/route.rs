//! Which of a sorted list of time ranges a row belongs to. Knows nothing of chunks or partitions:
//! the caller keeps them in the order of the ranges.

use crate::error::{Error, Kind};

/// Finds the half-open range `[start_us, end_us)` that a time lies in.
///
/// Rows come almost sorted by time, so it first tries the range of the last hit.
#[derive(Clone, Debug)]
pub struct Router {
    ranges: Vec<(i64, i64)>,
    last: usize,
}

impl Router {
    /// A router over ranges in ascending order; there may be gaps between them.
    ///
    /// # Errors
    ///
    /// If a range is empty, or begins before its predecessor ends.
    pub fn new(ranges: Vec<(i64, i64)>) -> Result<Self, Error> {
        let mut free_from = i64::MIN;
        for (index, &(start_us, end_us)) in ranges.iter().enumerate() {
            if start_us < free_from || start_us >= end_us {
                return Err(Kind::Ranges(index).into());
            }
            free_from = end_us;
        }
        Ok(Router { ranges, last: 0 })
    }

    /// The index of the range that `time_us` lies in, or `None` where there is none.
    #[inline]
    pub fn route(&mut self, time_us: i64) -> Option<usize> {
        match self.ranges.get(self.last) {
            Some(&(start_us, end_us)) if start_us <= time_us && time_us < end_us => Some(self.last),
            _ => self.search(time_us),
        }
    }

    /// The ranges, in order.
    pub fn ranges(&self) -> &[(i64, i64)] {
        &self.ranges
    }

    fn search(&mut self, time_us: i64) -> Option<usize> {
        let index = self
            .ranges
            .partition_point(|&(start_us, _)| start_us <= time_us)
            .checked_sub(1)?;
        let &(_, end_us) = self.ranges.get(index)?;
        if time_us >= end_us {
            return None;
        }
        self.last = index;
        Some(index)
    }
}
