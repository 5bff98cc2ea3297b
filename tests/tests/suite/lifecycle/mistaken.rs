//! The wrong server is named, or something else has the table's name: nothing is dropped, nothing is called undone.

use crate::support::{Hyperhaul, Positions, rows_seen, source_database, target_database};
use hyperhaul_testkit::TestDatabase;

const AIRCRAFT: &str = "CREATE TABLE aircraft (id integer PRIMARY KEY, registration text NOT NULL);
    INSERT INTO aircraft SELECT n, 'D-' || n FROM generate_series(0, 49) AS n";

/// `positions`, moved from one server to another.
async fn moved(prefix: &str) -> (TestDatabase, TestDatabase) {
    let (source, target) = (source_database(prefix).await, target_database(prefix).await);
    Positions::default().create(&source).await;
    target.exec(AIRCRAFT).await.unwrap();
    call("migrate --table positions", &source, &target)
        .run()
        .await
        .expect_code(0);
    (source, target)
}

fn call(arguments: &str, source: &TestDatabase, target: &TestDatabase) -> Hyperhaul {
    Hyperhaul::new(arguments)
        .source(source.url())
        .target(target.url())
}

#[tokio::test]
async fn the_ledgers_server_given_as_source_is_refused() {
    let (source, target) = moved("mistaken_source").await;
    let rows = rows_seen(&target, Positions::ROWS).await;
    for command in [
        "cleanup --drop-source --yes",
        "rollback",
        "rollback --discard-new-rows",
        "verify",
    ] {
        Hyperhaul::new(command)
            .source(target.url())
            .run()
            .await
            .expect_code(2)
            .expect_printed(&["the source is not the database that was planned"]);
        assert_eq!(rows_seen(&target, Positions::ROWS).await, rows, "{command}");
    }
    let state = "SELECT state FROM hyperhaul.run";
    assert_eq!(target.value::<String>(state).await.unwrap(), "done");
    // A database of the same server is another one, too.
    let other = source_database("mistaken_other").await;
    Positions::default().create(&other).await;
    call("rollback", &other, &target)
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["not the database that was planned"]);
    call("rollback", &source, &target)
        .run()
        .await
        .expect_code(0);
    let write = "UPDATE positions SET altitude_feet = 1 WHERE id = 1";
    source.exec(write).await.unwrap();
}

#[tokio::test]
async fn the_source_may_be_dropped_after_the_run_was_cleaned_up() {
    let (source, target) = moved("mistaken_later").await;
    call("cleanup --yes", &source, &target)
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["--drop-source drops them later"]);
    let there = "SELECT to_regclass('positions') IS NOT NULL";
    assert!(source.value::<bool>(there).await.unwrap());
    call("cleanup --yes", &source, &target)
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["cleaned up already"]);
    call("cleanup --yes --drop-source", &source, &target)
        .run()
        .await
        .expect_code(0);
    assert!(!source.value::<bool>(there).await.unwrap());
    assert!(target.value::<bool>(there).await.unwrap());
    call("cleanup --yes --drop-source", &source, &target)
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["cleaned up already"]);
}

#[tokio::test]
async fn a_source_that_was_dropped_while_the_answer_was_lost_is_no_obstacle() {
    let (source, target) = moved("mistaken_dropped").await;
    source.exec("DROP TABLE positions").await.unwrap();
    call("cleanup --yes --drop-source", &source, &target)
        .run()
        .await
        .expect_code(0);
}

#[tokio::test]
async fn another_table_of_that_name_is_not_dropped() {
    let (source, target) = moved("mistaken_name").await;
    let replace =
        "ALTER TABLE positions RENAME TO positions_old; CREATE TABLE positions (mine integer)";
    source.exec(replace).await.unwrap();
    for command in ["cleanup --yes --drop-source", "verify", "rollback"] {
        call(command, &source, &target)
            .run()
            .await
            .expect_code(3)
            .expect_printed(&["public.positions is not the table that was planned"]);
    }
    let mine = "SELECT count(*) FROM positions";
    assert_eq!(source.value::<i64>(mine).await.unwrap(), 0);
    let state = "SELECT state FROM hyperhaul.run";
    assert_eq!(target.value::<String>(state).await.unwrap(), "done");
}

#[tokio::test]
async fn options_that_a_run_under_way_does_not_use_are_named() {
    let database = target_database("mistaken_options").await;
    Positions::default().create(&database).await;
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    call("migrate --table positions --workers 2")
        .failpoint("copy.before_mark")
        .run()
        .await
        .expect_killed();
    let ended = call("migrate --table positions --workers 3 --slice-size 64MiB")
        .run()
        .await
        .expect_code(0);
    ended.expect_printed(&[
        "run 1 goes on with the options of its plan",
        "workers, slice size",
    ]);
}

#[tokio::test]
async fn a_run_that_was_rolled_back_has_neither_rows_nor_verdicts() {
    let database = target_database("mistaken_status").await;
    Positions::default().create(&database).await;
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    call("migrate --table positions").run().await.expect_code(0);
    call("rollback").run().await.expect_code(0);
    let status = call("status --json").run().await.expect_code(0).json();
    let table = &status["tables"][0];
    assert_eq!(status["state"], "rolled_back");
    assert_eq!(
        (&table["slices_done"], &table["rows_done"]),
        (&0.into(), &0.into())
    );
    assert!(table["verified"].is_null(), "{table}");
}

#[tokio::test]
async fn a_ledger_of_the_first_format_is_brought_to_this_one() {
    let database = target_database("mistaken_format").await;
    Positions::default().create(&database).await;
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    call("migrate --table positions").run().await.expect_code(0);
    // As the first format was, with a verdict that a verification after the cutover had overwritten.
    let first = "ALTER TABLE hyperhaul.verdict DROP CONSTRAINT verdict_pkey, DROP COLUMN after_cutover, DROP COLUMN lost_count,
            ADD PRIMARY KEY (run_id, table_index);
        UPDATE hyperhaul.verdict SET equal = false;
        ALTER TABLE hyperhaul.slice DROP COLUMN worker, DROP COLUMN skipped_count;
        DROP TABLE hyperhaul.call, hyperhaul.held_job, hyperhaul.write_mark, hyperhaul.leaf_hash, hyperhaul.ingest_source,
            hyperhaul.ingest_receipt, hyperhaul.ingest_consumer, hyperhaul.dead_letter, hyperhaul.ingest_conflict,
            hyperhaul.ingest_gap;
        UPDATE hyperhaul.ledger_format SET format = 1";
    database.exec(first).await.unwrap();
    call("status")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["equal"]);
    // Who called, and which worker it was, nobody wrote down then.
    let report = call("report --json -").run().await.expect_code(0).json();
    assert_eq!(report["calls"], serde_json::json!([]));
    assert!(report["slices"][0]["worker"].is_null(), "{report}");
    call("verify").run().await.expect_code(0);
    call("cleanup --yes").run().await.expect_code(0);
    let later = "UPDATE hyperhaul.ledger_format SET format = 99";
    database.exec(later).await.unwrap();
    for command in ["status", "rollback", "plan --table positions"] {
        let ended = call(command).run().await.expect_code(1);
        ended.expect_printed(&["format", "99"]);
    }
}
