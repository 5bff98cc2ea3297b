//! How fast a phase is at the moment: over the last seconds, so that a stall shows and a burst does not last.

use crate::output::number::approximate;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What the rate is taken over.
const WINDOW: Duration = Duration::from_secs(10);
/// Samples closer together than this are left out: the window then holds at most 40.
const SAMPLE_EVERY: Duration = Duration::from_millis(250);
/// Over less than this, a rate would be noise.
const WINDOW_MIN: Duration = Duration::from_millis(500);

/// Samples of rows and bytes done.
#[derive(Debug, Default)]
pub(super) struct Rates(VecDeque<(Instant, u64, u64)>);

/// Rows and bytes a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    pub(super) rows: f64,
    pub(super) bytes: f64,
}

impl Rates {
    pub(super) fn sample(&mut self, at: Instant, rows: u64, bytes: u64) {
        if self
            .0
            .back()
            .is_some_and(|(last, ..)| at.duration_since(*last) < SAMPLE_EVERY)
        {
            return;
        }
        self.0.push_back((at, rows, bytes));
        while self.0.len() > 2
            && self
                .0
                .get(1)
                .is_some_and(|(second, ..)| at.duration_since(*second) >= WINDOW)
        {
            self.0.pop_front();
        }
    }

    /// The rate over the window; none before there is one.
    pub(super) fn now(&self) -> Option<Rate> {
        let ((from, rows_from, bytes_from), (to, rows_to, bytes_to)) =
            (self.0.front()?, self.0.back()?);
        let elapsed = to.duration_since(*from);
        // Rows are taken back when a slice fails: that is no negative speed.
        (elapsed >= WINDOW_MIN).then(|| Rate {
            rows: approximate(rows_to.saturating_sub(*rows_from)) / elapsed.as_secs_f64(),
            bytes: approximate(bytes_to.saturating_sub(*bytes_from)) / elapsed.as_secs_f64(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let begun = Instant::now();
        let mut rates = Rates::default();
        rates.sample(begun, 0, 0);
        assert_eq!(rates.now(), None);
        // A minute at 100 rows a second, then a stall.
        for second in 1..=60 {
            rates.sample(
                begun + Duration::from_secs(second),
                second * 100,
                second * 1_000,
            );
        }
        assert_eq!(
            rates.now(),
            Some(Rate {
                rows: 100.0,
                bytes: 1_000.0
            })
        );
        for second in 61..=80 {
            rates.sample(begun + Duration::from_secs(second), 6_000, 60_000);
        }
        assert_eq!(
            rates.now(),
            Some(Rate {
                rows: 0.0,
                bytes: 0.0
            })
        );
        assert!(rates.0.len() <= 12, "{}", rates.0.len());
    }

    #[test]
    fn rows_that_are_taken_back_are_no_negative_speed() {
        let begun = Instant::now();
        let mut rates = Rates::default();
        rates.sample(begun, 500, 500);
        rates.sample(begun + Duration::from_secs(1), 100, 100);
        assert_eq!(
            rates.now(),
            Some(Rate {
                rows: 0.0,
                bytes: 0.0
            })
        );
    }
}
