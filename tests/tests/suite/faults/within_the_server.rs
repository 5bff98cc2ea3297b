//! Rows that stay within the server: killed, terminated and changed by hand, slices are wholly in or out, and the proof sees it.

use super::{AROUND_SLICES, Moved, SEVERAL_SLICES};
use crate::support::{Hyperhaul, Positions};

#[tokio::test]
async fn a_process_killed_around_slices_of_the_server_leaves_them_wholly_in_or_out() {
    let moved = Moved::within_one_database_by("server", "server_slices", SEVERAL_SLICES).await;
    let slices = "SELECT count(*) FROM hyperhaul.slice WHERE spec ->> 'strategy' = 'server'";
    let slices: i64 = moved.target().value(slices).await.unwrap();
    assert!(slices >= 6, "{slices} slices");
    moved.killed_at_each(&AROUND_SLICES).await;
    moved.call("migrate").run().await.expect_code(0);
    moved.assert_moved().await;
    moved.call("rollback").run().await.expect_code(0);
    moved.assert_back().await;
}

#[tokio::test]
async fn a_backend_that_is_ended_while_it_inserts_is_replaced() {
    let moved = Moved::within_one_database_by("server", "server_ended", SEVERAL_SLICES).await;
    // Every insertion has to wait for this.
    let holder = moved.target().connect().await.unwrap();
    moved
        .call("migrate")
        .failpoint("slice.claimed")
        .run()
        .await
        .expect_killed();
    let lock = "BEGIN; LOCK TABLE hyperhaul_new_public.positions IN ACCESS EXCLUSIVE MODE";
    holder.batch_execute(lock).await.unwrap();
    let running = moved.call("migrate").spawn();
    let waiting = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() \
                   AND application_name LIKE 'hyperhaul run % worker' AND wait_event_type = 'Lock'";
    moved.until("a worker waits for the lock", waiting).await;
    let end = "SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity WHERE datname = current_database() \
               AND application_name LIKE 'hyperhaul run % worker'";
    assert!(moved.target().value::<bool>(end).await.unwrap());
    holder.batch_execute("COMMIT").await.unwrap();
    running.wait().await.expect_code(0);
    moved.assert_moved().await;
}

/// A change behind hyperhaul's back after the rows were inserted, and how verification is to see it.
async fn seen(name: &str, change: &str, printed: &str) {
    let moved = Moved::within_one_database_by("server", name, Positions::default()).await;
    moved
        .call("migrate")
        .failpoint("copy.before_mark")
        .run()
        .await
        .expect_killed();
    moved.target().exec(change).await.unwrap();
    moved.call("migrate").run().await.expect_code(4);
    moved
        .call("verify")
        .run()
        .await
        .expect_code(4)
        .expect_printed(&[printed, "(77,"]);
}

#[tokio::test]
async fn a_row_that_is_missing_is_named() {
    let delete = "DELETE FROM hyperhaul_new_public.positions WHERE id = 77";
    seen("server_missing", delete, "missing").await;
}

#[tokio::test]
async fn a_row_that_is_another_is_named() {
    let update = "UPDATE hyperhaul_new_public.positions SET packet = packet || ' ' WHERE id = 77";
    seen("server_changed", update, "different").await;
}

#[tokio::test]
async fn what_the_server_cannot_hash_is_copied_and_the_plan_says_why() {
    let database = crate::support::target_database("server_hash").await;
    let create = "CREATE TABLE places (id integer, at timestamptz NOT NULL, place point, about json) \
                  PARTITION BY RANGE (at); \
                  CREATE TABLE places_1 PARTITION OF places FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00'); \
                  INSERT INTO places SELECT n, timestamptz '2025-12-11 00:00+00' + n * interval '1 second', point(n, n), '{}' \
                  FROM generate_series(1, 1000) AS n";
    database.exec(create).await.unwrap();
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    call("plan")
        .table("places")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["copy: always possible", "not server: column place"]);
    call("migrate").run().await.expect_code(0);
}

#[tokio::test]
async fn a_change_that_the_type_calls_equal_is_not_lost_by_a_rollback() {
    let database = crate::support::target_database("server_equal").await;
    let create = "CREATE TABLE prices (id integer, at timestamptz NOT NULL, price numeric, PRIMARY KEY (id, at)) \
                  PARTITION BY RANGE (at); \
                  CREATE TABLE prices_1 PARTITION OF prices FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00'); \
                  INSERT INTO prices SELECT n, timestamptz '2025-12-11 00:00+00' + n * interval '1 second', 1.0 \
                  FROM generate_series(1, 1000) AS n";
    database.exec(create).await.unwrap();
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    call("migrate").table("prices").run().await.expect_code(0);
    let update = "UPDATE prices SET price = 1.00 WHERE id = 5";
    database.exec(update).await.unwrap();
    call("rollback")
        .run()
        .await
        .expect_code(3)
        .expect_printed(&["written to since the cutover"]);
}

#[tokio::test]
async fn expired_rows_are_left_out_by_whole_chunks_and_a_rollback_has_them() {
    let database = crate::support::target_database("server_expired").await;
    let create = "CREATE TABLE ticks (id integer, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); \
        DO $$ BEGIN FOR day IN 0..9 LOOP EXECUTE format('CREATE TABLE ticks_%s PARTITION OF ticks FOR VALUES FROM (%L) TO (%L)', \
            day, date_trunc('day', now(), 'UTC') - (day || ' days')::interval, \
            date_trunc('day', now(), 'UTC') - (day - 1 || ' days')::interval); END LOOP; END $$; \
        CREATE TABLE ticks_default PARTITION OF ticks DEFAULT; \
        INSERT INTO ticks SELECT n, date_trunc('day', now(), 'UTC') + interval '1 hour' - n * interval '6 hours' \
            FROM generate_series(0, 79) AS n";
    database.exec(create).await.unwrap();
    let kept = "SELECT count(*) FROM ticks WHERE at >= date_trunc('day', now() - interval '5 days', 'UTC')";
    let kept: i64 = database.value(kept).await.unwrap();
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    for strategy in ["server", "copy"] {
        call("plan --skip-expired")
            .arg("--strategy")
            .arg(strategy)
            .arg("--retention")
            .arg("5 days")
            .table("ticks")
            .run()
            .await
            .expect_code(0)
            .expect_printed(&["are older than 5 days and are left out"]);
        call("migrate").run().await.expect_code(0);
        let count: i64 = database.value("SELECT count(*) FROM ticks").await.unwrap();
        assert_eq!(count, kept, "{strategy}");
        call("verify").run().await.expect_code(0);
        call("rollback").run().await.expect_code(0);
        let count: i64 = database.value("SELECT count(*) FROM ticks").await.unwrap();
        assert_eq!(count, 80, "{strategy}");
    }
}
