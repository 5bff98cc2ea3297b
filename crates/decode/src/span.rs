//! Spans of time as people write them: `100 ms`, `1 hour`, `10 years`.

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected};

/// A span of time; never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Span {
    us: i64,
}

/// Names, also with an `s` behind them, and microseconds. A year is 365.25 days.
const UNITS: &[(&str, i64)] = &[
    ("us", 1),
    ("microsecond", 1),
    ("ms", 1_000),
    ("millisecond", 1_000),
    ("s", 1_000_000),
    ("second", 1_000_000),
    ("min", 60_000_000),
    ("minute", 60_000_000),
    ("h", 3_600_000_000),
    ("hour", 3_600_000_000),
    ("d", 86_400_000_000),
    ("day", 86_400_000_000),
    ("week", 604_800_000_000),
    ("year", 31_557_600_000_000),
];

impl Span {
    /// From microseconds; negative ones count as none.
    pub const fn from_us(us: i64) -> Self {
        Span {
            us: if us < 0 { 0 } else { us },
        }
    }

    /// In microseconds.
    pub fn us(self) -> i64 {
        self.us
    }

    /// Reads a whole number and a unit.
    ///
    /// # Errors
    ///
    /// Says what would be right.
    pub fn parse(text: &str) -> Result<Span, String> {
        let wrong = || {
            format!("\"{text}\" is not a span of time: write it like 100 ms, 1 hour or 10 years")
        };
        let trimmed = text.trim();
        let digits_end = trimmed
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(trimmed.len());
        let (digits, unit) = trimmed.split_at(digits_end);
        let count: i64 = digits.parse().map_err(|_| wrong())?;
        let unit = unit.trim();
        // Short names have no plural.
        let is_plural = |name: &str| name.len() > 2 && unit.strip_suffix('s') == Some(name);
        let is_named = |name: &str| name == unit || is_plural(name);
        let (_, us) = UNITS
            .iter()
            .find(|(name, _)| is_named(name))
            .ok_or_else(wrong)?;
        // Beyond what 64 bits tell there is no time that PostgreSQL stores.
        Ok(Span {
            us: count.saturating_mul(*us),
        })
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Span::parse(&text).map_err(|_| {
            D::Error::invalid_value(
                Unexpected::Str(&text),
                &"a span of time like 100 ms, 1 hour or 10 years",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, us) in [
            ("100 ms", 100_000),
            ("1 hour", 3_600_000_000),
            ("2hours", 7_200_000_000),
            ("10 years", 315_576_000_000_000),
            (" 5 s ", 5_000_000),
            ("0 s", 0),
            ("900000000000 years", i64::MAX),
        ] {
            assert_eq!(Span::parse(text).map(Span::us), Ok(us), "{text}");
        }
        for text in [
            "",
            "hour",
            "5",
            "-1 hour",
            "1.5 hours",
            "1 fortnight",
            "1 ss",
        ] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }
}
