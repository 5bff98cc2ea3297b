//! What hangs on a table and has to be on the hypertable afterwards: constraints, indexes, triggers, policies, publications,
//! statistics, generated columns, grants.

use super::{BLOCKED, DONE, call, moves_equal, refused};
use crate::support::target_database;
use hyperhaul_testkit::TestDatabase;

const UNIQUE_VIOLATION: &str = "23505";
const CHECK_VIOLATION: &str = "23514";
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// A table with two days of rows, and what `more` puts on it.
async fn table_with(prefix: &str, more: &str) -> TestDatabase {
    let database = target_database(prefix).await;
    database
        .exec(&format!(
            "CREATE TABLE fixes (id integer, at timestamptz NOT NULL, height integer, who text) PARTITION BY RANGE (at);
            CREATE TABLE fixes_1 PARTITION OF fixes FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00');
            CREATE TABLE fixes_2 PARTITION OF fixes FOR VALUES FROM ('2025-12-12 00:00+00') TO ('2025-12-13 00:00+00');
            INSERT INTO fixes SELECT n, timestamptz '2025-12-11 00:00+00' + n * interval '1 hour', n * 100, 'pilot ' || n % 3
            FROM generate_series(0, 47) AS n; {more}"
        ))
        .await
        .unwrap();
    database
}

#[tokio::test]
async fn a_check_that_is_not_valid_lets_old_rows_in_and_no_new_ones() {
    let database = table_with(
        "not_valid",
        "ALTER TABLE fixes ADD CONSTRAINT low CHECK (height < 1000) NOT VALID",
    )
    .await;
    moves_equal(&database, "fixes", "").await;
    let validated: bool = database
        .value("SELECT convalidated FROM pg_constraint WHERE conname = 'low' AND conrelid = 'fixes'::regclass")
        .await
        .unwrap();
    assert!(!validated);
    let session = database.connect().await.unwrap();
    refused(
        &session,
        "INSERT INTO fixes VALUES (-1, '2025-12-11 00:00+00', 1000)",
        CHECK_VIOLATION,
    )
    .await;
}

#[tokio::test]
async fn an_exclusion_constraint_blocks_until_it_is_accepted() {
    let database = table_with(
        "exclusion",
        "ALTER TABLE fixes ADD CONSTRAINT apart EXCLUDE USING btree (at WITH =, id WITH =)",
    )
    .await;
    for command in ["check", "plan"] {
        call(command, &database)
            .table("fixes")
            .run()
            .await
            .expect_code(BLOCKED)
            .expect_printed(&[
                "exclusion_constraint",
                "apart",
                "--accept exclusion_constraint",
            ]);
    }
    moves_equal(&database, "fixes", "--accept exclusion_constraint").await;
}

#[tokio::test]
async fn a_partial_unique_index_still_refuses_what_it_refused() {
    let database = table_with(
        "partial",
        "CREATE UNIQUE INDEX one_pilot ON fixes (who, at) WHERE height >= 0",
    )
    .await;
    moves_equal(&database, "fixes", "").await;
    let session = database.connect().await.unwrap();
    refused(
        &session,
        "INSERT INTO fixes VALUES (-1, '2025-12-11 00:00+00', 5, 'pilot 0')",
        UNIQUE_VIOLATION,
    )
    .await;
    session
        .batch_execute("INSERT INTO fixes VALUES (-1, '2025-12-11 00:00+00', -5, 'pilot 0')")
        .await
        .unwrap();
}

#[tokio::test]
async fn triggers_fire_on_the_hypertable_and_did_not_for_the_copied_rows() {
    let database = table_with(
        "triggers",
        "CREATE TABLE log (who text);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (TG_NAME); RETURN NEW; END $$;
        CREATE TRIGGER each_row BEFORE INSERT ON fixes FOR EACH ROW WHEN (NEW.height > 0) EXECUTE FUNCTION note();
        CREATE TRIGGER each_statement AFTER UPDATE OR DELETE ON fixes FOR EACH STATEMENT EXECUTE FUNCTION note();
        CREATE TRIGGER resting AFTER INSERT ON fixes FOR EACH ROW EXECUTE FUNCTION note();
        ALTER TABLE fixes DISABLE TRIGGER resting",
    )
    .await;
    let checked = call("check", &database)
        .table("fixes")
        .run()
        .await
        .expect_code(DONE);
    checked.expect_printed(&["trigger \"resting\" is disabled"]);
    moves_equal(&database, "fixes", "").await;
    assert_eq!(
        database
            .value::<i64>("SELECT count(*) FROM log")
            .await
            .unwrap(),
        0
    );
    let disabled = "SELECT count(*) FROM pg_trigger WHERE tgname = 'resting' AND tgrelid = 'fixes'::regclass AND tgenabled = 'D'";
    assert_eq!(
        database.value::<i64>(disabled).await.unwrap(),
        0,
        "a hypertable cannot disable one: it is left out"
    );
    database
        .exec("INSERT INTO fixes VALUES (-1, '2025-12-20 00:00+00', 1), (-2, '2025-12-20 00:00+00', 0); DELETE FROM fixes WHERE id < 0")
        .await
        .unwrap();
    let fired: Vec<String> = database
        .values("SELECT who FROM log ORDER BY who")
        .await
        .unwrap();
    assert_eq!(fired, ["each_row", "each_statement"]);
    call("rollback --discard-new-rows", &database)
        .run()
        .await
        .expect_code(DONE);
    database
        .exec("INSERT INTO fixes VALUES (-3, '2025-12-11 00:00+00', 1)")
        .await
        .unwrap();
    assert_eq!(
        database
            .value::<i64>("SELECT count(*) FROM log")
            .await
            .unwrap(),
        3
    );
    assert_eq!(database.value::<i64>(disabled).await.unwrap(), 1);
}

#[tokio::test]
async fn row_security_policies_and_grants_hold_on_the_hypertable() {
    let database = table_with(
        "policies",
        "ALTER TABLE fixes ENABLE ROW LEVEL SECURITY;
        CREATE POLICY own ON fixes FOR SELECT TO PUBLIC USING (who = 'pilot 1');
        CREATE POLICY few ON fixes AS RESTRICTIVE FOR SELECT TO PUBLIC USING (height < 2000)",
    )
    .await;
    let reader = database.owner_role().await.unwrap();
    let grants = format!(
        "GRANT SELECT (id, at, who) ON fixes TO {0}; GRANT INSERT ON fixes TO {0}; GRANT UPDATE (who) ON fixes TO {0} WITH GRANT OPTION",
        reader.name()
    );
    database.exec(&grants).await.unwrap();
    let session = database.connect_as(&reader).await.unwrap();
    let visible: Vec<i32> = ids(&session).await;
    assert_eq!(visible, [1, 4, 7, 10, 13, 16, 19]);
    moves_equal(&database, "fixes", "").await;
    assert_eq!(ids(&session).await, visible);
    refused(&session, "SELECT height FROM fixes", INSUFFICIENT_PRIVILEGE).await;
    refused(
        &session,
        "INSERT INTO fixes VALUES (-1, '2025-12-11 00:00+00', 5, 'pilot 1')",
        INSUFFICIENT_PRIVILEGE,
    )
    .await;
    let granted = "SELECT string_agg(format('%s %s %s', column_name, privilege_type, is_grantable), ', ' ORDER BY column_name, privilege_type)
        FROM information_schema.column_privileges WHERE table_schema = 'public' AND table_name = 'fixes' AND privilege_type IN ('SELECT', 'UPDATE') AND grantee =";
    let granted: String = database
        .value(&format!("{granted} '{}'", reader.name()))
        .await
        .unwrap();
    assert_eq!(
        granted,
        "at SELECT NO, id SELECT NO, who SELECT NO, who UPDATE YES"
    );
    call("rollback", &database).run().await.expect_code(DONE);
    assert_eq!(ids(&session).await, visible);
}

async fn ids(session: &hyperhaul_testkit::Client) -> Vec<i32> {
    let rows = session
        .query("SELECT id FROM fixes ORDER BY id", &[])
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn the_hypertable_takes_the_tables_place_in_a_publication_once_that_is_accepted() {
    let publication =
        "CREATE PUBLICATION fixes_out FOR TABLE fixes (id, at) WITH (publish_via_partition_root)";
    let database = table_with("publication", publication).await;
    call("plan", &database)
        .table("fixes")
        .run()
        .await
        .expect_code(BLOCKED)
        .expect_printed(&["publication", "fixes_out"]);
    let members =
        "SELECT schemaname || '.' || tablename || ' ' || attnames::text FROM pg_publication_tables
        WHERE tablename = 'fixes'";
    moves_equal(&database, "fixes", "--accept publication").await;
    assert_eq!(
        database.values::<String>(members).await.unwrap(),
        ["public.fixes {id,at}"]
    );
    call("rollback", &database).run().await.expect_code(DONE);
    assert_eq!(
        database.values::<String>(members).await.unwrap(),
        ["public.fixes {id,at}"]
    );
    let partitioned: bool = database
        .value("SELECT relkind = 'p' FROM pg_publication_rel JOIN pg_class ON pg_class.oid = prrelid WHERE relname = 'fixes'")
        .await
        .unwrap();
    assert!(partitioned);
}

#[tokio::test]
async fn extended_statistics_and_generated_columns_are_on_the_hypertable() {
    let database = table_with(
        "statistics",
        "CREATE STATISTICS together (dependencies, mcv) ON height, who FROM fixes;
        ALTER STATISTICS together SET STATISTICS 77;
        ALTER TABLE fixes ADD metres float8 GENERATED ALWAYS AS (height * 0.3048) STORED;
        ALTER TABLE fixes ALTER who SET STATISTICS 500",
    )
    .await;
    moves_equal(&database, "fixes", "").await;
    let on: Vec<String> = database
        .values("SELECT stxrelid::regclass || ' ' || stxstattarget FROM pg_statistic_ext WHERE stxname = 'together' AND stxnamespace = 'public'::regnamespace")
        .await
        .unwrap();
    assert_eq!(on, ["fixes 77"]);
    let metres: f64 = database
        .value("INSERT INTO fixes (id, at, height) VALUES (-1, '2025-12-20 00:00+00', 1000) RETURNING metres")
        .await
        .unwrap();
    assert!((metres - 304.8).abs() < 1e-9);
    let target: String =
        database.value("SELECT attstattarget::text FROM pg_attribute WHERE attrelid = 'fixes'::regclass AND attname = 'who'").await.unwrap();
    assert_eq!(target, "500");
    call("rollback --discard-new-rows", &database)
        .run()
        .await
        .expect_code(DONE);
    let back: Vec<String> = database
        .values("SELECT stxrelid::regclass::text FROM pg_statistic_ext WHERE stxname = 'together'")
        .await
        .unwrap();
    assert_eq!(back, ["fixes"]);
}
