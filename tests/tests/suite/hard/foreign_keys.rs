//! Foreign keys in both directions: the application deletes on after the cutover, and a rollback brings all of them back.

use super::{BLOCKED, DONE, call, moves_equal, refused};
use crate::support::{Hyperhaul, rows_seen, target_database};
use hyperhaul_testkit::Client;

pub(crate) const FOREIGN_KEY_VIOLATION: &str = "23503";

/// Fixes that refer to receivers (SET NULL), aircraft (CASCADE) and clubs (no action).
pub(crate) const FIXES: &str = "
    CREATE TABLE receivers (id integer PRIMARY KEY); INSERT INTO receivers SELECT generate_series(0, 9);
    CREATE TABLE aircraft (id integer PRIMARY KEY); INSERT INTO aircraft SELECT generate_series(0, 9);
    CREATE TABLE clubs (id integer PRIMARY KEY); INSERT INTO clubs SELECT generate_series(0, 9);
    CREATE TABLE fixes (
        id integer, at timestamptz NOT NULL, PRIMARY KEY (id, at),
        receiver integer REFERENCES receivers ON DELETE SET NULL,
        aircraft integer REFERENCES aircraft ON DELETE CASCADE,
        club integer REFERENCES clubs
    ) PARTITION BY RANGE (at);
    COMMENT ON CONSTRAINT fixes_club_fkey ON fixes IS 'whose it is';
    CREATE TABLE fixes_1 PARTITION OF fixes FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00');
    CREATE TABLE fixes_2 PARTITION OF fixes FOR VALUES FROM ('2025-12-12 00:00+00') TO ('2025-12-13 00:00+00');
    INSERT INTO fixes SELECT n, timestamptz '2025-12-11 00:00+00' + n * interval '1 hour', n % 10, n % 10, n % 5
    FROM generate_series(0, 47) AS n;";

/// The foreign keys of `fixes`, with validity and comment.
const KEYS: &str = "SELECT conname || ' ' || pg_get_constraintdef(oid) || convalidated || coalesce(obj_description(oid, 'pg_constraint'), '')
    FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND conrelid = 'public.fixes'::regclass ORDER BY 1";

/// Deletes of the referenced rows, and what they did.
pub(crate) async fn delete_referenced(client: &Client) {
    for sql in [
        "DELETE FROM receivers WHERE id = 3",
        "DELETE FROM aircraft WHERE id = 4",
        "DELETE FROM clubs WHERE id = 9",
    ] {
        client
            .batch_execute(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
    refused(
        client,
        "DELETE FROM clubs WHERE id = 1",
        FOREIGN_KEY_VIOLATION,
    )
    .await;
}

#[tokio::test]
async fn what_the_table_refers_to_can_be_deleted_after_the_cutover() {
    let database = target_database("refers").await;
    database.exec(FIXES).await.unwrap();
    let keys: Vec<String> = database.values(KEYS).await.unwrap();
    assert_eq!(keys.len(), 3);
    let before = rows_seen(&database, "TABLE fixes").await;
    moves_equal(&database, "fixes", "").await;
    delete_referenced(&database.connect().await.unwrap()).await;
    let rows = "SELECT ARRAY[count(*), count(*) FILTER (WHERE receiver IS NULL), count(*) FILTER (WHERE aircraft = 4)] FROM fixes";
    assert_eq!(database.value::<Vec<i64>>(rows).await.unwrap(), [43, 5, 0]);

    // The old rows refer to what is gone: nothing is undone before that is back.
    call("rollback --discard-new-rows", &database)
        .run()
        .await
        .expect_code(BLOCKED)
        .expect_printed(&["NOT EXISTS", "\"public\".\"receivers\""]);
    database
        .exec("INSERT INTO receivers VALUES (3); INSERT INTO aircraft VALUES (4)")
        .await
        .unwrap();
    call("rollback --discard-new-rows", &database)
        .run()
        .await
        .expect_code(DONE);
    assert_eq!(database.values::<String>(KEYS).await.unwrap(), keys);
    assert_eq!(rows_seen(&database, "TABLE fixes").await, before);
}

#[tokio::test]
async fn what_is_deleted_during_a_rollback_stops_it_when_the_table_is_in_use_again() {
    let database = target_database("refers_late").await;
    database.exec(FIXES).await.unwrap();
    let keys: Vec<String> = database.values(KEYS).await.unwrap();
    moves_equal(&database, "fixes", "").await;
    // Killed behind each step until the hypertable is gone: until then its fence refuses what the delete sets off.
    let there = "SELECT count(*) FROM hyperhaul.step WHERE step_id = 'create:public.fixes'";
    let mut killed = 0;
    while database.value::<i64>(there).await.unwrap() > 0 {
        killed += 1;
        assert!(killed < 40, "the hypertable is not undone");
        call("rollback", &database)
            .failpoint("step.after_commit:1")
            .run()
            .await
            .expect_killed();
    }
    database
        .exec("DELETE FROM receivers WHERE id = 3")
        .await
        .unwrap();
    call("rollback", &database)
        .run()
        .await
        .expect_code(BLOCKED)
        .expect_printed(&["NOT EXISTS", "hyperhaul rollback again"]);
    database
        .exec("UPDATE fixes SET receiver = NULL WHERE receiver = 3")
        .await
        .unwrap();
    call("rollback", &database).run().await.expect_code(DONE);
    assert_eq!(database.values::<String>(KEYS).await.unwrap(), keys);
}

#[tokio::test]
async fn going_back_brings_all_foreign_keys_back() {
    let database = target_database("refers_back").await;
    database.exec(FIXES).await.unwrap();
    let keys: Vec<String> = database.values(KEYS).await.unwrap();
    for failpoint in ["step.after_commit:1", "step.after_commit:3", ""] {
        let migrate = call("migrate --table fixes", &database);
        if failpoint.is_empty() {
            migrate.run().await.expect_code(DONE);
        } else {
            migrate.failpoint(failpoint).run().await.expect_killed();
        }
        call("rollback", &database).run().await.expect_code(DONE);
        assert_eq!(database.values::<String>(KEYS).await.unwrap(), keys);
    }
    delete_referenced(&database.connect().await.unwrap()).await;
}

#[tokio::test]
async fn deleting_goes_on_where_the_runs_role_is_not_the_owner() {
    let database = target_database("refers_owner").await;
    database.exec(FIXES).await.unwrap();
    let owner = database.owner_role().await.unwrap();
    database.give_schema(&owner, "public").await.unwrap();
    for table in ["fixes", "receivers", "aircraft", "clubs"] {
        let give = format!("ALTER TABLE {table} OWNER TO {}", owner.name());
        database.exec(&give).await.unwrap();
    }
    moves_equal(&database, "fixes", "").await;
    delete_referenced(&database.connect_as(&owner).await.unwrap()).await;
    call("rollback --discard-new-rows", &database)
        .run()
        .await
        .expect_code(BLOCKED);
}

#[tokio::test]
async fn a_partitioned_table_refers_to_the_hypertable_afterwards() {
    let database = target_database("referring_parts").await;
    database
        .exec(
            "CREATE TABLE messages (id integer, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
            CREATE TABLE messages_1 PARTITION OF messages FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00');
            INSERT INTO messages SELECT n, timestamptz '2025-12-11 00:00+00' + n * interval '1 hour' FROM generate_series(0, 23) AS n;
            CREATE TABLE fixes (message integer, at timestamptz NOT NULL, FOREIGN KEY (message, at) REFERENCES messages ON DELETE CASCADE)
                PARTITION BY RANGE (at);
            CREATE TABLE fixes_1 PARTITION OF fixes FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00');
            INSERT INTO fixes SELECT id, at FROM messages",
        )
        .await
        .unwrap();
    let keys: Vec<String> = database.values(KEYS).await.unwrap();
    moves_equal(&database, "messages", "").await;
    assert_eq!(database.values::<String>(KEYS).await.unwrap(), keys);
    let session = database.connect().await.unwrap();
    refused(
        &session,
        "INSERT INTO fixes VALUES (99, '2025-12-11 01:00+00')",
        FOREIGN_KEY_VIOLATION,
    )
    .await;
    session
        .batch_execute("BEGIN; DELETE FROM messages WHERE id = 3")
        .await
        .unwrap();
    let left = session
        .query_one("SELECT count(*) FROM fixes", &[])
        .await
        .unwrap();
    assert_eq!(left.get::<_, i64>(0), 23);
    session.batch_execute("ROLLBACK").await.unwrap();
    call("rollback", &database).run().await.expect_code(DONE);
    assert_eq!(database.values::<String>(KEYS).await.unwrap(), keys);
    refused(
        &session,
        "INSERT INTO fixes VALUES (99, '2025-12-11 01:00+00')",
        FOREIGN_KEY_VIOLATION,
    )
    .await;
}

#[tokio::test]
async fn rows_that_a_foreign_key_refuses_stop_the_run_with_a_query_for_them() {
    let database = target_database("violated").await;
    let referenced = crate::support::source_database("violated").await;
    referenced.exec(FIXES).await.unwrap();
    database
        .exec(
            "CREATE TABLE receivers (id integer PRIMARY KEY); INSERT INTO receivers SELECT generate_series(0, 8);
            CREATE TABLE aircraft (id integer PRIMARY KEY); INSERT INTO aircraft SELECT generate_series(0, 9);
            CREATE TABLE clubs (id integer PRIMARY KEY); INSERT INTO clubs SELECT generate_series(0, 9)",
        )
        .await
        .unwrap();
    let migrate = || {
        Hyperhaul::new("migrate --table fixes")
            .source(referenced.url())
            .target(database.url())
            .run()
    };
    let query = "SELECT * FROM \"hyperhaul_new_public\".\"fixes\" AS referring WHERE referring.\"receiver\" IS NOT NULL \
                 AND NOT EXISTS (SELECT FROM \"public\".\"receivers\" AS referred WHERE referred.\"id\" = referring.\"receiver\")";
    migrate()
        .await
        .expect_code(BLOCKED)
        .expect_printed(&[query]);
    assert_eq!(database.query(query, &[]).await.unwrap().len(), 4);
    database
        .exec("INSERT INTO receivers VALUES (9)")
        .await
        .unwrap();
    migrate().await.expect_code(DONE);
}
