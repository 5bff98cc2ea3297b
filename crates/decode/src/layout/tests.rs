//! Rows with ids of other tables, and values whose column a lookup tells.
#![allow(clippy::expect_used)]

use crate::testing::{RECEIVED_AT, TEXT, decode, decoder, fields, float8, int8, record, text};
use crate::{ColumnKind, Decoder, Found, Id, Reason, Rows, TargetColumn};

fn metric_hist() -> Vec<TargetColumn> {
    vec![
        TargetColumn::needed("id", ColumnKind::Int8).with_default(),
        TargetColumn::needed("metric_def_id", ColumnKind::Uuid),
        TargetColumn::needed("ts", ColumnKind::Timestamptz),
        TargetColumn::new("value_bool", ColumnKind::Bool),
        TargetColumn::new("value_int", ColumnKind::Int8),
        TargetColumn::new("value_real", ColumnKind::Float8),
        TargetColumn::new("value_text", TEXT),
        TargetColumn::new("value_json", ColumnKind::Json),
    ]
}

fn metrics() -> Box<dyn Decoder> {
    decoder("profile = \"metric-hist\"", &metric_hist()).expect("the profile fits its table")
}

fn payload(value: &str) -> String {
    format!(
        r#"{{"equipment_code": "L1", "metric_key": "speed", "ts": "2025-12-11T10:00:00Z", "value": {value}}}"#
    )
}

fn rows_of(decoder: &dyn Decoder, payloads: &[&str]) -> Rows {
    let mut rows = decoder.empty_rows();
    for payload in payloads {
        assert_eq!(
            decoder.decode(&record(payload.as_bytes()), &mut rows),
            Ok(()),
            "{payload}"
        );
    }
    rows.pop().expect("there is one target")
}

fn found(returned: Option<&'static str>) -> Option<Found<'static>> {
    Some(Found {
        id: Id::Uuid([7; 16]),
        returned,
    })
}

#[test]
fn the_lookup_tells_the_column_of_a_value() {
    let decoder = metrics();
    let columns = &decoder.targets()[0].columns;
    assert_eq!(
        columns[2..],
        [
            "value_bool",
            "value_int",
            "value_json",
            "value_real",
            "value_text"
        ]
    );
    for (value, returned, place, expected) in [
        ("12", Some("REAL"), 5, float8(12.0)),
        ("12", Some("INT"), 3, int8(12)),
        ("12.0", Some("INT"), 3, int8(12)),
        ("1", Some("BOOL"), 2, Some(vec![1])),
        ("12.5", Some("TEXT"), 6, text("12.5")),
        ("{\"a\": 1}", Some("JSON"), 4, text("{\"a\": 1}")),
        ("12", None, 5, float8(12.0)),
        ("\"x\"", None, 6, text("x")),
        ("true", None, 2, Some(vec![1])),
        ("[1]", None, 4, text("[1]")),
    ] {
        let mut rows = rows_of(&*decoder, &[&payload(value), &payload("null")]);
        assert_eq!(rows.unresolved(), 3);
        assert!(rows.patch(0, |_| found(returned)).is_empty(), "{value}");
        assert_eq!(rows.unresolved(), 0);
        let mut row = vec![
            Some(vec![7; 16]),
            int8(RECEIVED_AT),
            None,
            None,
            None,
            None,
            None,
        ];
        assert_eq!(fields(&rows, 1), row, "without a value all are NULL");
        row[place] = expected;
        assert_eq!(fields(&rows, 0), row, "{value} as {returned:?}");
    }
}

#[test]
fn a_value_that_is_not_what_the_lookup_says_is_refused() {
    let decoder = metrics();
    let mut rows = rows_of(&*decoder, &[&payload("1"), &payload("12.5"), &payload("3")]);
    let refused = rows.patch(0, |_| found(Some("INT")));
    let refused: Vec<_> = refused
        .into_iter()
        .map(|(row, refusal)| (row, refusal.reason, refusal.column))
        .collect();
    assert_eq!(
        refused,
        [(1, Reason::WrongType, Some("value_int".to_owned()))]
    );
    assert!(rows.take().is_err());
    rows.retain(|row| row != 1);
    assert_eq!(fields(&rows, 1)[3], int8(3));
    assert!(rows.take().is_ok());
}

#[test]
fn what_is_learned_has_the_type_that_the_record_gives_or_shows() {
    let decoder = metrics();
    let spec = &decoder.lookups()[0];
    assert_eq!(spec.key_columns, ["equipment_code", "metric_key"]);
    assert_eq!(spec.extra_columns, ["description", "unit", "value_type"]);
    assert_eq!(spec.returned_column.as_deref(), Some("value_type"));
    for (value, value_type) in [
        ("12", Some("REAL")),
        ("true", Some("BOOL")),
        ("\"x\"", Some("TEXT")),
        ("{}", Some("JSON")),
        ("null", None),
        ("12, \"value_type\": \"INT\"", Some("INT")),
    ] {
        let rows = rows_of(&*decoder, &[&payload(value)]);
        let wanted = rows.wanted(0);
        assert_eq!(wanted[0].key, ["L1", "speed"]);
        assert_eq!(wanted[0].extra[2].as_deref(), value_type, "{value}");
    }
}

#[test]
fn a_key_without_a_value_makes_null_or_a_refusal() {
    let toml = "
        table = \"t\"
        decoder = \"ndjson\"
        [[column]]
        name = \"receiver_id\"
        from = \"station\"
        lookup = { table = \"receivers\", id = \"id\", key = [\"callsign\"] }";
    for (not_null, expected) in [
        (false, Ok(vec![None])),
        (true, Err((Reason::Null, Some("receiver_id".to_owned())))),
    ] {
        let columns = [TargetColumn {
            not_null,
            ..TargetColumn::new("receiver_id", ColumnKind::Int8)
        }];
        let decoder = decoder(toml, &columns).expect("the mapping fits");
        for payload in ["{}", r#"{"station": null}"#] {
            let row = decode(&*decoder, &record(payload.as_bytes()));
            let row = row.map_err(|refusal| (refusal.reason, refusal.column));
            assert_eq!(row, expected, "{payload}");
        }
        let rows = rows_of(&*decoder, &[r#"{"station": 5}"#]);
        assert_eq!(rows.wanted(0)[0].key, ["5"]);
    }
}

#[test]
fn a_value_without_a_key_is_not_lost() {
    let toml = "
        table = \"t\"
        decoder = \"ndjson\"
        [[column]]
        name = \"def_id\"
        lookup = { table = \"d\", id = \"id\", key = [\"k\"] }
        [choice]
        from = \"v\"
        lookup = \"def_id\"
        returned = \"type\"
        columns = { INT = \"number\" }";
    let columns = [
        TargetColumn::new("def_id", ColumnKind::Int8),
        TargetColumn::new("number", ColumnKind::Int8),
    ];
    let decoder = decoder(toml, &columns).expect("the mapping fits");
    let refusal = decode(&*decoder, &record(br#"{"v": 1}"#)).expect_err("there is no key");
    let expected = (Reason::Null, Some("def_id".to_owned()));
    assert_eq!((refusal.reason, refusal.column), expected);
    assert_eq!(
        decode(&*decoder, &record(br#"{"v": null}"#)),
        Ok(vec![None, None])
    );
}
