//! Whatever is killed while history follows: every row of before and every acknowledged one is there once.

use super::writers::{PARTITION_OF_NOW, Writers, assert_history_is_coming};
use crate::faults::lost_commit::{answer_to_commit, before_commit, lose_a_slice, lose_the_cutover};
use crate::faults::terminated::terminate_one;
use crate::faults::{AROUND_SLICES, HeldSlices, Moved, assert_clean_stop};
use crate::ingest::kills::Moments;
use crate::ingest::own_server;
use crate::support::{Direction, Positions, killed_around_every_step, step_count, target_database};
use hyperhaul_testkit::{Role, TestDatabase};

const DAYS: u32 = 3;

/// Several slices a day.
const HISTORY: Positions = Positions {
    days: DAYS,
    rows_per_day: 6_000,
    packet_bytes: 250,
};

/// When the hypertable is in place and slices are what comes next.
const IN_PLACE: &str = "SELECT EXISTS (SELECT FROM hyperhaul.step WHERE step_id LIKE 'cutover:%')";

/// A table that takes rows of now, too, planned.
async fn planned(database: TestDatabase, strategy: &str) -> Moved {
    HISTORY.create(&database).await;
    database.exec(PARTITION_OF_NOW).await.unwrap();
    let moved = Moved::of(database, None).await;
    moved
        .plan(&format!(
            "--mode backfill --workers 2 --strategy {strategy}"
        ))
        .await;
    moved
}

#[tokio::test]
async fn a_process_killed_around_slices_leaves_them_wholly_in_or_out() {
    for strategy in ["server", "copy"] {
        let moved = planned(target_database("backfill_points").await, strategy).await;
        moved.killed_at_each(&AROUND_SLICES).await;
        moved.killed_at_each(&["verify.compared"]).await;
        moved.call("migrate").run().await.expect_code(0);
        moved.assert_moved().await;
    }
}

#[tokio::test]
async fn a_process_killed_before_and_after_the_commit_of_every_step_goes_on_there() {
    let moved = small("backfill_steps").await;
    let steps = step_count(moved.target()).await;
    let migrate = || moved.call("migrate");
    killed_around_every_step(moved.target(), steps, Direction::There, migrate).await;
    moved.call("migrate").run().await.expect_code(0);
    moved.assert_moved().await;
}

#[tokio::test]
async fn a_rollback_out_of_the_backfill_killed_around_every_inverse_goes_on_there() {
    let moved = small("backfill_back").await;
    let killed = moved.call("migrate").failpoint("slice.after_commit:2");
    killed.run().await.expect_killed();
    let marks = "SELECT count(*) FROM hyperhaul.step";
    let steps = moved.target().value(marks).await.unwrap();
    let rollback = || moved.call("rollback");
    killed_around_every_step(moved.target(), steps, Direction::Back, rollback).await;
    moved.call("rollback").run().await.expect_code(0);
    moved.assert_back().await;
}

/// A slice for each of few rows a day.
async fn small(name: &str) -> Moved {
    let moved = Moved::new(target_database(name).await, None, Positions::default()).await;
    moved.plan("--mode backfill --workers 1").await;
    moved
}

#[tokio::test]
async fn kills_at_any_moment_lose_and_double_nothing() {
    const KILLS: u32 = 20;
    let moved = planned(target_database("backfill_kills").await, "copy").await;
    let writers = Writers::start(&moved, 3, DAYS).await;
    // So that the run does not end before.
    let held = HeldSlices::hold(
        &moved,
        "slice_id = (SELECT min(slice_id) FROM hyperhaul.slice)",
    )
    .await;
    let mut moments = Moments(4);
    for _ in 0..KILLS {
        let mut process = moved.call("migrate").spawn();
        tokio::time::sleep(moments.next(50, 1_000)).await;
        assert!(!process.has_ended());
        process.signal("KILL");
        process.wait().await.expect_killed();
    }
    held.release().await;
    moved.call("migrate").run().await.expect_code(0);
    writers.until_more(50).await;
    writers.stop().await.assert_all_there(&moved).await;
}

#[tokio::test]
async fn backends_terminated_at_any_moment_lose_and_double_nothing() {
    const TERMINATIONS: u32 = 20;
    let moved = planned(target_database("backfill_backends").await, "server").await;
    let writers = Writers::start(&moved, 3, DAYS).await;
    let held = HeldSlices::hold(
        &moved,
        "slice_id = (SELECT min(slice_id) FROM hyperhaul.slice)",
    )
    .await;
    let mut moments = Moments(5);
    let mut process = moved.call("migrate").spawn();
    let mut terminated = 0;
    while terminated < TERMINATIONS {
        tokio::time::sleep(moments.next(20, 300)).await;
        if process.has_ended() {
            assert_clean_stop(&process.wait().await);
            process = moved.call("migrate").spawn();
        }
        terminated += u32::from(terminate_one(moved.target(), "").await);
    }
    held.release().await;
    let ended = process.wait().await;
    if !moved.is_done().await {
        assert_clean_stop(&ended);
        moved.call("migrate").run().await.expect_code(0);
    }
    writers.until_more(50).await;
    writers.stop().await.assert_all_there(&moved).await;
}

#[tokio::test]
async fn a_server_that_crashes_while_history_follows_is_waited_for() {
    let test = "a_server_that_crashes_while_history_follows_is_waited_for";
    let Some((instance, database)) = own_server(test, "backfill").await else {
        return;
    };
    let moved = planned(database, "copy").await;
    let writers = Writers::start(&moved, 3, DAYS).await;
    let held = HeldSlices::hold(&moved, "slice_id > 3").await;
    let process = moved.call("migrate").spawn();
    moved
        .until(
            "a slice is done",
            "SELECT EXISTS (SELECT FROM hyperhaul.slice WHERE done)",
        )
        .await;
    assert_history_is_coming(&moved).await;
    // Who holds slices goes with it.
    instance.crash(Role::Target).unwrap();
    drop(held);
    instance.start(Role::Target).unwrap();
    process
        .wait()
        .await
        .expect_code(0)
        .expect_printed(&["trying again"]);
    writers.until_more(50).await;
    writers.stop().await.assert_kept(&moved).await;
}

#[tokio::test]
async fn a_commit_that_is_lost_beside_live_rows_happens_once_or_not_at_all() {
    for cut in [before_commit(), answer_to_commit()] {
        let moved = planned(target_database("backfill_lost").await, "server").await;
        let writers = Writers::start(&moved, 3, DAYS).await;
        lose_a_slice(&moved, cut, IN_PLACE).await;
        writers.stop().await.assert_all_there(&moved).await;
    }
    let moved = planned(target_database("backfill_lost").await, "server").await;
    let writers = Writers::start(&moved, 3, DAYS).await;
    lose_the_cutover(&moved).await;
    writers.stop().await.assert_all_there(&moved).await;
}
