//! Ctrl-C: once finishes the open slices, twice gives them up; the next call goes on.

use super::hold_chunks;
use crate::support::{
    Hyperhaul, Positions, Running, assert_each_slice_done_once, rows_seen, target_database,
};
use hyperhaul_testkit::{Client, TestDatabase, eventually};
use std::time::Duration;

const INTERRUPTED: i32 = 6;
const MIGRATE: &str = "migrate --workers 2 --slice-size 64kB --table positions";

/// A run in the middle of its slices, two of which are done. A lock on the chunks keeps the open ones from ending until the
/// returned session lets go.
async fn in_the_middle(prefix: &str) -> (TestDatabase, Running, Client) {
    let database = target_database(prefix).await;
    Positions {
        days: 4,
        rows_per_day: 1_000,
        packet_bytes: 400,
    }
    .create(&database)
    .await;
    Hyperhaul::new(MIGRATE)
        .source(database.url())
        .failpoint("slice.after_commit:2")
        .run()
        .await
        .expect_killed();
    // The killed process may have been committing a third.
    let settled = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'hyperhaul%'";
    eventually(
        "the killed process's sessions are gone",
        Duration::from_secs(60),
        async || database.value::<i64>(settled).await.unwrap() == 0,
    )
    .await
    .unwrap();
    let holder = hold_chunks(&database).await;
    let running = Hyperhaul::new("migrate").source(database.url()).spawn();
    let waiting = "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE NOT granted AND datname = current_database() AND application_name LIKE 'hyperhaul%'";
    eventually(
        "both workers wait for the lock",
        Duration::from_secs(60),
        async || database.value::<i64>(waiting).await.unwrap() == 2,
    )
    .await
    .unwrap();
    (database, running, holder)
}

async fn slices_done(database: &TestDatabase) -> i64 {
    database
        .value("SELECT count(*) FILTER (WHERE done) FROM hyperhaul.slice")
        .await
        .unwrap()
}

async fn goes_on_to_the_end(database: &TestDatabase) {
    Hyperhaul::new("migrate")
        .source(database.url())
        .run()
        .await
        .expect_code(0);
    assert_each_slice_done_once(database).await;
    let old = Positions::ROWS.replace("public.", "hyperhaul_old_public.");
    assert_eq!(
        rows_seen(database, Positions::ROWS).await,
        rows_seen(database, &old).await
    );
    assert_eq!(rows_seen(database, Positions::ROWS).await.count, 4_000);
}

#[tokio::test]
async fn the_first_interrupt_finishes_what_is_open_and_the_next_call_goes_on() {
    let (database, running, holder) = in_the_middle("interrupt_once").await;
    let done = slices_done(&database).await;
    running.signal("INT");
    tokio::time::sleep(Duration::from_millis(500)).await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    running
        .wait()
        .await
        .expect_code(INTERRUPTED)
        .expect_printed(&["hyperhaul migrate"]);
    assert_eq!(
        slices_done(&database).await,
        done + 2,
        "the open ones were finished, and no others"
    );
    assert_eq!(
        database
            .value::<String>("SELECT state FROM hyperhaul.run")
            .await
            .unwrap(),
        "running"
    );
    goes_on_to_the_end(&database).await;
}

#[tokio::test]
async fn the_second_interrupt_gives_open_slices_up_and_the_next_call_goes_on() {
    let (database, running, holder) = in_the_middle("interrupt_twice").await;
    let done = slices_done(&database).await;
    running.signal("INT");
    tokio::time::sleep(Duration::from_millis(500)).await;
    running.signal("INT");
    // The lock is still held: it does not wait for it.
    running
        .wait()
        .await
        .expect_code(INTERRUPTED)
        .expect_printed(&["hyperhaul migrate"]);
    assert_eq!(slices_done(&database).await, done);
    holder.batch_execute("ROLLBACK").await.unwrap();
    goes_on_to_the_end(&database).await;
}

#[tokio::test]
async fn a_terminated_run_goes_on_too() {
    let (database, running, holder) = in_the_middle("interrupt_kill").await;
    running.signal("KILL");
    running.wait().await.expect_killed();
    holder.batch_execute("ROLLBACK").await.unwrap();
    goes_on_to_the_end(&database).await;
}
