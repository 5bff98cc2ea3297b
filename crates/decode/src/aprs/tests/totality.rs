//! Any bytes: no panic, one raw message, and a fix only where one could be.

use proptest::prelude::*;

use super::*;

const PACKET: &[u8] = b"FLRDDFAA3>OGFLR,OGN2FD00F*,qAS,LSTB:/095959h4658.70N/00707.72E'255/045/A=003399 !W03! id06DDFAA3 -613fpm -3.9rot FL350.00 22.5dB 7e -7.0kHz gps3x7 s7.07 h41 rD002F8 +15.8dBm A3:AXY547M Sq2244";

/// What no row may break, whatever the packet was.
fn check(packet: &[u8], received_at_us: i64) {
    let decoded = decode(packet, received_at_us);
    assert_eq!(decoded.raw.bytes("raw_message"), Some(packet));
    if let Some(unparsed) = decoded.raw.text("unparsed") {
        assert!(!unparsed.contains('\0'), "PostgreSQL refuses U+0000");
    }
    assert_eq!(decoded.fix.is_some(), decoded.kind == Kind::Fix);
    assert!((1..=9).contains(&decoded.receiver.len()));
    let Some(fix) = decoded.fix else { return };
    assert!((-90.0..=90.0).contains(&fix.float8("latitude")));
    assert!((-180.0..=180.0).contains(&fix.float8("longitude")));
    assert!(
        fix.float4("track_degrees")
            .is_none_or(|degrees| (0.0..360.0).contains(&degrees))
    );
    assert!(
        fix.text("flight_number")
            .is_none_or(|number| number.len() <= 20)
    );
    let distance_us = fix.time_us("timestamp").abs_diff(received_at_us);
    assert!(distance_us <= 12 * HOUR_US.unsigned_abs());
    serde_json::from_str::<serde_json::Value>(fix.json("source_metadata"))
        .expect("metadata is JSON");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn bytes_of_any_kind(packet in prop::collection::vec(any::<u8>(), 0..600)) {
        check(&packet, MORNING_US);
    }

    #[test]
    fn characters_that_packets_are_made_of(packet in "[A-Z0-9>,:/@!=h*' .+-]{0,120}") {
        check(packet.as_bytes(), MORNING_US);
    }

    #[test]
    fn packets_with_bytes_changed(
        changes in prop::collection::vec((0..PACKET.len(), any::<u8>()), 0..6),
        digits in prop::collection::vec((0..PACKET.len(), b'0'..=b'9'), 0..6),
        end in 0..=PACKET.len(),
    ) {
        let mut packet = PACKET.to_vec();
        for (at, byte) in changes {
            packet[at] = byte;
        }
        for (at, digit) in digits {
            if packet[at].is_ascii_digit() {
                packet[at] = digit;
            }
        }
        packet.truncate(end);
        check(&packet, MORNING_US);
        check(&packet[..], MIDNIGHT_US);
    }

    #[test]
    fn packets_received_at_any_time(received_at_us in 0..253_402_300_800_000_000_i64, second in 0..86_400_u32) {
        let packet = format!(
            "FLRDDFAA3>OGFLR,qAS,LSTB:/{:02}{:02}{:02}h4658.70N/00707.72E' id06DDFAA3",
            second / 3_600, second / 60 % 60, second % 60
        );
        check(packet.as_bytes(), received_at_us);
    }
}

#[test]
fn every_beginning_of_a_packet() {
    for end in 0..=PACKET.len() {
        check(&PACKET[..end], MORNING_US);
    }
}

#[test]
fn times_of_reception_at_both_ends_of_what_is_counted() {
    let decoder = decoder();
    let mut rows = decoder.empty_rows();
    for received_at_us in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX] {
        decoder
            .decode(&record(PACKET, received_at_us, u64::MAX), &mut rows)
            .unwrap();
    }
    assert_eq!(rows[0].len(), 7);
}
