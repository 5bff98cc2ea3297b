//! Packets as OGN's servers send them, and those that nobody should send.

use sha2::{Digest, Sha256};

use super::*;

/// One field of a row, as text that a test can show.
fn shown(row: &Row) -> Vec<String> {
    let optional = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    vec![
        row.text("source").unwrap().to_owned(),
        row.text("aprs_type").unwrap().to_owned(),
        format!(
            "{:.6} {:.6}",
            row.float8("latitude"),
            row.float8("longitude")
        ),
        optional(
            row.int4("altitude_msl_feet")
                .map(|feet| format!("{feet} ft")),
        ),
        optional(
            row.float4("ground_speed_knots")
                .map(|knots| format!("{knots} kt")),
        ),
        optional(
            row.float4("track_degrees")
                .map(|degrees| format!("{degrees} deg")),
        ),
        optional(row.int4("climb_fpm").map(|fpm| format!("{fpm} fpm"))),
        optional(row.float4("turn_rate_rot").map(|rot| format!("{rot} rot"))),
        optional(row.text("flight_number").map(str::to_owned)),
        optional(row.text("squawk").map(str::to_owned)),
    ]
}

#[test]
fn fields_of_a_packet_are_in_the_columns() {
    let cases = [
        (
            "FLRDDFAA3>OGFLR,qAS,LSTB:/095959h4658.70N/00707.72E'255/045/A=003399 !W03! id06DDFAA3 -613fpm -3.9rot 22.5dB 7e -7.0kHz gps3x7 s7.07 h41 rD002F8",
            "FLRDDFAA3|OGFLR|46.978333 7.128717|3399 ft|45 kt|255 deg|-613 fpm|-3.9 rot|-|-",
            r#"{"protocol":"aprs","snr_db":22.5,"bit_errors_corrected":7,"freq_offset_khz":-7.0,"gnss_horizontal_resolution":3,"gnss_vertical_resolution":7,"software_version":7.07,"hardware_version":65,"original_address":"D002F8"}"#,
        ),
        (
            "ICA4D21C2>OGADSB,qAS,HLST:/100140h4741.90N/01104.20E^360/460/A=034868 !W91! id254D21C2 +128fpm FL350.00 A3:AXY547M Sq2244",
            "ICA4D21C2|OGADSB|47.698483 11.070017|34868 ft|460 kt|0 deg|128 fpm|-|AXY547M|2244",
            r#"{"protocol":"aprs","flight_level":350.00,"emitter_category":"A3"}"#,
        ),
        (
            "OGN395004>OGNTRK,OGN2FD00F*,qAS,LZHL:/100008h4848.66N/01708.31E'000/000/A=002280 !W59! id07395004 +000fpm +0.0rot FL021.72 40.2dB -15.1kHz gps9x13 +15.8dBm",
            "OGN395004|OGNTRK|48.811083 17.138650|2280 ft|0 kt|-|0 fpm|0 rot|-|-",
            r#"{"protocol":"aprs","snr_db":40.2,"freq_offset_khz":-15.1,"gnss_horizontal_resolution":9,"gnss_vertical_resolution":13,"flight_level":21.72,"signal_power_dbm":15.8}"#,
        ),
        (
            "FNT1103CE>OGNFNT,qAS,FNB1103CE:/095958h5057.94N/00801.00Eg354/001/A=001042 !W10! id1E1103CE +03fpm FNT11 sF1 cr4 22.2dB",
            "FNT1103CE|OGNFNT|50.965683 8.016667|1042 ft|1 kt|354 deg|3 fpm|-|-|-",
            r#"{"protocol":"aprs","snr_db":22.2,"fanet_kind":17,"spreading_factor":1,"coding_rate":4}"#,
        ),
        (
            "FLRDDE626>OGFLR,qAS,DEADSEA:=3130.00N/03528.00E'/A=-01380 id87DDE626",
            "FLRDDE626|OGFLR|31.500000 35.466667|-1380 ft|-|-|-|-|-|-",
            r#"{"protocol":"aprs","stealth":true}"#,
        ),
    ];
    for (packet, expected, metadata) in cases {
        let decoded = decode(packet.as_bytes(), MORNING_US);
        let fix = decoded.fix.expect(packet);
        assert_eq!(shown(&fix).join("|"), expected, "{packet}");
        assert_eq!(fix.json("source_metadata"), metadata, "{packet}");
        assert_eq!(decoded.raw.text("unparsed"), None, "{packet}");
    }
}

#[test]
fn receivers_and_aircraft_are_looked_up_by_what_the_packet_says() {
    let decoded = decode(
        b"OGN395004>OGNTRK,OGN2FD00F*,qAS,LZHL:/100008h4848.66N/01708.31E'000/000 id07395004",
        MORNING_US,
    );
    assert_eq!(decoded.receiver, "LZHL");
    let (address, address_type, aircraft_type) = decoded.aircraft.unwrap();
    assert_eq!(
        (
            address.as_str(),
            address_type.as_str(),
            aircraft_type.as_str()
        ),
        ("3756036", "ogn", "glider")
    );
    let without_id = decode(
        b"ICA4D21C2>OGADSB,qAS,HLST:/100008h4848.66N/01708.31E'",
        MORNING_US,
    );
    assert_eq!(
        without_id.aircraft.unwrap(),
        (
            "5054914".to_owned(),
            "icao".to_owned(),
            "unknown".to_owned()
        )
    );
}

#[test]
fn the_raw_message_is_the_packet_whatever_it_is() {
    let packets: [&[u8]; 4] = [
        b"FLRDDE626>OGFLR,qAS,EGHL:/100000h5111.32N/00102.04W' id0ADDE626",
        b"\xFF\x00\xFE",
        b"#",
        &[b'x'; 513],
    ];
    for packet in packets {
        let decoded = decode(packet, MORNING_US);
        assert_eq!(decoded.raw.bytes("raw_message"), Some(packet));
        assert_eq!(
            decoded.raw.bytes("raw_message_hash"),
            Some(Sha256::digest(packet).as_slice())
        );
        assert_eq!(decoded.raw.text("source"), Some("ogn"));
        assert_eq!(decoded.raw.time_us("received_at"), MORNING_US);
    }
}

#[test]
fn packets_without_a_fix_say_why() {
    let header = "FLRDDE626>OGFLR,qAS,EGHL:";
    let id = "' id0ADDE626";
    let cases = [
        (
            format!("{header}/991000/5111.32N/00102.04W{id}"),
            Kind::Time,
            Some("time: 991000/"),
        ),
        (
            format!("{header}/111000/5111.32N/00102.04W{id}"),
            Kind::LocalTime,
            Some("local-time: 111000/"),
        ),
        (
            format!("{header}/100000h4899.99N/00102.04W{id}"),
            Kind::Latitude,
            Some("latitude: 4899.99N"),
        ),
        (
            format!("{header}/100000h4811.32N/18102.04W{id}"),
            Kind::Longitude,
            Some("longitude: 18102.04W"),
        ),
        (
            format!("{header}/250000h4811.32N/00102.04W{id}"),
            Kind::Time,
            Some("time: 250000h"),
        ),
        (
            format!("{header}/130000h4811.32N/00102.04W{id}"),
            Kind::ImplausibleTime,
            Some("implausible-time: 130000h"),
        ),
        (
            format!("{header}/100000h4811.32N/0010"),
            Kind::Truncated,
            Some("truncated: 4811.32N/0010"),
        ),
        (
            format!("{header}/1000"),
            Kind::Truncated,
            Some("truncated: /1000"),
        ),
        (
            format!("{header}!/5L!!<*e7>7P["),
            Kind::Compressed,
            Some("compressed: /5L!!<*e7>7P["),
        ),
        (header.to_owned(), Kind::DataType, Some("data-type: ")),
        (
            format!("{header}~what"),
            Kind::DataType,
            Some("data-type: ~what"),
        ),
        (
            "what is this".to_owned(),
            Kind::Header,
            Some("header: what is this"),
        ),
        (
            "FLRDDE6267>OGFLR:/".to_owned(),
            Kind::CallSign,
            Some("call-sign: FLRDDE6267>OGFLR:/"),
        ),
        (
            "SPO12>OGSPOT,qAS,SPOT:/100000h4811.32N/00102.04W'".to_owned(),
            Kind::NoAddress,
            Some("no-address: "),
        ),
        (
            format!("{header}/100000h4811.32N/00102.04W' id4ADDE626"),
            Kind::NoTracking,
            None,
        ),
        (
            format!("{header}/100000h4811.32N/00102.04W_090/004g005t055"),
            Kind::Weather,
            None,
        ),
        (
            "LFNW>OGNSDR,TCPIP*,qAC,GLIDERN5:/100000h4254.53NI00203.90E&/A=001000".to_owned(),
            Kind::ReceiverPosition,
            None,
        ),
        (
            "LFNW>OGNSDR,TCPIP*,qAC,GLIDERN5:>100000h v0.2.6.ARM CPU:0.7".to_owned(),
            Kind::Status,
            None,
        ),
        (format!("{header}:DEST     :Hello"), Kind::Message, None),
        (
            format!("{header};LEADER   *092345z4903.50N/07201.75W>"),
            Kind::Other,
            None,
        ),
        (
            "# aprsc 2.0.14-g28c5a6a 29 Jun 2014 07:46:15 GMT GLIDERN1 37.187.40.234:14580"
                .to_owned(),
            Kind::ServerLine,
            None,
        ),
    ];
    for (packet, kind, unparsed) in cases {
        let decoded = decode(packet.as_bytes(), MORNING_US);
        assert_eq!(decoded.kind, kind, "{packet}");
        assert!(decoded.fix.is_none(), "{packet}");
        assert_eq!(decoded.raw.text("unparsed"), unparsed, "{packet}");
    }
}

#[test]
fn receivers_of_packets_without_a_fix_are_known_too() {
    let cases = [
        (
            "LFNW>OGNSDR,TCPIP*,qAC,GLIDERN5:>100000h v0.2.6.ARM",
            "LFNW",
        ),
        (
            "FLRDDE626>OGFLR,qAS,EGHL:/100000h4899.99N/00102.04W'",
            "EGHL",
        ),
        ("# aprsc 2.0.14", "unknown"),
        ("what is this", "unknown"),
    ];
    for (packet, receiver) in cases {
        assert_eq!(
            decode(packet.as_bytes(), MORNING_US).receiver,
            receiver,
            "{packet}"
        );
    }
}

#[test]
fn a_packet_of_before_midnight_stays_there_whenever_it_is_replayed() {
    let packet = b"FLRDDE626>OGFLR,qAS,EGHL:/235959h5111.32N/00102.04W' id0ADDE626";
    let received_at_us = MIDNIGHT_US + SECOND_US;
    // The time of reception comes with the record, however much later it is decoded.
    let fix = decode(packet, received_at_us).fix.unwrap();
    assert_eq!(fix.time_us("timestamp"), MIDNIGHT_US - SECOND_US);
    assert_eq!(fix.time_us("received_at"), received_at_us);
}

#[test]
fn a_position_without_a_time_is_of_its_reception() {
    let fix = decode(
        b"FLRDDE626>OGFLR,qAS,EGHL:!5111.32N/00102.04W' id0ADDE626",
        MORNING_US + 17,
    );
    assert_eq!(fix.fix.unwrap().time_us("timestamp"), MORNING_US + 17);
}

#[test]
fn comments_in_any_encoding_cost_no_fix() {
    let start = b"FLRDDE626>OGFLR,qAS,EGHL:/100000h5111.32N/00102.04W'086/007/A=000607 id0ADDE626 ";
    let cases: [(&[u8], &str); 4] = [
        (b"H\xF6henwind +020fpm", "H\u{FFFD}henwind"),
        ("Höhenwind +020fpm".as_bytes(), "Höhenwind"),
        (b"a\0b +020fpm", "a\u{FFFD}b"),
        (
            b"+020fpm hearD7EA gps2xFLRD0 +030fpm",
            "hearD7EA gps2xFLRD0 +030fpm",
        ),
    ];
    for (comment, unparsed) in cases {
        let packet = [start, comment].concat();
        let decoded = decode(&packet, MORNING_US);
        let fix = decoded.fix.expect(unparsed);
        assert_eq!(fix.int4("climb_fpm"), Some(20), "{unparsed}");
        assert_eq!(decoded.raw.text("unparsed"), Some(unparsed));
        assert_eq!(decoded.raw.bytes("raw_message"), Some(packet.as_slice()));
    }
}

#[test]
fn bytes_that_are_not_utf8_are_counted_beside_what_the_packet_is() {
    let decoder = decoder();
    let mut rows = decoder.empty_rows();
    for packet in [
        b"FLRDDE626>OGFLR,qAS,EGHL:/100000h5111.32N/00102.04W' id0ADDE626 \xF6".as_slice(),
        b"FLRDDE626>OGFLR,qAS,EGHL:/100000h5111.32N/00102.04W' id0ADDE626",
        b"\xFF",
    ] {
        decoder
            .decode(&record(packet, MORNING_US, 1), &mut rows)
            .unwrap();
    }
    assert_eq!(count(&rows, Kind::Fix as usize), 2);
    assert_eq!(count(&rows, Kind::Header as usize), 1);
    assert_eq!(count(&rows, NOT_UTF8), 2);
    assert_eq!(decoder.kinds()[NOT_UTF8], "not-utf8");
}

#[test]
fn a_packet_of_512_bytes_is_read_and_one_of_513_is_not() {
    let mut packet = b"FLRDDE626>OGFLR,qAS,EGHL:/100000h5111.32N/00102.04W' id0ADDE626 ".to_vec();
    packet.resize(512, b'x');
    assert_eq!(decode(&packet, MORNING_US).kind, Kind::Fix);
    packet.push(b'x');
    let decoded = decode(&packet, MORNING_US);
    assert_eq!(decoded.kind, Kind::Oversized);
    assert!(
        decoded
            .raw
            .text("unparsed")
            .unwrap()
            .starts_with("oversized: FLRDDE626>")
    );
}

#[test]
fn blanks_in_place_of_course_and_speed_are_not_known() {
    for head in [".../...", "   /   "] {
        let packet = format!(
            "FLRDDE626>OGFLR,qAS,EGHL:/100000h5111.32N/00102.04W'{head}/A=000607 id0ADDE626"
        );
        let decoded = decode(packet.as_bytes(), MORNING_US);
        let fix = decoded.fix.unwrap();
        assert_eq!(fix.float4("track_degrees"), None);
        assert_eq!(fix.int4("altitude_msl_feet"), Some(607));
        assert_eq!(decoded.raw.text("unparsed"), None);
    }
    let packet = b"FLRDDE626>OGFLR,qAS,EGHL:/100000h5111.32N/00102.04W'361/007/A=000607 id0ADDE626";
    let decoded = decode(packet, MORNING_US);
    assert_eq!(decoded.fix.unwrap().float4("ground_speed_knots"), None);
    assert_eq!(decoded.raw.text("unparsed"), Some("361/007"));
}
