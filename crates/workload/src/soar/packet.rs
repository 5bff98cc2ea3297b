//! APRS packets as OGN's servers pass them on, and the `source_metadata` that SOAR keeps of them. Formats follow the OGN
//! wiki's "APRS interaction examples" and the APRS protocol reference 1.0.1, with OGN's `!Wab!` for the third decimal of minutes.

use std::fmt::Write;

use super::fix::Fix;
use super::fleet::Receiver;
use super::profile::Layout;

/// Writes the packet of `fix` into `packet`, in place of what was there.
pub(crate) fn write_packet(packet: &mut String, fix: &Fix<'_>, receiver: &Receiver) {
    packet.clear();
    // Writing to a String does not fail.
    let _ = position(packet, fix, receiver);
    let _ = comment(packet, fix);
}

/// Writes a packet's header, time, place, course and altitude.
fn position(packet: &mut String, fix: &Fix<'_>, receiver: &Receiver) -> std::fmt::Result {
    let profile = fix.aircraft.profile;
    write!(packet, "{}>{}", fix.aircraft.source, profile.destination)?;
    if let Some(relay) = fix.relay {
        write!(packet, ",{}", Relay(relay))?;
    }
    write!(
        packet,
        ",qAS,{}:/{}",
        receiver.callsign,
        TimeOfDay(fix.sent_second)
    )?;
    let (north, east) = fix.position;
    write_place(packet, fix.position, profile.symbol)?;
    if let Some((track, speed)) = fix.course {
        // 000 would mean that the course is not known.
        write!(
            packet,
            "{:03}/{speed:03}",
            if track == 0 { 360 } else { track }
        )?;
    }
    if let Some(feet) = fix.altitude_msl_feet {
        write!(packet, "/A={feet:06}")?;
    }
    write!(
        packet,
        " !W{}{}!",
        north.unsigned_abs() % 10,
        east.unsigned_abs() % 10
    )
}

/// Writes what comes after the altitude, as the tracker's network does.
fn comment(packet: &mut String, fix: &Fix<'_>) -> std::fmt::Result {
    let profile = fix.aircraft.profile;
    let flags = (profile.aircraft.1 << 2) | profile.address.1;
    write!(packet, " id{flags:02X}{:06X}", fix.aircraft.address)?;
    if let Some(fpm) = fix.climb_fpm {
        match profile.layout {
            Layout::Adsb => write!(packet, " {fpm:+}fpm")?,
            _ => write!(packet, " {fpm:+04}fpm")?,
        }
    }
    if let Some(turn) = fix.turn {
        write!(packet, " {:+}rot", Tenths(turn))?;
    }
    if let Some(level) = fix.flight_level {
        write!(packet, " FL{:03}.{:02}", level / 100, level % 100)?;
    }
    if profile.layout == Layout::Fanet {
        write!(packet, " FNT11 sF1 cr4")?;
    }
    if let Some(signal) = fix.signal {
        write!(packet, " {}dB", Tenths(signal.snr))?;
        if signal.bit_errors > 0 {
            write!(packet, " {}e", signal.bit_errors)?;
        }
        write!(packet, " {:+}kHz", Tenths(signal.frequency_offset))?;
    }
    if let Some((horizontal, vertical)) = fix.gps {
        write!(packet, " gps{horizontal}x{vertical}")?;
    }
    if let Some(call_sign) = fix.call_sign {
        write!(packet, " A3:{call_sign}")?;
    }
    if let Some(squawk) = fix.squawk {
        write!(packet, " Sq{squawk}")?;
    }
    Ok(())
}

/// Writes a place in degrees, minutes and hundredths, with the symbol's table and code in their places.
pub(crate) fn write_place(
    packet: &mut String,
    place: (i32, i32),
    symbol: (char, char),
) -> std::fmt::Result {
    let (north, east) = (place.0.unsigned_abs(), place.1.unsigned_abs());
    let (n, e) = (
        if place.0 < 0 { 'S' } else { 'N' },
        if place.1 < 0 { 'W' } else { 'E' },
    );
    let minutes = |units: u32| (units / 60_000, units / 1_000 % 60, units % 1_000 / 10);
    let ((lat, lat_min, lat_part), (lon, lon_min, lon_part)) = (minutes(north), minutes(east));
    let (table, code) = symbol;
    write!(
        packet,
        "{lat:02}{lat_min:02}.{lat_part:02}{n}{table}{lon:03}{lon_min:02}.{lon_part:02}{e}{code}"
    )
}

/// Writes what SOAR keeps of the protocol's own fields, as JSON, in place of what was there.
pub(crate) fn write_metadata(json: &mut String, fix: &Fix<'_>) {
    json.clear();
    // Writing to a String does not fail.
    let _ = metadata(json, fix);
}

fn metadata(json: &mut String, fix: &Fix<'_>) -> std::fmt::Result {
    write!(json, "{{\"protocol\":\"aprs\"")?;
    if let Some(signal) = fix.signal {
        write!(json, ",\"snr_db\":{}", Tenths(signal.snr))?;
        if signal.bit_errors > 0 {
            write!(json, ",\"bit_errors_corrected\":{}", signal.bit_errors)?;
        }
        write!(
            json,
            ",\"freq_offset_khz\":{}",
            Tenths(signal.frequency_offset)
        )?;
    }
    if let Some((horizontal, vertical)) = fix.gps {
        write!(
            json,
            ",\"gnss_horizontal_resolution\":{horizontal},\"gnss_vertical_resolution\":{vertical}"
        )?;
    }
    if let Some(level) = fix.flight_level {
        write!(json, ",\"flight_level\":{}.{:02}", level / 100, level % 100)?;
    }
    if fix.call_sign.is_some() {
        write!(json, ",\"emitter_category\":\"A3\"")?;
    }
    write!(json, "}}")
}

/// Call sign of the tracker that passed a packet on, by its address.
pub(crate) struct Relay(pub(crate) u32);

impl std::fmt::Display for Relay {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "OGN{:06X}*", self.0)
    }
}

/// `HHMMSSh` (UTC) of seconds since 1970.
pub(crate) struct TimeOfDay(pub(crate) i64);

impl std::fmt::Display for TimeOfDay {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let second = self.0.rem_euclid(86_400);
        write!(
            formatter,
            "{:02}{:02}{:02}h",
            second / 3_600,
            second / 60 % 60,
            second % 60
        )
    }
}

/// A number of tenths with its decimal point; `{:+}` shows the sign of what is not negative, too.
pub(crate) struct Tenths(pub(crate) i32);

impl std::fmt::Display for Tenths {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = match (self.0 < 0, formatter.sign_plus()) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        write!(
            formatter,
            "{sign}{}.{}",
            self.0.unsigned_abs() / 10,
            self.0.unsigned_abs() % 10
        )
    }
}
