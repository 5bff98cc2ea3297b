//! Ingest is killed around a COMMIT, the COMMIT's answer is lost, others write the same: each record is in once.

use super::{Pumps, reading, readings};
use hyperhaul_testkit::{Cut, Proxy};

/// Records of a file that takes many batches.
const WELLS: u32 = 100;
const TIMES: u32 = 600;

#[tokio::test]
async fn a_process_killed_around_a_commit_goes_on_without_loss_or_double() {
    for point in ["ingest.before_commit", "ingest.after_commit"] {
        let pumps = Pumps::new("ingest_kill").await;
        let file = pumps.file("readings.ndjson", &readings(WELLS, TIMES));
        for time in 1..=2 {
            let call = pumps.ingest(&file).failpoint(&format!("{point}:{time}"));
            call.run().await.expect_killed();
        }
        pumps.ingest(&file).run().await.expect_code(0);
        pumps.assert_readings(WELLS, TIMES).await;
        pumps.assert_proved().await;
    }
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_not_done_twice() {
    let pumps = Pumps::new("ingest_commit").await;
    let file = pumps.file("readings.ndjson", &readings(WELLS, TIMES));
    // Making the ledger has a COMMIT of its own.
    let first = pumps.file("first.ndjson", &reading(1, 0, ""));
    pumps.ingest(&first).run().await.expect_code(0);
    let proxy = Proxy::start(pumps.database.url()).unwrap();
    proxy.arm(Cut::AnswerToWhole("COMMIT".to_owned()));
    let call = crate::support::Hyperhaul::new("ingest --profile esp-telemetry")
        .target(proxy.url())
        .table("public.esp_telemetry")
        .arg(file.to_str().unwrap());
    let ended = call.env("RUST_LOG", "info").run().await.expect_code(0);
    ended.expect_printed(&["the COMMIT whose answer was lost had happened"]);
    assert!(proxy.fired_count() > 0);
    pumps.assert_readings(WELLS, TIMES).await;
    pumps.assert_proved().await;
}

/// Two processes that write the same keys in reversed orders wait for each other; one of them is told so, and tries again.
#[tokio::test]
async fn two_writers_with_reversed_keys_get_through() {
    let pumps = Pumps::new("ingest_reversed").await;
    let text = readings(WELLS, TIMES);
    let reversed: Vec<&str> = text.lines().rev().collect();
    let there = pumps.file("there.ndjson", &text);
    let back = pumps.file("back.ndjson", &reversed.join("\n"));
    let (one, other) = (pumps.ingest(&there).spawn(), pumps.ingest(&back).spawn());
    let (one, other) = tokio::join!(one.wait(), other.wait());
    let count = |ended: crate::support::Ended, name: &str| {
        ended.expect_code(0).json()[0][name].as_i64().unwrap()
    };
    let stored = (
        one.json()[0]["stored_count"].as_i64(),
        other.json()[0]["stored_count"].as_i64(),
    );
    assert_eq!(
        stored.0.unwrap() + stored.1.unwrap(),
        i64::from(WELLS * TIMES)
    );
    let duplicates = count(one, "duplicate_count") + count(other, "duplicate_count");
    assert_eq!(duplicates, i64::from(WELLS * TIMES));
    pumps.assert_readings(WELLS, TIMES).await;
    pumps.assert_proved().await;
}

#[tokio::test]
async fn a_source_is_read_by_one_process() {
    let pumps = Pumps::new("ingest_twice").await;
    let file = pumps.file("readings.ndjson", &readings(2, 2));
    let running = pumps.ingest(&file).arg("--follow").spawn();
    pumps.eventually_stored(4).await;
    pumps
        .ingest(&file)
        .run()
        .await
        .expect_code(1)
        .expect_printed(&["another process is at source file", "pg_terminate_backend"]);
    running.signal("INT");
    running.wait().await.expect_code(0);
}
