//! The sample as a whole: the same everywhere, as large as asked for, and packets that say what the rows say.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;

use hyperhaul_pgcopy::Tuples;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::fix::{Fix, for_each_fix};
use super::packet::{write_metadata, write_packet};
use super::profile::Layout;
use super::*;

/// SHA-256 over all tables of `small()`, block after block. A change of it is a change of everybody's sample: say so in the CHANGELOG.
const SMALL_DIGEST: &str = "17b5a6c53b16242b64c1f3f4fa9ec4492e9854197966bb01ee22a8ad8d232810";

fn small() -> Soar {
    Soar::new(&SoarOptions::sized(20_000)).unwrap()
}

fn blocks(soar: &Soar) -> Vec<(SoarTable, u64)> {
    SoarTable::ALL
        .into_iter()
        .flat_map(|table| (0..soar.block_count(table)).map(move |block| (table, block)))
        .collect()
}

fn digest(encoded: impl IntoIterator<Item = EncodedBlock>) -> String {
    let mut sha = Sha256::new();
    for block in encoded {
        sha.update(&block.tuples);
    }
    sha.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn every_fix(soar: &Soar, mut visit: impl FnMut(&Fix<'_>, &str)) {
    let mut packet = String::new();
    for index in 0..soar.schedule.block_count() {
        for_each_fix(
            soar.options.seed,
            &soar.schedule,
            &soar.fleet,
            &soar.schedule.block(index),
            |fix| {
                write_packet(&mut packet, fix, &soar.fleet.receivers[fix.receiver]);
                visit(fix, &packet);
            },
        );
    }
}

#[test]
fn bytes_are_the_same_everywhere_and_on_any_number_of_threads() {
    let soar = small();
    assert_eq!(
        digest(
            blocks(&soar)
                .into_iter()
                .map(|(table, block)| soar.encode_block(table, block))
        ),
        SMALL_DIGEST
    );
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let encoded: Vec<_> = pool.install(|| {
            blocks(&soar)
                .into_par_iter()
                .map(|(table, block)| soar.encode_block(table, block))
                .collect()
        });
        assert_eq!(digest(encoded), SMALL_DIGEST, "on {threads} threads");
    }
}

#[test]
fn another_seed_gives_other_rows() {
    let other = Soar::new(&SoarOptions {
        seed: 2,
        ..SoarOptions::sized(20_000)
    })
    .unwrap();
    for table in SoarTable::ALL {
        assert_ne!(
            small().encode_block(table, 0).tuples,
            other.encode_block(table, 0).tuples,
            "{}",
            table.name()
        );
    }
}

#[test]
fn counts_are_those_asked_for() {
    let sizes = [
        SoarOptions::sized(50_000),
        SoarOptions::sized(0),
        SoarOptions::sized(3),
        SoarOptions {
            days: 45,
            ..SoarOptions::sized(10_007)
        },
        SoarOptions {
            raw_messages: 50,
            default_partition_rows: 7,
            link_raw_messages: false,
            ..SoarOptions::sized(9_000)
        },
    ];
    for options in sizes {
        let soar = Soar::new(&options).unwrap();
        for table in SoarTable::ALL {
            let (mut announced, mut found) = (0, 0);
            for index in 0..soar.block_count(table) {
                let block = soar.encode_block(table, index);
                announced += block.row_count;
                found += tuple_count(&block.tuples);
            }
            assert_eq!(announced, found, "{} of {options:?}", table.name());
            assert_eq!(
                soar.row_count(table).unwrap_or(found),
                found,
                "{} of {options:?}",
                table.name()
            );
        }
    }
}

fn tuple_count(tuples: &[u8]) -> u64 {
    Tuples::new(tuples)
        .map(|tuple| u64::from(tuple.unwrap().field_count() > 0))
        .sum()
}

#[test]
fn packets_say_what_the_rows_say() {
    let soar = small();
    let mut count = 0;
    every_fix(&soar, |fix, packet| {
        let read = read_packet(packet);
        let said =
            |wanted: bool, what: &str| assert!(wanted, "{what} of {packet} is not that of {fix:?}");
        said(packet.len() < 512, "length");
        said(
            read.header.0 == fix.aircraft.source
                && read.header.1 == fix.aircraft.profile.destination,
            "call signs",
        );
        said(
            read.header.2 == soar.fleet.receivers[fix.receiver].callsign,
            "receiver",
        );
        said(
            read.second_of_day == fix.sent_second.rem_euclid(86_400),
            "time",
        );
        let degrees = (
            f64::from(fix.position.0) / 60_000.0,
            f64::from(fix.position.1) / 60_000.0,
        );
        said(
            (read.degrees.0 - degrees.0).abs() < 1e-9 && (read.degrees.1 - degrees.1).abs() < 1e-9,
            "position",
        );
        said(read.course == fix.course, "course");
        said(read.altitude_feet == fix.altitude_msl_feet, "altitude");
        said(read.climb_fpm == fix.climb_fpm, "climb");
        said(
            read.turn == fix.turn.map(|tenths| tenths as f32 / 10.0),
            "turn",
        );
        said(
            read.snr == fix.signal.map(|signal| signal.snr as f32 / 10.0),
            "signal",
        );
        said(
            read.call_sign == fix.call_sign && read.squawk == fix.squawk,
            "flight",
        );
        said(
            fix.course
                .is_none_or(|(track, _)| (0..360).contains(&track)),
            "track",
        );
        count += 1;
    });
    assert_eq!(count, 20_000);
}

struct ReadPacket<'p> {
    header: (&'p str, &'p str, &'p str),
    second_of_day: i64,
    degrees: (f64, f64),
    course: Option<(i32, i32)>,
    altitude_feet: Option<i32>,
    climb_fpm: Option<i32>,
    turn: Option<f32>,
    snr: Option<f32>,
    call_sign: Option<&'p str>,
    squawk: Option<&'p str>,
}

/// Reads a packet by the protocol's fixed columns, not by what wrote it.
fn read_packet(packet: &str) -> ReadPacket<'_> {
    let (header, body) = packet.split_once(":/").unwrap();
    let (source, path) = header.split_once('>').unwrap();
    let path: Vec<_> = path.split(',').collect();
    assert_eq!(path[path.len() - 2], "qAS");
    let number = |from: usize, to: usize| body[from..to].parse::<f64>().unwrap();
    // !Wab! adds a decimal to the minutes of latitude and longitude.
    let precision = body.find("!W").unwrap();
    let decimal = |place: usize| f64::from(body.as_bytes()[precision + 2 + place] - b'0') / 1_000.0;
    let latitude = number(7, 9) + (number(9, 14) + decimal(0)) / 60.0;
    let longitude = number(16, 19) + (number(19, 24) + decimal(1)) / 60.0;
    let south = &body[14..15] == "S";
    let west = &body[24..25] == "W";
    let after_symbol = &body[26..];
    let course = (after_symbol.as_bytes().get(3) == Some(&b'/')).then(|| {
        let track: i32 = after_symbol[..3].parse().unwrap();
        (track % 360, after_symbol[4..7].parse().unwrap())
    });
    let word = |prefix: &str, suffix: &str| {
        body.split(' ')
            .skip(1)
            .find_map(|word| word.strip_prefix(prefix)?.strip_suffix(suffix))
    };
    ReadPacket {
        header: (source, path[0], path[path.len() - 1]),
        second_of_day: (number(0, 2) * 3_600.0 + number(2, 4) * 60.0 + number(4, 6)) as i64,
        degrees: (
            if south { -latitude } else { latitude },
            if west { -longitude } else { longitude },
        ),
        course,
        altitude_feet: body
            .split_once("/A=")
            .map(|(_, after)| after[..6].parse().unwrap()),
        climb_fpm: word("", "fpm").map(|text| text.parse().unwrap()),
        turn: word("", "rot").map(|text| text.parse().unwrap()),
        snr: word("", "dB").map(|text| text.parse().unwrap()),
        call_sign: word("A3:", ""),
        squawk: word("Sq", ""),
    }
}

#[test]
fn aircraft_move_as_fast_as_they_say() {
    let mut last: HashMap<Uuid, (i64, (f64, f64))> = HashMap::new();
    let mut straight_count = 0;
    every_fix(&small(), |fix, packet| {
        let Some((flight, (_, speed))) = fix.flight_id.zip(fix.course) else {
            return;
        };
        let place = (
            f64::from(fix.position.0) / 1_000.0,
            f64::from(fix.position.1) / 1_000.0,
        );
        if let Some((second, before)) = last.insert(flight, (fix.sent_second, place)) {
            let seconds = (fix.sent_second - second) as f64;
            assert!(seconds >= 0.0, "{packet} was sent before the one before");
            let shrink = ((place.0 + before.0) / 120.0).to_radians().cos();
            let flown_nm = (place.0 - before.0).hypot((place.1 - before.1) * shrink);
            let said_nm = f64::from(speed) * seconds / 3_600.0;
            assert!(
                flown_nm <= said_nm * 1.02 + 0.005,
                "{flown_nm} nm in {seconds} s before {packet}"
            );
            if fix.aircraft.profile.layout == Layout::Adsb {
                assert!(
                    flown_nm >= said_nm * 0.98 - 0.005,
                    "{flown_nm} nm in {seconds} s before {packet}"
                );
                straight_count += 1;
            }
        }
    });
    assert!(
        straight_count > 500,
        "{straight_count} pairs of overflights"
    );
}

#[test]
fn what_may_be_absent_is_absent_in_some_rows() {
    let mut absent: HashMap<&str, u32> = HashMap::new();
    every_fix(&small(), |fix, _| {
        let fields = [
            ("altitude_msl_feet", fix.altitude_msl_feet.is_none()),
            ("altitude_agl_feet", fix.altitude_agl_feet.is_none()),
            ("flight_number", fix.call_sign.is_none()),
            ("squawk", fix.squawk.is_none()),
            ("ground_speed_knots", fix.course.is_none()),
            ("climb_fpm", fix.climb_fpm.is_none()),
            ("turn_rate_rot", fix.turn.is_none()),
            ("flight_id", fix.flight_id.is_none()),
            ("time_gap_seconds", fix.time_gap_seconds.is_none()),
            ("source_metadata", !fix.has_metadata),
        ];
        for (name, is_absent) in fields {
            *absent.entry(name).or_default() += u32::from(is_absent);
        }
    });
    let expected = [
        ("altitude_msl_feet", 50..500),
        ("altitude_agl_feet", 1_000..3_000),
        ("flight_number", 12_000..19_500),
        ("squawk", 12_000..19_500),
        ("ground_speed_knots", 30..400),
        ("climb_fpm", 300..3_000),
        ("turn_rate_rot", 4_000..14_000),
        ("flight_id", 1_500..7_000),
        ("time_gap_seconds", 100..3_000),
        ("source_metadata", 80..500),
    ];
    for (name, range) in expected {
        assert!(
            range.contains(&absent[name]),
            "{name} is absent in {} of 20000 rows",
            absent[name]
        );
    }
}

#[test]
fn flight_numbers_and_squawks_are_adsb_only() {
    let mut json = String::new();
    every_fix(&small(), |fix, packet| {
        let is_adsb = fix.aircraft.profile.destination == "OGADSB";
        assert!(
            is_adsb || (fix.call_sign.is_none() && fix.squawk.is_none()),
            "{packet}"
        );
        write_metadata(&mut json, fix);
        assert!(
            json.starts_with("{\"protocol\":\"aprs\"") && json.ends_with('}'),
            "{json}"
        );
    });
}

#[test]
fn raw_messages_come_in_order_of_time() {
    let soar = small();
    let mut previous = i64::MIN;
    for index in 0..soar.block_count(SoarTable::RawMessages) {
        let block = soar.encode_block(SoarTable::RawMessages, index);
        for tuple in Tuples::new(&block.tuples) {
            let received = i64::from_be_bytes(
                tuple
                    .unwrap()
                    .field(1)
                    .unwrap()
                    .unwrap()
                    .try_into()
                    .unwrap(),
            );
            assert!(previous <= received);
            previous = received;
        }
    }
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let default = SoarOptions::default;
    let refused = [
        SoarOptions {
            days: 0,
            ..default()
        },
        SoarOptions {
            receivers: 0,
            ..default()
        },
        SoarOptions {
            raw_messages: 277_949,
            ..default()
        },
        SoarOptions {
            default_partition_rows: 1_000_000,
            raw_messages: 9_000_000,
            ..default()
        },
        SoarOptions {
            first_day: chrono::NaiveDate::from_ymd_opt(1969, 12, 31).unwrap(),
            ..default()
        },
    ];
    for options in refused {
        assert!(
            matches!(Soar::new(&options), Err(WorkloadError::Options(_))),
            "{options:?}"
        );
    }
}
