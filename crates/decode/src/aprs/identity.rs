//! Ids of rows: a function of the record and nothing else, so that a record that is decoded again gives rows with the same ids,
//! and a row that is written twice meets itself in the primary key.
//!
//! ```text
//!   UUID, version 8 (RFC 9562, section 5.8)
//!   | 48 bits: reception, ms since 1970 | 8 | 12 bits | 10 | 62 bits |      the 74 bits are of XXH3-128 over
//!                                                                            SHA-256 of the packet, position, table; seeded by the source
//! ```
//!
//! The time in front keeps the rows of a moment together in the index, as version 7 does.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

/// What an id is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    RawMessage = 1,
    Fix = 2,
}

/// The record that ids are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity<'a> {
    pub(super) source: &'a str,
    pub(super) position: u64,
    /// Microseconds since 1970; before that counts as 1970.
    pub(super) received_at_us: i64,
    /// SHA-256 of the packet.
    pub(super) digest: &'a [u8; 32],
}

impl Identity<'_> {
    /// The id of the record's row in one of its tables.
    pub(super) fn id(&self, purpose: Purpose) -> [u8; 16] {
        let mut hashed = [0; 41];
        hashed[..32].copy_from_slice(self.digest);
        hashed[32..40].copy_from_slice(&self.position.to_le_bytes());
        hashed[40] = purpose as u8;
        let hash = xxh3_128_with_seed(&hashed, xxh3_64(self.source.as_bytes()));
        let time_ms = (self.received_at_us.max(0) / 1_000).unsigned_abs();
        const HASH_BITS: u128 = (1 << 76) - 1;
        const VERSION: u128 = 0xF << 76;
        const VARIANT: u128 = 0x3 << 62;
        let bits = u128::from(time_ms) << 80 | hash & HASH_BITS;
        (bits & !VERSION & !VARIANT | 0x8 << 76 | 0x2 << 62).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: [u8; 32] = [7; 32];

    fn identity(source: &str, position: u64) -> Identity<'_> {
        Identity {
            source,
            position,
            received_at_us: 1_765_411_200_123_456,
            digest: &DIGEST,
        }
    }

    #[test]
    fn ids_are_uuids_of_version_8_that_begin_with_the_time() {
        let id = identity("ogn", 4_711).id(Purpose::RawMessage);
        assert_eq!(&id[..6], &1_765_411_200_123_u64.to_be_bytes()[2..]);
        assert_eq!(id[6] >> 4, 8);
        assert_eq!(id[8] >> 6, 2);
        assert_eq!(id, identity("ogn", 4_711).id(Purpose::RawMessage));
    }

    #[test]
    fn source_position_packet_and_table_make_other_ids() {
        let id = identity("ogn", 4_711).id(Purpose::RawMessage);
        assert_ne!(id, identity("ogn", 4_711).id(Purpose::Fix));
        assert_ne!(id, identity("ogn", 4_712).id(Purpose::RawMessage));
        assert_ne!(id, identity("ogm", 4_711).id(Purpose::RawMessage));
        let other = Identity {
            digest: &[8; 32],
            ..identity("ogn", 4_711)
        };
        assert_ne!(id, other.id(Purpose::RawMessage));
    }

    #[test]
    fn times_out_of_range_do_not_reach_the_version() {
        for received_at_us in [i64::MIN, -1, 0, i64::MAX] {
            let id = Identity {
                received_at_us,
                ..identity("ogn", 1)
            }
            .id(Purpose::Fix);
            assert_eq!((id[6] >> 4, id[8] >> 6), (8, 2));
        }
    }
}
