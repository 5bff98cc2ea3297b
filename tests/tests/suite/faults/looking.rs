//! A rollback looks at the hypertable before it undoes anything: while it looks, and when it is killed there, nothing is lost, and it
//! can be seen that writers are off.

use super::{LIMIT, Moved};
use crate::support::{Positions, Running, assert_each_slice_done_once, rows_seen};
use hyperhaul_testkit::{Client, eventually};

const NEW: &str = "INSERT INTO positions (received_at, aircraft_id, packet) VALUES ('2025-12-11 12:00+00', 1, 'new')";

async fn migrated(name: &str) -> Moved {
    let moved = Moved::within_one_database(name, Positions::default()).await;
    moved.call("migrate").run().await.expect_code(0);
    moved
}

/// A rollback whose look stands still at a chunk that the session holds.
async fn looking(moved: &Moved) -> (Running, Client) {
    let holder = moved.target().connect().await.unwrap();
    let chunk: String = moved
        .target()
        .value("SELECT show_chunks('positions')::text LIMIT 1")
        .await
        .unwrap();
    let hold = format!("BEGIN; LOCK TABLE {chunk} IN ACCESS EXCLUSIVE MODE");
    holder.batch_execute(&hold).await.unwrap();
    let back = moved.call("rollback").spawn();
    let looking = || async { moved.state().await == "checking rollback" };
    eventually("the rollback looks", LIMIT, looking)
        .await
        .unwrap();
    (back, holder)
}

#[tokio::test]
async fn a_rollback_that_is_killed_behind_its_fence_shows_it_and_can_be_finished_or_called_off() {
    let moved = migrated("look_killed").await;
    for finish in [false, true] {
        moved
            .call("rollback")
            .failpoint("rollback.fenced")
            .run()
            .await
            .expect_killed();
        assert_eq!(moved.state().await, "checking rollback");
        assert!(moved.target().exec(NEW).await.is_err(), "writers are off");
        moved
            .call("status")
            .run()
            .await
            .expect_code(0)
            .expect_printed(&[
                "checking rollback",
                "Writers are kept off",
                "hyperhaul migrate --run 1",
            ]);
        moved
            .call("cleanup --yes")
            .run()
            .await
            .expect_code(3)
            .expect_printed(&["checking rollback", "hyperhaul rollback"]);
        moved
            .call("plan")
            .table("positions")
            .run()
            .await
            .expect_code(3)
            .expect_printed(&["under way"]);
        if finish {
            moved.call("rollback").run().await.expect_code(0);
        } else {
            moved.call("migrate").run().await.expect_code(0);
            assert_eq!(moved.state().await, "done");
            let write = format!("{NEW}; DELETE FROM positions WHERE packet = 'new'");
            moved.target().exec(&write).await.unwrap();
            assert_each_slice_done_once(moved.target()).await;
        }
    }
    moved.assert_back().await;
}

#[tokio::test]
async fn a_look_that_finds_new_rows_lets_writers_on_again() {
    let moved = migrated("look_found").await;
    moved.target().exec(NEW).await.unwrap();
    moved.call("rollback").run().await.expect_code(3);
    assert_eq!(moved.state().await, "done");
    moved.target().exec(NEW).await.unwrap();
    let left = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'hyperhaul%' AND tgrelid = 'positions'::regclass";
    assert_eq!(moved.target().value::<i64>(left).await.unwrap(), 0);
}

#[tokio::test]
async fn a_write_while_a_rollback_looks_is_refused_and_not_lost() {
    let moved = migrated("look_written").await;
    let (back, holder) = looking(&moved).await;
    // Into a chunk that nobody holds.
    let write = NEW.replace("12-11", "12-14");
    let refused = moved.target().exec(&write).await;
    assert!(refused.is_err(), "a row would be in no look, and lost");
    holder.batch_execute("COMMIT").await.unwrap();
    back.wait().await.expect_code(0);
    assert_eq!(
        rows_seen(&moved.source, Positions::ROWS).await,
        moved.before
    );
    moved.assert_back().await;
}

#[tokio::test]
async fn an_interrupted_look_lets_writers_on_again_and_names_rollback() {
    let moved = migrated("look_interrupted").await;
    let (back, holder) = looking(&moved).await;
    back.signal("INT");
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    back.signal("INT");
    back.wait()
        .await
        .expect_code(6)
        .expect_printed(&["Run hyperhaul rollback again"]);
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(moved.state().await, "done");
    moved.target().exec(NEW).await.unwrap();
}
