//! Limits of disk, WAL and lag: the run pauses before its next slice, goes on when it is better, and stops when it is not.

use super::disk_full::{MIB, database_on};
use super::{HeldSlices, Moved};
use crate::support::Positions;
use hyperhaul_testkit::{Client, Servers, SmallDisk, skip};

/// A slot without a consumer, and 8 MiB of WAL behind it. It goes with its session.
async fn slot(moved: &Moved, name: &str) -> Client {
    let client = moved.target().connect().await.unwrap();
    let sql = format!(
        "SELECT pg_create_physical_replication_slot('{name}', true, true);
        SELECT pg_logical_emit_message(false, 'ballast', repeat('x', 1048576)) FROM generate_series(1, 8)"
    );
    client.batch_execute(&sql).await.unwrap();
    client
}

/// Nothing was copied beyond the limit.
async fn assert_nothing_copied(moved: &Moved) {
    let done = "SELECT count(*) FROM hyperhaul.slice WHERE done";
    assert_eq!(moved.target().value::<i64>(done).await.unwrap(), 0);
}

async fn until_paused(moved: &Moved) {
    let paused = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                  AND application_name = 'hyperhaul run 1 paused')";
    moved.until("the run is paused", paused).await;
    let status = moved.call("status --json").run().await.expect_code(0);
    assert_eq!(status.json()["paused"], true);
}

#[tokio::test]
async fn a_slot_without_a_consumer_pauses_the_run_until_it_is_gone() {
    let moved = Moved::within_one_database("watch_lag", Positions::default()).await;
    let client = slot(&moved, "watch_lag").await;
    let stopped = moved
        .call("migrate --max-replica-lag 4MiB --watchdog-patience 1s")
        .run()
        .await
        .expect_code(3);
    stopped.expect_printed(&[
        "paused: ",
        "slot \"watch_lag\" is behind by ",
        "the limit is 4.0 MiB (--max-replica-lag)",
        "stopped at a limit: ",
        "run hyperhaul migrate again",
    ]);
    assert_nothing_copied(&moved).await;
    let process = moved.call("migrate --max-replica-lag 4MiB").spawn();
    until_paused(&moved).await;
    assert_nothing_copied(&moved).await;
    drop(client);
    process
        .wait()
        .await
        .expect_code(0)
        .expect_printed(&["goes on after the pause"]);
    moved.assert_moved().await;
}

#[tokio::test]
async fn wal_that_is_kept_stops_the_run_and_a_higher_limit_lets_it_go_on() {
    let moved = Moved::within_one_database("watch_wal", Positions::default()).await;
    let _client = slot(&moved, "watch_wal").await;
    moved
        .call("migrate --max-wal 4MiB --watchdog-patience 1s")
        .run()
        .await
        .expect_code(3)
        .expect_printed(&[
            "of WAL were written since the start, and the server has to keep ",
            "(--max-wal)",
        ]);
    assert_nothing_copied(&moved).await;
    // Nor are keys and indexes built beyond it.
    let copied = moved.call("migrate").failpoint("copy.before_mark");
    copied.run().await.expect_killed();
    moved
        .call("migrate --max-wal 4MiB --watchdog-patience 1s")
        .run()
        .await
        .expect_code(3)
        .expect_printed(&["stopped at a limit: "]);
    let built = "SELECT count(*) FROM hyperhaul.step WHERE step_id LIKE 'keys:%'";
    assert_eq!(moved.target().value::<i64>(built).await.unwrap(), 0);
    moved
        .call("migrate --max-wal 1TiB")
        .run()
        .await
        .expect_code(0);
    moved.assert_moved().await;
}

#[tokio::test]
async fn a_paused_run_can_be_interrupted() {
    let moved = Moved::within_one_database("watch_interrupt", Positions::default()).await;
    let _client = slot(&moved, "watch_interrupt").await;
    let process = moved.call("migrate --max-wal 4MiB").spawn();
    until_paused(&moved).await;
    process.signal("INT");
    process.wait().await.expect_code(6);
    moved.call("rollback").run().await.expect_code(0);
    moved.assert_back().await;
}

#[tokio::test]
async fn a_disk_that_fills_pauses_the_run_before_it_is_full() {
    let servers = Servers::shared().unwrap();
    let disk = match SmallDisk::create(&servers.target, 128 * MIB) {
        Ok(disk) => disk,
        Err(error) if error.is_unavailable() => {
            return skip("a_disk_that_fills_pauses_the_run_before_it_is_full", &error);
        }
        Err(error) => panic!("{error}"),
    };
    let positions = Positions {
        days: 2,
        rows_per_day: 20_000,
        packet_bytes: 250,
    };
    let moved = Moved::new(database_on(&disk).await, None, positions).await;
    moved.plan("--workers 2 --strategy copy").await;
    disk.fill(8 * MIB).unwrap();
    // The default leaves a tenth of a small disk.
    moved
        .call("migrate --watchdog-patience 1s")
        .run()
        .await
        .expect_code(3)
        .expect_printed(&["free on the disk of data, 12.8 MiB are to stay free (--min-free-disk)"]);
    assert_nothing_copied(&moved).await;
    let process = moved.call("migrate").spawn();
    until_paused(&moved).await;
    disk.free().unwrap();
    process.wait().await.expect_code(0);
    moved.assert_moved().await;
}

#[tokio::test]
async fn a_database_that_grows_too_far_pauses_the_run_until_it_shrinks() {
    let moved = Moved::within_one_database("watch_growth", Positions::default()).await;
    let held = HeldSlices::hold(&moved, "true").await;
    let process = moved.call("migrate --max-growth 4MiB").spawn();
    let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                   AND application_name = 'hyperhaul run 1 guard')";
    moved.until("the copy has begun", waiting).await;
    let grow = "CREATE TABLE ballast AS SELECT repeat(md5(n::text), 30) FROM generate_series(1, 20000) AS n";
    moved.target().exec(grow).await.unwrap();
    until_paused(&moved).await;
    held.release().await;
    moved.target().exec("DROP TABLE ballast").await.unwrap();
    process
        .wait()
        .await
        .expect_code(0)
        .expect_printed(&["the database has grown by ", "(--max-growth)"]);
    moved.assert_moved().await;
}
