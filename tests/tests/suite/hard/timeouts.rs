//! Timeouts that are set for the role or the database: they are the application's, and do not end a migration's work.

use super::{DONE, assert_newest_run_did_each_slice_once, call};
use crate::support::{Hyperhaul, rows_seen, target_database};

#[tokio::test]
async fn work_that_takes_longer_than_the_roles_timeouts_ends() {
    let database = target_database("timeouts").await;
    let role = database.owner_role().await.unwrap();
    database.give_schema(&role, "public").await.unwrap();
    database.grant_create(&role).await.unwrap();
    let owner = database.connect_as(&role).await.unwrap();
    // Both the copying (a check) and an index build take seconds: some milliseconds for each row.
    owner
        .batch_execute(
            "CREATE FUNCTION slowly(n integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE
                AS $$ BEGIN PERFORM pg_sleep(0.002); RETURN n; END $$;
            CREATE TABLE readings (id integer, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
            CREATE TABLE readings_1 PARTITION OF readings FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00');
            INSERT INTO readings SELECT n, timestamptz '2025-12-11 00:00+00' + n * interval '1 minute' FROM generate_series(1, 300) AS n;
            ALTER TABLE readings ADD CONSTRAINT slow CHECK (slowly(id) = id) NOT VALID;
            CREATE INDEX readings_slowly ON readings (slowly(id))",
        )
        .await
        .unwrap_or_else(|error| panic!("{error:?}"));
    for setting in [
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        "transaction_timeout",
    ] {
        database
            .exec(&format!(
                "ALTER ROLE {} SET {setting} = '100ms'",
                role.name()
            ))
            .await
            .unwrap();
    }
    let impatient = database.connect_as(&role).await.unwrap();
    impatient
        .batch_execute("SELECT pg_sleep(5)")
        .await
        .expect_err("the role's sessions have a timeout");

    let before = rows_seen(&database, "TABLE readings").await;
    let url = database.url_as(&role).unwrap();
    let checked = Hyperhaul::new("check")
        .source(&url)
        .table("readings")
        .run()
        .await
        .expect_code(DONE);
    checked.expect_printed(&["statement_timeout = 100 ms"]);
    for command in [
        "migrate --table readings",
        "verify",
        "rollback",
        "migrate --table readings",
        "verify",
    ] {
        Hyperhaul::new(command)
            .source(&url)
            .run()
            .await
            .expect_code(DONE);
        assert_eq!(
            rows_seen(&database, "TABLE readings").await,
            before,
            "after {command}"
        );
    }
    assert_newest_run_did_each_slice_once(&database).await;
    call("cleanup --yes", &database)
        .run()
        .await
        .expect_code(DONE);
}
