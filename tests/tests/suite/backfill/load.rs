//! Rows that come in all the time, beside slices of history: every one of both once, and nobody is refused for a deadlock.

use super::writers::{LIMIT, PARTITION_OF_NOW, Writers, assert_history_is_coming, until_cut_over};
use crate::faults::{HeldSlices, Moved};
use crate::support::{Positions, target_database};
use hyperhaul_testkit::{connect, eventually};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinSet;

const DAYS: u32 = 3;

/// Several slices a day.
const HISTORY: Positions = Positions {
    days: DAYS,
    rows_per_day: 8_000,
    packet_bytes: 250,
};

#[tokio::test]
async fn rows_that_come_in_all_the_time_are_there_once_beside_the_history() {
    for strategy in ["server", "copy"] {
        let database = target_database("backfill_load").await;
        HISTORY.create(&database).await;
        database.exec(PARTITION_OF_NOW).await.unwrap();
        let moved = Moved::of(database, None).await;
        let writers = Writers::start(&moved, 4, DAYS).await;
        moved
            .plan(&format!(
                "--mode backfill --workers 2 --strategy {strategy}"
            ))
            .await;
        let held = HeldSlices::hold(&moved, "slice_id > 3").await;
        let migrating = moved.call("migrate").spawn();
        until_cut_over(&moved).await;
        writers.until_more(200).await;
        assert!(writers.fenced() > 0);
        assert_history_is_coming(&moved).await;
        held.release().await;
        migrating.wait().await.expect_code(0);
        writers.until_more(50).await;
        writers.stop().await.assert_all_there(&moved).await;
    }
}

/// Sessions that insert rows which history has as well.
const SESSIONS: i64 = 4;
/// Rows of a transaction, later keys first, while slices go the other way.
const ROWS_OF_TRANSACTION: i64 = 3;

#[derive(Default)]
struct Met {
    stop: AtomicBool,
    /// Rows of history that were inserted before their slice came.
    inserted: AtomicUsize,
    /// Transactions that found a key of theirs there.
    refused: AtomicUsize,
}

#[tokio::test]
async fn rows_that_history_has_as_well_are_there_once() {
    meet("server").await;
}

#[tokio::test]
async fn rows_that_history_has_as_well_are_there_once_where_it_is_copied() {
    meet("copy").await;
}

async fn meet(strategy: &str) {
    let moved = Moved::new(target_database("backfill_meet").await, None, HISTORY).await;
    moved
        .plan(&format!(
            "--mode backfill --workers 2 --strategy {strategy}"
        ))
        .await;
    let held = HeldSlices::hold(&moved, "true").await;
    let migrating = moved.call("migrate").spawn();
    until_cut_over(&moved).await;
    let met = Arc::new(Met::default());
    let mut sessions = JoinSet::new();
    for session in 0..SESSIONS {
        sessions.spawn(insert_history(
            moved.target().url().to_owned(),
            session,
            met.clone(),
        ));
    }
    let some = async |count: &AtomicUsize| {
        let some = async || count.load(Ordering::Relaxed) > 50;
        eventually("keys meet", LIMIT, some).await.unwrap();
    };
    some(&met.inserted).await;
    assert_history_is_coming(&moved).await;
    held.release().await;
    migrating.wait().await.expect_code(0);
    some(&met.refused).await;
    met.stop.store(true, Ordering::Relaxed);
    sessions.join_all().await;
    moved.assert_moved().await;
    let skipped = "SELECT sum(skipped_count)::bigint FROM hyperhaul.slice";
    let skipped: i64 = moved.target().value(skipped).await.unwrap();
    assert_eq!(
        usize::try_from(skipped).unwrap(),
        met.inserted.load(Ordering::Relaxed)
    );
}

/// Goes through the rows of history that are this session's, all days at once; a transaction stays open for a while. Every other one
/// leaves out what is there.
async fn insert_history(url: String, session: i64, met: Arc<Met>) {
    let rows = i64::from(HISTORY.rows_per_day * DAYS);
    let client = connect(&url).await.unwrap();
    for transaction in 0.. {
        if met.stop.load(Ordering::Relaxed) {
            return;
        }
        let leave_out = if transaction % 2 == 0 {
            " ON CONFLICT DO NOTHING"
        } else {
            ""
        };
        let first = (transaction * 7_919 * SESSIONS + session) % rows;
        let mut statements = vec!["BEGIN".to_owned()];
        for row in (0..ROWS_OF_TRANSACTION).rev() {
            let id = (first + row * 250 * SESSIONS) % rows + 1;
            statements.push(format!(
                "INSERT INTO positions SELECT * FROM hyperhaul_old_public.positions WHERE id = {id}{leave_out}"
            ));
            statements.push("SELECT pg_sleep(0.02)".to_owned());
        }
        let mut inserted = 0;
        let done = async {
            for statement in &statements {
                let changed = client.execute(statement.as_str(), &[]).await?;
                inserted += match statement.starts_with("INSERT") {
                    true => usize::try_from(changed).unwrap(),
                    false => 0,
                };
            }
            client.execute("COMMIT", &[]).await
        };
        match done.await {
            Ok(_) => met.inserted.fetch_add(inserted, Ordering::Relaxed),
            Err(error) => {
                let code = error.code().map(|code| code.code());
                assert_eq!(code, Some("23505"), "{error:?}");
                client.execute("ROLLBACK", &[]).await.unwrap();
                met.refused.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}
