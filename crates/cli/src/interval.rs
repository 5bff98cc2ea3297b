//! Lengths of time as people write them: `1 day`, `12h`, `1 day 6 hours`. Only units of a fixed length.

use std::fmt;
use std::time::Duration;

/// Units with their names and their length in microseconds.
const UNITS: [(&[&str], i64); 7] = [
    (&["microsecond", "microseconds", "us"], 1),
    (&["millisecond", "milliseconds", "ms"], 1_000),
    (&["second", "seconds", "sec", "s"], 1_000_000),
    (&["minute", "minutes", "min", "m"], 60_000_000),
    (&["hour", "hours", "h"], 3_600_000_000),
    (&["day", "days", "d"], 86_400_000_000),
    (&["week", "weeks", "w"], 604_800_000_000),
];

/// Units that PostgreSQL knows and that have no fixed length.
const CALENDAR_UNITS: [&str; 8] = [
    "month", "months", "mon", "mons", "year", "years", "y", "quarter",
];

/// PostgreSQL takes `lock_timeout` as an integer of milliseconds.
const TIMEOUT_MAX: Duration = Duration::from_millis(i32::MAX as u64);

/// Why a text is not a length of time; says what would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IntervalError(String);

impl fmt::Display for IntervalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for IntervalError {}

/// Microseconds of one or several parts, each a whole number and a unit. More than zero.
pub(crate) fn parse_us(text: &str) -> Result<i64, IntervalError> {
    let mut rest = text.trim();
    let mut total_us = 0_i64;
    while !rest.is_empty() {
        let (part_us, after) = part(text, rest)?;
        total_us = total_us
            .checked_add(part_us)
            .ok_or_else(|| too_long(text))?;
        rest = after;
    }
    if total_us == 0 {
        return Err(IntervalError(format!(
            "\"{text}\" is no length of time: write a number and a unit, such as 1 day"
        )));
    }
    Ok(total_us)
}

/// A timeout of at least a millisecond: zero would mean to wait for ever.
pub(crate) fn parse_timeout(text: &str) -> Result<Duration, IntervalError> {
    let timeout = Duration::from_micros(parse_us(text)?.unsigned_abs());
    if timeout < Duration::from_millis(1) || timeout > TIMEOUT_MAX {
        return Err(IntervalError(format!(
            "\"{text}\" is not between 1 ms and 24 days"
        )));
    }
    Ok(timeout)
}

/// Microseconds of the first part of `rest`, and what follows it.
fn part<'a>(text: &str, rest: &'a str) -> Result<(i64, &'a str), IntervalError> {
    let (digits, after) = split_while(rest, |c| c.is_ascii_digit());
    let (unit, after) = split_while(after.trim_start(), char::is_alphabetic);
    let unit = unit.to_lowercase();
    if CALENDAR_UNITS.contains(&unit.as_str()) {
        return Err(IntervalError(format!(
            "\"{text}\": months and years have no fixed length, write days or weeks, such as 30 days"
        )));
    }
    let known = UNITS
        .iter()
        .find(|(names, _)| names.contains(&unit.as_str()));
    let (Some((_, unit_us)), false) = (known, digits.is_empty()) else {
        return Err(IntervalError(format!(
            "\"{text}\" is not a length of time: write whole numbers and units (weeks, days, hours, minutes, \
             seconds, milliseconds, microseconds), such as 1 day 12 hours"
        )));
    };
    let number: i64 = digits.parse().map_err(|_| too_long(text))?;
    let us = number.checked_mul(*unit_us).ok_or_else(|| too_long(text))?;
    Ok((us, after.trim_start()))
}

fn split_while(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

fn too_long(text: &str) -> IntervalError {
    IntervalError(format!("\"{text}\" is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_people_write_them() {
        for (text, us) in [
            ("1 day", 86_400_000_000),
            ("1day", 86_400_000_000),
            (" 7 Days ", 604_800_000_000),
            ("1 week", 604_800_000_000),
            ("1 day 12 hours", 129_600_000_000),
            ("90min", 5_400_000_000),
            ("45m", 2_700_000_000),
            ("2s500ms", 2_500_000),
            ("15 us", 15),
        ] {
            assert_eq!(parse_us(text), Ok(us), "{text}");
        }
    }

    #[test]
    fn what_is_no_length_says_what_would_be() {
        for (text, part) in [
            ("", "such as 1 day"),
            ("0 days", "such as 1 day"),
            ("day", "whole numbers and units"),
            ("1", "whole numbers and units"),
            ("1.5 days", "whole numbers and units"),
            ("-1 day", "whole numbers and units"),
            ("1 fortnight", "fortnight"),
            ("1 month", "such as 30 days"),
            ("2 years", "such as 30 days"),
            ("99999999999999999999 days", "too long"),
            ("9223372036854775807 us 1 us", "too long"),
            ("106751992 days", "too long"),
        ] {
            let message = parse_us(text).err().map(|error| error.to_string());
            assert!(
                message
                    .as_deref()
                    .is_some_and(|message| message.contains(part)),
                "{text}: {message:?}"
            );
        }
    }

    #[test]
    fn timeouts_fit_what_the_server_takes() {
        assert_eq!(parse_timeout("2s"), Ok(Duration::from_secs(2)));
        for text in ["0s", "500us", "30 days"] {
            assert!(parse_timeout(text).is_err(), "{text}");
        }
    }
}
