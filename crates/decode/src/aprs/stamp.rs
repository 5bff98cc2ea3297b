//! When: a packet says the time of day, or day and time, and leaves the rest to whoever receives it. What is missing is what brings the
//! packet nearest to its time of reception, never to the time at which it is decoded: a replay gives the same.

use super::kind::Kind;
use super::number::digits;
use crate::time::calendar::{days_since_1970, is_date};

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;

/// Bytes of a time in a packet.
pub(super) const STAMP_BYTES: usize = 7;

/// A time as a packet has it, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// `HHMMSSh`: seconds since midnight.
    TimeOfDay(u32),
    /// `DDHHMMz`: day of the month, and seconds since its midnight.
    DayOfMonth(u32, u32),
}

impl Stamp {
    /// Reads the seven bytes of a time.
    ///
    /// # Errors
    ///
    /// [`Kind::Time`], or [`Kind::LocalTime`] for `/`, the sender's local time in a zone that nobody knows.
    pub(super) fn read(text: &[u8]) -> Result<Self, Kind> {
        let [a1, a2, b1, b2, c1, c2, suffix] = *text else {
            return Err(Kind::Time);
        };
        let part = |high, low| digits(&[high, low]).ok_or(Kind::Time);
        let (a, b, c) = (part(a1, a2)?, part(b1, b2)?, part(c1, c2)?);
        match (suffix, a, b, c) {
            (b'h', 0..=23, 0..=59, 0..=59) => Ok(Self::TimeOfDay(a * 3_600 + b * 60 + c)),
            (b'z', 1..=31, 0..=23, 0..=59) => Ok(Self::DayOfMonth(a, b * 3_600 + c * 60)),
            (b'/', 1..=31, 0..=23, 0..=59) => Err(Kind::LocalTime),
            _ => Err(Kind::Time),
        }
    }

    /// The moment with this stamp that is nearest to `received_us`; both in microseconds since 1970, UTC.
    pub(super) fn nearest(self, received_us: i64) -> Option<i64> {
        match self {
            Self::TimeOfDay(second) => {
                let ahead_us = i64::from(second) * SECOND_US - received_us.rem_euclid(DAY_US);
                let nearest_us = (ahead_us + DAY_US / 2).rem_euclid(DAY_US) - DAY_US / 2;
                received_us.checked_add(nearest_us)
            }
            Self::DayOfMonth(day, second) => {
                let second_us = i64::from(second) * SECOND_US;
                days_of_month(received_us.div_euclid(DAY_US), i64::from(day))
                    .filter_map(|day| day.checked_mul(DAY_US)?.checked_add(second_us))
                    .min_by_key(|moment_us| moment_us.abs_diff(received_us))
            }
        }
    }
}

/// Days since 1970 that are the `day`th of a month, in all months around day `near`.
fn days_of_month(near: i64, day: i64) -> impl Iterator<Item = i64> {
    const DAYS_IN_400_YEARS: i64 = 146_097;
    let year = 1_970 + near * 400 / DAYS_IN_400_YEARS;
    (year - 1..=year + 1)
        .flat_map(|year| (1..=12).map(move |month| (year, month)))
        .filter(move |(year, month)| is_date(*year, *month, day))
        .map(move |(year, month)| days_since_1970(year, month, day))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    /// Of `YYYY-MM-DDTHH:MM:SSZ`, with or without milliseconds.
    fn us(text: &str) -> i64 {
        let part = |from: usize, to: usize| text[from..to].parse::<i64>().expect(text);
        let day = days_since_1970(part(0, 4), part(5, 7), part(8, 10));
        let second = part(11, 13) * 3_600 + part(14, 16) * 60 + part(17, 19);
        let ms = if text.len() > 20 { part(20, 23) } else { 0 };
        day * DAY_US + second * SECOND_US + ms * 1_000
    }

    #[test]
    fn what_a_stamp_leaves_out_is_what_is_nearest_to_reception() {
        let cases = [
            ("235959h", "2025-12-11T00:00:01Z", "2025-12-10T23:59:59Z"),
            ("000001h", "2025-12-10T23:59:59Z", "2025-12-11T00:00:01Z"),
            (
                "235959h",
                "2026-01-01T00:00:01.250Z",
                "2025-12-31T23:59:59Z",
            ),
            ("120000h", "2025-12-11T12:00:00Z", "2025-12-11T12:00:00Z"),
            ("110000h", "2025-12-11T22:59:59Z", "2025-12-11T11:00:00Z"),
            ("110000h", "2025-12-11T23:00:01Z", "2025-12-12T11:00:00Z"),
            ("000000h", "1969-12-31T23:59:00Z", "1970-01-01T00:00:00Z"),
            ("112359z", "2025-12-12T00:00:30Z", "2025-12-11T23:59:00Z"),
            ("312359z", "2026-03-01T00:00:10Z", "2026-01-31T23:59:00Z"),
            ("312359z", "2026-04-01T00:00:10Z", "2026-03-31T23:59:00Z"),
            ("010000z", "2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z"),
            ("290000z", "2026-02-14T12:00:00Z", "2026-01-29T00:00:00Z"),
            ("151200z", "2025-12-15T09:00:00Z", "2025-12-15T12:00:00Z"),
        ];
        for (stamp, received, expected) in cases {
            let nearest = Stamp::read(stamp.as_bytes())
                .expect(stamp)
                .nearest(us(received));
            assert_eq!(nearest, Some(us(expected)), "{stamp} received {received}");
        }
    }

    #[test]
    fn times_that_are_none_are_refused() {
        for (stamp, kind) in [
            ("240000h", Kind::Time),
            ("236000h", Kind::Time),
            ("235960h", Kind::Time),
            ("+10000h", Kind::Time),
            ("001200z", Kind::Time),
            ("321200z", Kind::Time),
            ("12345h", Kind::Time),
            ("123456x", Kind::Time),
            ("111234/", Kind::LocalTime),
            ("991234/", Kind::Time),
        ] {
            assert_eq!(Stamp::read(stamp.as_bytes()), Err(kind), "{stamp}");
        }
    }

    #[test]
    fn no_time_of_reception_is_too_far_away() {
        for received_us in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
            for stamp in [
                Stamp::TimeOfDay(0),
                Stamp::TimeOfDay(86_399),
                Stamp::DayOfMonth(31, 0),
            ] {
                if let Some(moment_us) = stamp.nearest(received_us) {
                    assert!(moment_us.abs_diff(received_us) <= 31 * DAY_US.unsigned_abs());
                }
            }
        }
    }
}
