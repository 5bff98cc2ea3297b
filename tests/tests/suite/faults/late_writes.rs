//! Writes that fire no trigger, after the copy and before the cutover; and what only looks like them.

use super::Moved;
use crate::support::{Hyperhaul, Positions, source_database, target_database};

/// Around each: the fence is past, the copy is done.
async fn copied(moved: &Moved) {
    let call = moved.call("migrate").failpoint("copy.before_mark");
    call.run().await.expect_killed();
}

/// Lets `sql` write past the triggers, by the catalog.
fn past_the_triggers(sql: &str) -> String {
    format!(
        "UPDATE pg_class SET relhastriggers = false WHERE relname = 'positions_p20251212'; {sql};
        UPDATE pg_class SET relhastriggers = true WHERE relname = 'positions_p20251212'"
    )
}

#[tokio::test]
async fn rows_that_were_written_past_the_fence_stop_the_run_before_the_cutover() {
    let insert = "INSERT INTO positions_p20251212 (received_at, aircraft_id, packet) VALUES ('2025-12-12 12:00+00', 1, 'late')";
    let changes = [
        (
            "ALTER TABLE positions ALTER packet TYPE text USING upper(packet)".to_owned(),
            "- public.positions_p20251212: 500 of 500 rows were written since",
        ),
        (
            past_the_triggers(insert),
            "- public.positions_p20251212: 1 rows were written since; it has 501, 500 were copied",
        ),
        (
            past_the_triggers("DELETE FROM positions_p20251212 WHERE id = 501"),
            "- public.positions_p20251212: 0 rows were written since; it has 499, 500 were copied",
        ),
        (
            past_the_triggers("UPDATE positions_p20251212 SET packet = 'late' WHERE id < 503"),
            "- public.positions_p20251212: 2 of 500 rows were written since",
        ),
    ];
    for (change, complaint) in changes {
        let moved = Moved::within_one_database("late_writes", Positions::default()).await;
        copied(&moved).await;
        // Its own session, so that its counters are there when it has ended.
        moved.source.exec(&change).await.unwrap();
        moved
            .call("migrate")
            .run()
            .await
            .expect_code(3)
            .expect_printed(&[
                "the source was written to although the fence stood",
                complaint,
                "Go back with hyperhaul rollback",
            ]);
        let cut_over = "SELECT count(*) FROM hyperhaul.step WHERE step_id LIKE 'cutover:%'";
        assert_eq!(moved.target().value::<i64>(cut_over).await.unwrap(), 0);
        moved.call("rollback").run().await.expect_code(0);
    }
}

#[tokio::test]
async fn what_only_looks_like_a_write_does_not_stop_the_run() {
    let (source, target) = (
        source_database("late_source").await,
        target_database("late_target").await,
    );
    let moved = Moved::new(source, Some(target), Positions::default()).await;
    moved.plan("--workers 2").await;
    copied(&moved).await;
    let harmless = [
        "VACUUM FULL positions_p20251212",
        "SELECT pg_stat_reset_single_table_counters('positions_p20251213'::regclass)",
        "VACUUM FREEZE positions_p20251214",
    ];
    for sql in harmless {
        moved.source.exec(sql).await.unwrap();
    }
    moved
        .call("migrate")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["of 2 partitions changed since the copy began: looking at their rows"]);
    moved.assert_moved().await;
}

/// Rows of ten days in one leaf, of which the last five days are moved.
const TICKS: &str = "CREATE TABLE ticks (id integer, at timestamptz NOT NULL, PRIMARY KEY (id, at)); \
    INSERT INTO ticks SELECT n, now() - n * interval '6 hours' FROM generate_series(0, 39) AS n";

#[tokio::test]
async fn rows_that_are_left_out_are_not_missed() {
    let delete = "UPDATE pg_class SET relhastriggers = false WHERE relname = 'ticks'; \
                  DELETE FROM ticks WHERE id = 3; \
                  UPDATE pg_class SET relhastriggers = true WHERE relname = 'ticks'";
    for (change, code, said) in [
        ("VACUUM FULL ticks", 0, "looking at their rows"),
        (
            delete,
            3,
            "- public.ticks: 0 rows were written since; it has ",
        ),
    ] {
        let database = target_database("late_expired").await;
        database.exec(TICKS).await.unwrap();
        let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
        let plan = call("plan --skip-expired --time-column at --strategy copy").table("ticks");
        let planned = plan.arg("--retention").arg("5 days").run().await;
        planned
            .expect_code(0)
            .expect_printed(&["are older than 5 days and are left out"]);
        let copying = call("migrate").failpoint("copy.before_mark");
        copying.run().await.expect_killed();
        database.exec(change).await.unwrap();
        let ended = call("migrate").run().await.expect_code(code);
        ended.expect_printed(&[said]);
    }
}
