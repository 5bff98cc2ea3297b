//! The digest of a set of rows: what `copy` sums up in flight and `verify` compares. No IO and no
//! storage; the ledger keeps `rows` and [`sum_hex`](Digest::sum_hex).

use std::fmt;

use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, Kind};
use crate::tuple::Tuple;

/// How many rows, and the sum modulo 2^128 of the XXH3-128 of each one's binary tuple.
///
/// It does not depend on the order of the rows, digests of disjoint sets add up to the digest of
/// their union, and a row that is there twice counts twice. The hash covers the tuple from its
/// field count to the end of its last field, so only tuples of the same column list, from servers
/// that send the same binary forms, compare.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Digest {
    /// Number of rows.
    pub rows: u64,
    /// Sum of their hashes modulo 2^128.
    pub sum: u128,
}

impl Digest {
    /// Adds one row.
    #[inline]
    pub fn add(&mut self, tuple: Tuple<'_>) {
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(xxh3_128(tuple.as_bytes()));
    }

    /// Adds one row by its first `count` fields.
    #[inline]
    pub fn add_leading(&mut self, tuple: Tuple<'_>, count: usize) {
        self.rows = self.rows.wrapping_add(1);
        let hash = xxh3_128(tuple.leading_bytes(count));
        self.sum = self.sum.wrapping_add(hash);
    }

    /// Adds the rows of another set.
    pub fn merge(&mut self, other: Digest) {
        self.rows = self.rows.wrapping_add(other.rows);
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// Takes the rows of another set, which must be part of this one, back out.
    pub fn remove(&mut self, other: Digest) {
        self.rows = self.rows.wrapping_sub(other.rows);
        self.sum = self.sum.wrapping_sub(other.sum);
    }

    /// The sum as 32 hexadecimal digits, as the ledger stores it.
    pub fn sum_hex(&self) -> String {
        format!("{:032x}", self.sum)
    }

    /// A digest from what the ledger stored.
    ///
    /// # Errors
    ///
    /// If `sum` is not 32 hexadecimal digits.
    pub fn from_hex(rows: u64, sum: &str) -> Result<Digest, Error> {
        // from_str_radix alone would accept a sign.
        if sum.len() != 32 || !sum.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Kind::DigestHex.into());
        }
        let sum = u128::from_str_radix(sum, 16).map_err(|_| Kind::DigestHex)?;
        Ok(Digest { rows, sum })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows 0x{:032x}", self.rows, self.sum)
    }
}
