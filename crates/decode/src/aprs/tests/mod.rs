//! Packets through the decoder: what is in their rows, what becomes of those that can't be read, and that nothing panics.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod opinions;
mod packets;
mod totality;

use std::collections::HashMap;

use hyperhaul_pgcopy::{POSTGRES_EPOCH_OFFSET_US, Tuple};

use super::*;
use crate::column::ColumnKind;
use crate::lookup::{Found, Id};

/// 2025-12-11T00:00:00Z.
const MIDNIGHT_US: i64 = 1_765_411_200_000_000;
const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3_600 * SECOND_US;

/// Ten in the morning.
const MORNING_US: i64 = MIDNIGHT_US + 10 * HOUR_US;

fn column(name: &str, kind: ColumnKind, not_null: bool, has_default: bool) -> TargetColumn {
    TargetColumn {
        name: name.to_owned(),
        kind,
        not_null,
        has_default,
    }
}

fn text(chars_max: impl Into<Option<u32>>) -> ColumnKind {
    ColumnKind::Text {
        chars_max: chars_max.into(),
    }
}

/// SOAR's raw messages.
fn raw_messages() -> Vec<TargetColumn> {
    let labels = ["ogn", "beast", "sbs"].map(str::to_owned).to_vec();
    vec![
        column("id", ColumnKind::Uuid, true, true),
        column("received_at", ColumnKind::Timestamptz, true, false),
        column("receiver_id", ColumnKind::Uuid, true, false),
        column("unparsed", text(None), false, false),
        column("raw_message_hash", ColumnKind::Bytea, true, false),
        column("raw_message", ColumnKind::Bytea, true, false),
        column("source", ColumnKind::Enum { labels }, true, true),
    ]
}

/// SOAR's fixes.
fn fixes() -> Vec<TargetColumn> {
    use ColumnKind::{Bool, Float4, Float8, Int4, Jsonb, TextArray, Timestamptz, Uuid};
    vec![
        column("id", Uuid, true, true),
        column("source", text(9), true, false),
        column("aprs_type", text(9), true, false),
        column("via", TextArray, true, false),
        column("timestamp", Timestamptz, true, false),
        column("latitude", Float8, true, false),
        column("longitude", Float8, true, false),
        column("altitude_msl_feet", Int4, false, false),
        column("flight_number", text(20), false, false),
        column("squawk", text(4), false, false),
        column("ground_speed_knots", Float4, false, false),
        column("track_degrees", Float4, false, false),
        column("climb_fpm", Int4, false, false),
        column("turn_rate_rot", Float4, false, false),
        column("flight_id", Uuid, false, false),
        column("aircraft_id", Uuid, true, false),
        column("received_at", Timestamptz, true, false),
        column("is_active", Bool, true, true),
        column("altitude_agl_feet", Int4, false, false),
        column("receiver_id", Uuid, true, false),
        column("raw_message_id", Uuid, true, false),
        column("altitude_agl_valid", Bool, true, true),
        column("time_gap_seconds", Int4, false, false),
        column("source_metadata", Jsonb, false, false),
    ]
}

fn decoder() -> AprsDecoder {
    AprsDecoder::new(&AprsOptions::default(), &raw_messages(), &fixes()).unwrap()
}

fn record(packet: &[u8], received_at_us: i64, position: u64) -> Record<'_> {
    Record {
        payload: packet,
        received_at_us,
        position,
        source: "ogn",
        attributes: &[],
    }
}

/// Records that count as this.
fn count(rows: &[Rows], kind: usize) -> u64 {
    rows[0].kind_counts().get(kind).copied().unwrap_or_default()
}

/// The fields of a row by column.
type Row = HashMap<String, Option<Vec<u8>>>;

/// A packet's rows, and what its ids are looked up by.
struct Decoded {
    raw: Row,
    fix: Option<Row>,
    receiver: String,
    /// Address, its kind, and the kind of aircraft.
    aircraft: Option<(String, String, String)>,
    kind: Kind,
}

fn decode(packet: &[u8], received_at_us: i64) -> Decoded {
    let decoder = decoder();
    let mut rows = decoder.empty_rows();
    decoder
        .decode(&record(packet, received_at_us, 7), &mut rows)
        .unwrap();
    let kinds: Vec<_> = Kind::ALL
        .into_iter()
        .filter(|kind| count(&rows, *kind as usize) > 0)
        .collect();
    assert_eq!(kinds.len(), 1, "a packet is one thing");
    assert_eq!(rows[0].len(), 1, "a packet is one raw message");
    let receiver = rows[0].wanted(tuple::RECEIVERS)[0].key[0].clone();
    let aircraft = rows[1].wanted(tuple::AIRCRAFT).first().map(|key| {
        let extra = key.extra[0].clone().unwrap();
        (key.key[0].clone(), key.key[1].clone(), extra)
    });
    let row = |table: usize| {
        let tuple =
            (rows[table].len() == 1).then(|| Tuple::parse(rows[table].row_bytes(0)).unwrap())?;
        let columns = decoder.targets()[table].columns.iter().cloned();
        Some(
            columns
                .zip(tuple.fields().map(|field| field.map(<[u8]>::to_vec)))
                .collect(),
        )
    };
    Decoded {
        raw: row(0).unwrap(),
        fix: row(1),
        receiver,
        aircraft,
        kind: kinds[0],
    }
}

/// A field as what it is; `None` for NULL.
trait Field {
    fn bytes(&self, name: &str) -> Option<&[u8]>;

    fn text(&self, name: &str) -> Option<&str> {
        self.bytes(name).map(|bytes| str::from_utf8(bytes).unwrap())
    }

    fn int4(&self, name: &str) -> Option<i32> {
        self.bytes(name)
            .map(|bytes| i32::from_be_bytes(bytes.try_into().unwrap()))
    }

    fn float4(&self, name: &str) -> Option<f32> {
        self.bytes(name)
            .map(|bytes| f32::from_be_bytes(bytes.try_into().unwrap()))
    }

    fn float8(&self, name: &str) -> f64 {
        f64::from_be_bytes(self.bytes(name).unwrap().try_into().unwrap())
    }

    /// Microseconds since 1970.
    fn time_us(&self, name: &str) -> i64 {
        i64::from_be_bytes(self.bytes(name).unwrap().try_into().unwrap()) + POSTGRES_EPOCH_OFFSET_US
    }

    /// The text of a `jsonb`, without its version.
    fn json(&self, name: &str) -> &str {
        str::from_utf8(&self.bytes(name).unwrap()[1..]).unwrap()
    }
}

impl Field for Row {
    fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.get(name).expect(name).as_deref()
    }
}

#[test]
fn a_record_that_is_decoded_again_has_the_same_rows() {
    let packet = b"FLRDDE626>OGFLR,qAS,EGHL:/100000h5111.32N/00102.04W'086/007/A=000607 id0ADDE626";
    let (first, again) = (decode(packet, MORNING_US), decode(packet, MORNING_US));
    assert_eq!(first.raw, again.raw);
    assert_eq!(first.fix, again.fix);
    let fix = first.fix.unwrap();
    assert_eq!(fix.bytes("raw_message_id"), first.raw.bytes("id"));
    assert_ne!(fix.bytes("id"), first.raw.bytes("id"));
    assert_eq!(fix.time_us("received_at"), first.raw.time_us("received_at"));
}

#[test]
fn a_fix_that_two_stations_hear_is_two_raw_messages_and_one_fix() {
    let heard = |station: &str, signal: &str| {
        format!(
            "FLRDDE626>OGFLR,qAS,{station}:/100000h5111.32N/00102.04W'086/007/A=000607 !W12! id0ADDE626 {signal}dB"
        )
    };
    let packets = [
        heard("EGHL", "5.5"),
        heard("LFNW", "9.0"),
        // Another time, another place, another aircraft: other fixes.
        heard("LFNW", "9.0").replace("100000h", "100001h"),
        heard("LFNW", "9.0").replace("!W12!", "!W13!"),
        heard("LFNW", "9.0").replace("id0ADDE626", "id09DDE626"),
        heard("EDDS", "2.5"),
    ];
    let decoder = decoder();
    let columns = &decoder.targets()[1].columns;
    let mut recent = crate::RecentKeys::new(columns, FIX_KEY, 100).unwrap();
    let mut batch = |range: std::ops::Range<usize>| {
        let mut rows = decoder.empty_rows();
        for index in range {
            let received_at_us = MORNING_US + index as i64;
            decoder
                .decode(
                    &record(packets[index].as_bytes(), received_at_us, index as u64),
                    &mut rows,
                )
                .unwrap();
        }
        fill_ids(&mut rows);
        let dropped = recent.drop_duplicates(&mut rows[1]).len();
        let left: Vec<_> = (0..rows[1].len())
            .map(|row| rows[1].position(row).unwrap())
            .collect();
        (rows[0].len(), dropped, left)
    };
    assert_eq!(batch(0..5), (5, 1, vec![0, 2, 3, 4]));
    // Rolled back and tried again, in smaller batches: the same stay.
    assert_eq!(batch(0..2), (2, 1, vec![0]));
    assert_eq!(batch(1..5), (4, 1, vec![2, 3, 4]));
    assert_eq!(
        batch(5..6),
        (1, 1, vec![]),
        "a later batch knows the earlier ones"
    );
}

/// Gives every key an id of its own.
fn fill_ids(rows: &mut [Rows]) {
    for rows in rows {
        for lookup in [tuple::RECEIVERS, tuple::AIRCRAFT] {
            rows.patch(lookup, |key| {
                let mut id = [0; 16];
                for (place, byte) in id.iter_mut().zip(key.key.concat().bytes()) {
                    *place = byte;
                }
                Some(Found {
                    id: Id::Uuid(id),
                    returned: None,
                })
            });
        }
    }
}

#[test]
fn options_are_what_a_stream_says_and_the_defaults_for_the_rest() {
    let options: AprsOptions =
        toml::from_str("raw_messages = \"live.raw\"\nfuture_max = \"10 minutes\"").unwrap();
    assert_eq!(
        options,
        AprsOptions {
            raw_messages: "live.raw".to_owned(),
            future_max: crate::Span::from_us(600 * SECOND_US),
            ..AprsOptions::default()
        }
    );
    // That is the stream's table.
    assert!(toml::from_str::<AprsOptions>("fixes = \"live.fixes\"").is_err());
}

#[test]
fn tables_that_cannot_take_packets_are_refused_with_the_column() {
    let options = AprsOptions::default();
    let without = |columns: Vec<TargetColumn>, name: &str| -> Vec<_> {
        columns
            .into_iter()
            .filter(|column| column.name != name)
            .collect()
    };
    let refused = |raw: &[TargetColumn], fix: &[TargetColumn]| {
        AprsDecoder::new(&options, raw, fix)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refused(&without(raw_messages(), "raw_message"), &fixes()),
        "table public.raw_messages has no column \"raw_message\": APRS packets need it"
    );
    let mut narrow = fixes();
    narrow[1].kind = text(6);
    assert_eq!(
        refused(&raw_messages(), &narrow),
        "column \"source\" of table public.fixes is text of at most 6 characters: APRS packets need text of at least 9 characters"
    );
    let mut more = fixes();
    more.push(column("pilot", text(None), true, false));
    assert_eq!(
        refused(&raw_messages(), &more),
        "column \"pilot\" of table public.fixes is NOT NULL without a default: APRS packets have no value for it"
    );
    let mut other_source = raw_messages();
    other_source[6].kind = ColumnKind::Enum {
        labels: vec!["beast".to_owned()],
    };
    assert!(refused(&other_source, &fixes()).contains("an enum with the label 'ogn'"));
    // Columns that a packet can do without may be missing.
    let few = without(without(fixes(), "squawk"), "source_metadata");
    let decoder = AprsDecoder::new(&options, &raw_messages(), &few).unwrap();
    assert_eq!(decoder.targets()[1].columns.len(), 17);
}
