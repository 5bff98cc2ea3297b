//! The process is killed: at every named point, at every step on the way there and back, from outside at any moment.

use super::{AROUND_SLICES, LIMIT, Moved, SEVERAL_SLICES};
use crate::support::Positions;
use hyperhaul_testkit::eventually;
use std::time::Duration;

#[tokio::test]
async fn a_process_killed_around_chunks_and_slices_leaves_them_wholly_in_or_out() {
    let moved = Moved::within_one_database("kill_slices", SEVERAL_SLICES).await;
    let slices: i64 = moved
        .target()
        .value("SELECT count(*) FROM hyperhaul.slice")
        .await
        .unwrap();
    assert!(slices >= 6, "{slices} slices");
    moved.killed_at_each(&AROUND_SLICES).await;
    moved.call("migrate").run().await.expect_code(0);
    moved.assert_moved().await;
}

#[tokio::test]
async fn a_process_killed_before_and_after_the_commit_of_every_step_goes_on_there() {
    let moved = Moved::within_one_database("kill_steps", Positions::default()).await;
    let steps: i64 = moved
        .target()
        .value("SELECT jsonb_array_length(plan -> 'steps')::bigint FROM hyperhaul.run")
        .await
        .unwrap();
    for done in 0..steps {
        for (point, marked) in [
            ("step.before_commit", done),
            ("step.after_commit", done + 1),
        ] {
            moved
                .call("migrate")
                .failpoint(point)
                .run()
                .await
                .expect_killed();
            // The killed process's backend may be about to end.
            let sql = format!("SELECT count(*) = {marked} FROM hyperhaul.step");
            moved.until("steps are marked one by one", &sql).await;
        }
    }
    moved.call("migrate").run().await.expect_code(0);
    moved.assert_moved().await;
}

#[tokio::test]
async fn a_rollback_killed_before_and_after_the_commit_of_every_inverse_goes_on_there() {
    let moved = Moved::within_one_database("kill_rollback", Positions::default()).await;
    moved.call("migrate").run().await.expect_code(0);
    let steps: i64 = moved
        .target()
        .value("SELECT count(*) FROM hyperhaul.step")
        .await
        .unwrap();
    for undone in 0..steps {
        for (point, left) in [
            ("step.before_commit", steps - undone),
            ("step.after_commit", steps - undone - 1),
        ] {
            moved
                .call("rollback")
                .failpoint(point)
                .run()
                .await
                .expect_killed();
            let sql = format!("SELECT count(*) = {left} FROM hyperhaul.step");
            moved.until("marks go one by one", &sql).await;
        }
        if undone == steps / 2 {
            // Half-way back there is no way forward.
            moved
                .call("migrate")
                .table("positions")
                .run()
                .await
                .expect_code(3)
                .expect_printed(&["hyperhaul rollback"]);
        }
    }
    moved.call("rollback").run().await.expect_code(0);
    moved.assert_back().await;
    // And the way forward is open again.
    moved
        .call("migrate")
        .table("positions")
        .run()
        .await
        .expect_code(0);
}

#[tokio::test]
async fn a_process_killed_while_it_builds_an_index_leaves_no_backend_that_goes_on() {
    let moved = Moved::new(
        crate::support::target_database("kill_index").await,
        None,
        Positions::default(),
    )
    .await;
    moved.slow_down("altitude_feet", 0.05).await;
    moved.plan("--workers 2").await;
    let process = moved.call("migrate").spawn();
    let building = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' \
                    AND application_name LIKE 'hyperhaul%' AND query LIKE 'CREATE INDEX%slow%')";
    moved.until("the index is being built", building).await;
    process.signal("KILL");
    process.wait().await.expect_killed();
    assert!(
        moved.target().value::<bool>(building).await.unwrap(),
        "the backend does not notice"
    );
    moved.speed_up().await;
    moved.call("migrate").run().await.expect_code(0);
    moved.assert_moved().await;
}

#[tokio::test]
async fn kills_at_any_moment_lose_and_double_nothing() {
    const ROUNDS: u64 = 10;
    let positions = Positions {
        days: 6,
        rows_per_day: 20_000,
        packet_bytes: 250,
    };
    let moved = Moved::within_one_database("kill_any_moment", positions).await;
    // The delays of a run are always the same; the moments that they hit are not.
    let mut seed: u64 = 20_251_211;
    for _ in 0..ROUNDS {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let process = moved.call("migrate").spawn();
        tokio::time::sleep(Duration::from_millis(150 + (seed >> 33) % 900)).await;
        process.signal("KILL");
        process.wait().await;
        if moved.is_done().await {
            break;
        }
        moved.assert_wholly_in_or_out().await;
    }
    if !moved.is_done().await {
        moved.call("migrate").run().await.expect_code(0);
    }
    moved.assert_moved().await;
    let back = moved.call("rollback").spawn();
    let begun = || async { moved.state().await != "done" };
    eventually("the rollback begins", LIMIT, begun)
        .await
        .unwrap();
    back.signal("KILL");
    back.wait().await;
    if moved.state().await != "rolled back" {
        moved.call("rollback").run().await.expect_code(0);
    }
    moved.assert_back().await;
}
