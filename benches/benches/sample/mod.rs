//! Rows shaped like SOAR's `fixes` without its generated columns: 24 attributes, 320 to 430 bytes a
//! tuple. Made from a seed, for the benches of this folder; the realistic ones, consistent with
//! packets and flights, are `hyperhaul-workload`'s.

use std::array;

use hyperhaul_pgcopy::{Encoder, Row};

/// Attributes of a fix that are not generated.
const FIELD_COUNT: i16 = 24;

/// 2025-12-11 00:00 UTC, in microseconds since 2000-01-01.
const FIRST_RECEIVED_US: i64 = 818_726_400_000_000;

/// One row, owned, in the order of the table's columns.
pub(crate) struct Fix {
    id: [u8; 16],
    source: &'static str,
    aprs_type: &'static str,
    via: [&'static str; 2],
    timestamp_us: i64,
    latitude: f64,
    longitude: f64,
    altitude_msl_feet: Option<i32>,
    flight_number: Option<String>,
    squawk: Option<&'static str>,
    ground_speed_knots: Option<f32>,
    track_degrees: Option<f32>,
    climb_fpm: Option<i32>,
    turn_rate_rot: Option<f32>,
    flight_id: Option<[u8; 16]>,
    aircraft_id: [u8; 16],
    received_at_us: i64,
    is_active: bool,
    altitude_agl_feet: Option<i32>,
    receiver_id: [u8; 16],
    raw_message_id: [u8; 16],
    altitude_agl_valid: bool,
    time_gap_seconds: Option<i32>,
    source_metadata: Option<String>,
}

/// Index of `received_at`, the time attribute.
#[allow(
    dead_code,
    reason = "each bench compiles this module for itself, and not all route"
)]
pub(crate) const RECEIVED_AT: usize = 16;

/// `count` fixes, always the same ones, in the order of their reception.
pub(crate) fn fixes(count: usize) -> Vec<Fix> {
    let mut random = Random(20_251_211);
    (0..count).map(|index| fix(&mut random, index)).collect()
}

/// A whole stream's tuples, without header and trailer.
pub(crate) fn tuples(fixes: &[Fix]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    for fix in fixes {
        write(&mut encoder, fix);
    }
    encoder.take().to_vec()
}

/// Writes one fix.
#[inline]
pub(crate) fn write(encoder: &mut Encoder, fix: &Fix) {
    let mut row = encoder.row(FIELD_COUNT);
    row.uuid(fix.id).text(fix.source).text(fix.aprs_type);
    row.text_array(fix.via.into_iter());
    row.timestamptz_us(fix.timestamp_us);
    row.float8(fix.latitude).float8(fix.longitude);
    row.optional(fix.altitude_msl_feet, Row::int4);
    row.optional(fix.flight_number.as_deref(), Row::text);
    row.optional(fix.squawk, Row::text);
    row.optional(fix.ground_speed_knots, Row::float4);
    row.optional(fix.track_degrees, Row::float4);
    row.optional(fix.climb_fpm, Row::int4);
    row.optional(fix.turn_rate_rot, Row::float4);
    row.optional(fix.flight_id, Row::uuid).uuid(fix.aircraft_id);
    row.timestamptz_us(fix.received_at_us).bool(fix.is_active);
    row.optional(fix.altitude_agl_feet, Row::int4);
    row.uuid(fix.receiver_id).uuid(fix.raw_message_id);
    row.bool(fix.altitude_agl_valid);
    row.optional(fix.time_gap_seconds, Row::int4);
    row.optional(fix.source_metadata.as_deref(), Row::jsonb);
}

fn fix(random: &mut Random, index: usize) -> Fix {
    let received_at_us = FIRST_RECEIVED_US + index as i64 * 2_176_000;
    let adsb = random.one_in(4);
    Fix {
        id: random.uuid(),
        source: ["OGN", "ADSB"][usize::from(adsb)],
        aprs_type: ["OGFLR", "OGADSB"][usize::from(adsb)],
        via: ["qAS", ["EDDB", "LFLE", "Zuerich"][random.below(3)]],
        timestamp_us: received_at_us - random.below(3_000_000) as i64,
        latitude: 45.0 + random.below(9_000_000) as f64 / 1e6,
        longitude: 5.0 + random.below(9_000_000) as f64 / 1e6,
        altitude_msl_feet: Some(random.below(40_000) as i32),
        flight_number: adsb.then(|| format!("DLH{}", random.below(9000))),
        squawk: adsb.then_some("1000"),
        ground_speed_knots: Some(random.below(500) as f32),
        track_degrees: Some(random.below(360) as f32),
        climb_fpm: (!random.one_in(9)).then_some(-396),
        turn_rate_rot: (!adsb).then_some(0.3),
        flight_id: (!random.one_in(5)).then(|| random.uuid()),
        aircraft_id: random.uuid(),
        received_at_us,
        is_active: !random.one_in(8),
        altitude_agl_feet: random.one_in(2).then_some(1200),
        receiver_id: random.uuid(),
        raw_message_id: random.uuid(),
        altitude_agl_valid: random.one_in(2),
        time_gap_seconds: (!random.one_in(6)).then_some(2),
        source_metadata: (!random.one_in(20)).then(|| metadata(random)),
    }
}

fn metadata(random: &mut Random) -> String {
    format!(
        r#"{{"snr": {}.{}, "protocol": "aprs", "gps_quality": "{}x{}", "freq_offset_khz": -{}.{}, "bit_errors_corrected": {}}}"#,
        random.below(40),
        random.below(10),
        random.below(9),
        random.below(9),
        random.below(9),
        random.below(10),
        random.below(4)
    )
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn uuid(&mut self) -> [u8; 16] {
        array::from_fn(|_| self.next() as u8)
    }
}
