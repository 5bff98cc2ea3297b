//! Second opinions: two libraries read the same packets, where they can.

use ogn_parser::{AprsData, AprsPacket, AprsPosition};
use proptest::prelude::*;

use super::*;

/// A packet of OGN in good order, field by field.
fn packet() -> impl Strategy<Value = String> {
    let place = (
        0..90_u32,
        0..60_u32,
        0..100_u32,
        any::<bool>(),
        0..180_u32,
        0..60_u32,
        0..100_u32,
        any::<bool>(),
    );
    let motion = (
        1..=360_u32,
        0..1_000_u32,
        0..1_000_000_u32,
        0..10_u32,
        0..10_u32,
    );
    let device = (0..64_u32, 0..0x100_0000_u32);
    let measured = (
        -9_999..10_000_i32,
        -99..100_i32,
        0..999_u32,
        0..256_u32,
        -999..1_000_i32,
        0..256_u32,
        0..256_u32,
    );
    let time = (9..11_u32, 0..60_u32, 0..60_u32);
    (place, motion, device, measured, time).prop_map(
        |(
            (lat, lat_min, lat_part, south, lon, lon_min, lon_part, west),
            (course, speed, feet, more_lat, more_lon),
            (flags, address),
            (fpm, rot, snr, errors, offset, horizontal, vertical),
            (hour, minute, second),
        )| {
            let (n, e) = (if south { 'S' } else { 'N' }, if west { 'W' } else { 'E' });
            let (minus, rot) = (if rot < 0 { '-' } else { '+' }, rot.abs());
            let (lower, offset) = (if offset < 0 { '-' } else { '+' }, offset.abs());
            format!(
                "FLR{address:06X}>OGFLR,qAS,EDDS:/{hour:02}{minute:02}{second:02}h{lat:02}{lat_min:02}.{lat_part:02}{n}/{lon:03}{lon_min:02}.{lon_part:02}{e}'\
                 {course:03}/{speed:03}/A={feet:06} !W{more_lat}{more_lon}! id{flags:02X}{address:06X} {fpm:+04}fpm \
                 {minus}{}.{}rot {}.{}dB {errors}e {lower}{}.{}kHz gps{horizontal}x{vertical}",
                rot / 10, rot % 10, snr / 10, snr % 10, offset / 10, offset % 10
            )
        },
    )
}

fn by_ogn_parser(packet: &str) -> AprsPosition {
    match packet.parse::<AprsPacket>().expect(packet).data {
        AprsData::Position(position) => position,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn ogn_parser_reads_the_same(packet in packet()) {
        let fix = decode(packet.as_bytes(), MORNING_US).fix.expect(&packet);
        let position = by_ogn_parser(&packet);
        let comment = &position.comment;
        prop_assert!((fix.float8("latitude") - *position.latitude).abs() < 1e-9);
        prop_assert!((fix.float8("longitude") - *position.longitude).abs() < 1e-9);
        prop_assert_eq!(fix.float4("track_degrees"), comment.course.map(|course| f32::from(course % 360)));
        prop_assert_eq!(fix.float4("ground_speed_knots"), comment.speed.map(f32::from));
        prop_assert_eq!(fix.int4("altitude_msl_feet").map(i64::from), comment.altitude.map(i64::from));
        prop_assert_eq!(fix.int4("climb_fpm"), comment.climb_rate.map(i32::from));
        let turn: Option<f32> = comment.turn_rate.map(|turn| turn.to_string().parse().unwrap());
        // Its decimals come from single precision, with what that adds.
        prop_assert!((fix.float4("turn_rate_rot").unwrap() - turn.unwrap()).abs() < 1e-5);
        let metadata: serde_json::Value = serde_json::from_str(fix.json("source_metadata")).unwrap();
        prop_assert_eq!(metadata["bit_errors_corrected"].as_u64(), comment.error.map(u64::from));
        let snr: Option<f64> = comment.signal_quality.map(|snr| snr.to_string().parse().unwrap());
        prop_assert!((metadata["snr_db"].as_f64().unwrap() - snr.unwrap()).abs() < 1e-4);
        let gps = format!("{}x{}", metadata["gnss_horizontal_resolution"], metadata["gnss_vertical_resolution"]);
        prop_assert_eq!(Some(gps), comment.gps_quality.clone());
        let received = chrono::DateTime::from_timestamp_micros(MORNING_US).unwrap();
        let sent = position.timestamp.clone().unwrap().to_datetime(&received);
        // It refuses what is more than an hour away.
        if let Ok(sent) = sent {
            prop_assert_eq!(fix.time_us("timestamp"), sent.timestamp_micros());
        }
    }

    #[test]
    fn aprs_parser_reads_the_same(packet in packet()) {
        let decoded = decode(packet.as_bytes(), MORNING_US);
        let fix = decoded.fix.expect(&packet);
        let read = aprs_parser::AprsPacket::decode_textual(packet.as_bytes()).expect(&packet);
        let aprs_parser::AprsData::Position(position) = &read.data else {
            panic!("{read:?}");
        };
        // It leaves OGN's third decimals in the comment.
        const HUNDREDTH: f64 = 1.0 / 6_000.0 - 1e-9;
        prop_assert!((fix.float8("latitude") - *position.latitude).abs() < HUNDREDTH);
        prop_assert!((fix.float8("longitude") - *position.longitude).abs() < HUNDREDTH);
        prop_assert_eq!(fix.text("source").unwrap(), read.from.call());
        prop_assert_eq!(fix.text("aprs_type").unwrap(), position.to.call());
        prop_assert_eq!(position.symbol_code, '\'');
    }
}

/// What `ogn-parser` can't do, and the reason why it does not read packets here: if one of these changes, think again.
#[test]
fn ogn_parser_differs_where_it_was_found_to() {
    let header = "FLRDDE626>OGFLR,qAS,EGHL:";
    let umlaut = format!("{header}/100000h5111.32N/00102.04W'086/007/A=000607 id0ADDE626 Höhe");
    assert!(
        umlaut.parse::<AprsPacket>().is_err(),
        "a comment costs the position"
    );
    let minutes = by_ogn_parser(&format!("{header}/100000h4899.99N/00102.04W'"));
    assert!(*minutes.latitude > 49.6, "99 minutes are a place");
    let below = by_ogn_parser(&format!("{header}/100000h3130.00N/03528.00E'/A=-01380"));
    assert_eq!(below.comment.altitude, None, "no altitude below the sea");
    let yesterday = by_ogn_parser(&format!("{header}/102359z5111.32N/00102.04W'"));
    let received = chrono::DateTime::from_timestamp_micros(MIDNIGHT_US + 22 * HOUR_US).unwrap();
    let sent = yesterday.timestamp.unwrap().to_datetime(&received).unwrap();
    assert_eq!(
        sent.to_string(),
        "2025-12-11 23:59:00 UTC",
        "the tenth is taken for the eleventh"
    );
}
