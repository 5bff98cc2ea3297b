//! What receivers say about themselves: their position, their status, now and then a Mode S frame or a packet that SOAR's
//! parser does not understand. These are the raw messages that no fix belongs to.

use std::fmt::Write;

use uuid::Uuid;

use super::fleet::{Fleet, Receiver};
use super::packet::{Tenths, TimeOfDay, write_place};
use super::schedule::{Block, Schedule};
use crate::random::{Purpose, Random};

/// A status report, parsed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    /// Tenths, except where the name says otherwise.
    pub(crate) cpu_load: i32,
    pub(crate) ram_free_mb: i32,
    pub(crate) ntp_offset_ms: i32,
    pub(crate) ntp_correction_ppm: i32,
    pub(crate) temperature_celsius: Option<i32>,
    pub(crate) visible_senders_count: i32,
    pub(crate) senders_count: i32,
    pub(crate) noise_db: i32,
}

/// One row of `raw_messages` that is not a fix's.
#[derive(Debug)]
pub(crate) struct Beacon {
    pub(crate) id: Uuid,
    /// Microseconds since 1970.
    pub(crate) received_us: i64,
    /// Index in the fleet.
    pub(crate) receiver: usize,
    /// Label of the enum `message_source`.
    pub(crate) source: &'static str,
    pub(crate) message: Vec<u8>,
    pub(crate) unparsed: Option<String>,
    pub(crate) status: Option<Status>,
}

/// Whether the beacon at `index` of its day is a status report: every other.
pub(crate) fn is_status(index: u64) -> bool {
    index.is_multiple_of(2)
}

/// Status reports among the first `count` beacons of a day.
pub(crate) fn status_count(count: u64) -> u64 {
    count.div_ceil(2)
}

/// The beacons of `block`, in order of arrival.
pub(crate) fn beacons(
    seed: u64,
    schedule: &Schedule,
    fleet: &Fleet,
    block: &Block,
) -> impl Iterator<Item = Beacon> {
    let mut random = Random::derive(seed, Purpose::Beacons, block.day, block.number);
    let count = schedule.beacons_on(block.day);
    let midnight_us = schedule.midnight_us(block.day);
    let day = block.day;
    block.beacons.clone().map(move |index| {
        let received_us = midnight_us + schedule.beacon_time(day, index, count);
        let receiver = random.below(fleet.gateway() as u32) as usize;
        let mut beacon = Beacon {
            id: random.uuid_at(received_us),
            received_us,
            receiver,
            source: "ogn",
            message: Vec::new(),
            unparsed: None,
            status: None,
        };
        fill(
            &mut beacon,
            &mut random,
            &fleet.receivers[receiver],
            is_status(index),
        );
        beacon
    })
}

fn fill(beacon: &mut Beacon, random: &mut Random, receiver: &Receiver, is_status: bool) {
    let sent_second = beacon.received_us.div_euclid(1_000_000) - 1;
    let mut packet = String::with_capacity(256);
    if is_status {
        let status = status(random, receiver);
        // Writing to a String does not fail.
        let _ = write_status(&mut packet, receiver, sent_second, &status, random);
        beacon.status = Some(status);
        beacon.message = packet.into_bytes();
        return;
    }
    match random.below(100) {
        0..6 => {
            beacon.source = "beast";
            beacon.message = identification_frame(random).to_vec();
        }
        6..12 => {
            let text = weather(random);
            let _ = write!(
                packet,
                "FNT{:06X}>OGNFNT,qAS,{}:{text}",
                random.below(0x100_0000),
                receiver.callsign
            );
            beacon.message = packet.into_bytes();
            beacon.unparsed = Some(text);
        }
        _ => {
            let _ = write_position(&mut packet, receiver, sent_second);
            beacon.message = packet.into_bytes();
        }
    }
}

fn write_position(packet: &mut String, receiver: &Receiver, sent_second: i64) -> std::fmt::Result {
    write!(
        packet,
        "{}>OGNSDR,TCPIP*,qAC,{}:/{}",
        receiver.callsign,
        receiver.server,
        TimeOfDay(sent_second)
    )?;
    write_place(packet, receiver.position, ('I', '&'))?;
    write!(packet, "/A={:06}", receiver.elevation_feet)
}

fn status(random: &mut Random, receiver: &Receiver) -> Status {
    let senders_count = random.between(0, 40);
    Status {
        cpu_load: random.between(1, 25),
        ram_free_mb: (receiver.ram_total_mb * 10.0) as i32 * random.between(20, 80) / 100,
        ntp_offset_ms: random.between(0, 60),
        ntp_correction_ppm: random.between(-200, 200),
        // Not every board has a sensor.
        temperature_celsius: (receiver.platform != "x64").then(|| random.between(180, 680)),
        visible_senders_count: random.between(0, senders_count),
        senders_count,
        noise_db: random.between(-20, 95),
    }
}

fn write_status(
    packet: &mut String,
    receiver: &Receiver,
    sent_second: i64,
    status: &Status,
    random: &mut Random,
) -> std::fmt::Result {
    write!(
        packet,
        "{}>OGNSDR,TCPIP*,qAC,{}:>{}",
        receiver.callsign,
        receiver.server,
        TimeOfDay(sent_second)
    )?;
    write!(
        packet,
        " {}.{} CPU:{}",
        receiver.version,
        receiver.platform,
        Tenths(status.cpu_load)
    )?;
    write!(
        packet,
        " RAM:{}/{:.1}MB",
        Tenths(status.ram_free_mb),
        receiver.ram_total_mb
    )?;
    write!(
        packet,
        " NTP:{}ms/{:+}ppm",
        Tenths(status.ntp_offset_ms),
        Tenths(status.ntp_correction_ppm)
    )?;
    if let Some(temperature) = status.temperature_celsius {
        write!(packet, " {:+}C", Tenths(temperature))?;
    }
    write!(
        packet,
        " {}/{}Acfts[1h]",
        status.visible_senders_count, status.senders_count
    )?;
    let (correction, drift) = (random.between(-80, 80), random.between(-30, 30));
    write!(
        packet,
        " RF:{correction:+}{:+}ppm/{:+}dB",
        Tenths(drift),
        Tenths(status.noise_db)
    )?;
    let (signal, good) = (random.between(20, 130), random.between(60, 200));
    write!(
        packet,
        "/{:+}dB@10km[{}]",
        Tenths(signal),
        random.between(200, 40_000)
    )?;
    write!(
        packet,
        "/{:+}dB@10km[{}/{}]",
        Tenths(good),
        status.visible_senders_count,
        status.senders_count
    )
}

/// A weather report of a FANET station, which SOAR's parser leaves alone.
fn weather(random: &mut Random) -> String {
    format!(
        ">Name=\"Höhenwind {}\" {:03}/{:03}g{:03}t{:03} {}dB",
        random.below(90) + 1,
        random.below(360),
        random.below(20),
        random.below(35),
        random.below(60) + 20,
        Tenths(random.between(10, 400))
    )
}

/// A Mode S extended squitter (DF 17, type code 4): who is it. 56 bits of message and 24 of parity after address and header.
fn identification_frame(random: &mut Random) -> [u8; 14] {
    let mut frame = [0; 14];
    let address = random.below(0x100_0000).to_be_bytes();
    frame[0] = 0x8D;
    frame[1..4].copy_from_slice(&address[1..]);
    // Type code 4, category 3, then eight characters of six bits: letters count from 1, digits keep their ASCII code.
    let mut bits = (4 << 3 | 3) as u64;
    for place in 0..8 {
        let character = if place < 3 {
            random.below(26) + 1
        } else {
            random.below(10) + 48
        };
        bits = bits << 6 | u64::from(character);
    }
    frame[4..11].copy_from_slice(&bits.to_be_bytes()[1..]);
    let parity = parity(&frame[..11]).to_be_bytes();
    frame[11..].copy_from_slice(&parity[1..]);
    frame
}

/// The 24 parity bits of Mode S (ICAO Annex 10, volume IV).
fn parity(message: &[u8]) -> u32 {
    const GENERATOR: u32 = 0xFF_F409;
    message.iter().fold(0, |remainder, &byte| {
        (0..8).fold(remainder ^ u32::from(byte) << 16, |remainder, _| {
            let shifted = remainder << 1;
            if remainder & 0x80_0000 == 0 {
                shifted
            } else {
                shifted ^ GENERATOR
            }
        }) & 0xFF_FFFF
    })
}

#[cfg(test)]
mod tests {
    use super::parity;

    #[test]
    fn parity_is_that_of_a_frame_from_the_air() {
        // 8D4840D6202CC371C32CE0576098: KLM1023, the usual example of an identification.
        let message = [
            0x8D, 0x48, 0x40, 0xD6, 0x20, 0x2C, 0xC3, 0x71, 0xC3, 0x2C, 0xE0,
        ];
        assert_eq!(parity(&message), 0x57_6098);
    }
}
