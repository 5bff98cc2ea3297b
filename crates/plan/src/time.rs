//! Points and ranges of the time column, in microseconds since 1970-01-01 UTC.
//!
//! TimescaleDB keeps its dimension slices in this unit for `timestamptz`, `timestamp` and `date` alike.

use chrono::{DateTime, Datelike, SecondsFormat};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The types that a time column may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeType {
    /// `timestamp with time zone`.
    Timestamptz,
    /// `timestamp without time zone`, taken as UTC.
    Timestamp,
    /// `date`, taken as midnight UTC.
    Date,
}

impl TimeType {
    /// The type's SQL name.
    pub fn sql(self) -> &'static str {
        match self {
            TimeType::Timestamptz => "timestamp with time zone",
            TimeType::Timestamp => "timestamp without time zone",
            TimeType::Date => "date",
        }
    }
}

/// The smallest and the largest finite time that was seen, both inclusive, in microseconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    /// The earliest time.
    pub min_us: i64,
    /// The latest time.
    pub max_us: i64,
}

/// A half-open interval `[start, end)` of the time dimension: where a chunk's rows lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChunkRange {
    /// Inclusive start, microseconds since 1970 UTC.
    pub start_us: i64,
    /// Exclusive end, microseconds since 1970 UTC.
    pub end_us: i64,
}

/// `[2025-12-11T00:00:00Z, 2025-12-12T00:00:00Z)`.
impl fmt::Display for ChunkRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = (format_unix_us(self.start_us), format_unix_us(self.end_us));
        write!(f, "[{start}, {end})")
    }
}

impl ChunkRange {
    /// The chunk that TimescaleDB makes for `time_us` when chunks are `interval_us` long: aligned to the
    /// interval, counted from 1970 UTC (facts measured on 2.19 and 2.29).
    ///
    /// # Panics
    ///
    /// If `interval_us` is not positive: options are validated before.
    pub fn containing(time_us: i64, interval_us: i64) -> ChunkRange {
        assert!(interval_us > 0, "chunk interval must be positive");
        let start_us = time_us.div_euclid(interval_us).saturating_mul(interval_us);
        ChunkRange {
            start_us,
            end_us: start_us.saturating_add(interval_us),
        }
    }

    /// Whether the intervals have a point in common.
    pub fn overlaps(self, other: ChunkRange) -> bool {
        self.start_us < other.end_us && other.start_us < self.end_us
    }

    /// Whether the other interval lies in this one.
    pub fn covers(self, other: ChunkRange) -> bool {
        self.start_us <= other.start_us && other.end_us <= self.end_us
    }

    /// Whether `time_us` lies in the interval.
    pub fn contains(self, time_us: i64) -> bool {
        self.start_us <= time_us && time_us < self.end_us
    }
}

/// A time as text for people: RFC 3339 in UTC, seconds unless there are fractions.
pub fn format_unix_us(time_us: i64) -> String {
    match DateTime::from_timestamp_micros(time_us) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        None => format!("{time_us} us since 1970"),
    }
}

/// A time as the text of a literal of its type, exact; `timestamptz` in UTC.
pub(crate) fn literal_text(time_us: i64, time_type: TimeType) -> String {
    let Some(time) = DateTime::from_timestamp_micros(time_us) else {
        return format_unix_us(time_us);
    };
    match time_type {
        TimeType::Timestamptz => time.format("%Y-%m-%d %H:%M:%S%.6f+00").to_string(),
        TimeType::Timestamp => time.format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
        TimeType::Date => time.format("%Y-%m-%d").to_string(),
    }
}

/// Whether a time can be written as a literal: between the years 1 and 9999.
pub(crate) fn has_literal(time_us: i64) -> bool {
    DateTime::from_timestamp_micros(time_us).is_some_and(|time| (1..=9999).contains(&time.year()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_US: i64 = 86_400_000_000;

    #[test]
    fn chunks_are_aligned_to_the_epoch_in_utc() {
        for (time_us, start_us) in [(0, 0), (DAY_US - 1, 0), (DAY_US, DAY_US), (-1, -DAY_US)] {
            let chunk = ChunkRange::containing(time_us, DAY_US);
            assert_eq!(
                chunk,
                ChunkRange {
                    start_us,
                    end_us: start_us + DAY_US
                }
            );
            assert!(chunk.contains(time_us) && !chunk.contains(chunk.end_us));
        }
    }

    #[test]
    fn literals_are_exact() {
        let time_us = 1_765_411_200_500_000;
        for (time_type, text) in [
            (TimeType::Timestamptz, "2025-12-11 00:00:00.500000+00"),
            (TimeType::Timestamp, "2025-12-11 00:00:00.500000"),
            (TimeType::Date, "2025-12-11"),
        ] {
            assert_eq!(literal_text(time_us, time_type), text);
        }
        assert!(has_literal(time_us) && !has_literal(i64::MAX));
    }

    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(
            format_unix_us(1_765_411_200_000_000),
            "2025-12-11T00:00:00Z"
        );
        assert_eq!(
            format_unix_us(1_765_411_200_500_000),
            "2025-12-11T00:00:00.500Z"
        );
    }
}
