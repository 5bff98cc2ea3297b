//! From PostgreSQL 15 without TimescaleDB to another server: types, defaults and numbers travel, the source stays fenced.

use super::catalog;
use crate::support::{
    Hyperhaul, assert_each_slice_done_once, assert_equal_rows, rows_seen, source_database,
    target_database,
};
use hyperhaul_testkit::TestDatabase;

/// What has to be on the target before: types, and the function that a default calls.
const TYPES: &str = "
    CREATE TYPE mood AS ENUM ('calm', 'tense', 'it''s bad');
    CREATE DOMAIN percent AS numeric(5, 2) CHECK (VALUE BETWEEN 0 AND 100);
    CREATE FUNCTION station() RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'station one' $$;
";

const EVENTS: &str = "
    SET timezone = 'UTC';
    CREATE TABLE devices (id integer PRIMARY KEY);
    INSERT INTO devices SELECT generate_series(0, 19);
    CREATE TABLE events (
        id bigserial, at timestamptz NOT NULL, device_id integer NOT NULL REFERENCES devices (id),
        moods mood[] NOT NULL, latest mood DEFAULT 'calm', level percent, levels percent[], range tstzrange, tags text[] DEFAULT '{a,b}',
        station text DEFAULT station(), document jsonb, number integer NOT NULL,
        doubled integer GENERATED ALWAYS AS (number * 2) STORED,
        CONSTRAINT events_key PRIMARY KEY (id, at)
    ) PARTITION BY RANGE (at);
    CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2025-12-11') TO ('2025-12-12');
    CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2025-12-12') TO ('2025-12-13');
    CREATE TABLE events_rest PARTITION OF events DEFAULT;
    CREATE INDEX events_moods ON events USING gin (tags);
    COMMENT ON COLUMN events.moods IS 'all of them';
    INSERT INTO events (at, device_id, moods, latest, level, levels, range, document, number)
    SELECT timestamptz '2025-12-11' + n * interval '2 minutes', n % 20,
        ARRAY[['calm', 'tense'], ['it''s bad', NULL]]::mood[][], (ARRAY['calm', 'tense', NULL]::mood[])[1 + n % 3], n % 100, ARRAY[n % 7, NULL, 5.25]::percent[],
        tstzrange('2025-01-01', CASE WHEN n % 2 = 0 THEN timestamptz '2025-12-11' + n * interval '1 second' END), jsonb_build_object('n', n, 'ü', 'x'), n
    FROM generate_series(0, 1999) AS n;
";

/// Source and target, whose types have other object identifiers.
async fn databases(prefix: &str) -> (TestDatabase, TestDatabase) {
    let (source, target) = (source_database(prefix).await, target_database(prefix).await);
    source.exec(TYPES).await.unwrap();
    target
        .exec("CREATE TYPE before AS ENUM ('x'); CREATE TYPE before_too AS ENUM ('x')")
        .await
        .unwrap();
    target.exec(TYPES).await.unwrap();
    let oid = "SELECT 'mood'::regtype::oid";
    assert_ne!(
        source.value::<u32>(oid).await.unwrap(),
        target.value::<u32>(oid).await.unwrap()
    );
    source.exec(EVENTS).await.unwrap();
    (source, target)
}

fn call(arguments: &str, source: &TestDatabase, target: &TestDatabase) -> Hyperhaul {
    Hyperhaul::new(arguments)
        .source(source.url())
        .target(target.url())
}

#[tokio::test]
async fn arrays_of_enums_domains_and_numbers_travel_to_another_server() {
    let (source, target) = databases("away_types").await;
    target.exec("CREATE TABLE devices (id integer PRIMARY KEY); INSERT INTO devices SELECT generate_series(0, 19)").await.unwrap();
    let lines = catalog::table(&source, "public.events").await;
    let rows = rows_seen(&source, "SELECT * FROM events").await;
    call("migrate --table events", &source, &target)
        .run()
        .await
        .expect_code(0);
    assert_equal_rows(
        (&source, "SELECT * FROM events"),
        (&target, "SELECT * FROM events"),
    )
    .await;
    assert_eq!(rows_seen(&target, "SELECT * FROM events").await, rows);
    assert_each_slice_done_once(&target).await;
    call("verify", &source, &target).run().await.expect_code(0);

    // Fenced for good: two tables that take writes would be worse than one.
    let refused = source.exec("INSERT INTO events (at, device_id, moods, number) VALUES ('2025-12-11', 1, '{calm}', 1)").await;
    assert!(refused.is_err(), "the source is fenced");
    let leaf = source
        .exec("UPDATE events_1 SET number = 0 WHERE id = 1")
        .await;
    assert!(leaf.is_err(), "its partitions too");
    let added: (i64, String, Option<String>) = {
        let sql = "INSERT INTO events (at, device_id, moods, number) VALUES ('2025-12-12', 1, '{calm}', 21) RETURNING id, station, latest::text";
        let row = target.query_one(sql, &[]).await.unwrap();
        (row.get(0), row.get(1), row.get(2))
    };
    assert_eq!(
        added,
        (2_001, "station one".to_owned(), Some("calm".to_owned()))
    );
    target
        .exec("DELETE FROM events WHERE id = 2001")
        .await
        .unwrap();
    let without_triggers = lines
        .iter()
        .filter(|line| !line.starts_with("trigger"))
        .cloned()
        .collect();
    catalog::assert_same(
        &without_triggers,
        &catalog::table(&target, "public.events").await,
    );
}

#[tokio::test]
async fn going_back_from_another_server_lifts_the_fence_and_drops_the_hypertable() {
    let (source, target) = databases("away_back").await;
    target.exec("CREATE TABLE devices (id integer PRIMARY KEY); INSERT INTO devices SELECT generate_series(0, 19)").await.unwrap();
    let (source_before, target_before) = (
        catalog::table(&source, "public.events").await,
        catalog::everything(&target).await,
    );
    let rows = rows_seen(&source, "SELECT * FROM events").await;
    for failpoint in ["slice.before_commit:2", "step.after_commit:6", ""] {
        let migrate = call("migrate --table events", &source, &target);
        if failpoint.is_empty() {
            migrate.run().await.expect_code(0);
        } else {
            migrate.failpoint(failpoint).run().await.expect_killed();
        }
        call("rollback", &source, &target)
            .run()
            .await
            .expect_code(0);
        catalog::assert_same(
            &source_before,
            &catalog::table(&source, "public.events").await,
        );
        catalog::assert_same(&target_before, &catalog::everything(&target).await);
        assert_eq!(rows_seen(&source, "SELECT * FROM events").await, rows);
        source
            .exec("BEGIN; UPDATE events SET number = 0 WHERE id = 1; ROLLBACK")
            .await
            .unwrap();
    }
    let left: i64 = source
        .value("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'hyperhaul%'")
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_missing_referenced_table_blocks_unless_it_is_accepted() {
    let (source, target) = databases("away_missing").await;
    call("check --table events", &source, &target)
        .run()
        .await
        .expect_code(3)
        .expect_printed(&[
            "referenced_table_missing",
            "devices",
            "--accept referenced_table_missing",
        ]);
    call(
        "migrate --table events --accept referenced_table_missing",
        &source,
        &target,
    )
    .run()
    .await
    .expect_code(0);
    assert_equal_rows(
        (&source, "SELECT * FROM events"),
        (&target, "SELECT * FROM events"),
    )
    .await;
    let keys: i64 = target.value("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid = 'events'::regclass").await.unwrap();
    assert_eq!(keys, 0);
    // What the old server has goes only when one says so.
    call("cleanup --yes", &source, &target)
        .run()
        .await
        .expect_code(0);
    assert_eq!(
        rows_seen(&source, "SELECT * FROM events").await.count,
        2_000
    );
}

#[tokio::test]
async fn a_missing_type_of_an_extension_is_resolved_by_the_extension() {
    let (source, target) = (
        source_database("away_extension").await,
        target_database("away_extension").await,
    );
    source.install_extensions(&["postgis"]).await.unwrap();
    source
        .exec("CREATE TABLE tracks (at timestamptz NOT NULL, place geometry(Point, 4326), places geometry[]); INSERT INTO tracks VALUES ('2025-12-11 00:00+00', ST_Point(1, 2, 4326))")
        .await
        .unwrap();
    let create = "CREATE EXTENSION IF NOT EXISTS \"postgis\" SCHEMA \"public\";";
    call("check --table tracks --time-column at", &source, &target)
        .run()
        .await
        .expect_code(3)
        .expect_printed(&["type_missing", create]);
    target.exec(create).await.unwrap();
    call("check --table tracks --time-column at", &source, &target)
        .run()
        .await
        .expect_code(0);
}

#[tokio::test]
async fn a_missing_type_blocks_and_nothing_is_changed() {
    let source = source_database("away_no_type").await;
    source.exec(TYPES).await.unwrap();
    source.exec(EVENTS).await.unwrap();
    let target = target_database("away_no_type").await;
    let (source_before, target_before) = (
        catalog::table(&source, "public.events").await,
        catalog::everything(&target).await,
    );
    call(
        "migrate --table events --accept referenced_table_missing",
        &source,
        &target,
    )
    .run()
    .await
    .expect_code(3)
    .expect_printed(&["type_missing", "mood", "percent"]);
    catalog::assert_same(
        &source_before,
        &catalog::table(&source, "public.events").await,
    );
    catalog::assert_same(&target_before, &catalog::everything(&target).await);
}
