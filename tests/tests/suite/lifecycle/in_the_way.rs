//! What was made since the cutover and would stop a rollback half-way is named before anything is undone.

use super::catalog;
use crate::support::{Hyperhaul, Positions, rows_seen, target_database};
use hyperhaul_testkit::TestDatabase;

/// `positions` with a view and a table that refer to it, moved; and what was there before.
async fn moved(prefix: &str) -> (TestDatabase, std::collections::BTreeSet<String>) {
    let database = target_database(prefix).await;
    Positions::default().create(&database).await;
    database
        .exec(
            "CREATE VIEW latest AS SELECT * FROM positions WHERE received_at > '2025-12-13Z';
            CREATE TABLE remarks (position_id bigint, received_at timestamptz, remark text,
                CONSTRAINT remarks_position FOREIGN KEY (position_id, received_at) REFERENCES positions (id, received_at));
            INSERT INTO remarks SELECT id, received_at, 'seen' FROM positions WHERE id < 10",
        )
        .await
        .unwrap();
    let before = catalog::everything(&database).await;
    call("migrate --table positions", &database)
        .run()
        .await
        .expect_code(0);
    (database, before)
}

fn call(arguments: &str, database: &TestDatabase) -> Hyperhaul {
    Hyperhaul::new(arguments).source(database.url())
}

async fn assert_done_and_writable(database: &TestDatabase) {
    let state = "SELECT state FROM hyperhaul.run ORDER BY run_id DESC LIMIT 1";
    assert_eq!(database.value::<String>(state).await.unwrap(), "done");
    database
        .exec("BEGIN; UPDATE positions SET altitude_feet = 1 WHERE id = 1; ROLLBACK")
        .await
        .unwrap();
}

#[tokio::test]
async fn what_uses_the_hypertable_since_the_cutover_is_named_before_a_rollback() {
    let (database, before) = moved("way_used").await;
    for (make, drop, named) in [
        (
            "CREATE VIEW newer AS SELECT * FROM positions",
            "DROP VIEW newer",
            "view public.newer",
        ),
        (
            "CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM positions",
            "DROP MATERIALIZED VIEW counted",
            "materialized view public.counted",
        ),
        (
            "CREATE TABLE notes (id bigint, received_at timestamptz, CONSTRAINT notes_position FOREIGN KEY (id, received_at) REFERENCES positions)",
            "DROP TABLE notes",
            "notes_position",
        ),
        (
            "CREATE FUNCTION feet(positions) RETURNS integer LANGUAGE sql RETURN $1.altitude_feet",
            "DROP FUNCTION feet(positions)",
            "function public.feet(public.positions)",
        ),
    ] {
        database.exec(make).await.unwrap();
        for command in ["rollback", "rollback --discard-new-rows"] {
            call(command, &database)
                .run()
                .await
                .expect_code(3)
                .expect_printed(&[named, "public.positions", "Nothing was undone"]);
            assert_done_and_writable(&database).await;
        }
        database.exec(drop).await.unwrap();
    }
    // What was there before is pointed back, and in nobody's way.
    call("rollback", &database).run().await.expect_code(0);
    catalog::assert_same(&before, &catalog::everything(&database).await);
}

#[tokio::test]
async fn rows_that_refer_to_rows_to_be_discarded_are_named_before_a_rollback() {
    let (database, before) = moved("way_orphans").await;
    let rows = rows_seen(&database, Positions::ROWS).await;
    database
        .exec(
            "INSERT INTO positions (id, received_at, aircraft_id, packet) VALUES (90001, '2025-12-12 06:00Z', 1, 'new');
            INSERT INTO remarks VALUES (90001, '2025-12-12 06:00Z', 'new'), (NULL, NULL, 'of nothing')",
        )
        .await
        .unwrap();
    let ended = call("rollback --discard-new-rows", &database)
        .run()
        .await
        .expect_code(3)
        .expect_printed(&[
            "1 rows of public.remarks, by foreign key remarks_position",
            "SELECT * FROM \"public\".\"remarks\"",
        ]);
    assert!(
        !ended.stderr.contains("90001"),
        "no values\n{}",
        ended.stderr
    );
    assert_done_and_writable(&database).await;
    let rows_sql = ended.stderr.split("remarks_position: ").nth(1).unwrap();
    let rows_sql = rows_sql.split("HINT").next().unwrap();
    let found: Vec<String> = database
        .values(&format!("SELECT remark FROM ({rows_sql}) AS found"))
        .await
        .unwrap();
    assert_eq!(found, ["new"], "the statement finds them");
    database
        .exec("DELETE FROM remarks WHERE remark = 'new'")
        .await
        .unwrap();
    call("rollback --discard-new-rows", &database)
        .run()
        .await
        .expect_code(0);
    catalog::assert_same(&before, &catalog::everything(&database).await);
    assert_eq!(rows_seen(&database, Positions::ROWS).await, rows);
}

#[tokio::test]
async fn old_rows_that_refer_to_deleted_rows_are_named_before_a_rollback() {
    let (database, before) = moved("way_deleted").await;
    let write = "DELETE FROM remarks; DELETE FROM aircraft WHERE id = 7";
    database.exec(write).await.unwrap();
    call("rollback", &database)
        .run()
        .await
        .expect_code(3)
        .expect_printed(&["written to since the cutover"]);
    call("rollback --discard-new-rows", &database)
        .run()
        .await
        .expect_code(3)
        .expect_printed(&[
            "40 rows of hyperhaul_old_public.positions, by foreign key positions_aircraft_id_fkey",
            "put back the rows",
        ]);
    assert_done_and_writable(&database).await;
    database
        .exec("INSERT INTO aircraft VALUES (7, 'D-7')")
        .await
        .unwrap();
    call("rollback --discard-new-rows", &database)
        .run()
        .await
        .expect_code(0);
    catalog::assert_same(&before, &catalog::everything(&database).await);
}

#[tokio::test]
async fn a_referenced_table_that_may_not_be_read_does_not_keep_a_rollback_from_its_work() {
    let database = target_database("way_unread").await;
    Positions::default().create(&database).await;
    let role = database.owner_role().await.unwrap();
    database.give_schema(&role, "public").await.unwrap();
    database.grant_create(&role).await.unwrap();
    let own = format!(
        "ALTER TABLE positions OWNER TO {0}; GRANT REFERENCES ON aircraft TO {0};
        DO $$ DECLARE name text; BEGIN FOR name IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'positions'::regclass
        LOOP EXECUTE format('ALTER TABLE %s OWNER TO {0}', name); END LOOP; END $$",
        role.name()
    );
    database.exec(&own).await.unwrap();
    let url = database.url_as(&role).unwrap();
    for command in ["migrate --table positions", "rollback --discard-new-rows"] {
        let call = Hyperhaul::new(command).source(&url);
        call.run().await.expect_code(0);
    }
}

#[tokio::test]
async fn a_lock_that_a_rollback_cannot_have_is_answered_with_rollback() {
    let database = target_database("way_lock").await;
    Positions::default().create(&database).await;
    call(
        "migrate --table positions --lock-timeout 200ms --lock-attempts 2",
        &database,
    )
    .run()
    .await
    .expect_code(0);
    let holder = database.connect().await.unwrap();
    // Reads alone: the fence comes on, the cutover's inverse does not come through.
    holder
        .batch_execute("BEGIN; SELECT count(*) FROM positions")
        .await
        .unwrap();
    let ended = call("rollback", &database)
        .run()
        .await
        .expect_code(3)
        .expect_printed(&["could not undo", "run hyperhaul rollback again"]);
    assert!(!ended.stderr.contains("--lock-timeout"), "{}", ended.stderr);
    holder.batch_execute("COMMIT").await.unwrap();
    call("rollback", &database).run().await.expect_code(0);
}
