//! Streams that we build: every cut, every rule of the format broken once, and no copying.

use hyperhaul_pgcopy::{
    Encoder, Framer, HEADER, TRAILER, TUPLE_BYTES_MAX, Tuple, TupleMut, Tuples,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::allocation;
use crate::streams::{Fields, frame, rows, stream};

/// Rows that all have the same number of fields.
pub(crate) fn any_rows() -> impl Strategy<Value = Vec<Fields>> {
    (0_usize..6).prop_flat_map(|field_count| {
        vec(vec(option::of(vec(any::<u8>(), 0..40)), field_count), 0..6)
    })
}

proptest! {
    #[test]
    fn rows_come_back_as_they_were_written(written in any_rows()) {
        prop_assert_eq!(rows(&stream(&written)).unwrap(), written);
    }

    #[test]
    fn a_cut_at_any_byte_changes_nothing(written in any_rows()) {
        let stream = stream(&written);
        let whole = frame([&stream[..]]).unwrap();
        prop_assert_eq!(whole.1.rows, written.len() as u64);
        for cut in 0..=stream.len() {
            let (front, back) = stream.split_at(cut);
            prop_assert_eq!(&frame([front, back]).unwrap(), &whole);
        }
    }

    #[test]
    fn many_cuts_change_nothing(written in any_rows(), pieces in vec(0_usize..30, 0..60)) {
        let stream = stream(&written);
        let mut rest = &stream[..];
        let mut cut = Vec::new();
        for bytes in pieces {
            let (piece, after) = rest.split_at(bytes.min(rest.len()));
            cut.push(piece);
            rest = after;
        }
        cut.push(rest);
        prop_assert_eq!(frame(cut).unwrap(), frame([&stream[..]]).unwrap());
    }

    #[test]
    fn fields_are_found_by_index(written in any_rows()) {
        let stream = stream(&written);
        let tuples: Vec<Tuple<'_>> =
            Tuples::new(&stream[HEADER.len()..]).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(tuples.len(), written.len());
        for (tuple, fields) in tuples.iter().zip(&written) {
            prop_assert_eq!(tuple.field_count(), fields.len());
            prop_assert_eq!(Tuple::parse(tuple.as_bytes()).unwrap(), *tuple);
            let mut bytes = tuple.as_bytes().to_vec();
            let mut tuple_mut = TupleMut::parse(&mut bytes).unwrap();
            for (index, field) in fields.iter().enumerate() {
                prop_assert_eq!(tuple.field(index).unwrap(), field.as_deref());
                let lent = tuple_mut.field_mut(index).unwrap();
                prop_assert_eq!(lent.as_deref(), field.as_deref());
            }
            let beyond = tuple.field(fields.len()).unwrap_err();
            prop_assert!(beyond.is_misuse());
            prop_assert_eq!(tuple_mut.field_mut(fields.len()).unwrap_err(), beyond);
        }
    }
}

/// A header with these flags and this extension.
fn header(flags: u32, extension: &[u8]) -> Vec<u8> {
    let mut header = HEADER.to_vec();
    header[11..15].copy_from_slice(&flags.to_be_bytes());
    header[15..19].copy_from_slice(&i32::try_from(extension.len()).unwrap().to_be_bytes());
    header.extend_from_slice(extension);
    header
}

#[test]
fn flags_that_are_not_critical_and_an_extension_are_passed_over() {
    let mut bytes = header(0x0000_ffff, b"from a later version");
    bytes.extend_from_slice(b"\0\x01\0\0\0\x02hi\xff\xff");
    let whole = frame([&bytes[..]]).unwrap();
    assert_eq!(whole.0, [b"\0\x01\0\0\0\x02hi"]);
    assert_eq!(frame(bytes.chunks(1)).unwrap(), whole);
}

#[test]
fn every_broken_rule_is_named() {
    let after_header = |bytes: &[u8]| [&HEADER[..], bytes].concat();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            b"PGCOPY\n\xff\n\0\0\0\0\0\0\0\0\0\0".to_vec(),
            "COPY signature not recognized",
        ),
        (
            b"1\t2025-12-11\tqAS,EDDB\n".to_vec(),
            "COPY signature not recognized",
        ),
        (
            header(0x0001_0000, b""),
            "unrecognized critical flags in COPY header: 0x00010000",
        ),
        (
            b"PGCOPY\n\xff\r\n\0\0\0\0\0\xff\xff\xff\xff".to_vec(),
            "invalid COPY header: extension length -1",
        ),
        (
            after_header(b"\xff\xfe"),
            "row field count is -2, allowed are 0 to 1664",
        ),
        (
            after_header(b"\x06\x81"),
            "row field count is 1665, allowed are 0 to 1664",
        ),
        (
            after_header(b"\0\x01\xff\xff\xff\xfe"),
            "invalid field size -2",
        ),
        (
            after_header(b"\0\x01\0\0\0\0\0\0"),
            "row field count is 0, expected 1",
        ),
        (
            after_header(b"\xff\xff\0"),
            "received COPY data after the end marker",
        ),
        (
            after_header(b"\0\x01\x7f\xff\xff\xff"),
            "tuple exceeds 1073741823 bytes",
        ),
        (
            after_header(b"\0\x01\0\0\0\0"),
            "unexpected end of COPY data in place of the end marker",
        ),
        (
            after_header(b"\0\x01\0\0"),
            "unexpected end of COPY data in a tuple",
        ),
        (
            b"PGCOPY".to_vec(),
            "unexpected end of COPY data in the header",
        ),
        (
            header(0, b"ext")[..20].to_vec(),
            "unexpected end of COPY data in the header",
        ),
    ];
    for (stream, message) in cases {
        for piece_bytes in [stream.len(), 1] {
            let error = frame(stream.chunks(piece_bytes)).unwrap_err();
            assert_eq!(error.to_string(), message, "{stream:?}");
            let kinds = [
                error.is_truncated(),
                error.is_malformed(),
                error.is_limit(),
                error.is_misuse(),
            ];
            assert_eq!(kinds.iter().filter(|kind| **kind).count(), 1, "{error}");
        }
    }
}

#[test]
fn an_error_is_final() {
    let good = b"\0\x01\0\0\0\x02hi\xff\xff";
    let mut framer = Framer::new();
    framer.push(&HEADER, |_| {}).unwrap();
    let error = framer.push(b"\xff\xfe", |_| {}).unwrap_err();
    let mut tuples = 0;
    assert_eq!(framer.push(good, |_| tuples += 1), Err(error.clone()));
    assert_eq!(framer.finish(), Err(error));
    assert_eq!(tuples, 0);
}

#[test]
fn bytes_after_the_trailer_are_refused_in_a_later_push_too() {
    let mut framer = Framer::new();
    framer
        .push(&[&HEADER[..], &TRAILER].concat(), |_| {})
        .unwrap();
    framer.push(b"", |_| {}).unwrap();
    assert_eq!(framer.finish(), Ok(()));
    framer.push(b"\0", |_| {}).unwrap_err();
    assert!(framer.finish().is_err());
}

#[test]
fn tuples_that_lie_whole_in_the_input_are_lent_from_it() {
    let bytes = stream(&vec![vec![Some(vec![7; 100]), None]; 50]);
    let mut framer = Framer::new();
    let mut lent = 0;
    let used = allocation::measure(|| {
        framer
            .push(&bytes, |tuple| {
                lent += usize::from(bytes.as_ptr_range().contains(&tuple.as_bytes().as_ptr()));
            })
            .unwrap();
    });
    assert_eq!(lent, 50);
    assert_eq!(used.allocations, 0);
}

#[test]
fn a_wide_tuple_gives_its_memory_back() {
    let wide_bytes = 4 << 20;
    let stream = stream(&[vec![Some(vec![7; wide_bytes])], vec![None]]);
    let mut framer = Framer::new();
    let mut tuples = 0;
    let used = allocation::measure(|| {
        // Without the trailer: after it, nothing is kept anyway.
        for piece in stream[..stream.len() - TRAILER.len()].chunks(128 * 1024) {
            framer.push(piece, |_| tuples += 1).unwrap();
        }
    });
    assert_eq!(tuples, 2);
    assert!(
        used.peak_bytes >= wide_bytes && used.peak_bytes <= 4 * wide_bytes,
        "{used:?}"
    );
    assert!(used.held_bytes <= 64 * 1024, "{used:?}");
}

#[test]
fn a_claimed_length_reserves_nothing() {
    let mut claim = HEADER.to_vec();
    claim.extend_from_slice(b"\0\x01");
    claim.extend_from_slice(&i32::try_from(TUPLE_BYTES_MAX - 6).unwrap().to_be_bytes());
    let used = allocation::measure(|| {
        let mut framer = Framer::new();
        framer.push(&claim, |_| {}).unwrap();
        framer.push(&[0; 1000], |_| {}).unwrap();
        assert!(framer.finish().unwrap_err().is_truncated());
    });
    assert!(used.peak_bytes < 4096, "{used:?}");
}

#[test]
fn tuples_end_at_the_end_at_a_trailer_or_at_an_error() {
    let mut encoder = Encoder::new();
    encoder.row(1).int4(1).finish().unwrap();
    encoder.row(1).null().finish().unwrap();
    let two = encoder.take();
    for (suffix, count, error) in [
        (&b""[..], 2, None),
        (&TRAILER, 2, None),
        (
            b"\xff\xff\0",
            2,
            Some("received COPY data after the end marker"),
        ),
        (b"\xff", 2, Some("unexpected end of COPY data in a tuple")),
        (
            b"\0\x01\0\0\0\x05abcd",
            2,
            Some("unexpected end of COPY data in a tuple"),
        ),
        (
            b"\xff\xf0\0\0",
            2,
            Some("row field count is -16, allowed are 0 to 1664"),
        ),
    ] {
        let bytes = [&two[..], suffix].concat();
        let results: Vec<_> = Tuples::new(&bytes).collect();
        assert_eq!(
            results.iter().filter(|result| result.is_ok()).count(),
            count
        );
        let last_error = results.iter().find_map(|result| result.as_ref().err());
        assert_eq!(last_error.map(ToString::to_string).as_deref(), error);
        assert_eq!(results.len(), count + usize::from(error.is_some()));
    }
}

#[test]
fn only_exactly_one_tuple_is_parsed_as_one() {
    assert!(Tuple::parse(b"\0\x01\0\0\0\x01a").is_ok());
    for bytes in [&b""[..], b"\0", b"\0\x01", b"\0\x01\0\0\0\x02a"] {
        assert!(Tuple::parse(bytes).unwrap_err().is_truncated(), "{bytes:?}");
    }
    for bytes in [
        &b"\0\x01\0\0\0\x01ab"[..],
        b"\xff\xff",
        b"\0\x01\xff\xff\xff\x00",
    ] {
        assert!(Tuple::parse(bytes).unwrap_err().is_malformed(), "{bytes:?}");
    }
}
