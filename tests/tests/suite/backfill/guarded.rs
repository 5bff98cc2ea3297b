//! What the application may do and what not until the history is in, and what happens to those who do it nevertheless.

use super::{ARCHIVE, FENCED, NO_CHANGES, backfill, cut_over};
use crate::faults::Moved;
use crate::hard::foreign_keys::{FIXES, FOREIGN_KEY_VIOLATION, delete_referenced};
use crate::hard::{call, refused};
use crate::support::{Positions, source_database, target_database};

const START: &str = "migrate --table positions --mode backfill --workers 2";

/// Changes of rows, which would miss those that are still to come.
const CHANGES: [&str; 7] = [
    "UPDATE positions SET packet = 'changed' WHERE id = 7",
    "DELETE FROM positions WHERE id = 8",
    "TRUNCATE positions",
    "INSERT INTO positions (id, received_at, aircraft_id, packet) VALUES (9, '2025-12-11 00:00+00', 1, 'changed')
        ON CONFLICT (id, received_at) DO UPDATE SET packet = 'changed'",
    "MERGE INTO positions USING (SELECT 10 AS id) AS own ON positions.id = own.id WHEN MATCHED THEN UPDATE SET packet = 'changed'",
    "MERGE INTO positions USING (SELECT 11 AS id) AS own ON positions.id = own.id WHEN MATCHED THEN DELETE",
    // What a trigger does is not what a foreign key passes on.
    "UPDATE aircraft SET registration = 'changed' WHERE id = 1",
];

/// What brings new rows, ids of their own.
const NEW: [&str; 4] = [
    "INSERT INTO positions (received_at, aircraft_id, packet) VALUES ('2025-12-11 12:00:01+00', 1, 'new')",
    "COPY positions (received_at, aircraft_id, packet) FROM PROGRAM 'printf \"2025-12-11 12:00:02+00\\\\t1\\\\tnew\"'",
    "INSERT INTO positions (id, received_at, aircraft_id, packet) VALUES (currval('positions_id_seq'), '2025-12-11 12:00:02+00', 1, 'lost')
        ON CONFLICT DO NOTHING",
    "MERGE INTO positions USING (SELECT -1 AS id) AS own ON positions.id = own.id
        WHEN NOT MATCHED THEN INSERT (received_at, aircraft_id, packet) VALUES ('2025-12-11 12:00:03+00', 1, 'new')",
];

/// A trigger of the application's own, on another table.
const TRIGGER: &str = "CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE positions SET packet = 'changed' WHERE aircraft_id = NEW.id; RETURN NULL; END $$;
    CREATE TRIGGER mark AFTER UPDATE OF registration ON aircraft FOR EACH ROW EXECUTE FUNCTION mark()";

#[tokio::test]
async fn rows_are_taken_but_not_changed_until_the_history_is_in() {
    let database = target_database("guarded").await;
    let moved = Moved::new(database, None, Positions::default()).await;
    cut_over(moved.call(START)).await;
    moved.source.exec(TRIGGER).await.unwrap();
    let client = moved.source.connect().await.unwrap();
    for sql in CHANGES {
        let (message, hint) = refused(&client, sql, NO_CHANGES).await;
        assert!(message.ends_with("until its history is in"), "{message}");
        assert!(hint.contains("hyperhaul status"), "{hint}");
    }
    for sql in NEW {
        client.batch_execute(sql).await.unwrap();
    }
    backfill(moved.call("migrate")).await;
    for sql in CHANGES {
        refused(&client, sql, NO_CHANGES).await;
    }
    moved.call("migrate").run().await.expect_code(0);
    let ids = "SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE packet = 'new' AND id > 2000) FROM positions";
    let row = client.query_one(ids, &[]).await.unwrap();
    let found: (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    assert_eq!(found, (2_003, 2_003, 3), "the sequence goes on");
    for sql in CHANGES.iter().rev() {
        client.batch_execute(sql).await.unwrap();
    }
    let left = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'hyperhaul'::regnamespace AND proname = 'history'";
    assert_eq!(moved.source.value::<i64>(left).await.unwrap(), 0);
}

#[tokio::test]
async fn what_history_refers_to_stays_and_what_only_live_rows_refer_to_may_go() {
    let database = target_database("guarded_keys").await;
    database.exec(FIXES).await.unwrap();
    cut_over(call("migrate --mode backfill", &database).table("fixes")).await;
    let client = database.connect().await.unwrap();
    for (sql, state) in [
        ("DELETE FROM clubs WHERE id = 1", FOREIGN_KEY_VIOLATION),
        (
            "UPDATE clubs SET id = 100 WHERE id = 1",
            FOREIGN_KEY_VIOLATION,
        ),
        (
            "UPDATE aircraft SET id = 100 WHERE id = 4",
            FOREIGN_KEY_VIOLATION,
        ),
        ("DELETE FROM aircraft WHERE id = 4", FENCED),
        ("DELETE FROM receivers WHERE id = 3", FENCED),
        ("TRUNCATE aircraft CASCADE", FENCED),
    ] {
        refused(&client, sql, state).await;
    }
    let live = "INSERT INTO receivers VALUES (20); INSERT INTO aircraft VALUES (20); INSERT INTO clubs VALUES (20);
        INSERT INTO fixes VALUES (1000, '2025-12-11 12:00+00', 20, 20, NULL), (1001, '2025-12-11 12:00+00', 20, NULL, NULL);
        DELETE FROM clubs WHERE id = 20; DELETE FROM aircraft WHERE id = 20; DELETE FROM receivers WHERE id = 20";
    client.batch_execute(live).await.unwrap();
    let found: Vec<Option<i32>> = database.values("SELECT receiver FROM fixes").await.unwrap();
    assert_eq!(
        found,
        [None],
        "one live row went, the other one lost its receiver"
    );
    call("migrate", &database).run().await.expect_code(0);
    let old = "SELECT count(*) FROM pg_constraint WHERE conrelid = 'hyperhaul_old_public.fixes'::regclass AND contype = 'f'";
    assert_eq!(database.value::<i64>(old).await.unwrap(), 0);
    delete_referenced(&client).await;
}

#[tokio::test]
async fn what_history_from_another_server_lacks_is_said_and_can_be_put_back() {
    let (source, target) = (
        source_database("guarded_source").await,
        target_database("guarded_target").await,
    );
    let moved = Moved::new(source, Some(target), Positions::default()).await;
    cut_over(moved.call(START)).await;
    let client = moved.target().connect().await.unwrap();
    // Passed on to rows that are not there yet.
    refused(&client, "DELETE FROM aircraft WHERE id = 4", NO_CHANGES).await;
    let delete = "SET session_replication_role = replica; DELETE FROM aircraft WHERE id = 4";
    client.batch_execute(delete).await.unwrap();
    let stopped = moved.call("migrate").run().await.expect_code(3);
    stopped.expect_printed(&[
        "positions_aircraft_id_fkey",
        "put back what its rows refer to",
    ]);
    let again = "INSERT INTO aircraft VALUES (4, 'D-4')";
    client.batch_execute(again).await.unwrap();
    moved.call("migrate").run().await.expect_code(0);
    moved.assert_moved().await;
}

#[tokio::test]
async fn chunks_that_were_dropped_meanwhile_are_told() {
    let database = target_database("guarded_dropped").await;
    let moved = Moved::new(database, None, Positions::default()).await;
    cut_over(moved.call(START)).await;
    backfill(moved.call("migrate")).await;
    let drop = "SELECT drop_chunks('positions', older_than => timestamptz '2025-12-12 00:00+00')";
    moved.source.exec(drop).await.unwrap();
    let told = moved.call("migrate").run().await.expect_code(4);
    told.expect_printed(&["500 of 2000 rows of the old table"]);
    let again = format!("INSERT INTO positions SELECT * FROM {ARCHIVE}.positions WHERE id <= 500");
    moved.source.exec(&again).await.unwrap();
    moved.call("migrate").run().await.expect_code(0);
    moved.assert_moved().await;
}

/// Changes of the old table that get past its fence, and what is said of them.
const PAST_THE_FENCE: [(&str, &str); 3] = [
    (
        "ALTER TABLE hyperhaul_old_public.positions ALTER packet TYPE text USING upper(packet)",
        "500 of 500 rows were written since",
    ),
    (
        "ALTER TABLE positions_p20251212 DISABLE TRIGGER ALL; UPDATE positions_p20251212 SET packet = 'late' WHERE id < 503",
        "fence",
    ),
    (
        "UPDATE pg_class SET relhastriggers = false WHERE relname = 'positions_p20251212';
        INSERT INTO positions_p20251212 (received_at, aircraft_id, packet) VALUES ('2025-12-12 12:00+00', 1, 'late');
        UPDATE pg_class SET relhastriggers = true WHERE relname = 'positions_p20251212'",
        "1 rows were written since",
    ),
];

#[tokio::test]
async fn who_writes_to_the_old_table_past_its_fence_is_found_out_before_the_proof() {
    for (number, (sql, complaint)) in PAST_THE_FENCE.into_iter().enumerate() {
        let database = target_database(&format!("guarded_past_{number}")).await;
        let moved = Moved::new(database, None, Positions::default()).await;
        cut_over(moved.call(START)).await;
        // The step is marked, too: whoever goes on begins with the proof.
        let done = moved.call("migrate").failpoint("step.after_commit");
        done.run().await.expect_killed();
        moved.source.exec(sql).await.unwrap();
        for _ in 0..2 {
            let told = moved.call("migrate").run().await.expect_code(3);
            told.expect_printed(&[complaint, "hyperhaul rollback"]);
        }
        let back = moved.call("rollback --discard-new-rows").run().await;
        back.expect_code(0);
    }
}

#[tokio::test]
async fn a_partition_that_was_rewritten_meanwhile_stops_the_run_unless_it_was_only_vacuumed() {
    let database = target_database("guarded_rewritten").await;
    let moved = Moved::new(database, None, Positions::default()).await;
    let some =
        moved.call("migrate --table positions --mode backfill --slice-size 16kB --workers 1");
    some.failpoint("slice.after_commit")
        .run()
        .await
        .expect_killed();
    moved
        .source
        .exec("VACUUM FREEZE positions_p20251214")
        .await
        .unwrap();
    moved
        .call("migrate")
        .failpoint("slice.after_commit")
        .run()
        .await
        .expect_killed();
    // One that is begun, and one that is not.
    for (leaf, code) in [("positions_p20251211", 0), ("positions_p20251214", 3)] {
        moved
            .source
            .exec(&format!("VACUUM FULL {leaf}"))
            .await
            .unwrap();
        let next = moved
            .call("migrate")
            .failpoint("slice.after_commit")
            .run()
            .await;
        match code {
            0 => drop(next.expect_killed()),
            _ => drop(next.expect_code(code).expect_printed(&[
                "leaf public.positions_p20251214 of the old table was rewritten when it was half copied",
                "hyperhaul rollback",
            ])),
        }
    }
    moved.call("rollback").run().await.expect_code(0);
    moved.assert_back().await;
}
