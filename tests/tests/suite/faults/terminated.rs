//! Sessions and servers go away under a running process.

use super::{HeldSlices, LIMIT, Moved, assert_clean_stop};
use crate::support::{Positions, source_database, target_database};
use hyperhaul_testkit::{Instance, Role, TestDatabase, eventually, skip};
use std::time::Duration;

const SEVERAL_SLICES: Positions = Positions {
    days: 4,
    rows_per_day: 10_000,
    packet_bytes: 250,
};

/// Ends one backend of hyperhaul whose name ends so, if there is one.
pub(crate) async fn terminate_one(database: &TestDatabase, name_end: &str) -> bool {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
               AND application_name LIKE 'hyperhaul %' AND application_name LIKE '%' || $1 ORDER BY random() LIMIT 1";
    let row = database.query(sql, &[&name_end]).await.unwrap();
    row.first().is_some_and(|row| row.get(0))
}

/// Of each purpose, how many backends are terminated: a run that goes on has to get through in the end.
const TERMINATIONS: u32 = 3;

#[tokio::test]
async fn any_backend_may_be_terminated() {
    // What opens a session, by the last word of its name; those of a line in one run.
    let together: [&[&str]; 4] = [
        &["lead"],
        &["worker", "reader"],
        &["guard", "step"],
        &["check", "chunks", "copy", "verify"],
    ];
    for purposes in together {
        let moved = Moved::within_one_database("terminated", SEVERAL_SLICES).await;
        let mut left: Vec<(&str, u32)> =
            purposes.iter().map(|name| (*name, TERMINATIONS)).collect();
        let mut process = moved.call("migrate").spawn();
        let mut stops = 0;
        while !process.has_ended() || !moved.is_done().await {
            for (purpose, left) in left.iter_mut().filter(|(_, left)| *left > 0) {
                if terminate_one(moved.target(), purpose).await {
                    *left -= 1;
                }
            }
            if process.has_ended() && !moved.is_done().await {
                let ended = process.wait().await;
                assert_clean_stop(&ended);
                stops += 1;
                assert!(stops <= TERMINATIONS * 4, "{purposes:?}: {ended:?}");
                process = moved.call("migrate").spawn();
            }
        }
        process.wait().await;
        // Those that live longest cannot be missed.
        for (purpose, left) in left {
            let hit = left < TERMINATIONS;
            assert!(
                hit || ["check", "chunks", "copy", "reader"].contains(&purpose),
                "{purpose} was not seen"
            );
        }
        moved.assert_moved().await;
    }
}

#[tokio::test]
async fn a_leaf_rewritten_when_the_guard_was_lost_is_cut_anew() {
    let positions = Positions {
        days: 1,
        rows_per_day: 20_000,
        packet_bytes: 250,
    };
    let database = target_database("guard_lost").await;
    positions.create(&database).await;
    // Half of the leaf is dead: a rewrite moves the other half into blocks that belong to other slices.
    database
        .exec("DELETE FROM positions WHERE id <= 10000")
        .await
        .unwrap();
    let moved = Moved {
        before: crate::support::rows_seen(&database, Positions::ROWS).await,
        source: database,
        other_target: None,
    };
    moved.plan("--workers 1 --lock-timeout 60s").await;
    let slices: i64 = moved
        .target()
        .value("SELECT count(*) FROM hyperhaul.slice")
        .await
        .unwrap();
    assert!(slices >= 4, "{slices} slices");
    moved
        .call("migrate")
        .failpoint("slice.claimed")
        .run()
        .await
        .expect_killed();

    // The worker reads its slice and waits to write it.
    let chunk: String = moved
        .target()
        .value(
            "SELECT format('%I.%I', chunk_schema, chunk_name) FROM timescaledb_information.chunks",
        )
        .await
        .unwrap();
    let holder = moved.target().connect().await.unwrap();
    holder
        .batch_execute(&format!("BEGIN; LOCK TABLE {chunk} IN SHARE MODE"))
        .await
        .unwrap();
    let process = moved.call("migrate").spawn();
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name LIKE 'hyperhaul % worker' AND wait_event_type = 'Lock')";
    moved.until("the worker waits for the chunk", waits).await;
    assert!(terminate_one(moved.target(), "guard").await);
    moved
        .source
        .exec("VACUUM FULL positions_p20251211")
        .await
        .unwrap();
    holder.batch_execute("COMMIT").await.unwrap();
    process.wait().await.expect_code(0);
    moved.assert_moved().await;
}

#[tokio::test]
async fn a_process_that_lost_the_lead_changes_nothing_after_a_rollback() {
    for apart in [false, true] {
        let moved = if apart {
            let (source, target) = (
                source_database("lead_lost").await,
                target_database("lead_lost").await,
            );
            Moved::new(source, Some(target), Positions::default()).await
        } else {
            Moved::new(
                target_database("lead_lost").await,
                None,
                Positions::default(),
            )
            .await
        };
        moved.plan("--lock-timeout 60s").await;
        // The fence waits for this writer.
        let writer = moved.source.connect().await.unwrap();
        let write = "BEGIN; UPDATE positions SET altitude_feet = altitude_feet WHERE id = 1";
        writer.batch_execute(write).await.unwrap();
        let process = moved.call("migrate").spawn();
        let waits = || async {
            let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                       AND application_name LIKE 'hyperhaul%step' AND wait_event_type = 'Lock')";
            moved.source.value::<bool>(sql).await.unwrap()
        };
        eventually("the fence waits", LIMIT, waits).await.unwrap();
        assert!(terminate_one(moved.target(), "lead").await);
        moved.call("rollback").run().await.expect_code(0);
        writer.batch_execute("COMMIT").await.unwrap();
        let ended = process.wait().await;
        assert_clean_stop(&ended);
        moved.assert_back().await;
    }
}

/// A table on one server of the instance, to be moved to the other.
async fn between(instance: &Instance) -> Moved {
    let source = TestDatabase::create(instance.url(Role::Source), "crash")
        .await
        .unwrap();
    let target = TestDatabase::create(instance.url(Role::Target), "crash")
        .await
        .unwrap();
    let target = target.with_extensions(&["timescaledb"]).await.unwrap();
    let moved = Moved::new(source, Some(target), SEVERAL_SLICES).await;
    moved.plan("--workers 2").await;
    moved
}

/// Servers of the test's own; `None`, and said so, where there can be none.
fn servers_to_crash(test: &str) -> Option<Instance> {
    match Instance::private("crash", &[Role::Source, Role::Target]) {
        Ok(instance) => Some(instance),
        Err(error) if error.is_unavailable() => {
            skip(test, &error);
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn slices_done(count: u32) -> String {
    format!("SELECT count(*) >= {count} FROM hyperhaul.slice WHERE done")
}

#[tokio::test]
async fn a_server_that_crashes_and_comes_back_is_waited_for() {
    let test = "a_server_that_crashes_and_comes_back_is_waited_for";
    let Some(instance) = servers_to_crash(test) else {
        return;
    };
    let moved = between(&instance).await;
    let held = HeldSlices::hold(&moved, "slice_id > 2").await;
    let process = moved.call("migrate").spawn();
    moved.until("a slice is done", &slices_done(1)).await;
    instance.crash(Role::Source).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    instance.start(Role::Source).unwrap();
    held.release().await;
    moved.until("another slice is done", &slices_done(4)).await;
    instance.crash(Role::Target).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    instance.start(Role::Target).unwrap();
    process
        .wait()
        .await
        .expect_code(0)
        .expect_printed(&["trying again"]);
    moved.assert_moved().await;
}

/// Two minutes of it are the time for which hyperhaul waits for a server.
#[tokio::test]
async fn servers_that_stay_away_stop_the_run_and_the_next_one_goes_on() {
    let test = "servers_that_stay_away_stop_the_run_and_the_next_one_goes_on";
    let Some(instance) = servers_to_crash(test) else {
        return;
    };
    let moved = between(&instance).await;
    let _held = HeldSlices::hold(&moved, "slice_id > 2").await;
    let process = moved.call("migrate").spawn();
    moved.until("a slice is done", &slices_done(1)).await;
    let roles = [Role::Source, Role::Target];
    for role in roles {
        instance.crash(role).unwrap();
    }
    let ended = process
        .wait()
        .await
        .expect_code(1)
        .expect_printed(&["HINT:"]);
    assert_clean_stop(&ended);
    for role in roles {
        instance.start(role).unwrap();
    }
    moved.assert_wholly_in_or_out().await;
    moved.call("migrate").run().await.expect_code(0);
    moved.assert_moved().await;
}
