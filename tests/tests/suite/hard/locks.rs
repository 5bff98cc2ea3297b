//! Locks that others hold: at the fence, at the cutover, by sessions and by prepared transactions. Whoever is in the way is named,
//! and the application never queues behind the run for long.

use super::{BLOCKED, DONE, assert_is_hypertable, call};
use crate::support::{Positions, RowsSeen, rows_seen, target_database};
use hyperhaul_testkit::{Client, TestDatabase};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const PATIENCE: &str = "--lock-timeout 300ms --lock-attempts 3";

const WRITE: &str = "INSERT INTO positions (received_at, aircraft_id, packet) VALUES ('2025-12-11 12:00+00', 1, 'new')";

async fn positions(prefix: &str) -> (TestDatabase, RowsSeen) {
    let database = target_database(prefix).await;
    Positions {
        days: 2,
        rows_per_day: 100,
        packet_bytes: 32,
    }
    .create(&database)
    .await;
    let before = rows_seen(&database, Positions::ROWS).await;
    (database, before)
}

/// A session that did something in a transaction and sits there.
async fn sits_on(database: &TestDatabase, statement: &str) -> (Client, i32) {
    let session = database.connect().await.unwrap();
    session
        .batch_execute(&format!(
            "SET application_name = 'nightly report'; BEGIN; {statement}"
        ))
        .await
        .unwrap();
    let pid = session
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0);
    (session, pid)
}

/// Runs a query of an application again and again until told to stop. Each must end well within a time that a queue
/// behind endless attempts would take. Gives how many went through.
async fn application(
    database: &TestDatabase,
    sql: &'static str,
    stop: Arc<AtomicBool>,
) -> tokio::task::JoinHandle<u32> {
    let session = database.connect().await.unwrap();
    session
        .batch_execute("SET statement_timeout = '20s'")
        .await
        .unwrap();
    tokio::spawn(async move {
        let mut done = 0;
        while !stop.load(Ordering::Relaxed) {
            session
                .batch_execute(sql)
                .await
                .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
            done += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        done
    })
}

#[tokio::test]
async fn a_session_that_has_written_stops_the_fence_and_is_named() {
    let (database, before) = positions("fence_lock").await;
    let (holder, pid) = sits_on(&database, WRITE).await;
    let stop = Arc::new(AtomicBool::new(false));
    let reads = application(&database, "SELECT count(*) FROM positions", stop.clone()).await;
    let writes = application(
        &database,
        "UPDATE positions SET altitude_feet = altitude_feet WHERE id = 3",
        stop.clone(),
    )
    .await;
    let ended = call(&format!("migrate {PATIENCE}"), &database)
        .table("positions")
        .run()
        .await;
    stop.store(true, Ordering::Relaxed);
    ended.expect_code(BLOCKED).expect_printed(&[
        "could not keep writers off public.positions",
        &format!("pid {pid}"),
        "nightly report",
        "idle in transaction",
        "pg_terminate_backend",
    ]);
    assert!(
        reads.await.unwrap() > 0 && writes.await.unwrap() > 0,
        "the application got through"
    );
    holder.batch_execute("ROLLBACK").await.unwrap();
    call("migrate", &database).run().await.expect_code(DONE);
    assert_eq!(rows_seen(&database, Positions::ROWS).await, before);
}

#[tokio::test]
async fn a_session_that_has_read_stops_the_cutover_only_and_is_named() {
    let (database, before) = positions("cutover_lock").await;
    let (holder, pid) = sits_on(&database, "SELECT count(*) FROM positions").await;
    let stop = Arc::new(AtomicBool::new(false));
    let reads = application(&database, "SELECT count(*) FROM positions", stop.clone()).await;
    let ended = call(&format!("migrate {PATIENCE}"), &database)
        .table("positions")
        .run()
        .await;
    stop.store(true, Ordering::Relaxed);
    ended.expect_code(BLOCKED).expect_printed(&[
        "could not put the hypertables in the tables' places",
        &format!("pid {pid}"),
        "nightly report",
        "idle in transaction",
    ]);
    assert!(reads.await.unwrap() > 0, "readers got through");
    assert_eq!(rows_seen(&database, Positions::ROWS).await, before);
    let kind: i8 = database
        .value("SELECT relkind FROM pg_class WHERE oid = 'public.positions'::regclass")
        .await
        .unwrap();
    assert_eq!(kind, b'p' as i8, "nothing was cut over");
    holder.batch_execute("COMMIT").await.unwrap();
    call("migrate", &database).run().await.expect_code(DONE);
    assert_eq!(rows_seen(&database, Positions::ROWS).await, before);
    assert_is_hypertable(&database, "positions").await;
}

#[tokio::test]
async fn a_lock_that_goes_between_two_attempts_does_not_stop_the_run() {
    let (database, before) = positions("passing_lock").await;
    let (holder, _) = sits_on(&database, "SELECT count(*) FROM positions").await;
    let running = call("migrate --lock-timeout 300ms --lock-attempts 50", &database)
        .table("positions")
        .spawn();
    let waits = "SELECT waitstart::text FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted
        AND mode = 'AccessExclusiveLock' AND application_name LIKE 'hyperhaul%' AND datname = current_database() AND waitstart IS NOT NULL";
    let mut attempts = BTreeSet::new();
    let watcher = database.connect().await.unwrap();
    while attempts.len() < 3 {
        attempts.extend(
            watcher
                .query(waits, &[])
                .await
                .unwrap()
                .iter()
                .map(|row| row.get::<_, String>(0)),
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    holder.batch_execute("COMMIT").await.unwrap();
    running
        .wait()
        .await
        .expect_code(DONE)
        .expect_printed(&["nightly report"]);
    assert_eq!(rows_seen(&database, Positions::ROWS).await, before);
}

#[tokio::test]
async fn a_prepared_transaction_is_found_beforehand_with_the_sql_that_ends_it() {
    let (database, before) = positions("prepared").await;
    let gid = database.name().to_owned();
    database
        .exec(&format!("BEGIN; {WRITE}; PREPARE TRANSACTION '{gid}'"))
        .await
        .unwrap();
    let resolution = format!("ROLLBACK PREPARED '{gid}'");
    call("check", &database)
        .table("positions")
        .run()
        .await
        .expect_code(BLOCKED)
        .expect_printed(&[
            "blocking_session",
            &resolution,
            &format!("COMMIT PREPARED '{gid}'"),
        ]);
    call("migrate", &database)
        .table("positions")
        .run()
        .await
        .expect_code(BLOCKED)
        .expect_printed(&[&gid]);
    database.exec(&resolution).await.unwrap();
    call("migrate", &database)
        .table("positions")
        .run()
        .await
        .expect_code(DONE);
    assert_eq!(rows_seen(&database, Positions::ROWS).await, before);
}

#[tokio::test]
async fn a_transaction_that_was_prepared_after_the_plan_is_named_at_the_fence() {
    let (database, before) = positions("prepared_late").await;
    call(&format!("plan {PATIENCE}"), &database)
        .table("positions")
        .run()
        .await
        .expect_code(DONE);
    let gid = database.name().to_owned();
    database
        .exec(&format!("BEGIN; {WRITE}; PREPARE TRANSACTION '{gid}'"))
        .await
        .unwrap();
    let ended = call("migrate", &database).run().await;
    database
        .exec(&format!("ROLLBACK PREPARED '{gid}'"))
        .await
        .unwrap();
    ended.expect_code(BLOCKED).expect_printed(&[
        "could not keep writers off",
        "a prepared transaction",
        "pg_prepared_xacts",
    ]);
    call("migrate", &database).run().await.expect_code(DONE);
    assert_eq!(rows_seen(&database, Positions::ROWS).await, before);
}
