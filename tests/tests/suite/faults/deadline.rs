//! Windows that are too short, and runs that are late: no-go, warning, the stop at the deadline, and what follows it.

use super::{HeldSlices, Moved};
use crate::support::{Ended, Positions};
use std::time::Duration;

const SEVERAL_SLICES: Positions = Positions {
    days: 2,
    rows_per_day: 10_000,
    packet_bytes: 250,
};
const DEADLINE: i32 = 5;
const BLOCKED: i32 = 3;

async fn planned(name: &str) -> Moved {
    Moved::within_one_database(name, SEVERAL_SLICES).await
}

/// A run in a window of eight seconds whose last slices are held, until it ends.
async fn late(moved: &Moved) -> Ended {
    let held = HeldSlices::hold(moved, "slice_id > 2").await;
    let ended = moved.call("migrate --window 8s").run().await;
    held.release().await;
    ended.expect_code(DEADLINE)
}

#[tokio::test]
async fn a_run_that_would_not_be_through_in_time_does_not_begin() {
    let moved = planned("window_no_go").await;
    moved
        .call("migrate --window 1s")
        .run()
        .await
        .expect_code(BLOCKED)
        .expect_printed(&[
            "the window is too short",
            "to verify",
            "with a margin of",
            "Nothing was changed",
            "--on-deadline continue",
        ]);
    assert_eq!(moved.state().await, "planned");
    let insert = "BEGIN; INSERT INTO positions (received_at, aircraft_id, packet) VALUES ('2025-12-11 12:00+00', 1, 'new'); ROLLBACK";
    moved.source.exec(insert).await.unwrap();
    moved
        .call("migrate --window 1s --on-deadline continue")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["the window is too short"]);
    moved.assert_moved().await;
}

#[tokio::test]
async fn a_late_run_warns_early_stops_at_the_deadline_and_goes_on_later() {
    let moved = planned("window_stop").await;
    let ended = late(&moved).await.expect_printed(&[
        "the window is long enough",
        "the window will be missed",
        "window ends",
        "stopped at the deadline",
        "To finish takes about",
        "to go back about",
        "Writers are kept off",
        "hyperhaul rollback",
    ]);
    let warned = ended.stderr.find("will be missed").unwrap();
    assert!(warned < ended.stderr.find("stopped at the deadline").unwrap());
    moved.assert_wholly_in_or_out().await;
    assert_eq!(moved.state().await, "running");

    let status = moved.call("status --json").run().await.json();
    let forecast = &status["forecast"];
    assert!(forecast["done_at"].is_string(), "{status:#}");
    assert_eq!(forecast["deadline"]["then"], "stop");
    let left = forecast["left"].as_array().unwrap();
    assert!(left.iter().any(|left| left["phase"] == "copy"), "{left:?}");
    moved
        .call("status")
        .run()
        .await
        .expect_printed(&["forecast of", "too late: the window ends"]);

    moved
        .call("migrate --window 10min")
        .run()
        .await
        .expect_code(0);
    moved.assert_moved().await;
    let status = moved.call("status --json").run().await.json();
    assert!(status["forecast"].is_null(), "{status:#}");
}

#[tokio::test]
async fn a_late_run_is_rolled_back_where_that_was_asked_for() {
    let moved = planned("window_rollback").await;
    let held = HeldSlices::hold(&moved, "slice_id > 2").await;
    let process = moved
        .call("migrate --window 8s --on-deadline rollback")
        .spawn();
    // Going back resets the slices too.
    let going_back = "SELECT state = 'rolling back' FROM hyperhaul.run";
    moved.until("the run is rolled back", going_back).await;
    held.release().await;
    process
        .wait()
        .await
        .expect_code(DEADLINE)
        .expect_printed(&["and rolled back: everything is as it was before"]);
    moved.assert_back().await;
}

#[tokio::test]
async fn a_late_run_goes_on_where_that_was_asked_for() {
    let moved = planned("window_continue").await;
    let held = HeldSlices::hold(&moved, "slice_id > 2").await;
    let process = moved
        .call("migrate --window 5s --on-deadline continue")
        .spawn();
    tokio::time::sleep(Duration::from_secs(7)).await;
    held.release().await;
    process
        .wait()
        .await
        .expect_code(0)
        .expect_printed(&["the window is over; the run goes on"]);
    moved.assert_moved().await;
}

#[tokio::test]
async fn a_step_under_way_is_given_up_soon_after_the_deadline() {
    let moved = Moved::new(
        crate::support::target_database("window_step").await,
        None,
        SEVERAL_SLICES,
    )
    .await;
    moved.plan("--strategy copy --lock-timeout 10min").await;
    moved
        .call("migrate")
        .failpoint("copy.before_mark")
        .run()
        .await
        .expect_killed();
    // The primary key waits for this reader, and would for ten minutes.
    let reader = moved.target().connect().await.unwrap();
    reader
        .batch_execute("BEGIN; SELECT FROM hyperhaul_new_public.positions LIMIT 1")
        .await
        .unwrap();
    moved
        .call("migrate --window 6s")
        .run()
        .await
        .expect_code(DEADLINE)
        .expect_printed(&["stopped at the deadline", "keys"]);
    reader.batch_execute("COMMIT").await.unwrap();
    moved.call("migrate").run().await.expect_code(0);
    moved.assert_moved().await;
}

#[tokio::test]
async fn a_step_that_would_end_after_the_deadline_is_not_begun() {
    let moved = planned("window_left_out").await;
    // As if the index took seven seconds.
    let estimate = "UPDATE hyperhaul.run SET plan = jsonb_set(plan, '{estimate,phases}', (SELECT jsonb_agg(
        CASE phase ->> 'phase' WHEN 'indexes' THEN jsonb_set(phase, '{seconds}', '7') ELSE phase END)
        FROM jsonb_array_elements(plan #> '{estimate,phases}') AS phase))";
    moved.target().exec(estimate).await.unwrap();
    let held = HeldSlices::hold(&moved, "slice_id > 2").await;
    let process = moved.call("migrate --window 15s").spawn();
    tokio::time::sleep(Duration::from_secs(11)).await;
    held.release().await;
    process.wait().await.expect_code(DEADLINE).expect_printed(&[
        "stopped before the deadline",
        "it would not be enough to build index positions_aircraft_received_at",
    ]);
    let index = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'hyperhaul_new_public' \
                 AND indexname = 'positions_aircraft_received_at'";
    assert_eq!(moved.target().value::<i64>(index).await.unwrap(), 0);
    moved.call("migrate").run().await.expect_code(0);
    moved.assert_moved().await;
}

#[tokio::test]
async fn after_the_cutover_the_deadline_is_no_reason_to_stop() {
    let moved = Moved::new(
        crate::support::target_database("window_after").await,
        None,
        SEVERAL_SLICES,
    )
    .await;
    moved.plan("--strategy copy --lock-timeout 10min").await;
    let to_cutover = "SELECT count(*) FROM hyperhaul.run, jsonb_array_elements(plan -> 'steps') AS step \
                      WHERE step ->> 'phase' <> 'after'";
    let steps: i64 = moved.target().value(to_cutover).await.unwrap();
    moved
        .call("migrate")
        .failpoint(&format!("step.after_commit:{steps}"))
        .run()
        .await
        .expect_killed();
    let cut_over = "SELECT to_regclass('hyperhaul_old_public.positions') IS NOT NULL";
    assert!(moved.target().value::<bool>(cut_over).await.unwrap());
    // The statistics wait for this.
    let holder = moved.target().connect().await.unwrap();
    holder
        .batch_execute("BEGIN; LOCK TABLE positions IN SHARE UPDATE EXCLUSIVE MODE")
        .await
        .unwrap();
    let process = moved.call("migrate --window 1s").spawn();
    tokio::time::sleep(Duration::from_secs(3)).await;
    holder.batch_execute("COMMIT").await.unwrap();
    process.wait().await.expect_code(0);
    moved.assert_moved().await;
}
