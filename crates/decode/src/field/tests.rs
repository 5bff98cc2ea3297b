//! Values of every form into columns of every type.
#![allow(clippy::expect_used)]

use super::{Field, Outcome};
use crate::measure::{Limits, Measure};
use crate::raw::Raw;
use crate::refusal::Reason;
use crate::units::Affine;
use Reason::{BadJson, Implausible, Overflow, TooLong, UnknownLabel, WrongType};
use hyperhaul_pgcopy::{Encoder, Tuple};

/// The binary form; `None`: NULL.
fn written(field: &Field, raw: Raw<'_>) -> Result<Option<Vec<u8>>, Reason> {
    let mut encoder = Encoder::new();
    let mut row = encoder.row(1);
    let outcome = field.write(raw, 0, &mut row);
    if outcome != Ok(Outcome::Written) {
        row.null();
    }
    row.finish().expect("the row has its field");
    drop(row);
    outcome?;
    let tuple = Tuple::parse(encoder.as_bytes()).expect("a row is one tuple");
    let field = tuple.field(0).expect("there is a field");
    Ok(field.map(<[u8]>::to_vec))
}

fn plain() -> Measure {
    Measure::default()
}

fn bytes(value: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, Reason> {
    Ok(Some(value.as_ref().to_vec()))
}

#[test]
fn types_take_what_is_theirs() {
    let labels = vec!["ogn".to_owned(), "sbs".to_owned()];
    for (field, json, expected) in [
        (Field::Bool, "true", bytes([1])),
        (Field::Bool, "0", bytes([0])),
        (Field::Bool, "\"off\"", bytes([0])),
        (Field::Bool, "2", Err(WrongType)),
        (Field::Bool, "[]", Err(WrongType)),
        (
            Field::Int2(plain()),
            "-32768",
            bytes((-32768_i16).to_be_bytes()),
        ),
        (Field::Int2(plain()), "32768", Err(Overflow)),
        (
            Field::Int4(plain()),
            "2147483647",
            bytes(i32::MAX.to_be_bytes()),
        ),
        (Field::Int4(plain()), "2147483648", Err(Overflow)),
        (Field::Float4(plain()), "0.1", bytes(0.1_f32.to_be_bytes())),
        (Field::Float4(plain()), "1e39", Err(Overflow)),
        (
            Field::Numeric(plain()),
            "1.50",
            bytes([0, 2, 0, 0, 0, 0, 0, 2, 0, 1, 0x13, 0x88]),
        ),
        (Field::Numeric(plain()), "1e200000", Err(Overflow)),
        (Field::Numeric(plain()), "\"x\"", Err(WrongType)),
        (Field::Text { chars_max: Some(3) }, "\"äöü\"", bytes("äöü")),
        (
            Field::Text { chars_max: Some(3) },
            "\"äöü  \"",
            bytes("äöü"),
        ),
        (Field::Text { chars_max: Some(3) }, "\"äöüß\"", Err(TooLong)),
        (Field::Text { chars_max: None }, "true", bytes("true")),
        (Field::Text { chars_max: None }, "{}", Err(WrongType)),
        (Field::Uuid, "\"00000000-0000-0000-0000-0000000000ff\"", {
            let mut uuid = [0; 16];
            uuid[15] = 255;
            bytes(uuid)
        }),
        (Field::Uuid, "1", Err(WrongType)),
        (Field::Json, "[1, \"\\u0000\"]", bytes("[1, \"\\u0000\"]")),
        (Field::Bytea, "\"\\\\x00ff\"", bytes([0, 255])),
        (
            Field::Enum {
                labels: labels.clone(),
            },
            "\"sbs\"",
            bytes("sbs"),
        ),
        (Field::Enum { labels }, "\"SBS\"", Err(UnknownLabel)),
        (Field::TextArray, "{}", Err(WrongType)),
        (Field::TextArray, "1", Err(WrongType)),
    ] {
        assert_eq!(
            written(&field, Raw::Json(json)),
            expected,
            "{field:?} {json}"
        );
    }
    for field in [
        Field::Bool,
        Field::Json,
        Field::Jsonb,
        Field::Uuid,
        Field::Float8(plain()),
    ] {
        assert_eq!(written(&field, Raw::Json("null")), Ok(None), "{field:?}");
    }
}

#[test]
fn texts_that_are_no_json_are_refused_for_json() {
    assert_eq!(
        written(&Field::Json, Raw::Text("{\"a\": 1}")),
        bytes("{\"a\": 1}")
    );
    assert_eq!(written(&Field::Json, Raw::Text("{a}")), Err(BadJson));
    assert_eq!(written(&Field::Jsonb, Raw::Text("")), Err(BadJson));
    assert_eq!(
        written(&Field::Jsonb, Raw::Text("\"\\u0000\"")),
        Err(Reason::BadEscape)
    );
    assert_eq!(
        written(&Field::Text { chars_max: None }, Raw::Text("a\0b")),
        Err(Reason::NulByte)
    );
}

#[test]
fn numbers_are_converted_before_they_are_judged() {
    let measure = |is_null_otherwise| Measure {
        change: Some(Affine::new(2.0, 1.0)),
        limits: Some(Limits {
            min: 0.0,
            max: 11.0,
            is_null_otherwise,
        }),
    };
    for (json, expected) in [
        ("5", bytes(11_f64.to_be_bytes())),
        ("-0.5", bytes(0_f64.to_be_bytes())),
        ("5.5", Err(Implausible)),
        ("\"NaN\"", Err(Implausible)),
        ("1.7e308", Err(Overflow)),
    ] {
        assert_eq!(
            written(&Field::Float8(measure(false)), Raw::Json(json)),
            expected,
            "{json}"
        );
    }
    for field in [
        Field::Float8(measure(true)),
        Field::Float4(measure(true)),
        Field::Int4(measure(true)),
        Field::Numeric(measure(true)),
    ] {
        assert_eq!(written(&field, Raw::Json("100")), Ok(None), "{field:?}");
        assert!(written(&field, Raw::Json("1")).is_ok_and(|value| value.is_some()));
    }
    let rounded = written(&Field::Int4(measure(false)), Raw::Json("1.3"));
    assert_eq!(rounded, bytes(4_i32.to_be_bytes()));
}

#[test]
fn limits_hold_without_a_conversion_too() {
    let measure = Measure {
        change: None,
        limits: Some(Limits {
            min: -50.0,
            max: 200.0,
            is_null_otherwise: false,
        }),
    };
    for field in [
        Field::Int2(measure),
        Field::Int8(measure),
        Field::Float4(measure),
        Field::Float8(measure),
        Field::Numeric(measure),
    ] {
        assert_eq!(
            written(&field, Raw::Json("201")),
            Err(Implausible),
            "{field:?}"
        );
        assert!(written(&field, Raw::Json("-50")).is_ok(), "{field:?}");
    }
}
