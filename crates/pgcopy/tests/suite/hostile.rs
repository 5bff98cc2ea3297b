//! Bytes that nobody meant: random ones, and a real server's with a few changed. They may end in an
//! error, never in a panic, nor in more memory than they themselves take.

use hyperhaul_pgcopy::{
    Framer, HEADER, TimeType, Tuple, TupleMut, Tuples, rewrite_array, rewrite_composite,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::allocation;
use crate::golden;
use crate::oids::golden_map;

/// Does with the bytes all that the crate can do.
fn exercise(bytes: &[u8], piece_bytes: usize) {
    let map = golden_map();
    let mut scratch = bytes.to_vec();
    let used = allocation::measure(|| {
        let mut framer = Framer::new();
        for piece in bytes.chunks(piece_bytes) {
            let _ = framer.push(piece, read);
        }
        let _ = framer.finish();
        Tuples::new(bytes).flatten().for_each(read);
        let _ = rewrite_array(&mut scratch, &map);
        let _ = rewrite_composite(&mut scratch, &map);
    });
    // A growing buffer holds its old and its new half at once.
    assert!(
        used.peak_bytes <= 4 * bytes.len() + 64,
        "{} bytes: {used:?}",
        bytes.len()
    );
}

fn read(tuple: Tuple<'_>) {
    let count = tuple.field_count();
    assert_eq!(tuple.fields().count(), count);
    for field in tuple.fields().flatten() {
        for time_type in [TimeType::Timestamptz, TimeType::Timestamp, TimeType::Date] {
            let _ = time_type.unix_us(field);
        }
    }
    assert!(tuple.field(count).is_err());
}

/// A place in a stream, as a fraction of its length, and what to do there.
fn changes() -> impl Strategy<Value = Vec<(f64, u8, u8)>> {
    vec((0.0..1.0, any::<u8>(), 0_u8..4), 1..8)
}

fn change(stream: &mut Vec<u8>, (fraction, byte, how): (f64, u8, u8)) {
    let place = (stream.len() as f64 * fraction) as usize;
    match how {
        0 if place < stream.len() => stream[place] = byte,
        1 if place < stream.len() => stream[place] ^= 1 << (byte % 8),
        2 => stream.insert(place, byte),
        _ => stream.truncate(place.max(HEADER.len())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn random_bytes_end_in_an_error_at_worst(bytes in vec(any::<u8>(), 0..400), piece_bytes in 1_usize..100) {
        exercise(&bytes, piece_bytes);
        exercise(&[&HEADER[..], &bytes].concat(), piece_bytes);
    }

    #[test]
    fn small_numbers_that_look_like_lengths_end_in_an_error_at_worst(
        bytes in vec(prop_oneof![6 => Just(0_u8), 3 => 0_u8..9, 1 => Just(0xff_u8)], 0..400),
        piece_bytes in 1_usize..100,
    ) {
        exercise(&[&HEADER[..], &bytes].concat(), piece_bytes);
    }

    #[test]
    fn changed_streams_of_a_server_end_in_an_error_at_worst(
        (_, stream, ..) in proptest::sample::select(golden::ALL.to_vec()),
        changes in changes(),
        piece_bytes in 1_usize..5000,
    ) {
        let mut stream = stream.to_vec();
        for one in changes {
            change(&mut stream, one);
        }
        exercise(&stream, piece_bytes);
    }

    #[test]
    fn changed_arrays_and_composites_end_in_an_error_at_worst(changes in changes()) {
        let map = golden_map();
        for tuple in crate::streams::frame([golden::TYPED_SOURCE]).unwrap().0 {
            for index in 1..6 {
                let mut tuple = tuple.clone();
                let mut tuple = TupleMut::parse(&mut tuple).unwrap();
                let Some(field) = tuple.field_mut(index).unwrap() else { continue };
                let length = field.len();
                for &(fraction, byte, _) in &changes {
                    field[(length as f64 * fraction) as usize] = byte;
                }
                let _ = rewrite_array(field, &map);
                let _ = rewrite_composite(field, &map);
            }
        }
    }
}
