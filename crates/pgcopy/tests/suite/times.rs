//! The time attribute, against what a real server wrote and at the ends of its range.

use hyperhaul_pgcopy::TimePoint::{Infinity, MinusInfinity, UnixUs};
use hyperhaul_pgcopy::TimeType::{Date, Timestamp, Timestamptz};
use hyperhaul_pgcopy::{POSTGRES_EPOCH_OFFSET_US, TimePoint};

use crate::golden::{TIMES, TIMES_BEYOND};
use crate::streams::rows;

const DAY_US: i64 = 86_400_000_000;

#[test]
fn times_are_read_as_the_server_meant_them() {
    // What the server's extract(epoch FROM ...) says, in microseconds.
    let expected: [(TimePoint, TimePoint); 9] = [
        (UnixUs(0), UnixUs(0)),
        (UnixUs(-1), UnixUs(-DAY_US)),
        (UnixUs(946_684_800_000_000), UnixUs(946_684_800_000_000)),
        (
            UnixUs(946_684_799_999_999),
            UnixUs(946_684_800_000_000 - DAY_US),
        ),
        (
            UnixUs(1_765_494_000_000_000),
            UnixUs(1_765_494_000_000_000 - 23 * DAY_US / 24),
        ),
        (
            UnixUs(-210_866_803_200_000_000),
            UnixUs(-210_866_803_200_000_000),
        ),
        (
            UnixUs(9_223_371_158_400_000_000),
            UnixUs(9_223_371_158_400_000_000),
        ),
        (Infinity, Infinity),
        (MinusInfinity, MinusInfinity),
    ];
    for (row, (time, day)) in rows(TIMES).unwrap().iter().zip(expected) {
        let field = |index: usize| row[index].as_deref().unwrap();
        assert_eq!(Timestamptz.unix_us(field(0)), Ok(time));
        assert_eq!(Timestamp.unix_us(field(1)), Ok(time));
        assert_eq!(Date.unix_us(field(2)), Ok(day));
    }
}

#[test]
fn finite_times_beyond_64_bits_are_an_error_and_not_an_infinity() {
    let rows = rows(TIMES_BEYOND).unwrap();
    for (time_type, field) in [Timestamptz, Timestamp, Date].into_iter().zip(&rows[0]) {
        let error = time_type.unix_us(field.as_deref().unwrap()).unwrap_err();
        assert!(error.is_limit(), "{error}");
        assert!(error.to_string().starts_with(time_type.name()), "{error}");
    }
}

#[test]
fn the_last_times_that_fit_are_read() {
    let last = i64::MAX - POSTGRES_EPOCH_OFFSET_US;
    assert_eq!(
        Timestamptz.unix_us(&last.to_be_bytes()),
        Ok(UnixUs(i64::MAX))
    );
    assert!(
        Timestamptz
            .unix_us(&(last + 1).to_be_bytes())
            .unwrap_err()
            .is_limit()
    );
    assert_eq!(
        Timestamptz.unix_us(&(i64::MIN + 1).to_be_bytes()),
        Ok(UnixUs(i64::MIN + 1 + POSTGRES_EPOCH_OFFSET_US))
    );
}

#[test]
fn a_field_of_another_size_is_refused() {
    for (time_type, size, message) in [
        (Timestamptz, 4, "timestamptz field has 4 bytes, expected 8"),
        (Timestamp, 0, "timestamp field has 0 bytes, expected 8"),
        (Date, 8, "date field has 8 bytes, expected 4"),
    ] {
        let error = time_type.unix_us(&vec![0; size]).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(error.is_malformed());
    }
}

#[test]
fn infinities_lie_outside_of_all_times() {
    assert!(MinusInfinity < UnixUs(i64::MIN));
    assert!(UnixUs(i64::MAX) < Infinity);
    assert_eq!(
        [
            MinusInfinity.finite(),
            UnixUs(7).finite(),
            Infinity.finite()
        ],
        [None, Some(7), None]
    );
}
