//! The time attribute out of a binary field. Only the three types that a range partition or a
//! hypertable by time can have; no calendars, no time zones, no text.

use crate::error::{Error, Kind};

/// Microseconds between 1970-01-01 and 2000-01-01 UTC: PostgreSQL counts from the latter.
pub const POSTGRES_EPOCH_OFFSET_US: i64 = 946_684_800_000_000;

const DAY_US: i64 = 86_400_000_000;

/// The type of a time attribute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeType {
    /// `timestamp with time zone`: i64 microseconds since 2000-01-01 UTC.
    Timestamptz,
    /// `timestamp without time zone`: i64 microseconds since 2000-01-01 00:00, taken as if it were
    /// UTC, as TimescaleDB does.
    Timestamp,
    /// `date`: i32 days since 2000-01-01, taken as midnight UTC.
    Date,
}

/// A point in time, or one of PostgreSQL's infinities. Ordered as PostgreSQL orders them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TimePoint {
    /// `-infinity`, before all others.
    MinusInfinity,
    /// Microseconds since 1970-01-01 UTC.
    UnixUs(i64),
    /// `infinity`, after all others.
    Infinity,
}

impl TimePoint {
    /// Microseconds since 1970-01-01 UTC, unless infinite.
    pub fn finite(self) -> Option<i64> {
        match self {
            TimePoint::UnixUs(us) => Some(us),
            TimePoint::MinusInfinity | TimePoint::Infinity => None,
        }
    }
}

impl TimeType {
    /// Reads the field of a tuple.
    ///
    /// # Errors
    ///
    /// If the field does not have the size of the type, or the time is finite and lies outside of
    /// what 64 bits of microseconds since 1970 can tell (PostgreSQL's own range ends about 700
    /// seconds beyond it for timestamps, and millions of years for dates).
    #[inline]
    pub fn unix_us(self, field: &[u8]) -> Result<TimePoint, Error> {
        match self {
            TimeType::Timestamptz | TimeType::Timestamp => self.timestamp(field),
            TimeType::Date => self.date(field),
        }
    }

    /// The name of the type in SQL.
    pub fn name(self) -> &'static str {
        match self {
            TimeType::Timestamptz => "timestamptz",
            TimeType::Timestamp => "timestamp",
            TimeType::Date => "date",
        }
    }

    #[inline]
    fn timestamp(self, field: &[u8]) -> Result<TimePoint, Error> {
        let us = i64::from_be_bytes(self.sized(field)?);
        match us {
            i64::MAX => Ok(TimePoint::Infinity),
            i64::MIN => Ok(TimePoint::MinusInfinity),
            _ => self.finite(us.checked_add(POSTGRES_EPOCH_OFFSET_US)),
        }
    }

    #[inline]
    fn date(self, field: &[u8]) -> Result<TimePoint, Error> {
        let days = i32::from_be_bytes(self.sized(field)?);
        match days {
            i32::MAX => Ok(TimePoint::Infinity),
            i32::MIN => Ok(TimePoint::MinusInfinity),
            _ => self.finite(
                i64::from(days)
                    .checked_mul(DAY_US)
                    .and_then(|us| us.checked_add(POSTGRES_EPOCH_OFFSET_US)),
            ),
        }
    }

    #[inline]
    fn finite(self, unix_us: Option<i64>) -> Result<TimePoint, Error> {
        match unix_us {
            Some(us) => Ok(TimePoint::UnixUs(us)),
            None => Err(Kind::TimeRange(self.name()).into()),
        }
    }

    #[inline]
    fn sized<const N: usize>(self, field: &[u8]) -> Result<[u8; N], Error> {
        field.try_into().map_err(|_| {
            Kind::TimeSize {
                type_name: self.name(),
                found: field.len(),
                expected: N,
            }
            .into()
        })
    }
}
