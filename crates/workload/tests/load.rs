//! SOAR's sample on real servers: that it loads with all keys, and that the server sees what was generated.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Mutex;

use hyperhaul_testkit::{Servers, TestDatabase};
use hyperhaul_workload::{Progress, SoarOptions, load_soar};

async fn load(server_url: &str, options: &SoarOptions) -> (TestDatabase, Vec<Progress>) {
    let database = TestDatabase::create(server_url, "workload").await.unwrap();
    let server = hyperhaul_pg::Server::parse(database.url()).unwrap();
    let progress = Mutex::new(Vec::new());
    load_soar(&server, options, &|step| {
        progress.lock().unwrap().push(step)
    })
    .await
    .unwrap();
    (database, progress.into_inner().unwrap())
}

async fn count(database: &TestDatabase, from: &str) -> i64 {
    database
        .value(&format!("SELECT count(*) FROM {from}"))
        .await
        .unwrap()
}

/// What holds on any server, whatever its version and that of its extensions.
async fn assert_sound(database: &TestDatabase) {
    let wrong = [
        ("fixes whose location is not its coordinates", "fixes WHERE st_x(location::geometry) <> longitude
            OR st_y(location::geometry) <> latitude OR location_geom::text <> location::text OR location IS NULL"),
        ("raw messages whose hash is not theirs", "raw_messages WHERE raw_message_hash <> sha256(raw_message)"),
        ("fixes whose packet is another's", "fixes JOIN raw_messages AS message
            ON message.id = raw_message_id AND message.received_at = fixes.received_at
            WHERE convert_from(raw_message, 'UTF8') NOT LIKE fixes.source || '>' || aprs_type || ',%,' || via[cardinality(via)] || ':/%'"),
        ("fixes received before they were sent", "fixes WHERE received_at < timestamp"),
        ("constraints that were not validated", "pg_constraint WHERE NOT convalidated"),
        ("aircraft in two flights at once", "flights AS one JOIN flights AS other USING (aircraft_id)
            WHERE one.id < other.id AND (one.takeoff_time, one.landing_time) OVERLAPS (other.takeoff_time, other.landing_time)
                AND one.takeoff_time::date = other.landing_time::date"),
    ];
    for (what, from) in wrong {
        assert_eq!(count(database, from).await, 0, "{what}");
    }
    let managed: Vec<String> = database
        .values("SELECT parent_table FROM partman.part_config
            WHERE retention = '30 days' AND retention_keep_table AND partition_interval = '1 day' ORDER BY 1")
        .await
        .unwrap();
    assert_eq!(managed, ["public.fixes", "public.raw_messages"]);
}

async fn assert_keys(database: &TestDatabase, is_linked: bool) {
    let foreign_keys: Vec<String> = database
        .values(
            "SELECT conname::text FROM pg_constraint WHERE contype = 'f' AND conparentid = 0
                AND connamespace = 'public'::regnamespace ORDER BY 1",
        )
        .await
        .unwrap();
    let expected = [
        "fixes_aircraft_id_fkey",
        "fixes_flight_id_fkey",
        "fixes_raw_message_id_fkey",
        "fixes_receiver_id_fkey",
        "flights_aircraft_id_fkey",
        "raw_messages_receiver_id_fkey",
        "receiver_statuses_raw_message_id_fkey",
        "receiver_statuses_receiver_id_fkey",
    ];
    let expected: Vec<_> = expected
        .into_iter()
        .filter(|name| is_linked || *name != "fixes_raw_message_id_fkey")
        .collect();
    assert_eq!(foreign_keys, expected);
    assert_eq!(
        count(
            database,
            "pg_index WHERE indrelid = 'fixes'::regclass AND indisvalid"
        )
        .await,
        9
    );
    assert_eq!(
        count(
            database,
            "pg_index WHERE indrelid = 'raw_messages'::regclass AND indisvalid"
        )
        .await,
        3
    );
}

async fn leaf_counts(database: &TestDatabase, parent: &str) -> (i64, i64) {
    let from = |comparison: &str| {
        format!("pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
            WHERE inhparent = '{parent}'::regclass AND pg_get_expr(relpartbound, inhrelid) {comparison} 'DEFAULT'")
    };
    (
        count(database, &from("<>")).await,
        count(database, &from("=")).await,
    )
}

#[tokio::test]
async fn the_default_sample_loads_on_the_target_server() {
    let servers = Servers::shared().unwrap();
    let (database, progress) = load(servers.target.url(), &SoarOptions::default()).await;
    assert_eq!(count(&database, "fixes").await, 277_949);
    assert_eq!(count(&database, "raw_messages").await, 483_063);
    assert_eq!(count(&database, "raw_messages_default").await, 412);
    assert_eq!(leaf_counts(&database, "fixes").await, (7, 0));
    assert_eq!(leaf_counts(&database, "raw_messages").await, (7, 1));
    assert_sound(&database).await;
    assert_keys(&database, true).await;
    for (table, rows) in [("fixes", 277_949), ("raw_messages", 483_063)] {
        let last = Progress::Rows {
            table,
            rows_done: rows,
            rows_total: Some(rows),
        };
        assert!(progress.contains(&last), "{last:?}");
    }
}

#[tokio::test]
async fn a_small_sample_loads_on_the_source_server() {
    let servers = Servers::shared().unwrap();
    let (database, _) = load(servers.source.url(), &SoarOptions::sized(20_000)).await;
    assert_eq!(count(&database, "fixes").await, 20_000);
    assert_eq!(count(&database, "raw_messages_default").await, 412);
    assert_eq!(leaf_counts(&database, "fixes").await, (7, 0));
    assert_eq!(leaf_counts(&database, "raw_messages").await, (7, 1));
    assert_sound(&database).await;
    assert_keys(&database, true).await;
}

#[tokio::test]
async fn fixes_load_without_raw_messages_over_other_days() {
    let servers = Servers::shared().unwrap();
    let options = SoarOptions {
        first_day: "2026-03-24".parse().unwrap(),
        days: 10,
        raw_messages: 0,
        default_partition_rows: 0,
        link_raw_messages: false,
        ..SoarOptions::sized(30_000)
    };
    let (database, _) = load(servers.target.url(), &options).await;
    assert_eq!(count(&database, "fixes").await, 30_000);
    assert_eq!(count(&database, "raw_messages").await, 0);
    assert_eq!(leaf_counts(&database, "fixes").await, (10, 0));
    assert_eq!(
        count(
            &database,
            "fixes WHERE received_at < '2026-03-24 00:00Z' OR received_at >= '2026-04-03 00:00Z'"
        )
        .await,
        0
    );
    assert_sound(&database).await;
    assert_keys(&database, false).await;
}

#[tokio::test]
async fn a_database_that_holds_the_schema_already_is_left_alone() {
    let servers = Servers::shared().unwrap();
    let (database, _) = load(servers.target.url(), &SoarOptions::sized(100)).await;
    let server = hyperhaul_pg::Server::parse(database.url()).unwrap();
    let error = load_soar(&server, &SoarOptions::sized(50), &|_| ())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "creating the schema of fixtures/soar/schema.sql failed"
    );
    assert_eq!(count(&database, "fixes").await, 100);
}
