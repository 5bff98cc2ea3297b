//! What becomes of packets: raw messages, fixes, dead letters; each exactly once, and each counted.

use super::aprs_packets::sample;
use super::aprs_stream::{Ogn, fix, now_us, time_of_day};
use hyperhaul_workload::aprs_feed::{FeedOptions, Pace, Stamps};
use std::collections::HashMap;

const SECOND_US: i64 = 1_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn packets_become_raw_messages_and_fixes() {
    let packets = sample(1_000);
    let said = i64::try_from(packets.len()).unwrap();
    let options = FeedOptions {
        pace: Pace::PerSecond(20_000.0),
        stamps: Stamps::Now,
        ..FeedOptions::default()
    };
    let ogn = Ogn::playing("aprs_rows", options, packets).await;
    let running = ogn.start(1).await;
    ogn.until("raw_messages", said).await;
    let done = ogn.stop(running).await;
    // Played within a second, two fixes of an aircraft may have become one; all but these are there.
    let fixes = ogn.count("fixes").await;
    let kinds = &done[0]["kinds"];
    assert_eq!(kinds["fix"], 1_000, "{done}");
    assert_eq!(
        (&done[0]["record_count"], &done[0]["stored_count"]),
        (&said.into(), &said.into())
    );
    assert_eq!(done[0]["row_count"], said + fixes, "{done}");
    let distinct =
        "(SELECT DISTINCT aircraft_id, timestamp, latitude, longitude FROM fixes) AS fixes";
    assert_eq!(ogn.count(distinct).await, fixes);
    assert!(fixes > 900, "{fixes}");
    for wrong in [
        "raw_messages WHERE raw_message_hash <> sha256(raw_message)",
        "fixes JOIN receivers ON receivers.id = receiver_id WHERE via[cardinality(via)] <> callsign",
        "fixes JOIN raw_messages AS raw ON raw.id = raw_message_id WHERE convert_from(raw_message, 'UTF8') NOT LIKE fixes.source || '>%'",
    ] {
        assert_eq!(ogn.count(wrong).await, 0, "{wrong}");
    }
    assert!(ogn.gaps().await.is_empty());
    ogn.assert_proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fix_that_two_stations_heard_is_two_raw_messages_and_one_fix() {
    let ogn = Ogn::new("aprs_twice").await;
    let time = time_of_day(now_us());
    let mut running = ogn.start(1).await;
    for (packets, (receiver, login)) in (1..).zip([("EGHL", 2), ("LFNW", 3), ("EDDS", 4)]) {
        ogn.feed.say(&fix(0xDD_E626, &time, receiver));
        ogn.until("raw_messages", packets).await;
        assert_eq!(ogn.count("fixes").await, 1, "{receiver}");
        // The next process knows the fix from the table, and so does one that was killed.
        running.signal(if login == 3 { "KILL" } else { "INT" });
        running.wait().await;
        running = ogn.start(login).await;
    }
    // Another moment is another fix.
    let later = time_of_day(now_us() - 60 * SECOND_US);
    ogn.feed.say(&fix(0xDD_E626, &later, "EGHL"));
    ogn.until("fixes", 2).await;
    ogn.stop(running).await;
    assert_eq!(ogn.count("raw_messages").await, 4);
    assert_eq!(ogn.sum("stored_count").await, 4);
    assert_eq!(ogn.sum("row_count").await, 6);
    ogn.assert_proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_that_nobody_should_send_are_raw_messages_and_counted_by_reason() {
    let ogn = Ogn::new("aprs_nasty").await;
    let running = ogn.start(1).await;
    let header = "FLRDDE626>OGFLR,qAS,EGHL:";
    let position = "00102.04W' id0ADDE626";
    let now = time_of_day(now_us());
    let packets: [(&str, Vec<u8>); 8] = [
        (
            "not-utf8",
            [
                header.as_bytes(),
                b"!5111.32N/00102.04W' id0ADDE626 H\xF6he",
            ]
            .concat(),
        ),
        (
            "local-time",
            format!("{header}/111000/5111.32N/{position}").into(),
        ),
        (
            "latitude",
            format!("{header}/{now}5199.99N/{position}").into(),
        ),
        (
            "time",
            format!("{header}/250000h5111.32N/{position}").into(),
        ),
        ("header", b"\xFF\xFE\0 no packet".to_vec()),
        ("data-type", header.as_bytes().to_vec()),
        ("status", format!("{header}>all is well").into()),
        ("fix", fix(0xDD_E626, &now, "EGHL")),
    ];
    for (_, packet) in &packets {
        ogn.feed.say(packet);
    }
    // 513 bytes and many more before the end of the line.
    ogn.feed.say_bytes(&[b'x'; 4_000]);
    ogn.feed.say(b"");
    ogn.until("raw_messages", 9).await;
    let done = ogn.stop(running).await;
    let expected: HashMap<&str, u64> = [
        // The one with a Latin-1 comment is a fix all the same.
        ("fix", 2),
        ("not-utf8", 2),
        ("local-time", 1),
        ("latitude", 1),
        ("time", 1),
        ("header", 1),
        ("data-type", 1),
        ("status", 1),
        ("oversized", 1),
    ]
    .into();
    assert_eq!(
        done[0]["kinds"],
        serde_json::to_value(&expected).unwrap(),
        "{done}"
    );
    let bytes: Vec<Vec<u8>> = ogn
        .database
        .values("SELECT raw_message FROM raw_messages")
        .await
        .unwrap();
    for (reason, packet) in &packets {
        assert!(bytes.contains(packet), "{reason}");
    }
    assert!(bytes.contains(&vec![b'x'; 513]));
    let reasons: Vec<String> = ogn
        .database
        .values("SELECT split_part(unparsed, ':', 1) FROM raw_messages WHERE unparsed LIKE '%: %' ORDER BY 1")
        .await
        .unwrap();
    assert_eq!(
        reasons,
        [
            "data-type",
            "header",
            "latitude",
            "local-time",
            "oversized",
            "time"
        ]
    );
    assert_eq!(ogn.count("hyperhaul.dead_letter").await, 0);
    ogn.assert_proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_packets_is_replayed_once() {
    let ogn = Ogn::new("aprs_file").await;
    let now_us = now_us();
    let mut lines = Vec::new();
    for address in 1..=500 {
        let time = time_of_day(now_us - i64::from(address) * SECOND_US);
        lines.extend(fix(address, &time, "EGHL"));
        lines.push(b'\n');
    }
    lines.extend(b"N0CALL>APRS,qAS,EGHL:>the end\n");
    ogn.declare_file(&lines);
    for stored in [501, 0] {
        let done = ogn.call().run().await.expect_code(0).json();
        assert_eq!(done[0]["stored_count"], stored, "{done}");
    }
    assert_eq!(ogn.count("raw_messages").await, 501);
    assert_eq!(ogn.count("fixes").await, 500);
    assert_eq!(ogn.count("receivers").await, 1);
    assert_eq!(ogn.count("aircraft").await, 500);
    ogn.assert_proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_of_before_midnight_is_of_that_day_however_late_it_is_written() {
    const DAY_US: i64 = 86_400 * SECOND_US;
    let ogn = Ogn::new("aprs_midnight").await;
    let midnight_us = now_us() / DAY_US * DAY_US - 3 * DAY_US;
    // Received a second after midnight, three days ago; no server answers since.
    ogn.store(&[(midnight_us + SECOND_US, &fix(0xDD_E626, "235959h", "EGHL"))]);
    let running = ogn.start(1).await;
    ogn.until("fixes", 1).await;
    ogn.stop(running).await;
    let off = "SELECT extract(epoch FROM received_at - timestamp)::bigint FROM fixes";
    assert_eq!(ogn.database.value::<i64>(off).await.unwrap(), 2);
    // What was said in these days is missing.
    assert_eq!(ogn.gaps().await, ["not-running"]);
    let days = "SELECT extract(day FROM to_at - from_at)::bigint FROM hyperhaul.ingest_gap";
    assert!(ogn.database.value::<i64>(days).await.unwrap() >= 2);
    ogn.assert_proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_either_table_refuses_is_a_dead_letter_and_stands_for_no_other_packet() {
    let ogn = Ogn::new("aprs_dead").await;
    let checks = "ALTER TABLE raw_messages ADD CONSTRAINT no_baddy CHECK (position('BADDY'::bytea IN raw_message) = 0);
        ALTER TABLE fixes ADD CONSTRAINT no_ground CHECK (altitude_msl_feet <> 0)";
    ogn.database.exec(checks).await.unwrap();
    let now_us = now_us();
    let time = time_of_day(now_us);
    let on_ground = String::from_utf8(fix(3, &time, "EGHL"))
        .unwrap()
        .replace("A=000607", "A=000000");
    let packets = [
        // Its raw message is refused, so that the second reception has the fix.
        fix(1, &time, "BADDY"),
        fix(1, &time, "EGHL"),
        fix(2, &time, "EGHL"),
        // Its fix is refused; the raw message stays.
        on_ground.clone().into_bytes(),
        on_ground.replace("EGHL", "LFNW").into_bytes(),
        fix(4, &time, "EGHL"),
        fix(4, &time, "LFNW"),
    ];
    let packets: Vec<(i64, &[u8])> = packets.iter().map(|packet| (now_us, &packet[..])).collect();
    ogn.store(&packets);
    let running = ogn.start(1).await;
    ogn.until("raw_messages", 6).await;
    ogn.until("fixes", 3).await;
    ogn.stop(running).await;
    let dead: Vec<String> = ogn
        .database
        .values("SELECT table_name || ' ' || constraint_name FROM hyperhaul.dead_letter ORDER BY position")
        .await
        .unwrap();
    assert_eq!(
        dead,
        [
            "public.raw_messages no_baddy",
            "public.fixes no_ground",
            "public.fixes no_ground"
        ]
    );
    assert_eq!(
        (ogn.sum("stored_count").await, ogn.sum("dead_count").await),
        (4, 3)
    );
    assert_eq!(ogn.sum("row_count").await, 9);
    ogn.assert_proved().await;
    let listed = ogn.ask("dlq list --json").run().await.expect_code(0).json();
    let id = listed[1]["id"].to_string();
    let shown = ogn.ask("dlq show").arg(&id).run().await.expect_code(0);
    assert_eq!(shown.stdout, on_ground);
    // One that is refused again stands for no other one either.
    let baddy = "ALTER TABLE fixes DROP CONSTRAINT no_ground; ALTER TABLE fixes ADD CONSTRAINT no_eghl CHECK \
        (altitude_msl_feet <> 0 OR 'EGHL' <> ALL (via))";
    ogn.database.exec(baddy).await.unwrap();
    ogn.retry(4).await;
    assert_eq!(ogn.count("hyperhaul.dead_letter").await, 2);
    assert_eq!(ogn.count("fixes").await, 4);
    // What stood in the way is gone.
    let lift = "ALTER TABLE raw_messages DROP CONSTRAINT no_baddy; ALTER TABLE fixes DROP CONSTRAINT no_eghl";
    ogn.database.exec(lift).await.unwrap();
    ogn.retry(0).await;
    assert_eq!(ogn.count("hyperhaul.dead_letter").await, 0);
    assert_eq!(ogn.count("raw_messages").await, 7);
    // Of the first one the second reception has the fix; of those on the ground one has it now.
    assert_eq!(ogn.count("fixes").await, 4);
    ogn.assert_proved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_there_with_other_values_are_conflicts_in_either_table() {
    let ogn = Ogn::new("aprs_conflict").await;
    let now_us = now_us();
    let time = time_of_day(now_us);
    let packets: Vec<Vec<u8>> = (1..=6).map(|address| fix(address, &time, "EGHL")).collect();
    let packets: Vec<(i64, &[u8])> = packets.iter().map(|packet| (now_us, &packet[..])).collect();
    ogn.store(&packets);
    // Killed when the spool has not let go of them yet.
    let ended = ogn.call().failpoint("ingest.after_commit").run().await;
    ended.expect_killed();
    assert_eq!(ogn.count("fixes").await, 6);
    // As if the ledger had been set back, and rows changed since.
    let changed = "UPDATE hyperhaul.ingest_source SET position = 0;
        DELETE FROM hyperhaul.ingest_gap; DELETE FROM hyperhaul.ingest_receipt;
        UPDATE raw_messages SET unparsed = 'seen' WHERE raw_message LIKE '%000001%';
        UPDATE fixes SET is_active = false, squawk = '7700' WHERE source = 'FLR000002';
        DELETE FROM fixes WHERE source IN ('FLR000001', 'FLR000003');
        DELETE FROM raw_messages WHERE raw_message LIKE '%000004%'";
    let stored: Vec<u8> = ogn
        .database
        .value("SELECT raw_message FROM raw_messages WHERE raw_message LIKE '%000001%'")
        .await
        .unwrap();
    ogn.database.exec(changed).await.unwrap();
    // No memory: a fix that is in the table would be left out before anybody asked for its key.
    ogn.remember_nothing();
    let running = ogn.call().spawn();
    ogn.until("hyperhaul.ingest_conflict", 2).await;
    ogn.stop(running).await;
    let conflicts: Vec<String> = ogn
        .database
        .values("SELECT table_name FROM hyperhaul.ingest_conflict ORDER BY position")
        .await
        .unwrap();
    assert_eq!(conflicts, ["public.raw_messages", "public.fixes"]);
    let kept = "SELECT payload FROM hyperhaul.ingest_conflict ORDER BY position LIMIT 1";
    assert_eq!(ogn.database.value::<Vec<u8>>(kept).await.unwrap(), stored);
    // The raw message in conflict has no fix; one that was there as it was counts as a duplicate, whatever became of its fix.
    assert_eq!(ogn.count("fixes WHERE source = 'FLR000001'").await, 0);
    assert_eq!(ogn.count("fixes WHERE source = 'FLR000003'").await, 1);
    let ends = [
        ogn.sum("stored_count").await,
        ogn.sum("duplicate_count").await,
        ogn.sum("conflict_count").await,
    ];
    assert_eq!(ends, [1, 3, 2]);
}
