//! Times as text: RFC 3339, and what PostgreSQL prints with `DateStyle = ISO`. The reader takes fixed widths from left to
//! right; nothing is guessed.

use super::DAY_US;
use super::calendar::{days_since_1970, is_date};
use crate::refusal::Reason;

/// What was written, before a type is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    /// A point in time, in microseconds since 1970-01-01 UTC.
    Unix { us: i64 },
    /// A day since 1970-01-01, the time of that day, and how far that is ahead of UTC. `time_us` is a day
    /// at most (`time_overflows` in PostgreSQL's `date.c`).
    Written {
        days: i64,
        time_us: i64,
        offset_s: i32,
    },
    /// `infinity`, or `-infinity`.
    Infinite { is_negative: bool },
}

/// More digits than the last date of PostgreSQL has.
const YEAR_DIGITS_MAX: usize = 7;

/// Zones are less than 16 hours from UTC (`MAX_TZDISP_HOUR` in PostgreSQL's `timestamp.h`).
const ZONE_HOURS_MAX: i64 = 15;

/// Reads a time.
///
/// # Errors
///
/// [`Reason::BadTime`] if it is not written as one, [`Reason::TimeRange`] if there is no such day or time.
pub(crate) fn parse(text: &str) -> Result<Moment, Reason> {
    let Some(b'0'..=b'9') = text.as_bytes().first() else {
        return infinity(text);
    };
    let mut reader = Reader {
        rest: text.as_bytes(),
    };
    let days = reader.date()?;
    let (time_us, offset_s) = match reader.rest {
        [] => (0, 0),
        [b'T' | b't' | b' ', rest @ ..] => {
            reader.rest = rest;
            (reader.time()?, reader.zone()?)
        }
        _ => return Err(Reason::BadTime),
    };
    if !reader.rest.is_empty() {
        return Err(Reason::BadTime);
    }
    Ok(Moment::Written {
        days,
        time_us,
        offset_s,
    })
}

fn infinity(text: &str) -> Result<Moment, Reason> {
    let (is_negative, name) = match text.as_bytes() {
        [b'-', ..] => (true, text.get(1..)),
        [b'+', ..] => (false, text.get(1..)),
        _ => (false, Some(text)),
    };
    match name {
        Some(name) if name.eq_ignore_ascii_case("infinity") => Ok(Moment::Infinite { is_negative }),
        _ => Err(Reason::BadTime),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    /// `YYYY-MM-DD`, as days since 1970-01-01.
    fn date(&mut self) -> Result<i64, Reason> {
        let year = self.year()?;
        self.byte(b'-')?;
        let month = self.two()?;
        self.byte(b'-')?;
        let day = self.two()?;
        if !is_date(year, month, day) {
            return Err(Reason::TimeRange);
        }
        Ok(days_since_1970(year, month, day))
    }

    /// Four digits, or more.
    fn year(&mut self) -> Result<i64, Reason> {
        let digits = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if !(4..=YEAR_DIGITS_MAX).contains(&digits) {
            return Err(Reason::BadTime);
        }
        let mut year = 0;
        for _ in 0..digits {
            year = year * 10 + self.digit()?;
        }
        Ok(year)
    }

    /// `HH:MM[:SS[.fraction]]`, as microseconds.
    fn time(&mut self) -> Result<i64, Reason> {
        let hour = self.two()?;
        self.byte(b':')?;
        let minute = self.two()?;
        let mut second = 0;
        let mut fraction_us = 0;
        if let [b':', rest @ ..] = self.rest {
            self.rest = rest;
            second = self.two()?;
            fraction_us = self.fraction_us()?;
        }
        // Second 60 is a leap second, which is the next minute's first; hour 24 is the next day's first.
        let us = ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction_us;
        if minute > 59 || second > 60 || us > DAY_US {
            return Err(Reason::TimeRange);
        }
        Ok(us)
    }

    /// `.` and digits, as microseconds; none if there is no point.
    fn fraction_us(&mut self) -> Result<i64, Reason> {
        let [b'.', rest @ ..] = self.rest else {
            return Ok(0);
        };
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (fraction, rest) = rest.split_at_checked(digits).ok_or(Reason::BadTime)?;
        if fraction.is_empty() {
            return Err(Reason::BadTime);
        }
        self.rest = rest;
        if digits <= 6 {
            let us = fraction
                .iter()
                .fold(0, |us, digit| us * 10 + i64::from(digit - b'0'));
            let missing = u32::try_from(6 - digits).unwrap_or(0);
            return Ok(us * 10_i64.pow(missing));
        }
        rounded_us(fraction)
    }

    /// `Z`, `+HH`, `+HHMM`, `+HH:MM` or `+HH:MM:SS`, also with `-`, as seconds ahead of UTC; UTC if there is none.
    fn zone(&mut self) -> Result<i32, Reason> {
        if let [b' ', rest @ ..] = self.rest {
            self.rest = rest;
        }
        let (sign, rest) = match self.rest {
            [] => return Ok(0),
            [b'Z' | b'z', rest @ ..] => {
                self.rest = rest;
                return Ok(0);
            }
            [b'+', rest @ ..] => (1, rest),
            [b'-', rest @ ..] => (-1, rest),
            _ => return Err(Reason::BadTime),
        };
        self.rest = rest;
        let hours = self.two()?;
        let minutes = self.zone_part()?;
        let seconds = self.zone_part()?;
        if hours > ZONE_HOURS_MAX || minutes > 59 || seconds > 59 {
            return Err(Reason::TimeRange);
        }
        let offset = sign * ((hours * 60 + minutes) * 60 + seconds);
        i32::try_from(offset).map_err(|_| Reason::TimeRange)
    }

    /// Two digits, after a colon or not; 0 at the end.
    fn zone_part(&mut self) -> Result<i64, Reason> {
        match self.rest {
            [] => Ok(0),
            [b':', rest @ ..] => {
                self.rest = rest;
                self.two()
            }
            _ => self.two(),
        }
    }

    fn two(&mut self) -> Result<i64, Reason> {
        Ok(self.digit()? * 10 + self.digit()?)
    }

    fn digit(&mut self) -> Result<i64, Reason> {
        match self.rest {
            [digit @ b'0'..=b'9', rest @ ..] => {
                self.rest = rest;
                Ok(i64::from(digit - b'0'))
            }
            _ => Err(Reason::BadTime),
        }
    }

    fn byte(&mut self, expected: u8) -> Result<(), Reason> {
        match self.rest {
            [byte, rest @ ..] if *byte == expected => {
                self.rest = rest;
                Ok(())
            }
            _ => Err(Reason::BadTime),
        }
    }
}

/// More than six digits: rounded in binary and halves to the even one, as `ParseFractionalSecond` of PostgreSQL does.
#[cold]
fn rounded_us(fraction: &[u8]) -> Result<i64, Reason> {
    let digits = std::str::from_utf8(fraction).map_err(|_| Reason::BadTime)?;
    let seconds: f64 = format!("0.{digits}").parse().map_err(|_| Reason::BadTime)?;
    crate::number::rounded_float(seconds * 1_000_000.0)
}
