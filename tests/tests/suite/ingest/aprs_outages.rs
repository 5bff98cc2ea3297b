//! Whatever interrupts a source of packets is a gap in its place among them, with its reason; nothing else is missing.

use super::aprs_sink::{Event, Kept, Running, feed, logged_in, source, until};
use hyperhaul_ingest::source::aprs::{AprsEnd, AprsSource, AprsSourceError, Gap, GapReason, Login};
use hyperhaul_workload::aprs_feed::{Feed, FeedOptions};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpListener;

/// What a source handed over, gaps as their reason.
fn told(kept: &Kept) -> Vec<String> {
    let said = |event| match event {
        Event::Packet(packet) => String::from_utf8_lossy(&packet.bytes).into_owned(),
        Event::Gap(gap) => format!("[{}]", gap.reason.code()),
    };
    kept.events().into_iter().map(said).collect()
}

/// A source that is logged in and has a packet.
async fn heard_one(feed: &Feed, source: AprsSource) -> Running {
    let running = Running::start(source);
    logged_in(feed, 1).await;
    feed.say(b"A>B,qAS,C:one");
    running.kept.has(1).await;
    running
}

/// A gap lies between the packets around it.
fn assert_in_place(kept: &Kept) {
    let mut last_us = i64::MIN;
    for event in kept.events() {
        let (from_us, to_us) = match event {
            Event::Packet(packet) => (packet.received_at_us, packet.received_at_us),
            Event::Gap(Gap { from_us, to_us, .. }) => (from_us, to_us),
        };
        assert!(
            last_us <= from_us && from_us <= to_us,
            "{:?}",
            kept.events()
        );
        last_us = to_us;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_connection_is_a_gap_between_the_packets_around_it() {
    let feed = feed(FeedOptions::default()).await;
    let running = heard_one(&feed, source(&[&feed])).await;
    feed.drop_clients();
    logged_in(&feed, 2).await;
    feed.say(b"A>B,qAS,C:two");
    running.kept.has(3).await;
    let kept = running.stop().await;
    assert_eq!(told(&kept), ["A>B,qAS,C:one", "[closed]", "A>B,qAS,C:two"]);
    assert_in_place(&kept);
    assert_eq!(kept.gaps()[0].attempts, 1);
    assert_eq!(kept.gaps()[0].server, Some(feed.address().to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_one_gap_however_often_it_is_tried() {
    let mut feed = feed(FeedOptions::default()).await;
    let source = source(&[&feed]);
    let counts = source.counts.clone();
    let running = heard_one(&feed, source).await;
    feed.open_door(false).await;
    feed.drop_clients();
    let before = counts.failures.load(Ordering::Relaxed);
    until("a third attempt", || {
        counts.failures.load(Ordering::Relaxed) >= before + 3
    })
    .await;
    feed.say(b"A>B,qAS,C:nobody is there to hear this");
    feed.open_door(true).await;
    logged_in(&feed, 2).await;
    feed.say(b"A>B,qAS,C:two");
    running.kept.has(3).await;
    let kept = running.stop().await;
    assert_eq!(told(&kept), ["A>B,qAS,C:one", "[closed]", "A>B,qAS,C:two"]);
    assert_in_place(&kept);
    assert!(kept.gaps()[0].attempts >= 3, "{:?}", kept.gaps());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_any_more_is_left() {
    let feed = feed(FeedOptions::default()).await;
    let mut source = source(&[&feed]);
    source.limits.silence_max = Duration::from_millis(300);
    let running = heard_one(&feed, source).await;
    feed.be_silent(true);
    logged_in(&feed, 2).await;
    feed.be_silent(false);
    feed.say(b"A>B,qAS,C:two");
    until("the second packet", || running.kept.packets().len() == 2).await;
    let kept = running.stop().await;
    let told = told(&kept);
    let second = told
        .iter()
        .position(|said| said == "A>B,qAS,C:two")
        .unwrap();
    assert_eq!(told[0], "A>B,qAS,C:one");
    // A slow machine may be silent once more before the second packet.
    assert!(
        second > 1 && told[1..second].iter().all(|said| said == "[silent]"),
        "{told:?}"
    );
    let gap = &kept.gaps()[0];
    assert!(
        gap.to_us - gap.from_us >= 300_000,
        "from the last line on: {gap:?}"
    );
    assert_in_place(&kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_the_server_alone_are_signs_of_life() {
    let feed = feed(FeedOptions {
        keepalive_every: Duration::from_millis(50),
        ..FeedOptions::default()
    })
    .await;
    let mut source = source(&[&feed]);
    source.limits.silence_max = Duration::from_secs(2);
    let counts = source.counts.clone();
    let running = Running::start(source);
    // A banner, an answer, and keepalives for longer than the silence that would end the connection.
    until("60 keepalives", || {
        counts.server_lines.load(Ordering::Relaxed) >= 62
    })
    .await;
    let kept = running.stop().await;
    assert_eq!(feed.counts().logins, 1);
    assert_eq!(told(&kept), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_tried_one_after_the_other() {
    let mut first = feed(FeedOptions::default()).await;
    let second = feed(FeedOptions::default()).await;
    let running = Running::start(source(&[&first, &second]));
    logged_in(&first, 1).await;
    first.say(b"A>B,qAS,C:of the first");
    running.kept.has(1).await;
    first.open_door(false).await;
    first.drop_clients();
    logged_in(&second, 1).await;
    second.say(b"A>B,qAS,C:of the second");
    running.kept.has(3).await;
    // Round and round: the first is tried again, is away, and so the second is back.
    second.drop_clients();
    logged_in(&second, 2).await;
    running.kept.has(4).await;
    first.open_door(true).await;
    second.drop_clients();
    logged_in(&first, 2).await;
    first.say(b"A>B,qAS,C:of the first again");
    running.kept.has(6).await;
    let kept = running.stop().await;
    assert_eq!(
        told(&kept),
        [
            "A>B,qAS,C:of the first",
            "[closed]",
            "A>B,qAS,C:of the second",
            "[closed]",
            "[closed]",
            "A>B,qAS,C:of the first again"
        ]
    );
    assert_in_place(&kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_let_us_in_is_passed_over_with_its_reason() {
    let full = feed(FeedOptions {
        clients_max: 0,
        ..FeedOptions::default()
    })
    .await;
    // Takes connections as far as the system does it by itself, and never says a word.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        gone.local_addr().unwrap()
    };
    let cases = [
        (full.address().to_string(), GapReason::Login),
        (mute.local_addr().unwrap().to_string(), GapReason::Login),
        (nobody.to_string(), GapReason::Connect),
        ("no host and no port".to_owned(), GapReason::Connect),
    ];
    for (server, reason) in cases {
        let open = feed(FeedOptions::default()).await;
        let mut source = source(&[&open]);
        source.servers.insert(0, server.clone());
        source.limits.login_max = Duration::from_millis(500);
        let running = Running::start(source);
        logged_in(&open, 1).await;
        open.say(b"A>B,qAS,C:one");
        running.kept.has(2).await;
        let kept = running.stop().await;
        assert_eq!(told(&kept)[1], "A>B,qAS,C:one", "{server}");
        let gap = &kept.gaps()[0];
        assert_eq!((gap.reason, gap.server.as_ref()), (reason, Some(&server)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_address_of_a_server_s_name_is_tried() {
    let feed = feed(FeedOptions::default()).await;
    let mut source = source(&[]);
    // Where the name has an address of version 6 too, nobody listens there.
    source.servers = vec![format!("localhost:{}", feed.address().port())];
    let running = Running::start(source);
    logged_in(&feed, 1).await;
    let kept = running.stop().await;
    assert_eq!(kept.gaps(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_without_a_process_is_told_first() {
    let feed = feed(FeedOptions::default()).await;
    let mut source = source(&[&feed]);
    source.stored_until_us = Some(1_765_411_200_000_000);
    let running = Running::start(source);
    running.kept.has(1).await;
    let kept = running.stop().await;
    let gaps = kept.gaps();
    assert_eq!(
        (gaps[0].reason, gaps[0].from_us),
        (GapReason::NotRunning, 1_765_411_200_000_000)
    );
    assert!(gaps[0].to_us > gaps[0].from_us);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_a_connection_ends_in_is_in_the_gap() {
    let feed = feed(FeedOptions::default()).await;
    let source = source(&[&feed]);
    let counts = source.counts.clone();
    let running = Running::start(source);
    logged_in(&feed, 1).await;
    feed.say_bytes(b"A>B,qAS,C:whole\r\nA>B,qAS,C:unfini");
    running.kept.has(1).await;
    feed.drop_clients();
    logged_in(&feed, 2).await;
    running.kept.has(2).await;
    let kept = running.stop().await;
    assert_eq!(told(&kept), ["A>B,qAS,C:whole", "[closed]"]);
    assert_eq!(counts.broken_lines.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_can_store_nothing_ends_the_source() {
    let feed = feed(FeedOptions::default()).await;
    let running = Running::into_sink(source(&[&feed]), Kept::new(true));
    logged_in(&feed, 1).await;
    feed.say(b"A>B,qAS,C:one");
    let ended = running.ended().await;
    assert!(matches!(ended, Err(AprsEnd::Sink(_))), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_can_never_begin_says_so() {
    let feed = feed(FeedOptions::default()).await;
    let without_servers = source(&[]);
    let mut with_bad_call_sign = source(&[&feed]);
    with_bad_call_sign.login = Login {
        call_sign: "no call".to_owned(),
        ..with_bad_call_sign.login
    };
    let ended = Running::start(without_servers).ended().await;
    assert!(
        matches!(ended, Err(AprsEnd::Source(AprsSourceError::NoServers))),
        "{ended:?}"
    );
    let ended = Running::start(with_bad_call_sign).ended().await;
    assert!(
        matches!(ended, Err(AprsEnd::Source(AprsSourceError::CallSign(_)))),
        "{ended:?}"
    );
}
