//! The way back from every moment of a run whose history follows, and what `status` and `plan` say there.

use super::{backfill, cut_over};
use crate::faults::{HeldSlices, Moved};
use crate::support::{Hyperhaul, Positions, rows_seen, target_database};
use hyperhaul_testkit::eventually;
use std::time::Duration;

const START: &str = "migrate --table positions --mode backfill --workers 2";

/// A live row whose key history does not have.
const LIVE: &str = "INSERT INTO positions (received_at, aircraft_id, packet) VALUES ('2025-12-11 12:00:01+00', 1, 'live')";

/// Bounds a failing test; no claim about speed.
const LIMIT: Duration = Duration::from_secs(60);

async fn positions(name: &str) -> Moved {
    let database = target_database(name).await;
    Moved::new(database, None, Positions::default()).await
}

/// Takes the run past its cutover, one slice further, to where all are in, or to its end.
async fn to(moment: &str, moved: &Moved) {
    match moment {
        "cutover" => cut_over(moved.call(START)).await,
        "slice" => {
            let some = moved.call(START).failpoint("slice.after_commit");
            some.run().await.expect_killed();
        }
        "slices" => backfill(moved.call(START)).await,
        _ => drop(moved.call(START).run().await.expect_code(0)),
    }
}

#[tokio::test]
async fn without_live_rows_the_old_table_comes_back_from_every_moment() {
    for moment in ["cutover", "slice", "slices", "end"] {
        let moved = positions(&format!("back_{moment}")).await;
        to(moment, &moved).await;
        moved.call("rollback").run().await.expect_code(0);
        moved.assert_back().await;
        let left = "SELECT count(*) FROM pg_proc WHERE pronamespace = to_regnamespace('hyperhaul')";
        assert_eq!(
            moved.source.value::<i64>(left).await.unwrap(),
            0,
            "{moment}"
        );
        if moment != "slice" {
            continue;
        }
        // With the row that it has taken.
        let again = Moved::of(moved.source, None).await;
        again.call(START).run().await.expect_code(0);
        let rows = rows_seen(&again.source, Positions::ROWS).await;
        assert_eq!(rows, again.before);
    }
}

#[tokio::test]
async fn live_rows_stop_a_rollback_and_the_run_goes_on() {
    for moment in ["cutover", "slice", "end"] {
        let moved = positions(&format!("back_live_{moment}")).await;
        to(moment, &moved).await;
        moved.source.exec(LIVE).await.unwrap();
        let stopped = moved.call("rollback").run().await.expect_code(3);
        stopped.expect_printed(&["was written to since the cutover", "--discard-new-rows"]);
        // Writers are let on again.
        moved.source.exec(LIVE).await.unwrap();
        if moment != "end" {
            assert_eq!(moved.state().await, "running");
            moved.call("migrate").run().await.expect_code(0);
        }
        moved.call("verify").run().await.expect_code(0);
        let rows = "SELECT count(*) FROM positions";
        assert_eq!(
            moved.source.value::<i64>(rows).await.unwrap(),
            2_002,
            "{moment}"
        );
    }
}

#[tokio::test]
async fn live_rows_can_be_given_up_before_the_proof_and_after_it() {
    for moment in ["slice", "end"] {
        let moved = positions(&format!("back_discard_{moment}")).await;
        to(moment, &moved).await;
        moved.source.exec(LIVE).await.unwrap();
        let back = moved.call("rollback --discard-new-rows").run().await;
        back.expect_code(0);
        moved.assert_back().await;
    }
}

#[tokio::test]
async fn a_live_row_that_is_the_same_as_one_that_is_still_to_come_stops_a_rollback() {
    let database = target_database("back_same").await;
    let table = "CREATE TABLE readings (at timestamptz NOT NULL, depth integer);
        INSERT INTO readings SELECT timestamptz '2025-12-11 00:00+00' + n * interval '1 hour', n FROM generate_series(0, 49) AS n";
    database.exec(table).await.unwrap();
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    cut_over(call(
        "migrate --mode backfill --time-column at --table readings",
    ))
    .await;
    let same = "INSERT INTO readings VALUES ('2025-12-11 00:00+00', 0)";
    database.exec(same).await.unwrap();
    let stopped = call("rollback").run().await.expect_code(3);
    stopped.expect_printed(&["It has 1 rows, 0 of which came from the old table"]);
    call("migrate").run().await.expect_code(0);
    let rows = "SELECT count(*) FROM readings";
    assert_eq!(database.value::<i64>(rows).await.unwrap(), 51);
}

#[tokio::test]
async fn an_interrupted_backfill_goes_back_or_on() {
    for way in ["rollback", "migrate"] {
        let moved = positions(&format!("back_interrupted_{way}")).await;
        cut_over(moved.call(START)).await;
        let held = HeldSlices::hold(&moved, "slice_id > 0").await;
        let running = moved.call("migrate").spawn();
        let done = "SELECT count(*) = 1 FROM hyperhaul.slice WHERE done";
        let is_done = async || moved.source.value::<bool>(done).await.unwrap();
        eventually("a slice is in", LIMIT, is_done).await.unwrap();
        running.signal("INT");
        let ended = running.wait().await.expect_code(6);
        ended.expect_printed(&["hyperhaul migrate"]);
        held.release().await;
        moved.call(way).run().await.expect_code(0);
        match way {
            "rollback" => moved.assert_back().await,
            _ => moved.assert_moved().await,
        }
    }
}

#[tokio::test]
async fn a_window_ends_with_the_cutover() {
    let moved = positions("back_window").await;
    cut_over(moved.call(START)).await;
    // By itself it would be too short for anything.
    moved.call("migrate --window 1s").run().await.expect_code(0);
    moved.assert_moved().await;
}

#[tokio::test]
async fn status_and_plan_say_where_the_history_is() {
    let moved = positions("back_status").await;
    let plan = "plan --mode backfill --workers 2 --table positions";
    let planned = moved.call(plan).run().await.expect_code(0);
    assert!(!planned.stdout.contains("--calibrate"), "{planned:?}");
    planned.expect_printed(&[
        "history follows after the cutover, newest first",
        "kept out",
        "let rows of public.positions be changed again",
    ]);
    let json = moved.call(&format!("{plan} --json")).run().await;
    let json = json.expect_code(0).json();
    assert!(json.to_string().contains("\"backfilled\":true"), "{json}");
    to("slice", &moved).await;
    let status = moved.call("status").run().await.expect_code(0);
    status.expect_printed(&[
        "the tables are in place",
        "1/4",
        "backfill    0/1",
        "not yet",
    ]);
    let status = moved.call("status --json").run().await.expect_code(0);
    assert_eq!(status.json()["tables"][0]["slices_done"], 1);
    let early = moved.call("verify").run().await.expect_code(2);
    early.expect_printed(&["has not copied everything yet", "hyperhaul migrate"]);
    let early = moved.call("cleanup --yes").run().await.expect_code(3);
    early.expect_printed(&["Finish it with hyperhaul migrate first"]);
    moved.call("migrate").run().await.expect_code(0);
    let status = moved.call("status").run().await.expect_code(0);
    status.expect_printed(&["done", "4/4", "equal"]);
}
