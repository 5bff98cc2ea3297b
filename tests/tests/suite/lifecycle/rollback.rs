//! The way back: from every phase of a run, and after the cutover, everything is as it was.

use super::catalog;
use crate::support::{
    Hyperhaul, Positions, SOAR_TABLES, assert_each_slice_done_once, rows_seen, soar_database,
    target_database,
};
use hyperhaul_testkit::TestDatabase;

const NEW_FIX: &str = "INSERT INTO fixes (source, aprs_type, via, \"timestamp\", latitude, longitude, aircraft_id, received_at, receiver_id, raw_message_id)
    SELECT source, aprs_type, via, \"timestamp\", latitude, longitude, aircraft_id, received_at, receiver_id, raw_message_id FROM fixes LIMIT 1";

/// Stops a run at the named point, sees that it is in the named phase, goes back, and compares everything.
async fn go_back_from(database: &TestDatabase, phase: &str, failpoint: &str) {
    let rows = rows_seen(database, "SELECT * FROM fixes").await;
    let before = catalog::everything(database).await;
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    call(&format!("migrate --workers 2 {SOAR_TABLES}"))
        .failpoint(failpoint)
        .run()
        .await
        .expect_killed();
    let reached: Vec<String> = database
        .values("SELECT DISTINCT split_part(step_id, ':', 1) FROM hyperhaul.step JOIN hyperhaul.run USING (run_id) WHERE state = 'running'")
        .await
        .unwrap();
    assert!(
        reached.iter().any(|reached| reached == phase),
        "{failpoint} stopped after {reached:?}, not in {phase}"
    );
    assert_ne!(
        catalog::everything(database).await,
        before,
        "{failpoint} changed something"
    );

    call("rollback").run().await.expect_code(0);
    catalog::assert_same(&before, &catalog::everything(database).await);
    assert_eq!(rows_seen(database, "SELECT * FROM fixes").await, rows);
    database
        .exec(&format!("BEGIN; {NEW_FIX}; ROLLBACK"))
        .await
        .unwrap();
}

#[tokio::test]
async fn going_back_from_the_fence_or_from_empty_hypertables_leaves_no_trace() {
    let database = soar_database("back_early", 600).await;
    go_back_from(&database, "fence", "step.after_commit:2").await;
    go_back_from(&database, "fence", "step.after_commit:5").await;
    go_back_from(&database, "create", "step.after_commit:8").await;
    go_back_from(&database, "create", "chunks.before_commit").await;
    go_back_from(&database, "create", "chunks.some").await;
}

#[tokio::test]
async fn going_back_in_the_middle_of_the_copy_leaves_no_trace() {
    let database = soar_database("back_copy", 600).await;
    go_back_from(&database, "chunks", "slice.before_commit:3").await;
    go_back_from(&database, "chunks", "slice.after_commit:5").await;
    go_back_from(&database, "chunks", "copy.before_mark").await;
}

#[tokio::test]
async fn going_back_from_keys_indexes_or_foreign_keys_leaves_no_trace() {
    let database = soar_database("back_keys", 600).await;
    let steps = planned_steps(&database).await;
    for phase in ["keys", "indexes", "foreign keys"] {
        let number = last_of(&steps, phase);
        go_back_from(&database, phase, &format!("step.before_commit:{number}")).await;
    }
}

#[tokio::test]
async fn going_back_from_around_the_cutover_leaves_no_trace_and_one_can_go_forth_again() {
    let database = soar_database("back_cutover", 600).await;
    let steps = planned_steps(&database).await;
    let cutover = last_of(&steps, "cutover");
    go_back_from(
        &database,
        "verify",
        &format!("step.before_commit:{cutover}"),
    )
    .await;
    go_back_from(
        &database,
        "cutover",
        &format!("step.after_commit:{cutover}"),
    )
    .await;
    go_back_from(
        &database,
        "after",
        &format!("step.after_commit:{}", steps.len() - 1),
    )
    .await;

    let before = catalog::everything(&database).await;
    let rows = rows_seen(&database, "SELECT * FROM fixes").await;
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    call(&format!("migrate {SOAR_TABLES}"))
        .run()
        .await
        .expect_code(0);
    call("rollback").run().await.expect_code(0);
    catalog::assert_same(&before, &catalog::everything(&database).await);
    call("rollback")
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["rolled back already"]);
    call(&format!("migrate {SOAR_TABLES}"))
        .run()
        .await
        .expect_code(0);
    assert_eq!(rows_seen(&database, "SELECT * FROM fixes").await, rows);
    assert_each_slice_done_once(&database).await;
}

/// The plan's steps in the order in which they are committed, apart from those of one phase that run beside each other.
async fn planned_steps(database: &TestDatabase) -> Vec<String> {
    let call = Hyperhaul::new(&format!("plan --json {SOAR_TABLES}")).source(database.url());
    let printed = call.run().await.expect_code(0).json();
    let steps = printed.get("plan").unwrap_or(&printed)["steps"]
        .as_array()
        .unwrap();
    steps
        .iter()
        .map(|step| step["id"].as_str().unwrap().to_owned())
        .collect()
}

/// The number, from 1, of the last step of a phase.
fn last_of(steps: &[String], phase: &str) -> usize {
    let of_phase = |step: &String| step.split(':').next() == Some(phase);
    steps.iter().rposition(of_phase).unwrap() + 1
}

#[tokio::test]
async fn rows_written_after_the_cutover_are_given_up_only_when_one_says_so() {
    let database = target_database("back_new_rows").await;
    Positions::default().create(&database).await;
    let rows = rows_seen(&database, Positions::ROWS).await;
    let before = catalog::everything(&database).await;
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    for (what, write) in [
        (
            "added",
            "INSERT INTO positions (received_at, aircraft_id, packet) VALUES ('2025-12-12 12:00Z', 1, 'new')",
        ),
        (
            "added to a new chunk",
            "INSERT INTO positions (received_at, aircraft_id, packet) VALUES ('2026-12-12Z', 1, 'new')",
        ),
        (
            "changed",
            "UPDATE positions SET altitude_feet = 1 WHERE id = 7",
        ),
        ("deleted", "DELETE FROM positions WHERE id = 7"),
    ] {
        call("migrate --table positions").run().await.expect_code(0);
        database.exec(write).await.unwrap();
        let written = rows_seen(&database, Positions::ROWS).await;

        call("rollback")
            .run()
            .await
            .expect_code(3)
            .expect_printed(&["written to since the cutover", "--discard-new-rows"]);
        assert_eq!(
            rows_seen(&database, Positions::ROWS).await,
            written,
            "a row was {what}"
        );
        let hypertable = "SELECT EXISTS (SELECT FROM timescaledb_information.hypertables)";
        assert!(
            database.value::<bool>(hypertable).await.unwrap(),
            "a row was {what}"
        );
        call("rollback --discard-new-rows")
            .run()
            .await
            .expect_code(0);
        catalog::assert_same(&before, &catalog::everything(&database).await);
        assert_eq!(rows_seen(&database, Positions::ROWS).await, rows);
    }
    call("migrate --table positions").run().await.expect_code(0);
    assert_eq!(rows_seen(&database, Positions::ROWS).await, rows);
}
