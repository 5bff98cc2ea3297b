//! Times out of records: texts and numbers become what PostgreSQL stores. `text` reads texts, `calendar` counts days; here are
//! the ranges of the types and the window of plausible times.

pub(crate) mod calendar;
mod text;

use crate::number::Decimal;
use crate::raw::Scalar;
use crate::refusal::Reason;
use hyperhaul_pgcopy::POSTGRES_EPOCH_OFFSET_US;
use serde::Deserialize;

use text::{Moment, parse};

const DAY_US: i64 = 86_400_000_000;

/// Days between 1970-01-01 and 2000-01-01.
const POSTGRES_EPOCH_OFFSET_DAYS: i64 = POSTGRES_EPOCH_OFFSET_US / DAY_US;

/// What timestamps can be, in microseconds since 2000-01-01: 4714-11-24 BC up to and without 294277-01-01 (`MIN_TIMESTAMP`
/// and `END_TIMESTAMP` in PostgreSQL's `timestamp.h`).
const TIMESTAMPS_US: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;

/// What dates can be, in days since 2000-01-01: 4714-11-24 BC up to and without 5874898-01-01 (`IS_VALID_DATE`).
const DATES: std::ops::Range<i64> = -2_451_545..2_145_031_949;

/// How a column's times are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub enum TimeFormat {
    /// Text by RFC 3339, or as PostgreSQL prints times. Without a zone it is UTC.
    #[serde(rename = "rfc3339")]
    Rfc3339,
    /// Seconds since 1970-01-01 UTC, with a fraction.
    #[serde(rename = "unix-s")]
    UnixS,
    /// Milliseconds since 1970-01-01 UTC.
    #[serde(rename = "unix-ms")]
    UnixMs,
    /// Microseconds since 1970-01-01 UTC.
    #[serde(rename = "unix-us")]
    UnixUs,
}

impl TimeFormat {
    /// The power of ten from the format's unit to microseconds.
    fn power(self) -> Option<i64> {
        match self {
            TimeFormat::Rfc3339 => None,
            TimeFormat::UnixS => Some(6),
            TimeFormat::UnixMs => Some(3),
            TimeFormat::UnixUs => Some(0),
        }
    }
}

/// The types that a time is stored in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TimeKind {
    Timestamptz,
    Timestamp,
    Date,
}

/// A time as PostgreSQL stores it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stored {
    /// Microseconds since 2000-01-01.
    Us(i64),
    /// Days since 2000-01-01.
    Days(i32),
}

/// How far from the time of reception a time may be, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Window {
    pub(crate) past_us: i64,
    pub(crate) future_us: i64,
    /// Further before the reception than this is late.
    pub(crate) late_us: i64,
}

/// How the values of one column become times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimeReader {
    pub(crate) kind: TimeKind,
    /// `None`: text as RFC 3339, numbers as seconds since 1970.
    pub(crate) format: Option<TimeFormat>,
    /// Whether `infinity` and `-infinity` are times.
    pub(crate) is_infinity_allowed: bool,
    pub(crate) window: Option<Window>,
}

impl TimeReader {
    /// The value as a time. `Scalar::Null` is for the caller.
    ///
    /// # Errors
    ///
    /// If it cannot be read, does not exist, or is outside of the range or the window.
    pub(crate) fn read(&self, value: &Scalar<'_>, received_at_us: i64) -> Result<Stored, Reason> {
        let moment = self.moment(value)?;
        if let Moment::Infinite { is_negative } = moment {
            return self.infinite(is_negative);
        }
        let (stored, us) = match self.kind {
            TimeKind::Date => date(moment)?,
            TimeKind::Timestamptz => timestamp(moment, true)?,
            TimeKind::Timestamp => timestamp(moment, false)?,
        };
        if let Some(window) = self.window {
            let received_us = received_at_us.saturating_sub(POSTGRES_EPOCH_OFFSET_US);
            let earliest = received_us.saturating_sub(window.past_us);
            let latest = received_us.saturating_add(window.future_us);
            if !(earliest..=latest).contains(&us) {
                return Err(Reason::TimeWindow);
            }
        }
        Ok(stored)
    }

    /// Whether a time that was read is long before its reception.
    pub(crate) fn is_late(&self, stored: Stored, received_at_us: i64) -> bool {
        let Some(window) = self.window else {
            return false;
        };
        let us = match stored {
            Stored::Us(us) => us,
            // A day is late when all of it is.
            Stored::Days(days) => (i64::from(days) + 1)
                .saturating_mul(DAY_US)
                .saturating_sub(1),
        };
        let received_us = received_at_us.saturating_sub(POSTGRES_EPOCH_OFFSET_US);
        us < received_us.saturating_sub(window.late_us)
    }

    fn moment(&self, value: &Scalar<'_>) -> Result<Moment, Reason> {
        match value {
            Scalar::Time(us) => Ok(Moment::Unix { us: *us }),
            Scalar::Number(number) => self.number(number)?.ok_or(Reason::BadTime),
            Scalar::Text(text) => {
                let text = text.trim_ascii();
                // A text that is a number all through is no date: those have hyphens.
                let number = match self.format {
                    Some(TimeFormat::Rfc3339) => None,
                    _ => self.number(text)?,
                };
                match (number, self.format) {
                    (Some(moment), _) => Ok(moment),
                    (None, None | Some(TimeFormat::Rfc3339)) => parse(text),
                    (None, Some(_)) => Err(Reason::BadTime),
                }
            }
            Scalar::Null | Scalar::Bool(_) | Scalar::Json(_) => Err(Reason::BadTime),
        }
    }

    /// `None`: it is no number, or numbers are no times.
    fn number(&self, text: &str) -> Result<Option<Moment>, Reason> {
        let Some(power) = self.format.unwrap_or(TimeFormat::UnixS).power() else {
            return Ok(None);
        };
        match Decimal::parse(text).and_then(|decimal| decimal.rounded(power)) {
            Ok(us) => Ok(Some(Moment::Unix { us })),
            Err(Reason::WrongType) => Ok(None),
            Err(_) => Err(Reason::TimeRange),
        }
    }

    fn infinite(&self, is_negative: bool) -> Result<Stored, Reason> {
        if !self.is_infinity_allowed {
            return Err(Reason::TimeRange);
        }
        if self.window.is_some() {
            return Err(Reason::TimeWindow);
        }
        Ok(match (self.kind, is_negative) {
            (TimeKind::Date, false) => Stored::Days(i32::MAX),
            (TimeKind::Date, true) => Stored::Days(i32::MIN),
            (_, false) => Stored::Us(i64::MAX),
            (_, true) => Stored::Us(i64::MIN),
        })
    }
}

/// A date, and its midnight in microseconds since 2000-01-01. Of a written time it is the day, in whatever zone that is.
fn date(moment: Moment) -> Result<(Stored, i64), Reason> {
    let days = match moment {
        Moment::Written { days, .. } => days,
        Moment::Unix { us } => us.div_euclid(DAY_US),
        Moment::Infinite { .. } => return Err(Reason::TimeRange),
    };
    let days = days.saturating_sub(POSTGRES_EPOCH_OFFSET_DAYS);
    if !DATES.contains(&days) {
        return Err(Reason::TimeRange);
    }
    let stored = i32::try_from(days).map_err(|_| Reason::TimeRange)?;
    Ok((Stored::Days(stored), days.saturating_mul(DAY_US)))
}

/// A timestamp, also as microseconds since 2000-01-01. Without zone it is the day and the time that were written, whatever zone
/// they are in.
fn timestamp(moment: Moment, has_zone: bool) -> Result<(Stored, i64), Reason> {
    let us = match moment {
        Moment::Written {
            days,
            time_us,
            offset_s,
        } => {
            let offset_us = i64::from(offset_s) * i64::from(has_zone) * 1_000_000;
            let midnight = days.saturating_sub(POSTGRES_EPOCH_OFFSET_DAYS);
            let midnight_us = midnight.checked_mul(DAY_US);
            midnight_us.and_then(|midnight_us| midnight_us.checked_add(time_us - offset_us))
        }
        Moment::Unix { us } => us.checked_sub(POSTGRES_EPOCH_OFFSET_US),
        Moment::Infinite { .. } => None,
    };
    let us = us.filter(|us| TIMESTAMPS_US.contains(us));
    let us = us.ok_or(Reason::TimeRange)?;
    Ok((Stored::Us(us), us))
}

#[cfg(test)]
mod tests;
