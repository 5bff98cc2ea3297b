//! The encoder's own rules: what it refuses, and what is left of the stream then. That it writes
//! what a server writes is `golden`'s.

use hyperhaul_pgcopy::{Encoder, TUPLE_BYTES_MAX};

#[test]
fn a_new_encoder_has_written_nothing() {
    let mut encoder = Encoder::new();
    assert!(encoder.is_empty());
    assert_eq!(encoder.take().len(), 0);
}

#[test]
fn taking_leaves_the_encoder_empty_and_usable() {
    let mut encoder = Encoder::with_capacity(64);
    encoder.row(1).int2(1).finish().unwrap();
    assert_eq!(encoder.len(), 8);
    let first = encoder.take();
    assert!(encoder.is_empty());
    encoder.row(1).int2(2).finish().unwrap();
    assert_eq!(encoder.take(), &b"\0\x01\0\0\0\x02\0\x02"[..]);
    assert_eq!(first, &b"\0\x01\0\0\0\x02\0\x01"[..]);
}

#[test]
fn a_row_with_another_number_of_fields_is_refused_and_gone() {
    let mut encoder = Encoder::new();
    encoder.row(1).int4(1).finish().unwrap();
    let before = encoder.len();
    let too_few = encoder.row(2).int4(2).finish().unwrap_err();
    assert_eq!(too_few.to_string(), "row field count is 1, expected 2");
    let too_many = encoder.row(2).null().null().text("x").finish().unwrap_err();
    assert_eq!(too_many.to_string(), "row field count is 3, expected 2");
    assert_eq!(encoder.len(), before);
}

#[test]
fn a_value_that_no_field_holds_is_refused_and_the_row_gone() {
    // Zeroed memory that is never written or read stays virtual.
    let huge = vec![0; TUPLE_BYTES_MAX + 1];
    let mut encoder = Encoder::new();
    encoder.row(1).int4(1).finish().unwrap();
    let before = encoder.len();
    let error = encoder.row(2).int4(2).bytea(&huge).finish().unwrap_err();
    assert!(error.is_limit(), "{error}");
    assert_eq!(encoder.len(), before);
}

#[test]
#[cfg_attr(
    debug_assertions,
    should_panic(expected = "row field count is 1, expected 2")
)]
fn a_row_that_nobody_finished_is_a_defect_that_the_server_would_name() {
    let mut encoder = Encoder::new();
    encoder.row(2).int4(5);
    assert_eq!(encoder.take(), &b"\0\x01\0\0\0\x04\0\0\0\x05"[..]);
}

#[test]
fn an_array_of_texts_may_be_long() {
    let values: Vec<String> = (0..1000)
        .map(|number| format!("station {number}"))
        .collect();
    let mut encoder = Encoder::new();
    encoder
        .row(1)
        .text_array(values.iter().map(String::as_str))
        .finish()
        .unwrap();
    let row = encoder.take();
    let texts: usize = values.iter().map(|value| 4 + value.len()).sum();
    assert_eq!(row.len(), 2 + 4 + 20 + texts);
    assert_eq!(row[2..6], i32::try_from(20 + texts).unwrap().to_be_bytes());
    assert_eq!(row[18..22], 1000_i32.to_be_bytes());
}

#[test]
fn an_abandoned_row_leaves_the_rows_before_it() {
    let mut encoder = Encoder::new();
    encoder.row(1).int2(1).finish().unwrap();
    let before = encoder.as_bytes().to_vec();
    let mut row = encoder.row(2);
    row.int2(2);
    assert_eq!(row.bytes_written(), 8);
    row.abandon();
    drop(row);
    assert_eq!(encoder.as_bytes(), before);
}

#[test]
fn finished_rows_are_added_changed_and_taken_back() {
    let mut first = Encoder::new();
    first.row(1).int2(1).finish().unwrap();
    let mut encoder = Encoder::new();
    encoder.append(first.as_bytes());
    encoder.append(first.as_bytes());
    encoder.as_mut_bytes()[15] = 2;
    assert_eq!(
        encoder.as_bytes(),
        b"\0\x01\0\0\0\x02\0\x01\0\x01\0\0\0\x02\0\x02"
    );
    encoder.truncate(8);
    assert_eq!(encoder.take(), first.take());
}
