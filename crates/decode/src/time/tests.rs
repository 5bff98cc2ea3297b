//! Times as they are written, and what PostgreSQL stores for them. `tests/tests/suite/decode.rs` asks a server for more.

use super::{Stored, TimeFormat, TimeKind, TimeReader, Window};
use crate::raw::Scalar;
use crate::refusal::Reason;
use Reason::{BadTime, TimeRange, TimeWindow};
use hyperhaul_pgcopy::POSTGRES_EPOCH_OFFSET_US;

const PLAIN: TimeReader = TimeReader {
    kind: TimeKind::Timestamptz,
    format: None,
    is_infinity_allowed: false,
    window: None,
};

/// 2025-12-11 10:00:00 UTC.
const TEN_US: i64 = 1_765_447_200_000_000;

fn unix_us(reader: TimeReader, value: &Scalar<'_>) -> Result<i64, Reason> {
    match reader.read(value, TEN_US)? {
        Stored::Us(us) => Ok(us + POSTGRES_EPOCH_OFFSET_US),
        Stored::Days(days) => panic!("day {days} for a timestamp"),
    }
}

fn text(text: &str) -> Scalar<'_> {
    Scalar::Text(text.into())
}

#[test]
fn texts_are_read_by_rfc_3339_and_as_postgresql_prints_them() {
    for (written, us) in [
        ("2025-12-11T10:00:00Z", Ok(TEN_US)),
        ("2025-12-11t10:00:00z", Ok(TEN_US)),
        ("2025-12-11 10:00:00+00", Ok(TEN_US)),
        ("2025-12-11 10:00:00", Ok(TEN_US)),
        ("2025-12-11 10:00", Ok(TEN_US)),
        (" 2025-12-11T10:00:00Z ", Ok(TEN_US)),
        ("2025-12-11T10:00:00.5Z", Ok(TEN_US + 500_000)),
        ("2025-12-11T10:00:00.123456Z", Ok(TEN_US + 123_456)),
        ("2025-12-11T10:00:00.1234567Z", Ok(TEN_US + 123_457)),
        ("2025-12-11T10:00:00.9999999Z", Ok(TEN_US + 1_000_000)),
        ("2025-12-11T11:30:00+01:30", Ok(TEN_US)),
        ("2025-12-11T11:30:00+0130", Ok(TEN_US)),
        ("2025-12-11 11:30:00 +01:30:00", Ok(TEN_US)),
        ("2025-12-11T02:00:00-08", Ok(TEN_US)),
        ("2025-12-11", Ok(TEN_US - 36_000_000_000)),
        ("2025-12-10T24:00:00Z", Ok(TEN_US - 36_000_000_000)),
        ("2016-12-31T23:59:60Z", Ok(1_483_228_800_000_000)),
        ("2025-12-11T09:59:60.5Z", Ok(TEN_US + 500_000)),
        ("1970-01-01T00:00:00Z", Ok(0)),
        ("1969-12-31T23:59:59.999999Z", Ok(-1)),
    ] {
        assert_eq!(unix_us(PLAIN, &text(written)), us, "{written}");
    }
}

#[test]
fn the_last_times_of_postgresql_are_read() {
    let stored = |written| PLAIN.read(&text(written), TEN_US);
    let last = Stored::Us(9_223_371_331_199_999_999);
    assert_eq!(stored("294276-12-31 23:59:59.999999+00"), Ok(last));
    assert_eq!(stored("294277-01-01 10:59:59.999999+11"), Ok(last));
    assert_eq!(stored("294277-01-01 11:00:00+11"), Err(TimeRange));
    assert_eq!(stored("294276-12-31 23:00:00-01"), Err(TimeRange));
}

#[test]
fn texts_that_are_no_times_are_refused() {
    for (written, reason) in [
        ("", BadTime),
        ("now", BadTime),
        ("yesterday", BadTime),
        ("11.12.2025", BadTime),
        ("25-12-11T10:00:00Z", BadTime),
        ("2025-12-11T10:00:00Zulu", BadTime),
        ("2025-12-11T10:00:00.Z", BadTime),
        ("2025-12-11T1:00:00Z", BadTime),
        ("2025-12-11T", BadTime),
        ("2025-12-11 10:00:00 Europe/Berlin", BadTime),
        ("0044-03-15 00:00:00 BC", BadTime),
        ("2025-13-01T00:00:00Z", TimeRange),
        ("2025-02-29T00:00:00Z", TimeRange),
        ("2025-12-11T24:00:01Z", TimeRange),
        ("2025-12-11T10:60:00Z", TimeRange),
        ("2025-12-11T10:00:61Z", TimeRange),
        ("2016-12-31T23:59:60.5Z", TimeRange),
        ("2025-12-11T10:00:00+16", TimeRange),
        ("0000-01-01T00:00:00Z", TimeRange),
        ("294277-01-01T00:00:00Z", TimeRange),
        ("9999999-12-31T23:59:59Z", TimeRange),
        ("infinity", TimeRange),
        ("-infinity", TimeRange),
    ] {
        assert_eq!(unix_us(PLAIN, &text(written)), Err(reason), "{written}");
    }
}

#[test]
fn numbers_are_counted_from_1970() {
    let unix = |format| TimeReader {
        format: Some(format),
        ..PLAIN
    };
    for (reader, number, us) in [
        (PLAIN, "1765447200", Ok(TEN_US)),
        (PLAIN, "1765447200.000001", Ok(TEN_US + 1)),
        (PLAIN, "1.7654472e9", Ok(TEN_US)),
        (PLAIN, "-1", Ok(-1_000_000)),
        (PLAIN, "1e30", Err(TimeRange)),
        (
            PLAIN,
            "1234567890123456789012345678901234567890",
            Err(TimeRange),
        ),
        (unix(TimeFormat::UnixMs), "1765447200000", Ok(TEN_US)),
        (
            unix(TimeFormat::UnixMs),
            "1765447200000.5",
            Ok(TEN_US + 500),
        ),
        (unix(TimeFormat::UnixUs), "1765447200000000", Ok(TEN_US)),
        (
            unix(TimeFormat::UnixUs),
            "9223372036854775807",
            Ok(i64::MAX),
        ),
        (
            unix(TimeFormat::UnixUs),
            "-9223372036854775808",
            Err(TimeRange),
        ),
        (unix(TimeFormat::Rfc3339), "1765447200", Err(BadTime)),
    ] {
        let found = unix_us(reader, &Scalar::Number(number));
        assert_eq!(found, us, "{number}");
        assert_eq!(unix_us(reader, &text(number)).ok(), us.ok(), "\"{number}\"");
    }
    let written = text("2025-12-11T10:00:00Z");
    assert_eq!(unix_us(unix(TimeFormat::UnixS), &written), Err(BadTime));
    for value in [Scalar::Bool(true), Scalar::Json("{}")] {
        assert_eq!(unix_us(PLAIN, &value), Err(BadTime));
    }
}

#[test]
fn types_without_zone_keep_what_was_written() {
    let (written, us) = (text("2025-12-11T00:30:00+01:00"), TEN_US - 34_200_000_000);
    let timestamp = TimeReader {
        kind: TimeKind::Timestamp,
        ..PLAIN
    };
    assert_eq!(unix_us(timestamp, &written), Ok(us));
    let date = TimeReader {
        kind: TimeKind::Date,
        ..PLAIN
    };
    for (value, day) in [
        (written, Ok(Stored::Days(9476))),
        (Scalar::Number("1765447200"), Ok(Stored::Days(9476))),
        (Scalar::Number("-0.5"), Ok(Stored::Days(-10_958))),
        (text("5874897-12-31"), Ok(Stored::Days(2_145_031_948))),
        (text("5874898-01-01"), Err(TimeRange)),
        (text("infinity"), Err(TimeRange)),
    ] {
        assert_eq!(date.read(&value, 0), day, "{value:?}");
    }
}

#[test]
fn infinity_has_to_be_allowed() {
    let allowed = TimeReader {
        is_infinity_allowed: true,
        ..PLAIN
    };
    for (written, stored) in [
        ("infinity", Stored::Us(i64::MAX)),
        ("+Infinity", Stored::Us(i64::MAX)),
        ("-infinity", Stored::Us(i64::MIN)),
    ] {
        assert_eq!(allowed.read(&text(written), 0), Ok(stored), "{written}");
    }
}

#[test]
fn the_window_is_around_the_time_of_reception() {
    let hour_us = 3_600_000_000;
    let reader = TimeReader {
        window: Some(Window {
            past_us: 24 * hour_us,
            future_us: hour_us,
            late_us: hour_us,
        }),
        is_infinity_allowed: true,
        ..PLAIN
    };
    for (written, is_inside) in [
        ("2025-12-11T10:00:00Z", true),
        ("2025-12-11T11:00:00Z", true),
        ("2025-12-11T11:00:00.000001Z", false),
        ("2025-12-10T10:00:00Z", true),
        ("2025-12-10T09:59:59.999999Z", false),
        ("1970-01-01T00:00:00Z", false),
        ("294276-01-01T00:00:00Z", false),
        ("infinity", false),
    ] {
        let found = reader.read(&text(written), TEN_US);
        assert_eq!(found.is_ok(), is_inside, "{written}");
        assert!(
            is_inside || found == Err(TimeWindow),
            "{written}: {found:?}"
        );
    }
    for (written, is_late) in [
        ("2025-12-11T09:00:00Z", false),
        ("2025-12-11T08:59:59.999999Z", true),
        ("2025-12-11T10:30:00Z", false),
    ] {
        let stored = reader.read(&text(written), TEN_US);
        let found = stored.map(|stored| reader.is_late(stored, TEN_US));
        assert_eq!(found, Ok(is_late), "{written}");
    }
    // A day that is not over is not late.
    assert!(!reader.is_late(Stored::Days(9_476), TEN_US));
    assert!(reader.is_late(Stored::Days(9_475), TEN_US));
    assert!(reader.read(&text("2025-12-11"), i64::MIN).is_err());
    assert!(reader.read(&text("2025-12-11"), i64::MAX).is_err());
}
