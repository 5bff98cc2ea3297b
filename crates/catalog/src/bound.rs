//! Partition bounds, as `pg_get_expr(relpartbound)` prints them in a session in UTC with ISO dates.

use hyperhaul_plan::facts::LeafBound;

const DAY_US: i64 = 86_400_000_000;

/// What a leaf's bounds prove about the time of its rows. `bounds` are those of every level on
/// the way to it that is partitioned by the time column alone: a row meets them all.
///
/// Errors name a bound that is not understood.
pub(crate) fn combine(bounds: &[String]) -> Result<LeafBound, String> {
    let mut combined = LeafBound::Unbounded;
    for text in bounds {
        let bound = parse(text).ok_or_else(|| format!("unknown partition bound {text}"))?;
        combined = match (combined, bound) {
            (
                LeafBound::Range {
                    from_us: outer_from,
                    to_us: outer_to,
                },
                LeafBound::Range { from_us, to_us },
            ) => LeafBound::Range {
                from_us: outer_from.max(from_us),
                to_us: match (outer_to, to_us) {
                    (Some(outer), Some(inner)) => Some(outer.min(inner)),
                    (outer, inner) => outer.or(inner),
                },
            },
            // A default partition proves nothing more than the level above it.
            (range @ LeafBound::Range { .. }, _) => range,
            (_, bound) => bound,
        };
    }
    Ok(combined)
}

fn parse(text: &str) -> Option<LeafBound> {
    if text == "DEFAULT" {
        return Some(LeafBound::Default);
    }
    let inner = text.strip_prefix("FOR VALUES FROM (")?.strip_suffix(")")?;
    let (from, to) = inner.split_once(") TO (")?;
    Some(LeafBound::Range {
        from_us: edge_us(from)?,
        to_us: edge_us(to)?,
    })
}

/// One edge in microseconds; `Some(None)` where it is open.
fn edge_us(text: &str) -> Option<Option<i64>> {
    if matches!(text, "MINVALUE" | "MAXVALUE") {
        return Some(None);
    }
    let literal = text.strip_prefix('\'')?.strip_suffix('\'')?;
    if matches!(literal, "infinity" | "-infinity") {
        return Some(None);
    }
    unix_us(literal).map(Some)
}

/// `2025-12-11`, `2025-12-11 00:00:00`, `2025-12-11 00:00:00.5+00`, `0044-03-15 00:00:00+00 BC`, in microseconds
/// since 1970 UTC. What does not fit (a date of the year 5,000,000) becomes the nearest number.
fn unix_us(literal: &str) -> Option<i64> {
    let (literal, is_before_christ) = match literal.strip_suffix(" BC") {
        Some(literal) => (literal, true),
        None => (literal, false),
    };
    let (date, time) = literal.split_once(' ').unwrap_or((literal, "00:00:00"));
    let mut parts = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    );
    let year = if is_before_christ { 1 - year } else { year };
    let days = days_since_1970(year, month, day);
    Some(
        days.saturating_mul(DAY_US)
            .saturating_add(day_time_us(time.strip_suffix("+00").unwrap_or(time))?),
    )
}

/// `HH:MM:SS` with up to six decimals.
fn day_time_us(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.splitn(3, ':').map(str::parse::<i64>);
    let (hours, minutes, seconds) = (
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    );
    let fraction_us: i64 = format!("{fraction:0<6}").parse().ok()?;
    Some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction_us)
}

/// Days of the proleptic Gregorian calendar, counted in years that begin in March, so that the
/// leap day comes last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let march_year = if month <= 2 { year - 1 } else { year };
    let march_month = (month + 9) % 12;
    let (era, year_of_era) = (march_year.div_euclid(400), march_year.rem_euclid(400));
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn range(from_us: Option<i64>, to_us: Option<i64>) -> LeafBound {
        LeafBound::Range { from_us, to_us }
    }

    #[test]
    fn times_are_read_as_the_server_prints_them() {
        for (literal, expected) in [
            ("1970-01-01", 0),
            ("1970-01-01 00:00:00+00", 0),
            ("1969-12-31 23:59:59.5+00", -500_000),
            ("2025-12-11 00:00:00+00", 1_765_411_200_000_000),
            ("2024-02-29 12:34:56.789012", 1_709_210_096_789_012),
            ("2000-03-01", 951_868_800_000_000),
            ("0001-01-01 00:00:00+00 BC", -62_167_219_200_000_000),
            ("5874897-12-31", i64::MAX),
        ] {
            assert_eq!(unix_us(literal), Some(expected), "{literal}");
        }
    }

    #[test]
    fn a_bound_is_a_range_or_the_default() {
        for (text, expected) in [
            ("DEFAULT", LeafBound::Default),
            (
                "FOR VALUES FROM ('2025-03-29 23:00:00+00') TO ('2025-03-30 22:00:00+00')",
                range(Some(1_743_289_200_000_000), Some(1_743_372_000_000_000)),
            ),
            (
                "FOR VALUES FROM (MINVALUE) TO ('1970-01-02')",
                range(None, Some(DAY_US)),
            ),
            (
                "FOR VALUES FROM ('1970-01-02') TO ('infinity')",
                range(Some(DAY_US), None),
            ),
        ] {
            assert_eq!(combine(&[text.to_owned()]), Ok(expected), "{text}");
        }
    }

    #[test]
    fn levels_narrow_each_other_down() {
        let month = "FOR VALUES FROM ('1970-01-01') TO ('1970-02-01')".to_owned();
        let day = "FOR VALUES FROM ('1970-01-02') TO ('1970-01-03')".to_owned();
        let default = "DEFAULT".to_owned();
        let expected = range(Some(DAY_US), Some(2 * DAY_US));
        for bounds in [
            [month.clone(), day.clone()],
            [day.clone(), month],
            [day.clone(), default.clone()],
            [default.clone(), day],
        ] {
            assert_eq!(combine(&bounds), Ok(expected), "{bounds:?}");
        }
        assert_eq!(combine(&[default.clone(), default]), Ok(LeafBound::Default));
        assert_eq!(combine(&[]), Ok(LeafBound::Unbounded));
        assert!(combine(&["FOR VALUES IN (1)".to_owned()]).is_err());
    }
}
