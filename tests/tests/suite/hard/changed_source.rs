//! Leaves that change while a run is under way, or between a plan and its run: rewritten, added, dropped, detached.

use super::{
    BLOCKED, DONE, assert_is_hypertable, assert_newest_run_did_each_slice_once, call, refused,
};
use crate::support::{Hyperhaul, Positions, RowsSeen, Running, rows_seen, target_database};
use hyperhaul_testkit::{Client, TestDatabase, eventually};
use std::time::Duration;

/// Four slices a leaf, one after another.
const CUT: &str = "--slice-size 64KiB --workers 1";

/// The leaf that is copied first: slices of one size go in the order of names.
const FIRST: &str = "positions_p20251211";
const SECOND: &str = "positions_p20251212";

async fn positions(prefix: &str) -> (TestDatabase, RowsSeen) {
    let database = target_database(prefix).await;
    Positions {
        days: 3,
        rows_per_day: 1000,
        packet_bytes: 200,
    }
    .create(&database)
    .await;
    let before = rows_seen(&database, Positions::ROWS).await;
    (database, before)
}

/// Rewrites a leaf so that its rows lie in the opposite order: what was in its first blocks is in its last ones.
async fn reverse(database: &TestDatabase, leaf: &str) {
    let sql = format!(
        "CREATE INDEX reverse_{leaf} ON {leaf} (received_at DESC); CLUSTER {leaf} USING reverse_{leaf}; DROP INDEX reverse_{leaf}"
    );
    database.exec(&sql).await.unwrap();
    let first_id: i64 = database
        .value(&format!("SELECT id FROM {leaf} WHERE ctid = '(0,1)'"))
        .await
        .unwrap();
    let least_id: i64 = database
        .value(&format!("SELECT min(id) FROM {leaf}"))
        .await
        .unwrap();
    assert_ne!(first_id, least_id, "{leaf} was to be reversed");
}

/// Migrates until `slices` of them are copied, and is killed there.
async fn copy_some(database: &TestDatabase, options: &str, slices: u32) {
    let failpoint = format!("slice.after_commit:{slices}");
    let migrate = call(&format!("migrate {options}"), database)
        .table("positions")
        .failpoint(&failpoint);
    migrate.run().await.expect_killed();
}

async fn slices_done(database: &TestDatabase, leaf: &str) -> (i64, i64) {
    let sql = format!(
        "SELECT count(*) FILTER (WHERE done), count(*) FROM hyperhaul.slice WHERE leaf_oid = '{leaf}'::regclass"
    );
    let row = database.query_one(&sql, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

async fn assert_goes_on_to_equality(database: &TestDatabase, before: &RowsSeen) {
    call("migrate", database).run().await.expect_code(DONE);
    assert_eq!(rows_seen(database, Positions::ROWS).await, *before);
    assert_newest_run_did_each_slice_once(database).await;
    assert_is_hypertable(database, "positions").await;
}

#[tokio::test]
async fn a_leaf_rewritten_before_it_was_begun_is_cut_anew() {
    let (database, _) = positions("rewritten_before").await;
    call(&format!("plan {CUT}"), &database)
        .table("positions")
        .run()
        .await
        .expect_code(DONE);
    // Rows of the leaf change too: the application may still write.
    database
        .exec(&format!("DELETE FROM {FIRST} WHERE id % 3 = 0"))
        .await
        .unwrap();
    reverse(&database, FIRST).await;
    let before = rows_seen(&database, Positions::ROWS).await;
    assert_goes_on_to_equality(&database, &before).await;
}

#[tokio::test]
async fn a_half_copied_leaf_that_is_rewritten_is_copied_anew() {
    let (database, before) = positions("rewritten_half").await;
    copy_some(&database, CUT, 2).await;
    let (done, all) = slices_done(&database, FIRST).await;
    assert!(0 < done && done < all, "{done} of {all} slices");
    reverse(&database, FIRST).await;
    assert_goes_on_to_equality(&database, &before).await;
}

#[tokio::test]
async fn a_wholly_copied_leaf_that_is_rewritten_is_not_copied_again() {
    let (database, before) = positions("rewritten_after").await;
    call(&format!("plan {CUT}"), &database)
        .table("positions")
        .run()
        .await
        .expect_code(DONE);
    let slices = slices_done(&database, FIRST).await.1;
    assert!(slices > 1);
    copy_some(&database, CUT, u32::try_from(slices).unwrap()).await;
    assert_eq!(slices_done(&database, FIRST).await, (slices, slices));
    let leaf: u32 = database
        .value(&format!("SELECT '{FIRST}'::regclass::oid"))
        .await
        .unwrap();
    let finished =
        format!("SELECT max(finished_at)::text FROM hyperhaul.slice WHERE leaf_oid = {leaf}");
    let finished_before: String = database.value(&finished).await.unwrap();
    reverse(&database, FIRST).await;
    assert_goes_on_to_equality(&database, &before).await;
    assert_eq!(
        database.value::<String>(&finished).await.unwrap(),
        finished_before
    );
}

#[tokio::test]
async fn a_half_copied_leaf_whose_chunk_others_share_stops_the_run_clearly() {
    let (database, before) = positions("rewritten_shared").await;
    let options = "--slice-size 64KiB --workers 1 --chunk-interval 30days";
    call(&format!("plan {options}"), &database)
        .table("positions")
        .run()
        .await
        .expect_code(DONE);
    let first = slices_done(&database, FIRST).await.1;
    copy_some(&database, options, u32::try_from(first + 1).unwrap()).await;
    assert_eq!(slices_done(&database, SECOND).await.0, 1);
    reverse(&database, SECOND).await;
    call("migrate", &database)
        .run()
        .await
        .expect_code(BLOCKED)
        .expect_printed(&[
            SECOND,
            "was rewritten when it was half copied",
            "cannot be told from those of other leaves",
            "hyperhaul rollback",
        ]);
    call("rollback", &database).run().await.expect_code(DONE);
    assert_eq!(rows_seen(&database, Positions::ROWS).await, before);
    call(&format!("migrate {options}"), &database)
        .table("positions")
        .run()
        .await
        .expect_code(DONE);
    assert_eq!(rows_seen(&database, Positions::ROWS).await, before);
}

/// A change of the leaves, how it is undone, and what is said of it.
const CHANGES: [(&str, Option<&str>, &str); 3] = [
    (
        "CREATE TABLE positions_new PARTITION OF positions FOR VALUES FROM ('2025-12-20 00:00+00') TO ('2025-12-21 00:00+00')",
        Some("DROP TABLE positions_new"),
        "partition public.positions_new of public.positions is new",
    ),
    (
        "ALTER TABLE positions DETACH PARTITION positions_p20251212",
        Some(
            "ALTER TABLE positions ATTACH PARTITION positions_p20251212 \
             FOR VALUES FROM ('2025-12-12 00:00+00') TO ('2025-12-13 00:00+00')",
        ),
        "partition public.positions_p20251212 of public.positions is gone",
    ),
    (
        "DROP TABLE positions_p20251212",
        None,
        "partition public.positions_p20251212 of public.positions is gone",
    ),
];

#[tokio::test]
async fn a_leaf_added_or_gone_since_the_plan_stops_the_run_before_it_begins() {
    for (change, _, said) in CHANGES {
        let (database, _) = positions("leaves_before").await;
        call("plan", &database)
            .table("positions")
            .run()
            .await
            .expect_code(DONE);
        database.exec(change).await.unwrap();
        call("migrate", &database)
            .run()
            .await
            .expect_code(BLOCKED)
            .expect_printed(&[said, "hyperhaul plan"]);
        let write = "INSERT INTO positions (received_at, aircraft_id, packet) VALUES ('2025-12-11 12:00+00', 1, 'new')";
        database.exec(write).await.unwrap();
        let before = rows_seen(&database, Positions::ROWS).await;
        call("plan", &database)
            .table("positions")
            .run()
            .await
            .expect_code(DONE);
        assert_goes_on_to_equality(&database, &before).await;
    }
}

#[tokio::test]
async fn a_leaf_added_or_gone_between_two_runs_stops_the_second() {
    for (change, undo, said) in CHANGES {
        let (database, before) = positions("leaves_between").await;
        copy_some(&database, CUT, 2).await;
        database.exec(change).await.unwrap();
        let changed = rows_seen(&database, Positions::ROWS).await;
        call("migrate", &database)
            .run()
            .await
            .expect_code(BLOCKED)
            .expect_printed(&[said, "hyperhaul rollback"]);
        match undo {
            Some(undo) => {
                database.exec(undo).await.unwrap();
                assert_goes_on_to_equality(&database, &before).await;
            }
            None => {
                call("rollback", &database).run().await.expect_code(DONE);
                assert_eq!(rows_seen(&database, Positions::ROWS).await, changed);
                call("plan", &database)
                    .table("positions")
                    .run()
                    .await
                    .expect_code(DONE);
                assert_goes_on_to_equality(&database, &changed).await;
            }
        }
    }
}

/// A run in the middle of its copying, which goes on when the session's transaction ends.
async fn held(prefix: &str) -> (TestDatabase, RowsSeen, Client, Running) {
    let (database, before) = positions(prefix).await;
    let options = "migrate --workers 1 --lock-timeout 5min";
    let begun = call(options, &database)
        .table("positions")
        .failpoint("slice.claimed");
    begun.run().await.expect_killed();
    let chunks = "SELECT show_chunks('hyperhaul_new_public.positions')::text LIMIT 1";
    let chunk: String = database.value(chunks).await.unwrap();
    let holder = database.connect().await.unwrap();
    let lock = format!("BEGIN; LOCK TABLE {chunk} IN EXCLUSIVE MODE");
    holder.batch_execute(&lock).await.unwrap();
    let running = Hyperhaul::new("migrate").source(database.url()).spawn();
    let waits = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE NOT granted AND application_name LIKE 'hyperhaul%' AND datname = current_database()";
    let limit = Duration::from_secs(60);
    eventually("the copying waits", limit, async || {
        database.value::<i64>(waits).await.unwrap() > 0
    })
    .await
    .unwrap();
    (database, before, holder, running)
}

#[tokio::test]
async fn leaves_are_not_rewritten_or_dropped_while_they_are_copied() {
    let (database, before, holder, running) = held("guarded").await;
    let other = database.connect().await.unwrap();
    other
        .batch_execute("SET lock_timeout = '200ms'")
        .await
        .unwrap();
    for leaf in [FIRST, SECOND, "positions_p20251213"] {
        for statement in [
            format!("VACUUM FULL {leaf}"),
            format!("CLUSTER {leaf} USING {leaf}_pkey"),
            format!("DROP TABLE {leaf}"),
            format!("ALTER TABLE positions DETACH PARTITION {leaf}"),
        ] {
            refused(&other, &statement, "55P03").await;
        }
        other
            .batch_execute(&format!("VACUUM {leaf}"))
            .await
            .unwrap();
    }
    assert_eq!(
        rows_seen(&database, Positions::ROWS).await,
        before,
        "readers go on"
    );
    holder.batch_execute("ROLLBACK").await.unwrap();
    running.wait().await.expect_code(DONE);
    assert_eq!(rows_seen(&database, Positions::ROWS).await, before);
    assert_newest_run_did_each_slice_once(&database).await;
}

#[tokio::test]
async fn a_leaf_that_comes_while_others_are_copied_stops_the_run_before_the_cutover() {
    let (database, before, holder, running) = held("leaf_meanwhile").await;
    // The fence does not know it, so that rows can come in by its own name.
    let (change, undo, said) = CHANGES[0];
    database.exec(change).await.unwrap();
    let row = "INSERT INTO positions_new (id, received_at, aircraft_id, packet) VALUES (-1, '2025-12-20 12:00+00', 1, 'new')";
    database.exec(row).await.unwrap();
    holder.batch_execute("ROLLBACK").await.unwrap();
    running
        .wait()
        .await
        .expect_code(BLOCKED)
        .expect_printed(&[said, "hyperhaul rollback"]);
    database.exec(undo.unwrap()).await.unwrap();
    assert_goes_on_to_equality(&database, &before).await;
}
