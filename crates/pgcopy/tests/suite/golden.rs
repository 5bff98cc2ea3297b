//! Streams that a real server wrote (`tests/golden/make.sql`): we cut and read them as it meant
//! them, and our encoder writes the same bytes.

use hyperhaul_pgcopy::{Encoder, Row};

use crate::streams::{frame, rows};

pub(crate) const SCALARS: &[u8] = include_bytes!("../golden/scalars.copy");
pub(crate) const TIMES: &[u8] = include_bytes!("../golden/times.copy");
pub(crate) const TIMES_BEYOND: &[u8] = include_bytes!("../golden/times-beyond.copy");
pub(crate) const ARRAYS: &[u8] = include_bytes!("../golden/arrays.copy");
pub(crate) const WIDE: &[u8] = include_bytes!("../golden/wide.copy");
pub(crate) const EMPTY: &[u8] = include_bytes!("../golden/empty.copy");
pub(crate) const FIELDLESS: &[u8] = include_bytes!("../golden/fieldless.copy");
pub(crate) const LONG: &[u8] = include_bytes!("../golden/long.copy");
pub(crate) const TYPED_SOURCE: &[u8] = include_bytes!("../golden/typed-source.copy");
pub(crate) const TYPED_TARGET: &[u8] = include_bytes!("../golden/typed-target.copy");

/// Name, stream, rows, fields of each row.
pub(crate) const ALL: [(&str, &[u8], usize, usize); 10] = [
    ("scalars", SCALARS, 4, 15),
    ("times", TIMES, 9, 3),
    ("times-beyond", TIMES_BEYOND, 1, 3),
    ("arrays", ARRAYS, 5, 3),
    ("wide", WIDE, 1, 1600),
    ("empty", EMPTY, 0, 0),
    ("fieldless", FIELDLESS, 3, 0),
    ("long", LONG, 2, 3),
    ("typed-source", TYPED_SOURCE, 3, 6),
    ("typed-target", TYPED_TARGET, 3, 6),
];

#[test]
fn every_stream_has_its_rows_and_fields() {
    for (name, stream, row_count, field_count) in ALL {
        let rows = rows(stream).unwrap();
        assert_eq!(rows.len(), row_count, "{name}");
        assert!(rows.iter().all(|row| row.len() == field_count), "{name}");
    }
}

/// Where to cut a stream: at every byte, but within a long run of text only here and there.
fn cuts(stream: &[u8]) -> impl Iterator<Item = usize> {
    let every_byte = 12_000.min(stream.len());
    (0..every_byte).chain((every_byte..=stream.len()).step_by(61))
}

#[test]
fn a_stream_cut_in_two_at_any_byte_gives_the_same_tuples() {
    for (name, stream, ..) in ALL {
        let whole = frame([stream]).unwrap();
        for cut in cuts(stream) {
            let (front, back) = stream.split_at(cut);
            assert!(
                frame([front, back]).unwrap() == whole,
                "{name} cut at {cut}"
            );
        }
    }
}

#[test]
fn a_stream_in_pieces_of_any_size_gives_the_same_tuples() {
    for (name, stream, ..) in ALL {
        let whole = frame([stream]).unwrap();
        for piece_bytes in [1, 2, 3, 5, 7, 16, 61, 1024] {
            let pieces = stream.chunks(piece_bytes);
            assert!(
                frame(pieces).unwrap() == whole,
                "{name} in pieces of {piece_bytes}"
            );
        }
    }
}

#[test]
fn a_stream_that_ends_early_is_truncated_wherever_it_ends() {
    for (name, stream, ..) in ALL {
        for end in cuts(stream).take_while(|end| *end < stream.len()) {
            let error = frame([&stream[..end]]).unwrap_err();
            assert!(error.is_truncated(), "{name} ending at {end}: {error}");
        }
    }
}

#[test]
fn nulls_and_values_are_told_apart() {
    let rows = rows(SCALARS).unwrap();
    assert!(rows[0].iter().all(Option::is_some));
    assert!(rows[1].iter().all(Option::is_none));
    assert_eq!(
        rows[2][6].as_deref(),
        Some(&b""[..]),
        "an empty text is not NULL"
    );
    assert_eq!(rows[3][6].as_deref(), Some("größe 気温 🛩".as_bytes()));
}

#[test]
fn a_field_longer_than_any_read_buffer_is_whole() {
    let rows = rows(LONG).unwrap();
    assert_eq!(
        rows[0][1].as_deref(),
        Some("0123456789abcdef".repeat(4096).as_bytes())
    );
    assert_eq!(rows[0][2], None);
}

#[test]
fn the_encoder_writes_scalars_as_the_server_does() {
    let mut encoder = Encoder::new();
    encoder.header();
    ordinary(encoder.row(15));
    nulls(encoder.row(15));
    least(encoder.row(15));
    greatest(encoder.row(15));
    encoder.trailer();
    assert_eq!(encoder.take(), SCALARS);
}

fn ordinary(mut row: Row<'_>) {
    let uuid = *b"\x01\x91\xd3\xc2\x7b\x1a\x7c\x55\x8a\x3e\x5f\x0c\x1d\x2e\x3b\x4a";
    // 2025-12-11 is 9476 days after 2000-01-01; the time is 10:30:00.123456.
    let at_us = (9476 * 86_400 + 37_800) * 1_000_000 + 123_456;
    row.bool(true).int2(7).int4(1200).int8(9_000_000_000);
    row.float4(87.5).float8(52.520_008);
    row.text("OGFLR>OGFLR,qAS,EDDB").text("OGFLR");
    row.bytea(b"\x00\xff\x0a\x0d").uuid(uuid);
    row.timestamptz_us(at_us).timestamptz_us(at_us).date(9476);
    row.jsonb(r#"{"snr": 12.5, "protocol": "ogn"}"#);
    row.text_array(["qAS", "EDDB"].into_iter());
    row.finish().unwrap();
}

fn nulls(mut row: Row<'_>) {
    row.optional(None, Row::bool).optional(None, Row::int2);
    row.optional(None, Row::int4).optional(None, Row::int8);
    row.optional(None, Row::float4).optional(None, Row::float8);
    row.optional(None, Row::text).optional(None, Row::text);
    row.optional(None, Row::bytea).optional(None, Row::uuid);
    row.optional(None, Row::timestamptz_us);
    row.optional(None, Row::timestamptz_us);
    row.optional(None, Row::date).optional(None, Row::jsonb);
    row.null().finish().unwrap();
}

fn least(mut row: Row<'_>) {
    row.bool(false).int2(i16::MIN).int4(i32::MIN).int8(i64::MIN);
    row.float4(f32::NEG_INFINITY).float8(f64::NAN);
    row.text("").text("").bytea(b"").uuid([0; 16]);
    row.timestamptz_us(i64::MIN).timestamptz_us(i64::MIN);
    row.date(i32::MIN).jsonb("[]").text_array([].into_iter());
    row.finish().unwrap();
}

fn greatest(mut row: Row<'_>) {
    row.bool(true).int2(i16::MAX).int4(i32::MAX).int8(i64::MAX);
    row.float4(f32::MAX).float8(5e-324);
    row.text("größe 気温 🛩").text("ß気");
    row.bytea(b"\xde\xad\xbe\xef").uuid([0xff; 16]);
    row.timestamptz_us(i64::MAX).timestamptz_us(i64::MAX);
    row.date(i32::MAX).jsonb(r#"{"a": {"b": [1, null, "ü"]}}"#);
    row.text_array(["", "größe"].into_iter());
    row.finish().unwrap();
}

#[test]
fn the_encoder_writes_a_wide_row_as_the_server_does() {
    let mut encoder = Encoder::with_capacity(WIDE.len());
    encoder.header();
    let mut row = encoder.row(1600);
    for number in 1..=1600 {
        row.optional((number % 3 != 0).then_some(number), Row::int4);
    }
    row.finish().unwrap();
    drop(row);
    encoder.trailer();
    assert_eq!(encoder.take(), WIDE);
}

#[test]
fn the_encoder_writes_no_rows_and_rows_without_fields_as_the_server_does() {
    for (stream, row_count) in [(EMPTY, 0), (FIELDLESS, 3)] {
        let mut encoder = Encoder::new();
        encoder.header();
        for _ in 0..row_count {
            encoder.row(0).finish().unwrap();
        }
        encoder.trailer();
        assert_eq!(encoder.take(), stream);
    }
}

#[test]
fn fields_that_were_read_and_written_again_are_the_same_bytes() {
    for (name, stream, ..) in ALL {
        assert!(
            crate::streams::stream(&rows(stream).unwrap()) == stream,
            "{name}"
        );
    }
}
