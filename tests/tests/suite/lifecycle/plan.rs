//! A stored plan is what `migrate` runs; what changed since is told, and nothing is done. What it prints can be read by programs.

use super::catalog;
use crate::support::{
    Hyperhaul, Positions, SOAR_TABLES, assert_each_slice_done_once, rows_seen, soar_database,
    target_database,
};
use hyperhaul_testkit::TestDatabase;

async fn positions(prefix: &str) -> TestDatabase {
    let database = target_database(prefix).await;
    Positions {
        rows_per_day: 1_000,
        packet_bytes: 200,
        days: 4,
    }
    .create(&database)
    .await;
    database
}

#[tokio::test]
async fn the_stored_plan_is_what_migrate_runs() {
    let database = positions("plan_stored").await;
    let before = rows_seen(&database, Positions::ROWS).await;
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    let planned = call("plan --json --slice-size 64kB --workers 1 --table positions")
        .run()
        .await
        .expect_code(0)
        .json();
    let printed = planned.get("plan").unwrap_or(&planned);
    let stored: serde_json::Value = database
        .value("SELECT plan FROM hyperhaul.run")
        .await
        .unwrap();
    for part in ["tables", "slices", "steps"] {
        assert!(
            printed[part]
                .as_array()
                .is_some_and(|list| !list.is_empty()),
            "{part}"
        );
        assert_eq!(printed[part], stored[part], "{part}");
    }
    call("migrate").run().await.expect_code(0);
    assert_eq!(rows_seen(&database, Positions::ROWS).await, before);
    assert_each_slice_done_once(&database).await;
    assert_eq!(
        database
            .value::<i64>("SELECT count(*) FROM hyperhaul.run")
            .await
            .unwrap(),
        1
    );
    let slices: i64 = database
        .value("SELECT count(*) FROM hyperhaul.slice")
        .await
        .unwrap();
    assert_eq!(
        usize::try_from(slices).unwrap(),
        printed["slices"].as_array().unwrap().len()
    );
    assert!(
        slices > 4,
        "more than partitions: the slice size of the plan holds"
    );
    let steps: Vec<String> = database
        .values("SELECT step_id FROM hyperhaul.step")
        .await
        .unwrap();
    for step in printed["steps"].as_array().unwrap() {
        assert!(
            steps.iter().any(|done| step["id"] == done.as_str()),
            "{step} was not done"
        );
    }
}

#[tokio::test]
async fn what_changed_since_the_plan_is_told_and_nothing_is_done() {
    let database = positions("plan_changed").await;
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    for (change, texts) in [
        (
            "ALTER TABLE positions ADD COLUMN wind real",
            ["wind of public.positions", "is new"],
        ),
        (
            "ALTER TABLE positions ALTER COLUMN source TYPE text",
            ["source of public.positions", "text"],
        ),
        (
            "CREATE INDEX positions_source ON positions (source)",
            ["index positions_source", "is new"],
        ),
        (
            "ALTER TABLE positions ADD CONSTRAINT no_source CHECK (source <> '')",
            ["no_source", "is new"],
        ),
        (
            "CREATE TABLE positions_new PARTITION OF positions FOR VALUES FROM ('2026-01-01Z') TO ('2026-01-02Z')",
            ["partition public.positions_new", "is new"],
        ),
        (
            "DROP TABLE positions_p20251212",
            ["partition public.positions_p20251212", "is gone"],
        ),
        (
            "DROP INDEX positions_aircraft_received_at",
            ["index positions_aircraft_received_at", "is gone"],
        ),
        (
            "CREATE VIEW seen AS SELECT id FROM positions",
            ["seen", "is new"],
        ),
        (
            "CREATE TABLE notes (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES positions)",
            ["notes", "is new"],
        ),
        (
            "ALTER TABLE positions DROP COLUMN source",
            ["source of public.positions", "is gone"],
        ),
    ] {
        call("plan --table positions").run().await.expect_code(0);
        database.exec(change).await.unwrap();
        let before = catalog::everything(&database).await;
        call("migrate")
            .run()
            .await
            .expect_code(3)
            .expect_printed(&["changed since the plan was made", "hyperhaul plan"])
            .expect_printed(&texts);
        catalog::assert_same(&before, &catalog::everything(&database).await);
    }
    let rows = rows_seen(&database, "SELECT * FROM positions").await;
    call("plan --table positions").run().await.expect_code(0);
    call("migrate").run().await.expect_code(0);
    assert_eq!(rows_seen(&database, "SELECT * FROM positions").await, rows);
}

#[tokio::test]
async fn what_is_for_programs_is_json_and_nothing_else() {
    let database = positions("plan_json").await;
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    for command in [
        "check --json --table positions",
        "plan --json --table positions",
        "migrate --json",
        "status --json",
        "verify --json",
    ] {
        let ended = call(command).run().await.expect_code(0);
        assert!(ended.json().is_object(), "{command}");
        assert!(
            !ended.stdout.contains('\u{1b}') && !ended.stderr.contains('\u{1b}'),
            "{command}: no colour where nobody looks"
        );
    }
    assert!(
        call("cleanup --json")
            .run()
            .await
            .expect_code(3)
            .json()
            .is_object()
    );
    assert!(
        call("rollback --json")
            .run()
            .await
            .expect_code(0)
            .json()
            .is_object()
    );
}

/// As a script, up to the rows: their copies stand in comments, and without rows `cutover` would fence nothing off.
#[tokio::test]
async fn the_printed_statements_run_in_their_order() {
    let database = soar_database("plan_sql", 300).await;
    let before = catalog::everything(&database).await;
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    let script = call(&format!("plan --sql {SOAR_TABLES}"))
        .run()
        .await
        .expect_code(0)
        .stdout;
    catalog::assert_same(&before, &catalog::everything(&database).await);
    let phases = [
        "fence",
        "create",
        "chunks",
        "copy",
        "keys",
        "indexes",
        "foreign keys",
        "verify",
        "cutover",
        "after",
    ];
    let at: Vec<usize> = phases
        .iter()
        .map(|phase| {
            script
                .find(&format!("-- ===== {phase} ====="))
                .expect(phase)
        })
        .collect();
    assert!(at.is_sorted(), "phases in their order: {at:?}");
    // Foreign keys of the new tables hold without rows, and the one to them does not: it is validated after them.
    database
        .exec("DELETE FROM receiver_statuses")
        .await
        .unwrap();
    // ANALYZE and all else may run in one transaction of many statements.
    database
        .exec(
            &script
                .replace("\nBEGIN;\n", "\n")
                .replace("\nCOMMIT;\n", "\n"),
        )
        .await
        .unwrap();
    let hypertables: Vec<String> =
        database.values("SELECT hypertable_name::text FROM timescaledb_information.hypertables WHERE hypertable_schema = 'public' ORDER BY 1").await.unwrap();
    assert_eq!(hypertables, ["fixes", "raw_messages"]);
    let indexes: i64 = database
        .value("SELECT count(*) FROM pg_index WHERE indrelid = 'public.fixes'::regclass")
        .await
        .unwrap();
    assert_eq!(indexes, 9);
}

#[tokio::test]
async fn two_tables_move_in_one_run_with_one_worker_and_with_four() {
    for workers in [1, 4] {
        let database = soar_database("plan_workers", 2_000).await;
        let seen =
            async |table: &str| rows_seen(&database, &format!("SELECT * FROM {table}")).await;
        let (fixes, messages) = (seen("fixes").await, seen("raw_messages").await);
        Hyperhaul::new(&format!(
            "migrate --workers {workers} --slice-size 128kB {SOAR_TABLES}"
        ))
        .source(database.url())
        .run()
        .await
        .expect_code(0);
        assert_eq!(
            (seen("fixes").await, seen("raw_messages").await),
            (fixes, messages),
            "{workers} workers"
        );
        assert_each_slice_done_once(&database).await;
    }
}
