//! Going back with the rows that were written since the cutover.

use crate::faults::Moved;
use crate::support::{Positions, rows_seen, target_database};

const KEPT: &str =
    "SELECT count(*) FROM pg_class WHERE relnamespace::regnamespace::text LIKE 'hyperhaul_kept%'";

/// Rows with ids of their own, some of them of the same values but for that.
fn write(ids: std::ops::Range<u32>, day: &str) -> String {
    format!(
        "INSERT INTO positions (id, received_at, aircraft_id, packet)
        SELECT id, '{day} 10:00+00', id % 50, 'new' FROM generate_series({}, {} - 1) AS id",
        ids.start, ids.end
    )
}

async fn migrated(name: &str) -> Moved {
    let moved = Moved::new(target_database(name).await, None, Positions::default()).await;
    let migrate = moved.call("migrate --table positions");
    migrate.run().await.expect_code(0);
    moved
}

impl Moved {
    /// The old table is in its place, with the rows of before and so many new ones, each once.
    async fn assert_back_with(&self, new_rows: i64) {
        let state = "SELECT state FROM hyperhaul.run ORDER BY run_id DESC LIMIT 1";
        let state: String = self.target().value(state).await.unwrap();
        assert_eq!(state, "rolled back");
        let old = format!("{} WHERE packet <> 'new'", Positions::ROWS);
        assert_eq!(rows_seen(self.target(), &old).await, self.before);
        let new = "SELECT count(*) FROM positions WHERE packet = 'new'";
        assert_eq!(self.target().value::<i64>(new).await.unwrap(), new_rows);
        let kind = "SELECT relkind::text FROM pg_class WHERE oid = 'positions'::regclass";
        assert_eq!(self.target().value::<String>(kind).await.unwrap(), "p");
    }

    async fn kept_tables(&self) -> i64 {
        self.target().value(KEPT).await.unwrap()
    }
}

#[tokio::test]
async fn rows_written_since_the_cutover_are_brought_into_the_old_table() {
    let moved = migrated("keep_rows").await;
    moved
        .target()
        .exec(&write(900_000..900_120, "2025-12-12"))
        .await
        .unwrap();
    let refused = moved.call("rollback").run().await.expect_code(3);
    refused.expect_printed(&["--keep-new-rows"]);
    let back = moved
        .call("rollback --keep-new-rows")
        .run()
        .await
        .expect_code(0);
    back.expect_printed(&["120 rows that were written since the cutover are in public.positions"]);
    moved.assert_back_with(120).await;
    assert_eq!(moved.kept_tables().await, 0);
}

#[tokio::test]
async fn a_rollback_that_keeps_rows_is_killed_anywhere_and_brings_them_back_once() {
    let moved = migrated("keep_killed").await;
    moved
        .target()
        .exec(&write(900_000..900_050, "2025-12-13"))
        .await
        .unwrap();
    let keep = || moved.call("rollback --keep-new-rows");
    keep()
        .failpoint("rollback.kept")
        .run()
        .await
        .expect_killed();
    assert_eq!(moved.kept_tables().await, 1);
    // Called off: what was saved goes, what is written then is new as well.
    moved.call("migrate").run().await.expect_code(0);
    assert_eq!(moved.kept_tables().await, 0);
    moved
        .target()
        .exec(&write(900_050..900_060, "2025-12-13"))
        .await
        .unwrap();
    for point in [
        "rollback.kept",
        "step.before_commit:3",
        "step.after_commit:5",
        "rollback.brought_back",
    ] {
        keep().failpoint(point).run().await.expect_killed();
    }
    keep().run().await.expect_code(0);
    moved.assert_back_with(60).await;
    assert_eq!(moved.kept_tables().await, 0);
}

#[tokio::test]
async fn rows_that_the_old_table_has_no_partition_for_wait_for_one() {
    let moved = migrated("keep_partition").await;
    moved
        .target()
        .exec(&write(900_000..900_010, "2026-02-01"))
        .await
        .unwrap();
    let stopped = moved.call("rollback --keep-new-rows").run().await;
    assert_ne!(stopped.code(), Some(0));
    stopped.expect_printed(&[
        "partition",
        "hyperhaul_kept_",
        "run hyperhaul rollback again",
    ]);
    let partition = "CREATE TABLE positions_2026 PARTITION OF positions FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')";
    moved.target().exec(partition).await.unwrap();
    moved.call("rollback").run().await.expect_code(0);
    moved.assert_back_with(10).await;
}

#[tokio::test]
async fn changed_rows_are_no_new_ones() {
    let moved = migrated("keep_changed").await;
    let change = "UPDATE positions SET source = 'other' WHERE id IN (5, 6); DELETE FROM positions WHERE id = 7";
    moved.target().exec(change).await.unwrap();
    let refused = moved
        .call("rollback --keep-new-rows")
        .run()
        .await
        .expect_code(3);
    refused.expect_printed(&["3 rows of the old table were changed or deleted"]);
    // Writers are on again, and nothing is left.
    moved
        .target()
        .exec(&write(900_000..900_001, "2025-12-12"))
        .await
        .unwrap();
    assert_eq!(moved.kept_tables().await, 0);
}

#[tokio::test]
async fn history_that_was_still_to_come_is_no_loss_and_a_taken_key_is_told() {
    let moved = Moved::new(
        target_database("keep_history").await,
        None,
        Positions::default(),
    )
    .await;
    let killed = moved.call("migrate --table positions --mode backfill --workers 1");
    killed
        .failpoint("slice.after_commit:2")
        .run()
        .await
        .expect_killed();
    moved
        .target()
        .exec(&write(900_000..900_030, "2025-12-14"))
        .await
        .unwrap();
    // Of a day whose history is still to come: a row with the key of an old one.
    let taken = "INSERT INTO positions (id, received_at, aircraft_id, packet)
        SELECT id, received_at, aircraft_id, 'new' FROM hyperhaul_old_public.positions ORDER BY received_at LIMIT 1";
    moved.target().exec(taken).await.unwrap();
    let back = moved
        .call("rollback --keep-new-rows")
        .run()
        .await
        .expect_code(0);
    back.expect_printed(&["30 of 31 rows"]);
    moved.assert_back_with(30).await;
    assert_eq!(moved.kept_tables().await, 1);
}
