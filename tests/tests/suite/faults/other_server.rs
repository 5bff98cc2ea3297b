//! Where the source is on another server its commits are apart from the ledger's: processes that are killed between the two, and
//! what they leave on the source.

use super::Moved;
use crate::support::{Positions, rows_seen, source_database, target_database};

async fn between_servers(name: &str, arguments: &str) -> Moved {
    let (source, target) = (source_database(name).await, target_database(name).await);
    let moved = Moved::new(source, Some(target), Positions::default()).await;
    moved.plan(&format!("--workers 2 {arguments}")).await;
    moved
}

#[tokio::test]
async fn a_rollback_killed_between_the_commits_of_two_servers_goes_on_there() {
    let moved = between_servers("away_killed_back", "").await;
    moved.call("migrate").run().await.expect_code(0);
    let marks = "SELECT count(*) FROM hyperhaul.step";
    let on_source = "SELECT count(*) FROM hyperhaul.run, jsonb_array_elements(plan -> 'steps') AS step \
                     WHERE step ->> 'side' = 'source'";
    let on_source: i64 = moved.target().value(on_source).await.unwrap();
    assert!(on_source > 0);
    let (mut between, mut time) = (0, 1);
    loop {
        let before: i64 = moved.target().value(marks).await.unwrap();
        let point = format!("step.after_commit:{time}");
        let ended = moved.call("rollback").failpoint(&point).run().await;
        if ended.code() == Some(0) {
            break;
        }
        ended.expect_killed();
        let settled = format!(
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name LIKE 'hyperhaul%') AND ({marks}) <= {before}"
        );
        moved
            .until("the killed process's sessions end", &settled)
            .await;
        // Undone on the source, and the mark is still there: the next time it is undone once more, and passed.
        let unmarked = before - moved.target().value::<i64>(marks).await.unwrap();
        if unmarked < time {
            between += 1;
            time = 2;
        } else {
            time = 1;
        }
    }
    assert_eq!(between, on_source);
    moved.assert_back().await;
    moved.plan("").await;
    moved.call("migrate").run().await.expect_code(0);
}

#[tokio::test]
async fn a_cleanup_of_two_servers_never_leaves_a_run_that_could_go_back_to_nothing() {
    let moved = between_servers("away_cleanup", "").await;
    moved.call("migrate").run().await.expect_code(0);
    let there = "SELECT to_regclass('public.positions') IS NOT NULL";
    let cleanup = || moved.call("cleanup --drop-source --yes");

    let view = "CREATE VIEW latest AS SELECT max(received_at) FROM positions";
    moved.source.exec(view).await.unwrap();
    let refused = cleanup().run().await;
    assert!(matches!(refused.code(), Some(1 | 3)), "{refused:?}");
    assert_eq!(moved.state().await, "done", "nothing was dropped");
    moved.source.exec("DROP VIEW latest").await.unwrap();

    let killed = cleanup().failpoint("cleanup.before_drop");
    killed.run().await.expect_killed();
    assert_eq!(moved.state().await, "cleaned up");
    assert!(moved.source.value::<bool>(there).await.unwrap());
    let back = moved.call("rollback").run().await;
    back.expect_code(2).expect_printed(&["is cleaned up"]);

    cleanup().run().await.expect_code(0);
    assert!(!moved.source.value::<bool>(there).await.unwrap());
    assert_eq!(
        rows_seen(moved.target(), Positions::ROWS).await,
        moved.before
    );
    let again = cleanup().run().await.expect_code(2);
    again.expect_printed(&["There is nothing left to drop"]);
}

#[tokio::test]
async fn what_a_killed_process_does_on_another_source_server_is_ended() {
    let moved = between_servers("away_left", "--lock-timeout 10min").await;
    let writer = moved.source.connect().await.unwrap();
    let write = "BEGIN; UPDATE positions SET packet = packet WHERE id = 1";
    writer.batch_execute(write).await.unwrap();
    let process = moved.call("migrate").spawn();
    let waits = "SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name LIKE 'hyperhaul%' AND wait_event_type = 'Lock'";
    let waiting = async || moved.source.value::<i32>(waits).await.unwrap();
    super::eventually("the fence waits", super::LIMIT, async || {
        waiting().await > 0
    })
    .await
    .unwrap();
    let left = waiting().await;
    process.signal("KILL");
    process.wait().await.expect_killed();
    assert_eq!(waiting().await, left, "the backend does not notice");
    let process = moved.call("migrate").spawn();
    let gone = format!("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {left})");
    super::eventually("it is ended", super::LIMIT, async || {
        moved.source.value::<bool>(&gone).await.unwrap()
    })
    .await
    .unwrap();
    writer.batch_execute("ROLLBACK").await.unwrap();
    process.wait().await.expect_code(0);
    moved.assert_moved().await;
}
