//! Rows of SOAR's tables as binary COPY tuples: one function per table, fields in the order of its column list.

use hyperhaul_pgcopy::{Encoder, POSTGRES_EPOCH_OFFSET_US, Row};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::airfields::AIRFIELDS;
use super::beacon::{Beacon, Status};
use super::fix::Fix;
use super::fleet::{Aircraft, Fleet, Receiver};
use super::flight::Flight;
use super::packet::{Relay, write_metadata};
use super::profile::Layout;

pub(crate) const RECEIVERS: &[&str] = &[
    "id",
    "callsign",
    "description",
    "contact",
    "country",
    "latitude",
    "longitude",
    "elevation_feet",
    "is_active",
    "latest_packet_at",
    "created_at",
];

pub(crate) const AIRCRAFT: &[&str] = &[
    "id",
    "address",
    "address_type",
    "registration",
    "competition_number",
    "aircraft_model",
    "aircraft_type_ogn",
    "home_base_airport_ident",
    "is_tracked",
    "is_identified",
    "created_at",
];

pub(crate) const FLIGHTS: &[&str] = &[
    "id",
    "aircraft_id",
    "takeoff_time",
    "landing_time",
    "departure_airport_ident",
    "arrival_airport_ident",
    "takeoff_altitude_offset_feet",
    "total_distance_meters",
    "created_at",
];

pub(crate) const RAW_MESSAGES: &[&str] = &[
    "id",
    "received_at",
    "receiver_id",
    "unparsed",
    "raw_message_hash",
    "raw_message",
    "source",
];

/// All columns but the two generated ones.
pub(crate) const FIXES: &[&str] = &[
    "id",
    "source",
    "aprs_type",
    "via",
    "timestamp",
    "latitude",
    "longitude",
    "altitude_msl_feet",
    "flight_number",
    "squawk",
    "ground_speed_knots",
    "track_degrees",
    "climb_fpm",
    "turn_rate_rot",
    "flight_id",
    "aircraft_id",
    "received_at",
    "is_active",
    "altitude_agl_feet",
    "receiver_id",
    "raw_message_id",
    "altitude_agl_valid",
    "time_gap_seconds",
    "source_metadata",
];

pub(crate) const RECEIVER_STATUSES: &[&str] = &[
    "id",
    "receiver_id",
    "received_at",
    "packet_timestamp",
    "raw_message_id",
    "version",
    "platform",
    "cpu_load",
    "ram_free_mb",
    "ram_total_mb",
    "ntp_offset_ms",
    "ntp_correction_ppm",
    "cpu_temperature_celsius",
    "visible_senders",
    "senders",
    "noise_db",
    "raw_data",
];

/// `range` is the Unix time of the first and the end of the last day.
pub(crate) fn receiver(encoder: &mut Encoder, receiver: &Receiver, range: (i64, i64)) {
    let field = receiver.airfield.map(|airfield| &AIRFIELDS[airfield]);
    let degrees = |units: i32| field.map(|_| f64::from(units) / 60_000.0);
    let mut row = encoder.row(RECEIVERS.len() as i16);
    id(&mut row, receiver.id)
        .text(&receiver.callsign)
        .optional(field.map(|field| field.name), Row::text)
        .null()
        .optional(field.map(|field| field.country), Row::text)
        .optional(degrees(receiver.position.0), Row::float8)
        .optional(degrees(receiver.position.1), Row::float8)
        .optional(field.map(|_| receiver.elevation_feet), Row::int4)
        .bool(true);
    time(&mut row, range.1);
    time(&mut row, range.0);
}

pub(crate) fn aircraft(encoder: &mut Encoder, aircraft: &Aircraft, first_us: i64) {
    let profile = aircraft.profile;
    // Gliders carry two letters on the fin: those that the registration ends with.
    let competition_number = aircraft
        .registration
        .as_deref()
        .filter(|_| profile.aircraft.0 == "glider")
        .and_then(|registration| registration.get(registration.len() - 2..));
    let based = profile.layout != Layout::Adsb;
    let mut row = encoder.row(AIRCRAFT.len() as i16);
    id(&mut row, aircraft.id)
        .int4(aircraft.address as i32)
        .text(profile.address.0)
        .optional(aircraft.registration.as_deref(), Row::text)
        .optional(competition_number, Row::text)
        .optional(
            aircraft.registration.as_ref().map(|_| aircraft.model),
            Row::text,
        )
        .text(profile.aircraft.0)
        .optional(based.then(|| AIRFIELDS[aircraft.home].ident), Row::text)
        .bool(true)
        .bool(aircraft.registration.is_some());
    time(&mut row, first_us);
}

/// Writes the row of `flight`, which must have an id. Takeoff and landing of overflights are elsewhere, and not known.
pub(crate) fn flight(
    encoder: &mut Encoder,
    fleet: &Fleet,
    flight: &Flight,
    flight_id: Uuid,
    midnight_us: i64,
) {
    let aircraft = &fleet.aircraft[flight.aircraft];
    let based = aircraft.profile.layout != Layout::Adsb;
    let us = |second: i64| midnight_us + second * 1_000_000;
    let airport = based.then(|| AIRFIELDS[aircraft.home].ident);
    let mut row = encoder.row(FLIGHTS.len() as i16);
    id(&mut row, flight_id);
    id(&mut row, aircraft.id);
    row.optional(based.then(|| us(flight.takeoff)), time);
    row.optional(based.then(|| us(flight.landing)), time)
        .optional(airport, Row::text)
        .optional(airport, Row::text)
        .optional(based.then_some(0), Row::int4)
        .float8(flight.distance_meters());
    time(&mut row, us(flight.takeoff));
}

/// Writes a row of `fixes`; `json` is a buffer that is used over and over.
pub(crate) fn fix(encoder: &mut Encoder, fleet: &Fleet, fix: &Fix<'_>, json: &mut String) {
    let receiver = &fleet.receivers[fix.receiver];
    let profile = fix.aircraft.profile;
    let mut row = encoder.row(FIXES.len() as i16);
    id(&mut row, fix.id)
        .text(&fix.aircraft.source)
        .text(profile.destination);
    match fix.relay.map(|relay| Relay(relay).to_string()) {
        Some(relay) => row.text_array([&relay, "qAS", &receiver.callsign].into_iter()),
        None => row.text_array(["qAS", &receiver.callsign].into_iter()),
    };
    time(&mut row, fix.sent_second * 1_000_000)
        .float8(f64::from(fix.position.0) / 60_000.0)
        .float8(f64::from(fix.position.1) / 60_000.0)
        .optional(fix.altitude_msl_feet, Row::int4)
        .optional(fix.call_sign, Row::text)
        .optional(fix.squawk, Row::text)
        .optional(fix.course.map(|(_, speed)| speed as f32), Row::float4)
        .optional(fix.course.map(|(track, _)| track as f32), Row::float4)
        .optional(fix.climb_fpm, Row::int4)
        .optional(fix.turn.map(tenths), Row::float4)
        .optional(fix.flight_id.map(Uuid::into_bytes), Row::uuid)
        .uuid(fix.aircraft.id.into_bytes());
    time(&mut row, fix.received_us)
        .bool(fix.is_active)
        .optional(fix.altitude_agl_feet, Row::int4)
        .uuid(receiver.id.into_bytes())
        .uuid(fix.raw_message_id.into_bytes())
        .bool(fix.altitude_agl_feet.is_some())
        .optional(fix.time_gap_seconds, Row::int4);
    if fix.has_metadata {
        write_metadata(json, fix);
        row.jsonb(json);
    } else {
        row.null();
    }
}

/// Writes the raw message of a fix.
pub(crate) fn fix_message(encoder: &mut Encoder, fleet: &Fleet, fix: &Fix<'_>, packet: &[u8]) {
    let mut row = encoder.row(RAW_MESSAGES.len() as i16);
    id(&mut row, fix.raw_message_id);
    time(&mut row, fix.received_us)
        .uuid(fleet.receivers[fix.receiver].id.into_bytes())
        .null()
        .bytea(&Sha256::digest(packet))
        .bytea(packet)
        .text("ogn");
}

/// Writes the raw message that a beacon is.
pub(crate) fn beacon(encoder: &mut Encoder, fleet: &Fleet, beacon: &Beacon) {
    let mut row = encoder.row(RAW_MESSAGES.len() as i16);
    id(&mut row, beacon.id);
    time(&mut row, beacon.received_us)
        .uuid(fleet.receivers[beacon.receiver].id.into_bytes())
        .optional(beacon.unparsed.as_deref(), Row::text)
        .bytea(&Sha256::digest(&beacon.message))
        .bytea(&beacon.message)
        .text(beacon.source);
}

/// Writes the status report that `beacon` carries.
pub(crate) fn receiver_status(
    encoder: &mut Encoder,
    receiver: &Receiver,
    row_id: Uuid,
    beacon: &Beacon,
    status: &Status,
) {
    let mut row = encoder.row(RECEIVER_STATUSES.len() as i16);
    id(&mut row, row_id);
    id(&mut row, receiver.id);
    time(&mut row, beacon.received_us);
    time(
        &mut row,
        (beacon.received_us.div_euclid(1_000_000) - 1) * 1_000_000,
    )
    .uuid(beacon.id.into_bytes())
    .text(receiver.version)
    .text(receiver.platform)
    .float4(tenths(status.cpu_load))
    .float4(tenths(status.ram_free_mb))
    .float4(receiver.ram_total_mb)
    .float4(tenths(status.ntp_offset_ms))
    .float4(tenths(status.ntp_correction_ppm))
    .optional(status.temperature_celsius.map(tenths), Row::float4)
    .int4(status.visible_senders_count)
    .int4(status.senders_count)
    .float4(tenths(status.noise_db))
    .text(&String::from_utf8_lossy(&beacon.message));
}

fn tenths(value: i32) -> f32 {
    value as f32 / 10.0
}

fn id<'r, 'b>(row: &'r mut Row<'b>, id: Uuid) -> &'r mut Row<'b> {
    row.uuid(id.into_bytes())
}

/// Writes microseconds since 1970 as `timestamptz`.
fn time<'r, 'b>(row: &'r mut Row<'b>, unix_us: i64) -> &'r mut Row<'b> {
    row.timestamptz_us(unix_us - POSTGRES_EPOCH_OFFSET_US)
}
