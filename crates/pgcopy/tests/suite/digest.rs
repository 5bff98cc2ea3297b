//! The digest as an algebra, and its value pinned: the ledger of a run outlives the version that
//! began it.

use hyperhaul_pgcopy::{Digest, Tuple};
use proptest::prelude::*;

use crate::framing::any_rows;
use crate::golden;
use crate::streams::{frame, stream};

fn digest_of<'a>(tuples: impl IntoIterator<Item = &'a Vec<u8>>) -> Digest {
    let mut digest = Digest::default();
    for tuple in tuples {
        digest.add(Tuple::parse(tuple).unwrap());
    }
    digest
}

#[test]
fn values_do_not_change_between_versions() {
    // Computed apart from this crate, with the reference implementation of XXH3 in C (0.8).
    for (stream, expected) in [
        (golden::EMPTY, "0 rows 0x00000000000000000000000000000000"),
        (golden::SCALARS, "4 rows 0x61303034f22d0be1fef7bd70e72486a0"),
        (golden::WIDE, "1 rows 0x0b1a3cd032cb9f143655fb3c73e9044a"),
        (golden::LONG, "2 rows 0xdada1d0ba1692e4e85e6fa2d13d50778"),
    ] {
        let (_, digest) = frame([stream]).unwrap();
        assert_eq!(digest.to_string(), expected);
    }
}

proptest! {
    #[test]
    fn order_does_not_matter_and_sets_add_up(written in any_rows(), at in 0_usize..6) {
        let bytes = stream(&written);
        let (tuples, whole) = frame([&bytes[..]]).unwrap();
        prop_assert_eq!(digest_of(tuples.iter().rev()), whole);
        let (front, back) = tuples.split_at(at.min(tuples.len()));
        let mut sum = digest_of(front);
        sum.merge(digest_of(back));
        prop_assert_eq!(sum, whole);
        sum.remove(digest_of(front));
        prop_assert_eq!(sum, digest_of(back));
    }

    #[test]
    fn leading_fields_are_digested_by_themselves(written in any_rows(), count in 0_usize..6) {
        let (tuples, whole) = frame([&stream(&written)[..]]).unwrap();
        let mut all = Digest::default();
        for tuple in &tuples {
            let tuple = Tuple::parse(tuple).unwrap();
            all.add_leading(tuple, tuple.field_count());
            let fields = tuple.fields().take(count);
            let length: usize = fields.map(|field| 4 + field.map_or(0, <[u8]>::len)).sum();
            prop_assert_eq!(tuple.leading_bytes(count), &tuple.as_bytes()[..2 + length]);
        }
        prop_assert_eq!(all, whole);
    }

    #[test]
    fn any_change_of_one_row_shows(written in any_rows(), row in 0_usize..6, byte in 0_usize..40, flip in 1_u8..=255) {
        let (tuples, whole) = frame([&stream(&written)[..]]).unwrap();
        prop_assume!(!tuples.is_empty());
        let row = row % tuples.len();
        let mut others = tuples.clone();
        let twice = others.remove(row);
        prop_assert_ne!(digest_of(&others), whole);
        // A row twice, another one missing.
        others.push(twice.clone());
        others.push(twice);
        prop_assert_ne!(digest_of(&others), whole);
        // A byte of a value changed.
        let mut written = written;
        if let Some(value) = written[row].iter_mut().flatten().find(|value| value.len() > byte) {
            value[byte] ^= flip;
            prop_assert_ne!(frame([&stream(&written)[..]]).unwrap().1, whole);
        }
    }

    #[test]
    fn hexadecimal_round_trips(rows in any::<u64>(), sum in any::<u128>()) {
        let digest = Digest { rows, sum };
        prop_assert_eq!(digest.sum_hex().len(), 32);
        prop_assert_eq!(Digest::from_hex(rows, &digest.sum_hex()).unwrap(), digest);
    }
}

#[test]
fn what_is_not_32_hexadecimal_digits_is_refused() {
    for sum in [
        "",
        "0",
        "+0000000000000000000000000000000",
        "g0000000000000000000000000000000",
        "ä000000000000000000000000000000",
    ] {
        assert!(
            Digest::from_hex(1, sum).unwrap_err().is_malformed(),
            "{sum}"
        );
    }
}
