//! Whatever interrupts a stream of packets: what was stored is there once, and what was not is known to be missing.

use super::aprs_stream::{Ogn, now_us};
use hyperhaul_testkit::eventually;
use hyperhaul_workload::aprs_feed::FeedOptions;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

/// A status that tells its number.
fn numbered(number: u64) -> Vec<u8> {
    format!("N0{number}>APRS,qAS,EGHL:>{number}").into_bytes()
}

/// Ends the backends of the program, as an administrator does.
const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE '%ingest%'";

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_stores_each_packet_once_and_tells_what_is_missing() {
    let ogn = Ogn::new("aprs_kills").await;
    let is_over = AtomicBool::new(false);
    let talk = async {
        let mut said_at_us = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            for _ in 0..5 {
                said_at_us.push(now_us());
                ogn.feed.say(&numbered(said_at_us.len() as u64 - 1));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        said_at_us
    };
    let kill = async {
        for login in 1..=12_u64 {
            let running = ogn.start(login).await;
            // Another moment each time, of those around commits too.
            tokio::time::sleep(Duration::from_millis(40 + 53 * login % 300)).await;
            if login % 3 == 0 {
                ogn.database.exec(TERMINATE).await.unwrap();
                tokio::time::sleep(Duration::from_millis(30 * login)).await;
            }
            running.signal("KILL");
            running.wait().await.expect_killed();
        }
        let running = ogn.start(13).await;
        is_over.store(true, Ordering::Relaxed);
        running
    };
    let (said_at_us, running) = tokio::join!(talk, kill);
    ogn.feed.say(b"N0END>APRS,qAS,EGHL:>the end");
    ogn.until("raw_messages WHERE raw_message LIKE '%the end'", 1)
        .await;
    ogn.stop(running).await;

    let sql = "SELECT split_part(convert_from(raw_message, 'UTF8'), '>', 3) FROM raw_messages WHERE raw_message NOT LIKE '%end'";
    let mut times: HashMap<u64, u32> = HashMap::new();
    for number in ogn.database.values::<String>(sql).await.unwrap() {
        *times.entry(number.parse().unwrap()).or_insert(0) += 1;
    }
    assert!(times.len() > 500, "{} packets", times.len());
    assert!(times.values().all(|times| *times == 1));
    let gaps = "SELECT (extract(epoch FROM from_at) * 1000000)::bigint || ' ' || (extract(epoch FROM to_at) * 1000000)::bigint \
        FROM hyperhaul.ingest_gap";
    let gaps: Vec<(i64, i64)> = ogn
        .database
        .values::<String>(gaps)
        .await
        .unwrap()
        .iter()
        .map(|gap| gap.split_once(' ').unwrap())
        .map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap()))
        .collect();
    assert!(!gaps.is_empty());
    // The first process may have been killed before it stored anything: nobody knows then that it was there.
    let first = times.keys().min().copied().unwrap();
    for (number, said_us) in (0..).zip(said_at_us) {
        // A packet is heard a moment after it was said.
        let in_gap = || {
            gaps.iter()
                .any(|(from, to)| (from - 2_000_000..=*to).contains(&said_us))
        };
        assert!(
            number < first || times.contains_key(&number) || in_gap(),
            "packet {number} is missing, and nobody tells"
        );
    }
    ogn.assert_proved().await;
    let receipts = ogn.ask("receipts").run().await.expect_code(0);
    receipts.expect_printed(&["in which nothing was heard", "ogn: "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_written_once_whenever_the_process_is_killed() {
    for point in [
        "ingest.stored",
        "ingest.before_commit",
        "ingest.after_commit",
    ] {
        let ogn = Ogn::new("aprs_gap_kill").await;
        let running = ogn.start(1).await;
        ogn.feed.say(&numbered(1));
        ogn.until("raw_messages", 1).await;
        ogn.stop(running).await;
        let ended = ogn.call().failpoint(point).run().await;
        ended.expect_killed();
        let running = ogn.start(3).await;
        ogn.feed.say(&numbered(2));
        ogn.until("raw_messages", 2).await;
        ogn.stop(running).await;
        // Of the process that was killed, and of the one that went on: each behind what was stored before.
        assert_eq!(ogn.gaps().await, ["not-running", "not-running"], "{point}");
        let order = "SELECT bool_and(from_at <= to_at AND (before IS NULL OR before <= from_at)) \
            FROM (SELECT *, lag(to_at) OVER (ORDER BY position) AS before FROM hyperhaul.ingest_gap) AS gap";
        assert!(ogn.database.value::<bool>(order).await.unwrap(), "{point}");
        ogn.assert_proved().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_end_or_say_nothing_are_gaps_with_their_reason() {
    // Alive servers are heard often, whatever else this machine does.
    let options = FeedOptions {
        keepalive_every: Duration::from_millis(200),
        ..FeedOptions::default()
    };
    let ogn = Ogn::playing("aprs_outages", options, Vec::new()).await;
    ogn.declare("", "silence_max = \"3 s\"");
    let running = ogn.start(1).await;
    ogn.feed.say(&numbered(1));
    ogn.until("raw_messages", 1).await;
    ogn.feed.drop_clients();
    ogn.logged_in(2).await;
    ogn.feed.be_silent(true);
    ogn.logged_in(3).await;
    ogn.feed.be_silent(false);
    ogn.feed.say(&numbered(2));
    ogn.until("raw_messages", 2).await;
    ogn.stop(running).await;
    let gaps = ogn.gaps().await;
    assert_eq!(gaps[..2], ["closed", "silent"], "{gaps:?}");
    let server = format!(
        "hyperhaul.ingest_gap WHERE server = '{}' AND stream = 'ogn' AND attempt_count > 0",
        ogn.feed.address()
    );
    assert!(ogn.count(&server).await >= 2);
    let receipts = ogn.ask("receipts --json").run().await.expect_code(0).json();
    assert_eq!(receipts[0]["gap_count"], gaps.len(), "{receipts}");
    assert!(
        receipts[0]["gap_ms"].as_i64().unwrap() >= 1_000,
        "{receipts}"
    );
    ogn.assert_proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_packets_are_stored() {
    let ogn = Ogn::new("aprs_away").await;
    let nowhere = "postgresql://postgres@127.0.0.1:1/postgres";
    let running = ogn.call().arg("--target").arg(nowhere).spawn();
    ogn.logged_in(1).await;
    for number in 0..3_000 {
        ogn.feed.say(&numbered(number));
    }
    ogn.until_spooled(&numbered(2_999)).await;
    running.signal("KILL");
    running.wait().await.expect_killed();
    let running = ogn.start(2).await;
    ogn.until("raw_messages", 3_000).await;
    ogn.stop(running).await;
    assert_eq!(ogn.gaps().await, ["not-running"]);
    // A process that hears nobody keeps what is known: the next one tells of all that time.
    let mut ogn = ogn;
    ogn.feed.open_door(false).await;
    for _ in 0..2 {
        let running = ogn.call().spawn();
        let taken = "SELECT epoch FROM hyperhaul.ingest_source";
        let before: i64 = ogn.database.value(taken).await.unwrap();
        let taken = async || ogn.database.value::<i64>(taken).await.unwrap() > before;
        eventually("the source is taken", Duration::from_secs(20), taken)
            .await
            .unwrap();
        ogn.stop(running).await;
    }
    ogn.feed.open_door(true).await;
    let running = ogn.start(3).await;
    ogn.until("hyperhaul.ingest_gap", 2).await;
    ogn.stop(running).await;
    let joined = "hyperhaul.ingest_gap AS later JOIN hyperhaul.ingest_gap AS earlier ON earlier.position < later.position \
        WHERE later.from_at >= earlier.to_at AND later.from_at < earlier.to_at + interval '1 second'";
    assert_eq!(ogn.count(joined).await, 1);
    ogn.assert_proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_does_not_stop_the_listener_and_what_is_dropped_is_counted() {
    let ogn = Ogn::new("aprs_full").await;
    ogn.declare("bytes_max = \"256 KiB\"", "");
    let running = ogn.start(1).await;
    // Nothing is written while somebody holds the table.
    let holder = ogn.database.connect().await.unwrap();
    holder
        .batch_execute("BEGIN; LOCK TABLE raw_messages IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let long = "x".repeat(400);
    let mut said: i64 = 0;
    // More than the spool and the queue hold, at a pace that the feed does not call slow.
    while said < 90_000 {
        for _ in 0..500 {
            ogn.feed
                .say(format!("N0CALL>APRS,qAS,EGHL:>{said} {long}").as_bytes());
            said += 1;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(ogn.feed.counts().slow_readers, 0);
    holder.batch_execute("COMMIT").await.unwrap();
    let dropped = "SELECT coalesce(sum(packet_count), 0)::bigint FROM hyperhaul.ingest_gap WHERE reason = 'overflow'";
    let more = AtomicI64::new(0);
    let all_known = async || {
        // The overflow is told when a packet finds room again.
        ogn.feed.say(b"N0END>APRS,qAS,EGHL:>end");
        let said = said + 1 + more.fetch_add(1, Ordering::Relaxed);
        let known = async || {
            let there = ogn.count("raw_messages").await;
            there + ogn.database.value::<i64>(dropped).await.unwrap() == said
        };
        eventually("so many", Duration::from_secs(3), known)
            .await
            .is_ok()
    };
    eventually(
        "every packet is there or counted",
        Duration::from_secs(60),
        all_known,
    )
    .await
    .unwrap();
    assert!(ogn.database.value::<i64>(dropped).await.unwrap() > 1_000);
    assert!(ogn.gaps().await.iter().all(|reason| reason == "overflow"));
    assert!(ogn.gaps().await.len() < 20, "{:?}", ogn.gaps().await);
    ogn.stop(running).await;
    ogn.assert_proved().await;
}
