//! A packet's rows: which fields the two tables have, and how each is written.

use hyperhaul_pgcopy::{POSTGRES_EPOCH_OFFSET_US, Row};
use sha2::{Digest, Sha256};

use super::columns::{Field, Shape};
use super::identity::{Identity, Purpose};
use super::metadata::write_metadata;
use super::reading::{Fix, Reading};
use crate::record::Record;
use crate::refusal::Refusal;
use crate::rows::Rows;

/// Number of the lookup of receivers.
pub(super) const RECEIVERS: usize = 0;
/// Number of the lookup of aircraft.
pub(super) const AIRCRAFT: usize = 1;

/// What the enum `message_source` calls packets of OGN.
const SOURCE: &str = "ogn";

/// A column of raw messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawField {
    Id,
    ReceivedAt,
    ReceiverId,
    Unparsed,
    Hash,
    Message,
    Source,
}

/// A column of fixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FixField {
    Id,
    Source,
    AprsType,
    Via,
    Timestamp,
    Latitude,
    Longitude,
    Altitude,
    FlightNumber,
    Squawk,
    GroundSpeed,
    Track,
    Climb,
    TurnRate,
    AircraftId,
    ReceivedAt,
    ReceiverId,
    RawMessageId,
    Metadata,
}

const fn required<F>(name: &'static str, field: F, shape: Shape) -> Field<F> {
    Field {
        name,
        field,
        shape,
        is_required: true,
    }
}

const fn optional<F>(name: &'static str, field: F, shape: Shape) -> Field<F> {
    Field {
        name,
        field,
        shape,
        is_required: false,
    }
}

pub(super) const RAW_FIELDS: &[Field<RawField>] = &[
    required("id", RawField::Id, Shape::Uuid),
    required("received_at", RawField::ReceivedAt, Shape::Timestamptz),
    required("receiver_id", RawField::ReceiverId, Shape::Uuid),
    optional("unparsed", RawField::Unparsed, Shape::Text(u32::MAX)),
    optional("raw_message_hash", RawField::Hash, Shape::Bytea),
    required("raw_message", RawField::Message, Shape::Bytea),
    optional("source", RawField::Source, Shape::Label(SOURCE)),
];

pub(super) const FIX_FIELDS: &[Field<FixField>] = &[
    required("id", FixField::Id, Shape::Uuid),
    optional("source", FixField::Source, Shape::Text(9)),
    optional("aprs_type", FixField::AprsType, Shape::Text(9)),
    optional("via", FixField::Via, Shape::TextArray),
    required("timestamp", FixField::Timestamp, Shape::Timestamptz),
    required("latitude", FixField::Latitude, Shape::Float8),
    required("longitude", FixField::Longitude, Shape::Float8),
    optional("altitude_msl_feet", FixField::Altitude, Shape::Int4),
    optional("flight_number", FixField::FlightNumber, Shape::Text(20)),
    optional("squawk", FixField::Squawk, Shape::Text(4)),
    optional("ground_speed_knots", FixField::GroundSpeed, Shape::Float4),
    optional("track_degrees", FixField::Track, Shape::Float4),
    optional("climb_fpm", FixField::Climb, Shape::Int4),
    optional("turn_rate_rot", FixField::TurnRate, Shape::Float4),
    required("aircraft_id", FixField::AircraftId, Shape::Uuid),
    required("received_at", FixField::ReceivedAt, Shape::Timestamptz),
    required("receiver_id", FixField::ReceiverId, Shape::Uuid),
    required("raw_message_id", FixField::RawMessageId, Shape::Uuid),
    optional("source_metadata", FixField::Metadata, Shape::Jsonb),
];

/// What the rows of a packet have in common.
pub(super) struct Packed<'a> {
    record: &'a Record<'a>,
    digest: [u8; 32],
}

impl<'a> Packed<'a> {
    pub(super) fn new(record: &'a Record<'a>) -> Self {
        Self {
            record,
            digest: Sha256::digest(record.payload).into(),
        }
    }

    fn id(&self, purpose: Purpose) -> [u8; 16] {
        Identity {
            source: self.record.source,
            position: self.record.position,
            received_at_us: self.record.received_at_us,
            digest: &self.digest,
        }
        .id(purpose)
    }

    /// Adds the row of raw messages.
    pub(super) fn write_raw(
        &self,
        rows: &mut Rows,
        fields: &[Field<RawField>],
        reading: &Reading<'_>,
    ) -> Result<(), Refusal> {
        let mut tuple = rows.tuple(self.record.position);
        for field in fields {
            match field.field {
                RawField::Id => tuple.field().uuid(self.id(Purpose::RawMessage)),
                RawField::ReceivedAt => time(tuple.field(), self.record.received_at_us),
                RawField::ReceiverId => {
                    tuple.lookup(RECEIVERS, &[reading.receiver], &[]);
                    continue;
                }
                RawField::Unparsed => tuple
                    .field()
                    .optional(reading.unparsed.as_deref(), Row::text),
                RawField::Hash => tuple.field().bytea(&self.digest),
                RawField::Message => tuple.field().bytea(self.record.payload),
                RawField::Source => tuple.field().text(SOURCE),
            };
        }
        tuple.finish()
    }

    /// Adds the row of fixes.
    pub(super) fn write_fix(
        &self,
        rows: &mut Rows,
        fields: &[Field<FixField>],
        receiver: &str,
        fix: &Fix<'_>,
    ) -> Result<(), Refusal> {
        let comment = &fix.comment;
        let (latitude, longitude) = fix.place.degrees();
        let mut tuple = rows.tuple(self.record.position);
        for field in fields {
            match field.field {
                FixField::Id => tuple.field().uuid(self.id(Purpose::Fix)),
                FixField::Source => tuple.field().text(fix.packet.sender),
                FixField::AprsType => tuple.field().text(fix.packet.destination),
                FixField::Via => tuple.field().text_array(fix.packet.via()),
                FixField::Timestamp => time(tuple.field(), fix.timestamp_us),
                FixField::Latitude => tuple.field().float8(latitude),
                FixField::Longitude => tuple.field().float8(longitude),
                FixField::Altitude => tuple.field().optional(comment.altitude_feet, Row::int4),
                FixField::FlightNumber => tuple.field().optional(comment.flight_number, Row::text),
                FixField::Squawk => tuple.field().optional(comment.squawk, Row::text),
                FixField::GroundSpeed => {
                    let knots = comment.speed_knots.map(f32::from);
                    tuple.field().optional(knots, Row::float4)
                }
                FixField::Track => {
                    let degrees = comment.course.map(|course| f32::from(course % 360));
                    tuple.field().optional(degrees, Row::float4)
                }
                FixField::Climb => tuple.field().optional(comment.climb_fpm, Row::int4),
                FixField::TurnRate => {
                    let rate = comment.turn.map(|turn| turn.nearest_f32());
                    tuple.field().optional(rate, Row::float4)
                }
                FixField::AircraftId => {
                    let (address, kind) =
                        (fix.device.address.to_string(), fix.device.address_type());
                    let extra = [Some(fix.device.aircraft_type())];
                    tuple.lookup(AIRCRAFT, &[&address, &kind], &extra);
                    continue;
                }
                FixField::ReceivedAt => time(tuple.field(), self.record.received_at_us),
                FixField::ReceiverId => {
                    tuple.lookup(RECEIVERS, &[receiver], &[]);
                    continue;
                }
                FixField::RawMessageId => tuple.field().uuid(self.id(Purpose::RawMessage)),
                FixField::Metadata => {
                    let mut json = String::with_capacity(192);
                    write_metadata(&mut json, fix);
                    tuple.field().jsonb(&json)
                }
            };
        }
        tuple.finish()
    }
}

/// Writes microseconds since 1970 as `timestamptz`.
fn time<'r, 'b>(row: &'r mut Row<'b>, unix_us: i64) -> &'r mut Row<'b> {
    row.timestamptz_us(unix_us.saturating_sub(POSTGRES_EPOCH_OFFSET_US))
}
