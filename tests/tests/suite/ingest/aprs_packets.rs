//! Packets on their way from a feed to the sink: all of them, byte for byte, and nobody is made to wait.

use super::aprs_rows::count;
use super::aprs_sink::{Kept, Running, feed, feed_of, logged_in, source, until};
use hyperhaul_decode::{AprsDecoder, AprsKind, Decoder, Record};
use hyperhaul_ingest::source::aprs::{GapReason, LINE_BYTES_MAX};
use hyperhaul_workload::aprs_feed::{FeedLogin, FeedOptions, Pace, Stamps};
use hyperhaul_workload::{Soar, SoarOptions, SoarPacket, SoarTable};
use std::process::Stdio;
use std::sync::atomic::Ordering;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

/// The packets of a small sample.
pub(super) fn sample(fixes: u64) -> Vec<SoarPacket> {
    let soar = Soar::new(&SoarOptions::sized(fixes)).unwrap();
    (0..soar.block_count(SoarTable::RawMessages))
        .flat_map(|block| soar.packets(block))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_packet_of_a_feed_arrives_in_order_and_as_it_was() {
    let packets = sample(2_000);
    let options = FeedOptions {
        pace: Pace::PerSecond(20_000.0),
        ..FeedOptions::default()
    };
    let feed = feed_of(options, packets.clone()).await;
    let mut source = source(&[&feed]);
    source.login.filter = Some("r/48.0/11.0/200".to_owned());
    let counts = source.counts.clone();
    let running = Running::start(source);
    running.kept.has(packets.len()).await;
    let kept = running.stop().await;
    let sent: Vec<_> = packets
        .iter()
        .map(|packet| String::from_utf8(packet.bytes.clone()).unwrap())
        .collect();
    assert_eq!(kept.packets(), sent);
    assert_eq!(kept.gaps(), []);
    assert_eq!(counts.packets.load(Ordering::Relaxed), packets.len() as u64);
    assert_eq!(
        feed.logins(),
        [FeedLogin {
            call_sign: "N0CALL".to_owned(),
            filter: Some("r/48.0/11.0/200".to_owned()),
        }]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn played_now_packets_are_of_now() {
    let options = FeedOptions {
        pace: Pace::Recorded(1e9),
        stamps: Stamps::Now,
        ..FeedOptions::default()
    };
    let packets = sample(50);
    let feed = feed_of(options, packets.clone()).await;
    let running = Running::start(source(&[&feed]));
    running.kept.has(packets.len()).await;
    let kept = running.stop().await;
    // The recording is years old; its times of day are not.
    assert_eq!(decoded(&kept, AprsKind::ImplausibleTime), 0);
    assert_eq!(decoded(&kept, AprsKind::Fix), 50);
}

/// Packets of one kind among those handed over.
fn decoded(kept: &Kept, kind: AprsKind) -> u64 {
    let decoder = decoder();
    let mut rows = decoder.empty_rows();
    for (position, event) in kept.events().into_iter().enumerate() {
        if let super::aprs_sink::Event::Packet(packet) = event {
            let record = Record {
                payload: &packet.bytes,
                received_at_us: packet.received_at_us,
                position: position as u64,
                source: "ogn",
                attributes: &[],
            };
            decoder.decode(&record, &mut rows).unwrap();
        }
    }
    count(&rows, kind)
}

fn decoder() -> AprsDecoder {
    super::aprs_rows::decoder()
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_that_nobody_should_send_are_handed_over_and_known_for_what_they_are() {
    let feed = feed(FeedOptions::default()).await;
    let source = source(&[&feed]);
    let counts = source.counts.clone();
    let running = Running::start(source);
    logged_in(&feed, 1).await;
    let header = "FLRDDE626>OGFLR,qAS,EGHL:";
    let long = vec![b'x'; LINE_BYTES_MAX + 1];
    feed.say(
        &[
            header.as_bytes(),
            b"!5111.32N/00102.04W' id0ADDE626 H\xF6he",
        ]
        .concat(),
    );
    feed.say(format!("{header}/111000/5111.32N/00102.04W' id0ADDE626").as_bytes());
    feed.say(format!("{header}!4899.99N/00102.04W' id0ADDE626").as_bytes());
    feed.say_bytes(&long);
    running.kept.has(4).await;
    // The rest of the long line belongs to it, as long as it may be.
    for _ in 0..100 {
        feed.say_bytes(&long);
    }
    feed.say_bytes(b"\r\n\r\n\n");
    feed.say(b"\xFF\xFE\0");
    feed.say(b"A>B,qAS,C:>the end");
    running.kept.has(6).await;
    let kept = running.stop().await;
    assert_eq!(kept.packets().len(), 6);
    assert_eq!(kept.packets()[3].len(), LINE_BYTES_MAX + 1);
    assert_eq!(counts.cut_lines.load(Ordering::Relaxed), 1);
    for (kind, count) in [
        (AprsKind::Fix, 1),
        (AprsKind::LocalTime, 1),
        (AprsKind::Latitude, 1),
        (AprsKind::Oversized, 1),
        (AprsKind::Header, 1),
        (AprsKind::Status, 1),
    ] {
        assert_eq!(decoded(&kept, kind), count, "{}", kind.code());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_sink_waits_the_socket_is_read_and_what_finds_no_room_is_counted() {
    const PACKETS: u64 = 20_000;
    let feed = feed(FeedOptions {
        client_bytes_max: 256 << 10,
        socket_bytes: Some(16 << 10),
        ..FeedOptions::default()
    })
    .await;
    let mut source = source(&[&feed]);
    source.limits.queue_bytes_max = 64 << 10;
    let counts = source.counts.clone();
    let running = Running::start(source);
    logged_in(&feed, 1).await;
    running.kept.stall(true);
    let line = format!("A>B,qAS,C:{}", "x".repeat(150));
    for said in 1..=PACKETS {
        feed.say(line.as_bytes());
        // The server must not outrun the test's own reader: what is looked at is whether the source reads at all.
        until("reading", || {
            counts.packets.load(Ordering::Relaxed) + 500 > said
        })
        .await;
    }
    until("the last packet", || {
        counts.packets.load(Ordering::Relaxed) == PACKETS
    })
    .await;
    assert_eq!(feed.counts().slow_readers, 0);
    running.kept.stall(false);
    // The gap is told before the next packet that finds room.
    until("room", || {
        feed.say(b"A>B,qAS,C:again");
        !running.kept.gaps().is_empty()
    })
    .await;
    let kept = running.stop().await;
    let (kept_packets, gaps) = (kept.packets(), kept.gaps());
    assert!(
        gaps.iter().all(|gap| gap.reason == GapReason::Overflow),
        "{gaps:?}"
    );
    let dropped: u64 = gaps.iter().filter_map(|gap| gap.packets).sum();
    assert_eq!(dropped, counts.dropped_packets.load(Ordering::Relaxed));
    assert_eq!(
        kept_packets.len() as u64 + dropped,
        counts.packets.load(Ordering::Relaxed)
    );
    let waited = kept_packets
        .iter()
        .filter(|packet| **packet == line)
        .count() as u64;
    assert!(
        waited < PACKETS / 10,
        "the queue was bounded: {waited} packets"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_disconnected_and_nobody_else_notices() {
    let feed = feed(FeedOptions {
        client_bytes_max: 64 << 10,
        socket_bytes: Some(8 << 10),
        ..FeedOptions::default()
    })
    .await;
    let mut slow = tokio::net::TcpStream::connect(feed.address())
        .await
        .unwrap();
    slow.write_all(b"user SLOW pass -1 vers test 1\r\n")
        .await
        .unwrap();
    logged_in(&feed, 1).await;
    let source = source(&[&feed]);
    let counts = source.counts.clone();
    let running = Running::start(source);
    logged_in(&feed, 2).await;
    let line = format!("A>B,qAS,C:{}", "x".repeat(400));
    let mut said = 0;
    until("the slow reader's end", || {
        for _ in 0..10 {
            feed.say(line.as_bytes());
            said += 1;
        }
        feed.counts().slow_readers > 0
    })
    .await;
    until("the last packet", || {
        counts.packets.load(Ordering::Relaxed) == said
    })
    .await;
    assert_eq!(feed.client_count(), 1);
    let kept = running.stop().await;
    assert_eq!(kept.packets().len() as u64, said);
    assert_eq!(kept.gaps(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_the_server_are_packets_where_that_is_wanted() {
    let feed = feed(FeedOptions::default()).await;
    let mut source = source(&[&feed]);
    source.takes_server_lines = true;
    let running = Running::start(source);
    running.kept.has(2).await;
    let kept = running.stop().await;
    assert!(kept.packets()[0].starts_with("# hyperhaul-feed "));
    assert_eq!(
        kept.packets()[1],
        "# logresp N0CALL unverified, server HYPERFEED"
    );
    assert_eq!(decoded(&kept, AprsKind::ServerLine), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_plays_packets_and_does_what_is_typed() {
    let mut command = Command::new(crate::support::program())
        .args([
            "workload",
            "aprs-feed",
            "--listen",
            "127.0.0.1:0",
            "--fixes",
            "500",
        ])
        .args(["--rate", "100000", "--recorded-times"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut typed = command.stdin.take().unwrap();
    let mut printed = BufReader::new(command.stdout.take().unwrap()).lines();
    let listening = printed.next_line().await.unwrap().unwrap();
    let address = listening.strip_prefix("listening at ").expect(&listening);
    let mut source = source(&[]);
    source.servers = vec![address.to_owned()];
    let running = Running::start(source);
    let packets = sample(500);
    running.kept.has(packets.len()).await;
    typed.write_all(b"drop\n").await.unwrap();
    running.kept.has(packets.len() + 1).await;
    let kept = running.stop().await;
    assert_eq!(kept.gaps()[0].reason, GapReason::Closed);
    let first = String::from_utf8_lossy(&packets[0].bytes);
    assert_eq!(kept.packets()[0], first);
    typed.write_all(b"quit\n").await.unwrap();
    let mut last = String::new();
    while let Some(line) = printed.next_line().await.unwrap() {
        last = line;
    }
    let said = format!("{} lines said, 2 logins", packets.len());
    assert!(
        last.replace(',', "").starts_with(&said.replace(',', "")),
        "{last}"
    );
    assert!(command.wait().await.unwrap().success());
}
