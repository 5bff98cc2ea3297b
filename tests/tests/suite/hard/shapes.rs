//! Tables of every shape: columns dropped or in another order, types of all kinds, partitions empty or partitioned themselves.

use super::{BLOCKED, DONE, call, moves_equal, refused};
use crate::support::{Hyperhaul, assert_equal_rows, source_database, target_database};

/// SQLSTATEs.
const NOT_NULL_VIOLATION: &str = "23502";
const UNIQUE_VIOLATION: &str = "23505";
const CHECK_VIOLATION: &str = "23514";

#[tokio::test]
async fn columns_that_were_dropped_or_stand_in_another_order_in_a_partition_are_moved() {
    let database = target_database("dropped").await;
    database
        .exec(
            "CREATE TABLE fixes (gone_first integer, id integer, at timestamptz NOT NULL, gone text, name text, height integer)
                PARTITION BY RANGE (at);
            CREATE TABLE fixes_1 PARTITION OF fixes FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00');
            INSERT INTO fixes SELECT n, n, timestamptz '2025-12-11 00:00+00' + n * interval '1 minute', 'gone', 'name ' || n, -n
            FROM generate_series(1, 100) AS n;
            ALTER TABLE fixes DROP gone_first, DROP gone;
            ALTER TABLE fixes ADD added text DEFAULT 'as ever';
            CREATE TABLE fixes_2 (height integer, added text DEFAULT 'as ever', waste integer, name text, at timestamptz NOT NULL,
                id integer);
            INSERT INTO fixes_2 SELECT n, 'from elsewhere', 0, 'name ' || n, timestamptz '2025-12-12 00:00+00' + n * interval '1 minute', -n
            FROM generate_series(1, 100) AS n;
            ALTER TABLE fixes_2 DROP waste;
            ALTER TABLE fixes ATTACH PARTITION fixes_2 FOR VALUES FROM ('2025-12-12 00:00+00') TO ('2025-12-13 00:00+00');
            INSERT INTO fixes (id, at, name) VALUES (1000, '2025-12-12 23:59:59.999999+00', NULL)",
        )
        .await
        .unwrap();
    moves_equal(&database, "fixes", "").await;
}

#[tokio::test]
async fn types_of_all_kinds_are_moved() {
    let database = target_database("types").await;
    database
        .exec(
            "CREATE TYPE phase AS ENUM ('taxi', 'climb', 'cruise');
            CREATE DOMAIN feet AS integer CHECK (VALUE > -2000);
            CREATE DOMAIN call_sign AS text NOT NULL CHECK (VALUE <> '');
            CREATE TYPE place AS (latitude float8, longitude float8, phase phase);
            CREATE TYPE span AS RANGE (subtype = float8);
            CREATE TABLE fixes (at timestamptz NOT NULL, phases phase[], height feet, heights feet[], who call_sign, place place,
                places place[], during tstzrange, spans span[], heights_seen int4multirange, address inet, bits varbit,
                amount numeric(20, 5), word jsonb, path text[][], \"Größe \"\"x\"\"\" float4, letter \"char\", id uuid, ticks interval)
                PARTITION BY RANGE (at);
            CREATE TABLE fixes_1 PARTITION OF fixes FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00');
            CREATE TABLE fixes_rest PARTITION OF fixes DEFAULT;
            INSERT INTO fixes VALUES
                ('2025-12-11 00:00+00', '{taxi,NULL,cruise}', -5, '{1,NULL,3}', 'D-1234', (1.5, NULL, 'climb'),
                    ARRAY[(1, 2, 'taxi'), NULL]::place[], '[2025-12-11,2025-12-12)', '{empty,\"[1.5,2.5)\"}', '{[1,3),[7,9)}', '::1/64',
                    B'10110', 'NaN', '{\"a\": [1, null]}', '{{a,b},{c,NULL}}', 'Infinity', 'x',
                    '00000000-0000-0000-0000-000000000001', '1 mon -3 days 00:00:00.000001'),
                ('2025-12-14 00:00+00', '{}', NULL, '{}', 'D-5678', NULL, '{}', 'empty', '{}', '{}', '10.0.0.1', B'', 0.00001, 'null', '{}',
                    '-0', '', NULL, NULL)",
        )
        .await
        .unwrap();
    moves_equal(&database, "fixes", "").await;
    let session = database.connect().await.unwrap();
    refused(
        &session,
        "INSERT INTO fixes (at) VALUES ('2025-12-11 00:00+00')",
        NOT_NULL_VIOLATION,
    )
    .await;
    refused(
        &session,
        "INSERT INTO fixes (at, who) VALUES ('2025-12-11 00:00+00', '')",
        CHECK_VIOLATION,
    )
    .await;
}

#[tokio::test]
async fn an_array_of_an_enum_is_moved_to_another_server_and_what_does_not_travel_is_said() {
    let (source, target) = (
        source_database("enum_source").await,
        target_database("enum_target").await,
    );
    // Types made before it give the enum another oid on each side.
    target
        .exec("CREATE TYPE other AS ENUM ('a'); CREATE TYPE phase AS ENUM ('taxi', 'climb')")
        .await
        .unwrap();
    source
        .exec(
            "CREATE TYPE phase AS ENUM ('taxi', 'climb');
            CREATE TABLE fixes (at timestamptz NOT NULL, phases phase[]) PARTITION BY RANGE (at);
            CREATE TABLE fixes_1 PARTITION OF fixes FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00');
            INSERT INTO fixes SELECT timestamptz '2025-12-11 00:00+00' + n * interval '1 second', ARRAY['taxi', NULL, 'climb']::phase[]
            FROM generate_series(1, 100) AS n; INSERT INTO fixes VALUES ('2025-12-11 00:00+00', '{}')",
        )
        .await
        .unwrap();
    let call = |command: &str| {
        Hyperhaul::new(command)
            .source(source.url())
            .target(target.url())
    };
    call("migrate").table("fixes").run().await.expect_code(DONE);
    assert_equal_rows((&source, "TABLE fixes"), (&target, "TABLE fixes")).await;

    source
        .exec("CREATE TYPE place AS (phase phase); CREATE TABLE spots (at timestamptz NOT NULL, place place) PARTITION BY RANGE (at)")
        .await
        .unwrap();
    target
        .exec("CREATE TYPE place AS (phase phase)")
        .await
        .unwrap();
    call("check")
        .table("spots")
        .run()
        .await
        .expect_code(BLOCKED)
        .expect_printed(&["binary_travel", "place"]);
}

#[tokio::test]
async fn tables_without_rows_and_empty_partitions_are_moved() {
    let database = target_database("empty").await;
    database
        .exec(
            "CREATE TABLE bare (at timestamptz NOT NULL) PARTITION BY RANGE (at);
            CREATE TABLE empty (id integer, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
            CREATE TABLE empty_1 PARTITION OF empty FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00');
            CREATE TABLE empty_default PARTITION OF empty DEFAULT;
            CREATE TABLE deleted (id integer, at timestamptz NOT NULL) PARTITION BY RANGE (at);
            CREATE TABLE deleted_1 PARTITION OF deleted FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00');
            CREATE TABLE deleted_2 PARTITION OF deleted FOR VALUES FROM ('2025-12-12 00:00+00') TO ('2025-12-13 00:00+00');
            CREATE TABLE deleted_3 PARTITION OF deleted FOR VALUES FROM ('2025-12-13 00:00+00') TO ('2025-12-14 00:00+00');
            INSERT INTO deleted SELECT n, timestamptz '2025-12-11 00:00+00' + n * interval '1 hour' FROM generate_series(0, 47) AS n;
            DELETE FROM deleted_1",
        )
        .await
        .unwrap();
    moves_equal(&database, "empty", "").await;
    moves_equal(&database, "deleted", "").await;
    // There is no leaf, and so no slice.
    call("migrate", &database)
        .table("bare")
        .run()
        .await
        .expect_code(DONE);
    database.exec("INSERT INTO bare VALUES ('2025-12-11 00:00+00'); INSERT INTO empty VALUES (1, '2025-12-11 00:00+00')").await.unwrap();
}

#[tokio::test]
async fn partitions_that_are_partitioned_themselves_are_moved() {
    let database = target_database("levels").await;
    database
        .exec(
            "CREATE TABLE fixes (id integer, at timestamptz NOT NULL, kind text NOT NULL, PRIMARY KEY (id, at, kind)) PARTITION BY RANGE (at);
            CREATE TABLE fixes_1 PARTITION OF fixes FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00')
                PARTITION BY LIST (kind);
            CREATE TABLE fixes_1_a PARTITION OF fixes_1 FOR VALUES IN ('a');
            CREATE TABLE fixes_1_rest PARTITION OF fixes_1 DEFAULT;
            CREATE TABLE fixes_2 PARTITION OF fixes FOR VALUES FROM ('2025-12-12 00:00+00') TO ('2025-12-14 00:00+00')
                PARTITION BY RANGE (at);
            CREATE TABLE fixes_2_1 PARTITION OF fixes_2 FOR VALUES FROM ('2025-12-12 00:00+00') TO ('2025-12-12 12:00+00');
            CREATE TABLE fixes_2_rest PARTITION OF fixes_2 DEFAULT PARTITION BY HASH (id);
            CREATE TABLE fixes_2_rest_0 PARTITION OF fixes_2_rest FOR VALUES WITH (MODULUS 2, REMAINDER 0);
            CREATE TABLE fixes_2_rest_1 PARTITION OF fixes_2_rest FOR VALUES WITH (MODULUS 2, REMAINDER 1);
            INSERT INTO fixes SELECT n, timestamptz '2025-12-11 00:00+00' + n * interval '10 minutes', chr(97 + n % 3)
            FROM generate_series(0, 431) AS n",
        )
        .await
        .unwrap();
    moves_equal(&database, "fixes", "--slice-size 8KiB").await;
    let session = database.connect().await.unwrap();
    refused(
        &session,
        "INSERT INTO fixes VALUES (0, '2025-12-11 00:00+00', 'a')",
        UNIQUE_VIOLATION,
    )
    .await;
}

#[tokio::test]
async fn rows_that_are_there_several_times_stay_so_where_no_key_forbids_it() {
    let database = target_database("no_key").await;
    database
        .exec(
            "CREATE TABLE fixes (at timestamptz, name text) PARTITION BY RANGE (at);
            CREATE TABLE fixes_1 PARTITION OF fixes FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00');
            INSERT INTO fixes SELECT '2025-12-11 00:00+00', 'twin' FROM generate_series(1, 1000);
            INSERT INTO fixes SELECT '2025-12-11 00:00+00', NULL FROM generate_series(1, 3)",
        )
        .await
        .unwrap();
    call("check", &database)
        .table("fixes")
        .run()
        .await
        .expect_code(DONE)
        .expect_printed(&["nullable_time"]);
    moves_equal(&database, "fixes", "--slice-size 8KiB").await;
    assert_eq!(
        database
            .value::<i64>("SELECT count(*) FROM fixes")
            .await
            .unwrap(),
        1003
    );
    let session = database.connect().await.unwrap();
    refused(
        &session,
        "INSERT INTO fixes VALUES (NULL, 'late')",
        NOT_NULL_VIOLATION,
    )
    .await;
}

#[tokio::test]
async fn rows_without_a_time_block_and_the_sql_that_puts_them_aside_helps() {
    let database = target_database("null_time").await;
    database
        .exec(
            "CREATE TABLE fixes (at timestamptz, name text) PARTITION BY RANGE (at);
            CREATE TABLE fixes_rest PARTITION OF fixes DEFAULT;
            INSERT INTO fixes VALUES ('2025-12-11 00:00+00', 'a'), (NULL, 'b'), (NULL, 'c'), ('infinity', 'd')",
        )
        .await
        .unwrap();
    let checked = call("check --json", &database)
        .table("fixes")
        .run()
        .await
        .expect_code(BLOCKED);
    for code in ["null_time", "infinite_time"] {
        let findings = checked.json()["findings"].as_array().unwrap().clone();
        let finding = findings
            .into_iter()
            .find(|finding| finding["code"] == code)
            .unwrap();
        assert_eq!(finding["severity"], "block");
        database
            .exec(finding["resolution"][0].as_str().unwrap())
            .await
            .unwrap();
    }
    moves_equal(&database, "fixes", "").await;
    let aside: i64 = database
        .value("SELECT count(*) FROM pg_class WHERE relname LIKE 'aside%' AND relnamespace = 'public'::regnamespace")
        .await
        .unwrap();
    assert_eq!(aside, 2);
}
