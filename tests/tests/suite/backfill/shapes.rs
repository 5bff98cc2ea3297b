//! Tables of every shape whose history follows, and those for which it cannot.

use super::{backfill, cut_over};
use crate::hard::{call, moves_equal_once, refused};
use crate::policies::Ticks;
use crate::support::{
    Positions, SOAR_TABLES, assert_equal_rows, rows_seen, soar_database, target_database,
};
use hyperhaul_testkit::TestDatabase;

/// Exit code of what is in the way.
const BLOCKED: i32 = 3;

/// Moves a table within the server and through this process.
async fn follows(database: &TestDatabase, table: &str, options: &str) {
    for strategy in ["server", "copy"] {
        let options = format!("--mode backfill --strategy {strategy} {options}");
        moves_equal_once(database, table, &options).await;
        call("rollback", database).run().await.expect_code(0);
    }
}

const IN_ONE_PIECE: &str = "
    CREATE TABLE \"Pump readings\" (\"Id\" bigint GENERATED ALWAYS AS IDENTITY, \"At\" timestamptz NOT NULL, depth numeric,
        twice numeric GENERATED ALWAYS AS (depth * 2) STORED, \"Wörter\" text[], PRIMARY KEY (\"Id\", \"At\"));
    INSERT INTO \"Pump readings\" (\"At\", depth, \"Wörter\")
    SELECT timestamptz '2025-12-01 00:00+00' + n * interval '10 minutes', n / 8.0, ARRAY['a', NULL, n::text]
    FROM generate_series(0, 2999) AS n";

#[tokio::test]
async fn a_table_in_one_piece_is_its_own_history() {
    let database = target_database("shape_piece").await;
    database.exec(IN_ONE_PIECE).await.unwrap();
    let options = "--time-column At --slice-size 64kB";
    follows(&database, "\"Pump readings\"", options).await;
    let plan = call(&format!("plan --mode backfill {options} --sql"), &database);
    let plan = plan.table("\"Pump readings\"").run().await.expect_code(0);
    plan.expect_printed(&["FROM ONLY \"hyperhaul_old_public\".\"Pump readings\""]);
    let start = format!("migrate --mode backfill {options}");
    cut_over(call(&start, &database).table("\"Pump readings\"")).await;
    let live = "INSERT INTO \"Pump readings\" (\"At\", depth) VALUES ('2025-12-02 00:00+00', -1) RETURNING \"Id\"";
    let id: i64 = database.value(live).await.unwrap();
    assert!(id > 3_000, "no key of history is given away: {id}");
    call("migrate", &database).run().await.expect_code(0);
    assert_equal_rows(
        (
            &database,
            "SELECT * FROM hyperhaul_old_public.\"Pump readings\"",
        ),
        (
            &database,
            "SELECT * FROM \"Pump readings\" WHERE depth >= 0",
        ),
    )
    .await;
    call("cleanup --yes", &database).run().await.expect_code(0);
}

#[tokio::test]
async fn partitions_of_every_kind_follow() {
    let database = target_database("shape_partitions").await;
    database
        .exec(
            "CREATE TYPE phase AS ENUM ('taxi', 'climb'); CREATE DOMAIN feet AS integer CHECK (VALUE > -2000);
            CREATE TABLE fixes (gone text, id integer, at timestamptz NOT NULL, kind text, phases phase[], height feet) PARTITION BY RANGE (at);
            CREATE UNIQUE INDEX ON fixes (id, at, kind);
            CREATE TABLE fixes_1 PARTITION OF fixes FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00') PARTITION BY LIST (kind);
            CREATE TABLE fixes_1_a PARTITION OF fixes_1 FOR VALUES IN ('a');
            CREATE TABLE fixes_1_rest PARTITION OF fixes_1 DEFAULT;
            CREATE TABLE fixes_2 PARTITION OF fixes FOR VALUES FROM ('2025-12-12 05:00+00') TO ('2025-12-13 17:00+00');
            CREATE TABLE fixes_empty PARTITION OF fixes FOR VALUES FROM ('2025-12-14 00:00+00') TO ('2025-12-15 00:00+00');
            CREATE TABLE fixes_rest PARTITION OF fixes DEFAULT;
            ALTER TABLE fixes DROP gone;
            INSERT INTO fixes SELECT n, timestamptz '2025-12-11 00:00+00' + n * interval '9 minutes', substr('abc', n % 3 + 1, 1),
                ARRAY['taxi', NULL]::phase[], -n FROM generate_series(0, 399) AS n;
            INSERT INTO fixes VALUES (1000, '2031-01-01 00:00+00', NULL, NULL, NULL), (1001, '1969-12-31 23:00+00', NULL, NULL, NULL)",
        )
        .await
        .unwrap();
    follows(&database, "fixes", "--chunk-interval 36h").await;
}

#[tokio::test]
async fn a_table_without_rows_has_no_history() {
    let database = target_database("shape_empty").await;
    let empty = Positions {
        days: 2,
        rows_per_day: 1,
        ..Positions::default()
    };
    empty.create(&database).await;
    database.exec("TRUNCATE positions").await.unwrap();
    follows(&database, "positions", "").await;
}

/// SOAR's two tables, whose foreign key from hypertable to hypertable is given up.
#[tokio::test]
async fn two_tables_that_refer_to_each_other_follow_together() {
    let database = soar_database("shape_soar", 6_000).await;
    let seen = async || {
        let messages = rows_seen(&database, "TABLE raw_messages").await;
        [messages, rows_seen(&database, "TABLE fixes").await]
    };
    let before = seen().await;
    let accept = "--accept hypertable_foreign_key,backfill";
    let tables = SOAR_TABLES.replace("--accept hypertable_foreign_key", accept);
    let call = |arguments: &str| call(arguments, &database);
    backfill(call(&format!("migrate {tables} --mode backfill"))).await;
    call("migrate").run().await.expect_code(0);
    call("verify").run().await.expect_code(0);
    assert_eq!(seen().await, before);
    call("rollback").run().await.expect_code(0);
    assert_eq!(seen().await, before);
}

/// Rows of another table that refer to history.
const NOTES: &str = "CREATE TABLE notes (position bigint, at timestamptz, word text,
        CONSTRAINT notes_position FOREIGN KEY (position, at) REFERENCES positions (id, received_at));
    INSERT INTO notes SELECT id, received_at, 'old' FROM positions WHERE id % 100 = 0";

#[tokio::test]
async fn rows_that_refer_to_history_wait_for_it() {
    let database = target_database("shape_referring").await;
    Positions::default().create(&database).await;
    database.exec(NOTES).await.unwrap();
    let start = "migrate --table positions --mode backfill";
    let check = call("check --table positions --mode backfill", &database);
    let blocked = check.run().await.expect_code(BLOCKED);
    blocked.expect_printed(&["notes_position", "--accept backfill", "--mode window"]);
    cut_over(call(&format!("{start} --accept backfill"), &database)).await;
    let client = database.connect().await.unwrap();
    let early = "INSERT INTO notes SELECT id, received_at, 'new' FROM hyperhaul_old_public.positions WHERE id = 77";
    refused(&client, early, "23503").await;
    let live = "WITH live AS (INSERT INTO positions (received_at, aircraft_id, packet) VALUES ('2025-12-11 12:00:01+00', 1, 'live')
            RETURNING id, received_at) INSERT INTO notes SELECT id, received_at, 'new' FROM live";
    client.batch_execute(live).await.unwrap();
    call("migrate", &database).run().await.expect_code(0);
    client.batch_execute(early).await.unwrap();
    let validated = "SELECT convalidated FROM pg_constraint WHERE conname = 'notes_position' AND conrelid = 'notes'::regclass";
    assert!(database.value::<bool>(validated).await.unwrap());
}

/// What stands in the way of history that follows, with the words that name it; and what does not.
const IN_THE_WAY: [(&str, &str); 10] = [
    (
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER tell BEFORE INSERT ON positions FOR EACH ROW EXECUTE FUNCTION tell()",
        "trigger \"tell\" would fire for rows of the history once more",
    ),
    (
        "CREATE FUNCTION \"tell_INSERT\"() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER tell AFTER UPDATE OR DELETE ON positions FOR EACH ROW EXECUTE FUNCTION \"tell_INSERT\"()",
        "",
    ),
    (
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER \"tell AFTER UPDATE ON\" AFTER UPDATE OR INSERT ON positions EXECUTE FUNCTION tell()",
        "trigger \"tell AFTER UPDATE ON\" would fire",
    ),
    (
        "CREATE PUBLICATION shape_all FOR TABLE positions",
        "would be published once more, by \"shape_all\"",
    ),
    (
        "ALTER TABLE positions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY all_rows ON positions USING (true)",
        "row security is forced on the table",
    ),
    (
        "ALTER TABLE positions ENABLE ROW LEVEL SECURITY; CREATE POLICY all_rows ON positions USING (false)",
        "",
    ),
    (
        "ALTER TABLE positions ADD CONSTRAINT heights CHECK (altitude_feet < 100) NOT VALID",
        "constraint \"heights\" was never validated",
    ),
    (
        "CREATE TABLE notes (position bigint, at timestamptz,
            CONSTRAINT notes_position FOREIGN KEY (position, at) REFERENCES positions (id, received_at)) PARTITION BY RANGE (at)",
        "rows of public.notes refer to history",
    ),
    (
        "ALTER TABLE positions ADD CONSTRAINT later UNIQUE (packet, received_at) DEFERRABLE",
        "constraint \"later\" is deferrable",
    ),
    (
        "CREATE UNIQUE INDEX words ON positions (lower(packet), received_at)",
        "unique index \"words\" has expressions",
    ),
];

#[tokio::test]
async fn what_would_act_on_history_once_more_or_refuse_it_blocks() {
    for (number, (sql, words)) in IN_THE_WAY.into_iter().enumerate() {
        let database = target_database(&format!("shape_way_{number}")).await;
        Positions::default().create(&database).await;
        database.exec(sql).await.unwrap();
        if words.is_empty() {
            let start = "migrate --table positions --mode backfill";
            call(start, &database).run().await.expect_code(0);
            continue;
        }
        let check = call("check --table positions --mode backfill", &database);
        let blocked = check.run().await.expect_code(BLOCKED);
        blocked.expect_printed(&[words, "--mode window"]);
    }
}

/// Retention, from a role that only owns the table; history that it would drop at once is left out.
const RETAINED: &str = "mode = \"backfill\"\nskip_expired = true\n\n[[table]]\nname = \"ticks\"\ntime_column = \"at\"\nretention = \"30 days\"\n";

#[tokio::test]
async fn an_owner_who_is_no_superuser_has_policies_and_leaves_expired_history_out() {
    let ticks = Ticks::on_apache("shape_owner", RETAINED).await;
    let owner = ticks.plain_owner().await;
    ticks.whole_lifecycle_as(&owner).await;
}
