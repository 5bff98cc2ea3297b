//! When rows happen: how many on which day, in which order, at which microsecond. Row `i` of a day can be placed in time
//! without looking at its neighbours, which is what lets blocks be made in any order.
//!
//! ```text
//! day d:  rows 0 .. n     in order of received_at, cut into blocks of about BLOCK_ROWS
//!         row i           belongs to lane i % lanes: one aircraft at a time flies in a lane
//!         received_at     = quantile of the daily curve at (i + jitter) / n
//! ```

use std::ops::Range;

use chrono::{Datelike, NaiveDate};

use super::options::SoarOptions;
use crate::random::{mix, unit};

/// Fixes, or beacons, in one block: some 2 MiB of rows at most.
const BLOCK_ROWS: u64 = 4_096;

pub(crate) const DAY_US: i64 = 86_400_000_000;
const SECOND_US: i64 = 1_000_000;

/// Rows before and after the range of days lie within this distance of it.
const OUTSIDE_US: i64 = 600 * SECOND_US;

/// Relative traffic from Monday to Sunday: gliders fly at weekends.
const WEEKDAY_WEIGHTS: [u64; 7] = [80, 78, 82, 85, 100, 150, 140];

/// Relative traffic by hour (UTC), central Europe in winter.
const HOUR_WEIGHTS: [f64; 24] = [
    2.0, 1.0, 1.0, 1.0, 2.0, 3.0, 4.0, 6.0, 10.0, 16.0, 22.0, 26.0, 28.0, 28.0, 24.0, 18.0, 11.0,
    7.0, 6.0, 5.0, 4.0, 3.0, 3.0, 2.0,
];

/// Seconds between two fixes of an aircraft when traffic is at its peak.
const FIX_INTERVAL_SECONDS: f64 = 10.0;

const LANES_MIN: u64 = 5;

/// A piece of a day: these fixes and these beacons, counted from the day's first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Days since the first day; -1 and the number of days stand for the time before and after.
    pub(crate) day: i64,
    /// Place within the day.
    pub(crate) number: u64,
    pub(crate) fixes: Range<u64>,
    pub(crate) beacons: Range<u64>,
}

/// Places rows in days and days in blocks.
#[derive(Debug)]
pub(crate) struct Schedule {
    seed: u64,
    fixes: u64,
    beacons: u64,
    outside: u64,
    /// Unix time of the first day's midnight.
    first_day_us: i64,
    /// Sums of the weights of all days before; one more than there are days.
    weight_sums: Vec<u64>,
    /// Numbers of the blocks before each day; one more than there are days.
    block_sums: Vec<u64>,
    hour_sum: f64,
}

impl Schedule {
    pub(crate) fn new(options: &SoarOptions) -> Self {
        let mut weight_sums = vec![0];
        let mut weight_sum = 0;
        for date in options.first_day.iter_days().take(options.days as usize) {
            weight_sum += WEEKDAY_WEIGHTS[date.weekday().num_days_from_monday() as usize];
            weight_sums.push(weight_sum);
        }
        let mut schedule = Self {
            seed: options.seed,
            fixes: options.fixes,
            beacons: options.beacons(),
            outside: options.default_partition_rows,
            first_day_us: options
                .first_day
                .signed_duration_since(NaiveDate::default())
                .num_days()
                * DAY_US,
            weight_sums,
            block_sums: vec![0],
            hour_sum: HOUR_WEIGHTS.iter().sum(),
        };
        let mut block_sum = 0;
        for day in 0..schedule.days() {
            block_sum += schedule.blocks_on(day);
            schedule.block_sums.push(block_sum);
        }
        schedule
    }

    pub(crate) fn days(&self) -> i64 {
        self.weight_sums.len() as i64 - 1
    }

    /// Unix time of midnight, in microseconds.
    pub(crate) fn midnight_us(&self, day: i64) -> i64 {
        self.first_day_us + day * DAY_US
    }

    /// Fixes of a day; the time before (-1) and after (the number of days) has none.
    pub(crate) fn fixes_on(&self, day: i64) -> u64 {
        if (0..self.days()).contains(&day) {
            self.share(self.fixes, day)
        } else {
            0
        }
    }

    /// Beacons of a day, or of the time before (-1) and after (the number of days).
    pub(crate) fn beacons_on(&self, day: i64) -> u64 {
        if day < 0 {
            self.outside / 2
        } else if day >= self.days() {
            self.outside - self.outside / 2
        } else {
            self.share(self.beacons, day)
        }
    }

    /// Blocks of all days.
    pub(crate) fn block_count(&self) -> u64 {
        self.block_sums.last().copied().unwrap_or(0)
    }

    /// The block at `index`, counted over all days.
    pub(crate) fn block(&self, index: u64) -> Block {
        let day = self.block_sums.partition_point(|&sum| sum <= index) as i64 - 1;
        let number = index - self.block_sums[day as usize];
        let blocks = self.blocks_on(day);
        let cut = |rows: u64, number: u64| proportion(rows, number, blocks);
        let (fixes, beacons) = (self.fixes_on(day), self.beacons_on(day));
        Block {
            day,
            number,
            fixes: cut(fixes, number)..cut(fixes, number + 1),
            beacons: cut(beacons, number)..cut(beacons, number + 1),
        }
    }

    /// The rows before the first (`day` is -1) or after the last day, as one block.
    pub(crate) fn outside_block(&self, day: i64) -> Block {
        Block {
            day,
            number: 0,
            fixes: 0..0,
            beacons: 0..self.beacons_on(day),
        }
    }

    /// Aircraft heard at the same time on a day with `fixes` fixes. With a few at least, one of them flies over, and an aircraft's
    /// fixes lie so far apart that jitter and latency do not swap them.
    pub(crate) fn lanes_for(&self, fixes: u64) -> u64 {
        let peak = HOUR_WEIGHTS.iter().copied().fold(0.0, f64::max) / self.hour_sum / 3_600.0;
        ((fixes as f64 * peak * FIX_INTERVAL_SECONDS).round() as u64).max(LANES_MIN)
    }

    /// Most aircraft heard at the same time on any day.
    pub(crate) fn lanes_max(&self) -> u64 {
        (0..self.days())
            .map(|day| self.lanes_for(self.fixes_on(day)))
            .max()
            .unwrap_or(LANES_MIN)
    }

    /// When fix `index` of `count` on `day` arrives, and when it was sent: microseconds and whole seconds since midnight. The
    /// second may lie shortly before midnight.
    pub(crate) fn fix_time(&self, day: i64, index: u64, count: u64) -> (i64, i64) {
        let bits = mix(self.seed, day as u64, index);
        let received_us = self.quantile_us((index as f64 + unit(bits)) / count as f64);
        let latency_us = 200_000 + (mix(self.seed, bits, 1) % 1_600_000) as i64;
        (
            received_us,
            (received_us - latency_us).div_euclid(SECOND_US),
        )
    }

    /// When beacon `index` of `count` on `day` arrives, in microseconds since the first moment of `day`.
    pub(crate) fn beacon_time(&self, day: i64, index: u64, count: u64) -> i64 {
        let fraction = (index as f64 + unit(mix(self.seed, !(day as u64), index))) / count as f64;
        if day < 0 {
            DAY_US - OUTSIDE_US + (fraction * OUTSIDE_US as f64) as i64
        } else if day >= self.days() {
            (fraction * OUTSIDE_US as f64) as i64
        } else {
            self.quantile_us(fraction)
        }
    }

    fn blocks_on(&self, day: i64) -> u64 {
        self.fixes_on(day)
            .max(self.beacons_on(day))
            .div_ceil(BLOCK_ROWS)
    }

    /// The part of `total` that falls on `day`; the parts of all days add up.
    fn share(&self, total: u64, day: i64) -> u64 {
        let sums = &self.weight_sums;
        let all = self.weight_sums.last().copied().unwrap_or(1);
        let day = day as usize;
        proportion(total, sums[day + 1], all) - proportion(total, sums[day], all)
    }

    /// The moment before which `fraction` (in `[0, 1)`) of a day's traffic has happened.
    fn quantile_us(&self, fraction: f64) -> i64 {
        let mut rest = fraction * self.hour_sum;
        for (hour, weight) in HOUR_WEIGHTS.iter().enumerate() {
            if rest < *weight {
                return ((hour as f64 + rest / weight) * 3_600.0 * SECOND_US as f64) as i64;
            }
            rest -= weight;
        }
        DAY_US - 1
    }
}

/// `total * part / whole`, rounded down, without overflow.
fn proportion(total: u64, part: u64, whole: u64) -> u64 {
    (u128::from(total) * u128::from(part) / u128::from(whole)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_every_row_once_and_in_order() {
        for fixes in [0, 1, 6, 5_000, 277_949] {
            let options = SoarOptions::sized(fixes);
            let schedule = Schedule::new(&options);
            let (mut next, mut fix_sum, mut beacon_sum) = ((-1, 0, 0), 0, 0);
            for index in 0..schedule.block_count() {
                let block = schedule.block(index);
                if block.day != next.0 {
                    next = (block.day, 0, 0);
                }
                assert_eq!(
                    (next.1, next.2),
                    (block.fixes.start, block.beacons.start),
                    "block {index} of {fixes} fixes"
                );
                assert!(block.fixes.end - block.fixes.start <= BLOCK_ROWS);
                next = (block.day, block.fixes.end, block.beacons.end);
                fix_sum += block.fixes.end - block.fixes.start;
                beacon_sum += block.beacons.end - block.beacons.start;
            }
            assert_eq!((fix_sum, beacon_sum), (options.fixes, options.beacons()));
        }
    }

    #[test]
    fn times_ascend_and_stay_within_the_day() {
        let schedule = Schedule::new(&SoarOptions::default());
        let count = schedule.fixes_on(2);
        let mut previous = 0;
        for index in 0..count {
            let (received_us, sent) = schedule.fix_time(2, index, count);
            assert!(
                previous <= received_us && received_us < DAY_US,
                "row {index}"
            );
            assert!(
                sent * SECOND_US < received_us && received_us - sent * SECOND_US < 3 * SECOND_US
            );
            previous = received_us;
        }
    }

    #[test]
    fn rows_of_the_default_partition_lie_outside_of_the_days() {
        let schedule = Schedule::new(&SoarOptions::default());
        for (day, expected) in [(-1, DAY_US - OUTSIDE_US..DAY_US), (7, 0..OUTSIDE_US)] {
            let count = schedule.beacons_on(day);
            assert_eq!(count, 206);
            assert!(
                (0..count).all(|index| expected.contains(&schedule.beacon_time(day, index, count)))
            );
        }
    }
}
