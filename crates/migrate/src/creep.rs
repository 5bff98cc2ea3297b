//! Whether slices take longer and longer: time per byte at the end of a run against its beginning. Pure.

use std::collections::BTreeMap;

/// The last quarter of the slices may take this much longer than the first.
const RATIO_MAX: f64 = 1.5;
/// Fewer slices than this in a quarter say nothing.
const QUARTER_MIN: usize = 4;
/// Nor does a quarter that took less than this, seconds.
const QUARTER_S_MIN: f64 = 1.0;
/// Small slices take longer for a byte: they count from this share of the largest one on.
const SIZE_SHARE_MIN: f64 = 0.25;

/// A finished slice.
#[derive(Clone, Copy, Debug)]
struct Taken {
    workers: u32,
    bytes: f64,
    seconds: f64,
}

/// What slices took; grows with their number, as the plan does.
#[derive(Debug, Default)]
pub(crate) struct Creep {
    tables: BTreeMap<usize, Vec<Taken>>,
    told: bool,
}

impl Creep {
    /// One more slice of a table, while so many workers were at it. How many times as long slices take now as at the beginning,
    /// if that is too much and was not told yet.
    #[expect(clippy::cast_precision_loss, reason = "a rate needs few digits")]
    pub(crate) fn add(
        &mut self,
        table: usize,
        workers: u32,
        bytes: u64,
        seconds: f64,
    ) -> Option<f64> {
        let taken = self.tables.entry(table).or_default();
        taken.push(Taken {
            workers,
            bytes: bytes as f64,
            seconds,
        });
        if self.told {
            return None;
        }
        let largest = taken
            .iter()
            .fold(0.0_f64, |max, slice| max.max(slice.bytes));
        // With other numbers of workers each has another share of the server.
        let alike: Vec<Taken> = taken
            .iter()
            .filter(|slice| slice.workers == workers && slice.bytes >= largest * SIZE_SHARE_MIN)
            .copied()
            .collect();
        let quarter = alike.len() / 4;
        if quarter < QUARTER_MIN {
            return None;
        }
        let (first, last) = (&alike[..quarter], &alike[alike.len() - quarter..]);
        let seconds_of = |slices: &[Taken]| slices.iter().map(|slice| slice.seconds).sum::<f64>();
        let bytes_of = |slices: &[Taken]| slices.iter().map(|slice| slice.bytes).sum::<f64>();
        let per_byte = |slices: &[Taken]| seconds_of(slices) / bytes_of(slices).max(1.0);
        let ratio = per_byte(last) / per_byte(first).max(f64::MIN_POSITIVE);
        let creeps = ratio > RATIO_MAX && seconds_of(last) >= QUARTER_S_MIN;
        self.told = creeps;
        creeps.then_some(ratio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told about so many slices of which the nth takes so long.
    fn told(slices: u32, workers: fn(u32) -> u32, seconds: fn(u32) -> f64) -> Vec<f64> {
        let mut creep = Creep::default();
        (0..slices)
            .filter_map(|n| creep.add(0, workers(n), 1 << 20, seconds(n)))
            .collect()
    }

    #[test]
    fn slices_that_take_longer_and_longer_are_told_once() {
        let found = told(100, |_| 2, |n| 1.0 + f64::from(n) / 20.0);
        assert_eq!(found.len(), 1);
        assert!(found[0] > 1.5 && found[0] < 2.0, "{found:?}");
    }

    #[test]
    fn slices_that_take_as_long_as_ever_are_not() {
        assert!(told(100, |_| 2, |n| f64::from(1 + n % 2)).is_empty());
    }

    #[test]
    fn too_few_too_short_or_with_more_workers_says_nothing() {
        assert!(told(15, |_| 2, |n| f64::from(1 + n)).is_empty());
        assert!(told(100, |_| 2, |n| 1e-4 * f64::from(1 + n)).is_empty());
        assert!(told(30, |n| 1 + n / 15, |n| f64::from(1 + n / 15)).is_empty());
    }

    #[test]
    fn small_slices_at_the_end_say_nothing() {
        let mut creep = Creep::default();
        for n in 0..40 {
            let bytes = if n < 20 { 1 << 30 } else { 1 << 20 };
            assert_eq!(creep.add(0, 2, bytes, 1.0), None);
        }
    }
}
