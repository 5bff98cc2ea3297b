//! The disk of the spool is full: nobody is told that records are durable, and room lets all go on.

use super::Pumps;
use super::mqtt::{Listener, messages, mosquitto};
use super::spooled::{Taker, body};
use hyperhaul_testkit::{Servers, SmallDisk, eventually, skip};
use std::cell::Cell;
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// Large enough for a spool with its reserve and a few segments.
fn small_disk(test: &str) -> Option<SmallDisk> {
    let servers = Servers::shared().unwrap();
    match SmallDisk::create(&servers.target, 8 * MIB) {
        Ok(disk) => Some(disk),
        Err(error) if error.is_unavailable() => {
            skip(test, &error);
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn senders_are_sent_away_until_there_is_room() {
    let Some(disk) = small_disk("senders_are_sent_away_until_there_is_room") else {
        return;
    };
    let taker =
        Taker::with(Pumps::new("http_disk").await, "").spool_path(&disk.folder().join("spool"));
    let mut running = taker.start().await;
    let mut well = 0;
    // Acknowledged bodies until one is refused.
    let mut send = async || loop {
        let answer = taker.post("esp", "", &body(well, 0..100)).await;
        if answer.status != 200 {
            break answer;
        }
        well += 1;
        assert!(well < 2_000, "the disk is never full");
    };
    for round in 0..3 {
        disk.fill(0).unwrap();
        let full = send().await;
        assert_eq!(full.status, 503, "{full:?}");
        assert!(full.head.contains("retry-after: "), "{full:?}");
        assert!(full.body.contains("hint"), "{full:?}");
        let unready = taker.send("GET", "/readyz", "", b"").await;
        assert!(
            unready.body.contains("spool of stream esp is full"),
            "{unready:?}"
        );
        if round == 1 {
            // The next process finds a full disk, too, and what was acknowledged.
            running.signal("KILL");
            running.wait().await.expect_killed();
            running = taker.start().await;
            assert_eq!(send().await.status, 503);
        }
        disk.free().unwrap();
        let answer = taker
            .post("esp", "", &body(1_000_000 + round, 0..100))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    taker
        .pumps
        .eventually_stored(i64::from(well + 3) * 100)
        .await;
    taker.stop(running).await;
    taker.pumps.assert_readings(well + 3, 100).await;
    assert_eq!(
        taker.sum("duplicate_count + lost_count + dead_count").await,
        0
    );
    taker.pumps.assert_proved().await;
}

#[tokio::test]
async fn messages_stay_with_the_broker_until_there_is_room() {
    let test = "messages_stay_with_the_broker_until_there_is_room";
    let (Some(disk), Some(broker)) = (small_disk(test), mosquitto(test, "")) else {
        return;
    };
    let listener = Listener::plain("mqtt_disk", &broker).await;
    let listener = listener.spool_path(&disk.folder().join("spool"));
    listener.subscribe(&broker).await;
    disk.fill(0).unwrap();
    let running = listener.call().spawn();
    // What is acknowledged before the last bytes are taken is in the spool; the rest is not acknowledged.
    let (publisher, lines) = (broker.publisher(), messages(0..500));
    publisher.publish("esp/W-1/telemetry", &lines, &[]).unwrap();
    let stored = "coalesce(sum(stored_count), 0)::bigint FROM hyperhaul.ingest_receipt";
    let stored = format!("SELECT {stored}");
    let before = Cell::new(-1);
    let settled = async || {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now: i64 = listener.pumps.database.value(&stored).await.unwrap();
        before.replace(now) == now
    };
    let look = Duration::from_secs(20);
    eventually("nothing more is stored", look, settled)
        .await
        .unwrap();
    assert!(before.get() < 500, "the disk was not full");
    // Had it acknowledged what it could not store, that would be lost now.
    running.signal("KILL");
    running.wait().await.expect_killed();
    disk.free().unwrap();
    let running = listener.call().spawn();
    listener.pumps.eventually_stored(500).await;
    // The same without a new process.
    disk.fill(0).unwrap();
    let lines = messages(500..1_000);
    publisher.publish("esp/W-1/telemetry", &lines, &[]).unwrap();
    disk.free().unwrap();
    listener.pumps.eventually_stored(1_000).await;
    super::mqtt::stop(running).await;
    listener.pumps.assert_proved().await;
}
