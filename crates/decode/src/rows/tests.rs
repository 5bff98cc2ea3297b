//! Rows as decoders write them and as a writer takes them out.
#![allow(clippy::expect_used)]

use super::{Rows, Unresolved};
use crate::lookup::{Found, Id, IdType, LookupSpec};
use crate::refusal::Reason;
use crate::testing::{Fields, fields, int8, text};

fn lookups() -> Vec<LookupSpec> {
    let spec = |table: &str, id_type| LookupSpec {
        table: table.to_owned(),
        id_column: "id".to_owned(),
        id_type,
        key_columns: vec!["callsign".to_owned()],
        extra_columns: vec!["name".to_owned()],
        returned_column: None,
    };
    vec![
        spec("receivers", IdType::Uuid),
        spec("aircraft", IdType::Int8),
    ]
}

/// A row with a number, two looked up ids and a text.
fn add(rows: &mut Rows, position: u64, receiver: &str, aircraft: &str) {
    let mut tuple = rows.tuple(position);
    tuple.field().int8(i64::try_from(position).unwrap_or(0));
    tuple.lookup(0, &[receiver], &[Some("first")]);
    tuple.lookup(1, &[aircraft], &[None]);
    tuple.field().text("end");
    tuple.finish().expect("the tuple has its fields");
}

fn sample() -> Rows {
    let mut rows = Rows::new(4, &lookups());
    for (position, receiver, aircraft) in [
        (10, "EDDB", "A"),
        (20, "EDDF", "B"),
        (30, "EDDB", "B"),
        (40, "", "C"),
    ] {
        add(&mut rows, position, receiver, aircraft);
    }
    rows
}

fn row(position: i64, receiver: [u8; 16], aircraft: i64) -> Fields {
    vec![
        int8(position),
        Some(receiver.to_vec()),
        int8(aircraft),
        text("end"),
    ]
}

fn find_receiver(key: &crate::LookupKey) -> Option<Found<'static>> {
    let byte = match key.key.first()?.as_str() {
        "EDDB" => 1,
        "EDDF" => 2,
        _ => return None,
    };
    Some(Found {
        id: Id::Uuid([byte; 16]),
        returned: None,
    })
}

fn find_aircraft(key: &crate::LookupKey) -> Option<Found<'static>> {
    let letter = key.key.first()?.bytes().next()?;
    Some(Found {
        id: Id::Int8(i64::from(letter)),
        returned: None,
    })
}

#[test]
fn keys_are_wanted_once_and_found_once() {
    let mut rows = sample();
    let wanted: Vec<&str> = rows
        .wanted(0)
        .iter()
        .map(|key| key.key[0].as_str())
        .collect();
    assert_eq!(wanted, ["EDDB", "EDDF", ""]);
    assert_eq!(rows.wanted(0)[0].extra, [Some("first".to_owned())]);
    assert_eq!(rows.unresolved(), 8);
    let mut asked = Vec::new();
    let refused = rows.patch(1, |key| {
        asked.push(key.key[0].clone());
        find_aircraft(key)
    });
    assert!(refused.is_empty());
    assert_eq!(asked, ["A", "B", "C"]);
    assert!(rows.wanted(1).is_empty());
    assert_eq!(rows.unresolved(), 4);
}

#[test]
fn rows_whose_key_is_not_known_stay_until_they_are_dropped() {
    let mut rows = sample();
    assert!(rows.patch(1, find_aircraft).is_empty());
    let refused = rows.patch(0, find_receiver);
    let reasons: Vec<_> = refused
        .iter()
        .map(|(row, refusal)| (*row, refusal.reason))
        .collect();
    assert_eq!(reasons, [(3, Reason::UnknownKey)]);
    assert_eq!(rows.take(), Err(Unresolved { count: 1 }));
    rows.retain(|index| index != 3);
    assert_eq!(fields(&rows, 0), row(10, [1; 16], 65));
    assert_eq!(fields(&rows, 1), row(20, [2; 16], 66));
    assert_eq!(fields(&rows, 2), row(30, [1; 16], 66));
    let bytes = rows.take().expect("all ids are filled in");
    assert!(!bytes.is_empty());
    assert!(rows.is_empty() && rows.bytes().is_empty());
}

#[test]
fn ids_come_to_their_places_after_rows_are_dropped() {
    let mut rows = sample();
    rows.retain(|index| index == 1 || index == 2);
    assert!(rows.patch(0, find_receiver).is_empty());
    assert!(rows.patch(1, find_aircraft).is_empty());
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (rows.position(0), rows.position(1), rows.position(2)),
        (Some(20), Some(30), None)
    );
    assert_eq!(fields(&rows, 0), row(20, [2; 16], 66));
    assert_eq!(fields(&rows, 1), row(30, [1; 16], 66));
}

#[test]
fn an_id_of_another_type_is_none() {
    let mut rows = sample();
    let refused = rows.patch(0, |_| {
        Some(Found {
            id: Id::Int4(1),
            returned: None,
        })
    });
    assert_eq!(refused.len(), 4);
}

#[test]
fn rows_taken_back_leave_no_key() {
    let mut rows = sample();
    rows.truncate(1);
    add(&mut rows, 50, "EDDM", "D");
    let mut tuple = rows.tuple(60);
    tuple.lookup(0, &["never"], &[None]);
    drop(tuple);
    let wanted: Vec<&str> = rows
        .wanted(0)
        .iter()
        .map(|key| key.key[0].as_str())
        .collect();
    assert_eq!(wanted, ["EDDB", "EDDM"]);
    assert_eq!(rows.len(), 2);
    assert_eq!(rows.position(1), Some(50));
    rows.truncate(9);
    assert_eq!(rows.len(), 2);
}

#[test]
fn ranges_are_the_tuples_one_behind_the_other() {
    let rows = sample();
    let both = [rows.row_bytes(1), rows.row_bytes(2)].concat();
    assert_eq!(rows.range_bytes(1..3), both);
    assert_eq!(rows.range_bytes(0..4), rows.bytes());
    assert!(rows.range_bytes(2..5).is_empty());
    assert!(rows.row_bytes(4).is_empty());
}
