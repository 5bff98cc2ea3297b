//! Seeded randomness: every block of rows derives its own generator from (seed, purpose, indexes), so that blocks
//! can be made in any order on any thread. No clock, no operating system entropy.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use uuid::{Builder, Uuid};

/// What a generator is for. Two purposes never share a stream of numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Receivers,
    Aircraft,
    Flight,
    Fixes,
    Beacons,
    Statuses,
}

/// A reproducible stream of numbers (ChaCha with 8 rounds, whose output is specified).
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    /// The stream of one `purpose`, distinguished further by `major` and `minor`, such as day and block.
    pub(crate) fn derive(seed: u64, purpose: Purpose, major: i64, minor: u64) -> Self {
        let mut key = [0; 32];
        key[0..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
        key[16..24].copy_from_slice(&major.to_le_bytes());
        key[24..32].copy_from_slice(&minor.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// A number in `0..limit`; 0 when `limit` is 0.
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        scale(self.0.next_u32(), limit)
    }

    /// A number in `low..=high`.
    pub(crate) fn between(&mut self, low: i32, high: i32) -> i32 {
        let span = high.abs_diff(low).saturating_add(1);
        low.saturating_add_unsigned(self.below(span))
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn percent(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of `choices`, which must not be empty.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u32) as usize]
    }

    /// A random UUID (version 4).
    pub(crate) fn uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A UUID of version 7 made at `unix_us`, microseconds since 1970 (not negative).
    pub(crate) fn uuid_at(&mut self, unix_us: i64) -> Uuid {
        let mut bytes = [0; 10];
        self.0.fill_bytes(&mut bytes);
        Builder::from_unix_timestamp_millis((unix_us / 1000).unsigned_abs(), &bytes).into_uuid()
    }
}

/// A well-mixed number for (seed, a, b): random access where a stream would have to be read up to its place.
/// The finalizer is SplitMix64's.
pub(crate) fn mix(seed: u64, a: u64, b: u64) -> u64 {
    finalize(finalize(finalize(seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_add(a)).wrapping_add(b))
}

fn finalize(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The upper 53 bits of `bits` as a number in `[0, 1)`.
pub(crate) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

fn scale(bits: u32, limit: u32) -> u32 {
    ((u64::from(bits) * u64::from(limit)) >> 32) as u32
}
