//! The connection is lost around COMMIT: before the server sees it, or when the server has answered. Nobody but the ledger
//! knows which.

use super::{HeldSlices, LIMIT, Moved};
use crate::support::Positions;
use hyperhaul_testkit::{Cut, Proxy, eventually};

pub(crate) fn before_commit() -> Cut {
    Cut::Before("COMMIT".to_owned())
}

pub(crate) fn answer_to_commit() -> Cut {
    Cut::AnswerTo("COMMIT".to_owned())
}

#[tokio::test]
async fn a_slice_whose_commit_or_its_answer_is_lost_is_done_once() {
    for cut in [before_commit(), answer_to_commit()] {
        let positions = Positions {
            days: 2,
            rows_per_day: 8_000,
            packet_bytes: 250,
        };
        let moved = Moved::within_one_database("lost_slice", positions).await;
        let chunks = "SELECT EXISTS (SELECT FROM hyperhaul.step WHERE step_id LIKE 'chunks:%')";
        lose_a_slice(&moved, cut, chunks).await;
        moved.assert_moved().await;
    }
}

/// Migrates, and loses a slice's COMMIT. `ready`: when all that comes before slices is committed.
pub(crate) async fn lose_a_slice(moved: &Moved, cut: Cut, ready: &str) {
    let proxy = Proxy::start(moved.source.url()).unwrap();
    // The first COMMIT after the release is a slice's.
    let held = HeldSlices::hold(moved, "true").await;
    let process = moved
        .call_through("migrate", proxy.url(), proxy.url())
        .spawn();
    moved.until("slices are to come", ready).await;
    proxy.arm(cut.clone());
    assert_eq!(proxy.fired_count(), 0);
    held.release().await;
    process.wait().await.expect_code(0);
    assert_eq!(proxy.fired_count(), 1, "{cut:?}");
}

/// Every step of a migration and then of its rollback, the cutover among them, in a process of its own: the first COMMIT of that
/// process is lost, and it is killed at `point`, when it has found out.
async fn lose_at_every_step(name: &str, cut: Cut, point: &str) {
    let moved = Moved::within_one_database(name, Positions::default()).await;
    let proxy = Proxy::start(moved.source.url()).unwrap();
    let marked = || async {
        moved
            .target()
            .value::<i64>("SELECT count(*) FROM hyperhaul.step")
            .await
            .unwrap()
    };
    for command in ["migrate", "rollback"] {
        let mut processes = 0;
        loop {
            let before = marked().await;
            let fired = proxy.fired_count();
            proxy.arm(cut.clone());
            let ended = moved
                .call_through(command, proxy.url(), proxy.url())
                .failpoint(point)
                .run()
                .await;
            processes += 1;
            if ended.code() == Some(0) {
                break;
            }
            ended.expect_killed();
            assert_eq!(
                proxy.fired_count(),
                fired + 1,
                "{command} after {before} marks"
            );
            assert!(
                marked().await.abs_diff(before) >= 1,
                "{command} does not move on"
            );
        }
        assert!(processes > 8, "{processes} processes");
        match command {
            "migrate" => moved.assert_moved().await,
            _ => moved.assert_back().await,
        }
    }
}

#[tokio::test]
async fn a_step_whose_commit_is_lost_on_the_way_is_carried_out_again() {
    lose_at_every_step("lost_step", before_commit(), "step.after_commit").await;
}

#[tokio::test]
async fn a_step_whose_commit_was_not_answered_is_not_carried_out_again() {
    // The second time that a process is about to commit a step, the first one's outcome is settled.
    lose_at_every_step("lost_answer", answer_to_commit(), "step.before_commit:2").await;
}

#[tokio::test]
async fn a_cutover_whose_commit_was_not_answered_has_happened_once() {
    let moved = Moved::within_one_database("lost_cutover", Positions::default()).await;
    lose_the_cutover(&moved).await;
    moved.assert_moved().await;
}

/// Migrates, and loses the answer to the cutover's COMMIT.
pub(crate) async fn lose_the_cutover(moved: &Moved) {
    let steps = "SELECT n FROM hyperhaul.run, jsonb_array_elements(plan -> 'steps') WITH ORDINALITY AS step(step, n) \
                 WHERE step ->> 'id' LIKE 'cutover:%'";
    let number: i64 = moved.target().value(steps).await.unwrap();
    moved
        .call("migrate")
        .failpoint(&format!("step.before_commit:{number}"))
        .run()
        .await
        .expect_killed();
    let proxy = Proxy::start(moved.source.url()).unwrap();
    proxy.arm(answer_to_commit());
    moved
        .call_through("migrate", proxy.url(), proxy.url())
        .run()
        .await
        .expect_code(0);
    assert_eq!(proxy.fired_count(), 1);
}

/// Waits until so many of the proxy's cuts have happened.
async fn cut(proxy: &Proxy, count: usize) {
    eventually("the answer is lost", LIMIT, async || {
        proxy.fired_count() == count
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_change_of_the_runs_state_that_was_not_answered_has_happened() {
    let moved = Moved::within_one_database("lost_state", Positions::default()).await;
    let proxy = Proxy::start(moved.source.url()).unwrap();
    let change = || Cut::AnswerTo("UPDATE hyperhaul.run SET state".to_owned());
    // The first change and the last one of a migration.
    let held = HeldSlices::hold(&moved, "true").await;
    proxy.arm(change());
    let process = moved
        .call_through("migrate", proxy.url(), proxy.url())
        .spawn();
    cut(&proxy, 1).await;
    let chunks = "SELECT EXISTS (SELECT FROM hyperhaul.step WHERE step_id LIKE 'chunks:%')";
    moved.until("chunks are made", chunks).await;
    proxy.arm(change());
    held.release().await;
    process.wait().await.expect_code(0);
    assert_eq!(proxy.fired_count(), 2);
    moved.assert_moved().await;

    // Those of a rollback that goes on where another one was killed: its last step but one needs what is held.
    moved
        .call("rollback")
        .failpoint("step.before_commit")
        .run()
        .await
        .expect_killed();
    let holder = moved.source.connect().await.unwrap();
    let lock = "BEGIN; LOCK TABLE aircraft IN ACCESS EXCLUSIVE MODE";
    holder.batch_execute(lock).await.unwrap();
    proxy.arm(change());
    let process = moved
        .call_through("rollback", proxy.url(), proxy.url())
        .spawn();
    cut(&proxy, 3).await;
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name LIKE 'hyperhaul run % step' AND wait_event_type = 'Lock')";
    moved.until("a step waits", waits).await;
    proxy.arm(change());
    holder.batch_execute("COMMIT").await.unwrap();
    process.wait().await.expect_code(0);
    assert_eq!(proxy.fired_count(), 4);
    moved.assert_back().await;
}
