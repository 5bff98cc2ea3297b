//! Plays packets at their pace, from the first login on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::clock::time_of_day;
use super::hall::Hall;
use crate::soar::SoarPacket;

/// How often the player looks what is due.
const TICK: Duration = Duration::from_millis(5);

/// Packets that are made ahead at a time, and how many such lots wait.
const LOT: usize = 1_024;
const LOTS_AHEAD: usize = 4;

/// Bytes said at once.
const SAY_BYTES: usize = 32 << 10;

/// When a packet is due that is never due.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Seconds from the time in a packet to its reception, where packets get the time of now.
const LATENCY_SECONDS: i64 = 1;

/// How fast packets are played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many a second, evenly.
    PerSecond(f64),
    /// As far apart as they were received, divided by this.
    Recorded(f64),
}

/// Which times packets have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamps {
    /// Those that they were recorded with.
    AsRecorded,
    /// The time of day at which they are played, a second before.
    Now,
}

/// Plays all packets, then says so.
pub(super) async fn play(
    hall: Arc<Hall>,
    packets: impl Iterator<Item = SoarPacket> + Send + 'static,
    is_played: watch::Sender<bool>,
) {
    let mut lots = make(packets);
    hall.logged_in(1).await;
    let begun = Instant::now();
    let mut first_us = None;
    let mut index = 0_u64;
    let mut said = Vec::with_capacity(SAY_BYTES);
    let mut said_lines = 0;
    while let Some(lot) = lots.recv().await {
        for mut packet in lot {
            let first_us = *first_us.get_or_insert(packet.received_us);
            let due = begun + due_after(hall.options().pace, index, packet.received_us - first_us);
            if due > Instant::now() || said.len() >= SAY_BYTES {
                hall.say(&said, said_lines);
                said.clear();
                said_lines = 0;
                while due > Instant::now() {
                    tokio::time::sleep(TICK).await;
                }
                // Others get their turn also where the pace is faster than this machine.
                tokio::task::yield_now().await;
            }
            if hall.options().stamps == Stamps::Now {
                restamp(&mut packet.bytes, time_of_day(LATENCY_SECONDS));
            }
            said.extend_from_slice(&packet.bytes);
            said.extend_from_slice(b"\r\n");
            said_lines += 1;
            index += 1;
        }
    }
    hall.say(&said, said_lines);
    is_played.send_replace(true);
}

/// How long after the first packet one is due: the `index`th, received `recorded_us` microseconds after it.
fn due_after(pace: Pace, index: u64, recorded_us: i64) -> Duration {
    let seconds = match pace {
        Pace::PerSecond(rate) => index as f64 / rate,
        Pace::Recorded(factor) => recorded_us.max(0) as f64 / 1e6 / factor,
    };
    Duration::try_from_secs_f64(seconds).map_or(NEVER, |after| after.min(NEVER))
}

/// Makes packets ahead on a thread for work that blocks; it ends when nobody wants more.
fn make(
    packets: impl Iterator<Item = SoarPacket> + Send + 'static,
) -> mpsc::Receiver<Vec<SoarPacket>> {
    let (sender, receiver) = mpsc::channel(LOTS_AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut packets = packets;
        loop {
            let lot: Vec<_> = packets.by_ref().take(LOT).collect();
            if lot.is_empty() || sender.blocking_send(lot).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Puts `time` in the place of the time of day that a position or status has.
fn restamp(packet: &mut [u8], time: [u8; 6]) {
    let Some(colon) = packet.iter().position(|byte| *byte == b':') else {
        return;
    };
    if let Some([b'/' | b'@' | b'>', stamp @ .., b'h']) = packet.get_mut(colon + 1..colon + 9)
        && stamp.iter().all(u8::is_ascii_digit)
    {
        stamp.copy_from_slice(&time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_of_day_are_replaced() {
        let cases = [
            ("A>B,qAS,C:/074548h5111.32N", "A>B,qAS,C:/235959h5111.32N"),
            ("A>B,qAC,C:>074548h v0.2.8", "A>B,qAC,C:>235959h v0.2.8"),
            ("A>B,qAS,C:/111234z5111.32N", "A>B,qAS,C:/111234z5111.32N"),
            (
                "A>B,qAS,C:>Name=\"h\" 012345h",
                "A>B,qAS,C:>Name=\"h\" 012345h",
            ),
            ("A>B,qAS,C:/07", "A>B,qAS,C:/07"),
            ("nothing", "nothing"),
        ];
        for (packet, expected) in cases {
            let mut bytes = packet.as_bytes().to_vec();
            restamp(&mut bytes, *b"235959");
            assert_eq!(bytes, expected.as_bytes(), "{packet}");
        }
    }

    #[test]
    fn packets_are_due_at_their_pace() {
        let ms = Duration::from_millis;
        assert_eq!(due_after(Pace::PerSecond(1_000.0), 250, 0), ms(250));
        assert_eq!(due_after(Pace::Recorded(60.0), 250, 120_000_000), ms(2_000));
        assert_eq!(due_after(Pace::Recorded(60.0), 250, -5), ms(0));
        assert_eq!(due_after(Pace::PerSecond(0.0), 1, 0), NEVER);
    }
}
