//! Objects as senders write them, and the rows that they become.
#![allow(clippy::expect_used)]

use crate::testing::{RECEIVED_AT, TEXT, decode, decoder, fields, float8, int8, record, text};
use crate::{ColumnKind, Decoder, Reason, Record, Refusal, TargetColumn};

/// A decoder for columns `a` (bigint), `b` (double precision), `c` (text), `d` (jsonb).
fn abcd(more: &str) -> Box<dyn Decoder> {
    let columns = [
        TargetColumn::new("a", ColumnKind::Int8),
        TargetColumn::new("b", ColumnKind::Float8),
        TargetColumn::new("c", TEXT),
        TargetColumn::new("d", ColumnKind::Jsonb),
    ];
    let toml = format!("table = \"t\"\ndecoder = \"ndjson\"\n{more}");
    decoder(&toml, &columns).expect("the mapping fits")
}

fn refused(decoder: &dyn Decoder, payload: &str) -> (Reason, Option<String>) {
    let refusal = decode(decoder, &record(payload.as_bytes())).expect_err(payload);
    (refusal.reason, refusal.column)
}

#[test]
fn members_become_fields_in_the_order_of_the_mapping() {
    let decoder = abcd("columns = \"all\"");
    for payload in [
        r#"{"a": 9007199254740993, "b": 1.5, "c": "x\ny", "d": {"e": [1, 2]}}"#,
        "\t{\"d\":{\"e\": [1, 2]},\"c\":\"x\\u000ay\",\"b\":15e-1 , \"a\":9007199254740993.0}\r\n",
    ] {
        let row = decode(&*decoder, &record(payload.as_bytes())).expect(payload);
        let jsonb = [b"\x01".as_slice(), br#"{"e": [1, 2]}"#].concat();
        let expected = vec![
            int8(9_007_199_254_740_993),
            float8(1.5),
            text("x\ny"),
            Some(jsonb),
        ];
        assert_eq!(row, expected, "{payload}");
    }
}

#[test]
fn what_is_missing_or_null_is_null() {
    let decoder = abcd("columns = \"all\"");
    for payload in ["{}", r#"{"a": null, "d": null}"#, r#"{"A": 1}"#] {
        let row = decode(&*decoder, &record(payload.as_bytes())).expect(payload);
        assert_eq!(row, vec![None; 4], "{payload}");
    }
}

#[test]
fn the_last_member_of_a_name_counts() {
    let decoder = abcd("[[column]]\nname = \"a\"\n[[column]]\nname = \"b\"\nfrom = \"m.b\"");
    for (payload, a, b) in [
        (r#"{"a": 1, "a": 2}"#, int8(2), None),
        (r#"{"a": 1, "\u0061": 3}"#, int8(3), None),
        (r#"{"m": {"b": 1}, "m": {"b": 2}}"#, None, float8(2.0)),
        (r#"{"m": {"b": 1}, "m": {}}"#, None, None),
        (r#"{"m": {"b": 1}, "m": 5}"#, None, None),
    ] {
        let row = decode(&*decoder, &record(payload.as_bytes())).expect(payload);
        assert_eq!(row, vec![a, b], "{payload}");
    }
}

#[test]
fn paths_lead_into_objects() {
    let toml = "
        [[column]]
        name = \"a\"
        from = \"motor.temp.now\"
        [[column]]
        name = \"b\"
        from = 'motor\\.temp'
        [[column]]
        name = \"d\"
        from = \"motor\"";
    let decoder = abcd(toml);
    let payload = r#"{"motor": {"temp": {"now": 7, "max": 9}, "x": []}, "motor.temp": 0.5}"#;
    let row = decode(&*decoder, &record(payload.as_bytes())).expect(payload);
    assert_eq!(row[0], int8(7));
    assert_eq!(row[1], float8(0.5));
    let whole = b"\x01{\"temp\": {\"now\": 7, \"max\": 9}, \"x\": []}".to_vec();
    assert_eq!(row[2], Some(whole));
}

#[test]
fn members_that_nobody_wants_are_counted_or_not() {
    let payload = r#"{"x": {"a": 1}, "a": 1, "m": {"b": 1, "y": 2}, "z": "\ud800"}"#;
    for (unknown, count) in [("count", 3), ("ignore", 0)] {
        let decoder = abcd(&format!(
            "unknown = \"{unknown}\"\n[[column]]\nname = \"a\"\n[[column]]\nname = \"b\"\nfrom = \"m.b\""
        ));
        let mut rows = decoder.empty_rows();
        assert_eq!(
            decoder.decode(&record(payload.as_bytes()), &mut rows),
            Ok(())
        );
        assert_eq!(rows[0].tally().unknown_members, count, "{unknown}");
    }
}

#[test]
fn what_is_no_object_is_refused() {
    let decoder = abcd("columns = \"all\"");
    for payload in [
        "",
        " ",
        "null",
        "[]",
        "1",
        "\"a\"",
        "{",
        "{}}",
        "{} {}",
        "{'a': 1}",
        "{\"a\"}",
        "{\"a\": 01}",
        "{\"a\": .5}",
        "{\"a\": NaN}",
        "{\"a\": 1,}",
        "{\"c\": \"\n\"}",
        "{\"c\": \"\\x\"}",
        "{\"c\": \"\0\"}",
        "{\"d\": {\"e\": }}",
    ] {
        assert_eq!(
            refused(&*decoder, payload),
            (Reason::BadJson, None),
            "{payload}"
        );
    }
    let latin_1 = decode(&*decoder, &record(b"{\"c\": \"\xe4\"}"));
    assert_eq!(latin_1, Err(Refusal::record(Reason::NotUtf8)));
}

#[test]
fn values_that_do_not_fit_are_refused_with_their_column() {
    let decoder = abcd("columns = \"all\"");
    for (payload, reason, column) in [
        (r#"{"a": 9223372036854775808}"#, Reason::Overflow, "a"),
        (r#"{"a": 1.5}"#, Reason::WrongType, "a"),
        (r#"{"a": "x"}"#, Reason::WrongType, "a"),
        (r#"{"a": true}"#, Reason::WrongType, "a"),
        (r#"{"a": {}}"#, Reason::WrongType, "a"),
        (r#"{"b": 1e400}"#, Reason::Overflow, "b"),
        (r#"{"b": []}"#, Reason::WrongType, "b"),
        (r#"{"c": "\u0000"}"#, Reason::NulByte, "c"),
        (r#"{"c": "\ud800"}"#, Reason::BadEscape, "c"),
        (r#"{"c": {}}"#, Reason::WrongType, "c"),
        (r#"{"d": "\u0000"}"#, Reason::BadEscape, "d"),
        (r#"{"d": {"\ud800": 1}}"#, Reason::BadEscape, "d"),
    ] {
        assert_eq!(
            refused(&*decoder, payload),
            (reason, Some(column.to_owned())),
            "{payload}"
        );
    }
}

#[test]
fn numbers_and_times_may_be_texts() {
    let decoder = abcd("columns = \"all\"");
    let payload = r#"{"a": " 42 ", "b": "NaN", "c": 1.50, "d": "x"}"#;
    let row = decode(&*decoder, &record(payload.as_bytes())).expect(payload);
    let expected = vec![
        int8(42),
        float8(f64::NAN),
        text("1.50"),
        Some(b"\x01\"x\"".to_vec()),
    ];
    assert_eq!(row, expected);
}

#[test]
fn what_the_source_knows_is_a_value_too() {
    let columns = [
        TargetColumn::needed("at", ColumnKind::Timestamptz),
        TargetColumn::new("well_id", TEXT),
        TargetColumn::new("via", TEXT),
    ];
    let toml = "
        table = \"t\"
        decoder = \"ndjson\"
        [[column]]
        name = \"at\"
        from = \"$received_at\"
        [[column]]
        name = \"well_id\"
        from = \"$attribute.well\"
        [[column]]
        name = \"via\"
        from = \"$source\"";
    let decoder = decoder(toml, &columns).expect("the mapping fits");
    let attributes = [("well".to_owned(), "W-17".to_owned())];
    let with = Record {
        attributes: &attributes,
        ..record(b"{}")
    };
    let expected = |well| vec![int8(RECEIVED_AT), well, text("test")];
    assert_eq!(decode(&*decoder, &with), Ok(expected(text("W-17"))));
    assert_eq!(decode(&*decoder, &record(b"{}")), Ok(expected(None)));
}

#[test]
fn a_refused_record_leaves_the_rows_before_it() {
    let decoder = abcd("columns = \"all\"");
    let mut rows = decoder.empty_rows();
    for payload in [r#"{"a": 1}"#, r#"{"a": 2, "b": "x"}"#, "{", r#"{"a": 3}"#] {
        let _refused_or_not = decoder.decode(&record(payload.as_bytes()), &mut rows);
    }
    assert_eq!(rows[0].len(), 2);
    assert_eq!(fields(&rows[0], 0)[0], int8(1));
    assert_eq!(fields(&rows[0], 1)[0], int8(3));
    assert_eq!(rows[0].position(1), Some(7));
}

#[test]
fn a_path_has_a_name_between_its_dots() {
    let columns = [TargetColumn::new("a", ColumnKind::Int8)];
    for path in ["a..b", ".a", "a."] {
        let toml = format!(
            "table = \"t\"\ndecoder = \"ndjson\"\n[[column]]\nname = \"a\"\nfrom = \"{path}\""
        );
        let message = decoder(&toml, &columns)
            .err()
            .map(|error| error.to_string());
        let expected = format!("\"{path}\" is no path: a name between two dots is empty");
        assert_eq!(message, Some(expected));
    }
}
