//! The way back from every moment of a run whose history follows, and what `status` and `plan` say there.

use super::{backfill, cut_over};
use crate::faults::{HeldSlices, Moved};
use crate::support::{Positions, rows_seen, target_database};
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

/// Takes the run past its cutover, one slice further or to where all are in.
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

const MOMENTS: [&str; 4] = ["cutover", "slice", "slices", "end"];

#[tokio::test]
async fn without_live_rows_the_old_table_comes_back_from_every_moment() {
    for moment in MOMENTS {
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
        // With the row that it has taken.
        let again = Moved::of(moved.source, None).await;
        again.call(START).run().await.expect_code(0);
        assert_eq!(
            rows_seen(&again.source, Positions::ROWS).await,
            again.before
        );
    }
}

#[tokio::test]
async fn live_rows_stop_a_rollback_and_the_run_goes_on() {
    for moment in MOMENTS {
        let moved = positions(&format!("back_live_{moment}")).await;
        to(moment, &moved).await;
        moved.source.exec(LIVE).await.unwrap();
        for _ in 0..2 {
            let stopped = moved.call("rollback").run().await.expect_code(3);
            stopped.expect_printed(&["was written to since the cutover", "--discard-new-rows"]);
            // Writers are let on again.
            moved.source.exec(LIVE).await.unwrap();
        }
        if moment != "end" {
            assert_eq!(moved.state().await, "running");
            moved.call("migrate").run().await.expect_code(0);
        }
        moved.call("verify").run().await.expect_code(0);
        let rows = "SELECT count(*) FROM positions";
        assert_eq!(
            moved.source.value::<i64>(rows).await.unwrap(),
            2_003,
            "{moment}"
        );
    }
}

#[tokio::test]
async fn live_rows_can_be_given_up_from_every_moment() {
    for moment in MOMENTS {
        let moved = positions(&format!("back_discard_{moment}")).await;
        to(moment, &moved).await;
        moved.source.exec(LIVE).await.unwrap();
        let back = moved.call("rollback --discard-new-rows").run().await;
        back.expect_code(0);
        moved.assert_back().await;
    }
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

/// What `status` says of a run in the middle of its backfill, and what not.
#[tokio::test]
async fn status_and_plan_say_where_the_history_is() {
    let moved = positions("back_status").await;
    let plan = moved
        .call("plan --mode backfill --workers 2")
        .table("positions");
    let planned = plan.run().await.expect_code(0);
    println!("{}", planned.stdout);
    let sql = moved.call("plan --mode backfill --sql").table("positions");
    println!("{}", sql.run().await.expect_code(0).stdout);
    for moment in MOMENTS {
        let moved = positions(&format!("back_status_{moment}")).await;
        to(moment, &moved).await;
        let status = moved.call("status").run().await.expect_code(0);
        println!("--- {moment}\n{}", status.stdout);
    }
}
