//! Logical replication into the table: its workers fire no statement triggers, and the fence stops them all the same.

use super::{BLOCKED, call};
use crate::support::target_database;
use hyperhaul_testkit::{Instance, Role, TestDatabase, eventually, skip};
use std::time::Duration;

/// Bounds a failing test; no claim about speed.
const LIMIT: Duration = Duration::from_secs(60);

const EVENTS: &str = "
    CREATE TABLE events (id integer, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2025-12-11 00:00Z') TO ('2025-12-12 00:00Z');
    INSERT INTO events SELECT n, timestamptz '2025-12-11 00:00Z' + n * interval '1 minute' FROM generate_series(0, 99) AS n;
";

/// Publisher and subscriber on one server: the slot is made by hand, since CREATE SUBSCRIPTION would wait for itself.
async fn subscribe(publisher: &TestDatabase, subscriber: &TestDatabase) {
    publisher
        .exec("CREATE PUBLICATION events FOR TABLE events WITH (publish_via_partition_root = true)")
        .await
        .unwrap();
    publisher
        .exec("SELECT pg_create_logical_replication_slot('events', 'pgoutput')")
        .await
        .unwrap();
    let session = subscriber.connect().await.unwrap();
    session
        .batch_execute(&format!(
            "CREATE SUBSCRIPTION \"to us\" CONNECTION '{}' PUBLICATION events
             WITH (create_slot = false, slot_name = 'events', copy_data = false)",
            publisher.url()
        ))
        .await
        .unwrap();
}

async fn rows(database: &TestDatabase) -> i64 {
    database.value("SELECT count(*) FROM events").await.unwrap()
}

#[tokio::test]
async fn rows_that_come_by_logical_replication_do_not_pass_the_fence() {
    let instance = match Instance::private("replicated", &[Role::Source]) {
        Ok(instance) => instance,
        Err(error) if error.is_unavailable() => {
            return skip(
                "rows_that_come_by_logical_replication_do_not_pass_the_fence",
                &error,
            );
        }
        Err(error) => panic!("{error}"),
    };
    let server = instance.url(Role::Source);
    let publisher = TestDatabase::create(server, "published").await.unwrap();
    // Its WAL has to be such that it can be decoded.
    publisher
        .connect()
        .await
        .unwrap()
        .batch_execute("ALTER SYSTEM SET wal_level = logical")
        .await
        .unwrap();
    instance.crash(Role::Source).unwrap();
    instance.start(Role::Source).unwrap();
    let subscriber = TestDatabase::create(server, "subscribed").await.unwrap();
    publisher.exec(EVENTS).await.unwrap();
    subscriber.exec(EVENTS).await.unwrap();
    let target = target_database("replicated").await;
    let call = |arguments: &str| call(arguments, &subscriber).target(target.url());
    call("migrate")
        .table("events")
        .failpoint("slice.claimed")
        .run()
        .await
        .expect_killed();

    subscribe(&publisher, &subscriber).await;
    publisher
        .exec("INSERT INTO events VALUES (-1, '2025-12-11 12:00Z')")
        .await
        .unwrap();
    let refused = "SELECT coalesce(sum(apply_error_count), 0) > 0 FROM pg_stat_subscription_stats";
    eventually("the worker is refused", LIMIT, async || {
        subscriber.value::<bool>(refused).await.unwrap()
    })
    .await
    .unwrap();
    assert_eq!(rows(&subscriber).await, 100);
    call("migrate")
        .run()
        .await
        .expect_code(BLOCKED)
        .expect_printed(&["subscription to us on public.events of public.events is new"]);
    call("rollback").run().await.expect_code(super::DONE);
    eventually("the row comes", LIMIT, async || {
        rows(&subscriber).await == 101
    })
    .await
    .unwrap();
    call("check")
        .table("events")
        .run()
        .await
        .expect_code(BLOCKED)
        .expect_printed(&[
            "subscription \"to us\" writes to public.events",
            "ALTER SUBSCRIPTION \"to us\" REFRESH PUBLICATION",
        ]);
    // Dropped by hand: the slot belongs to a database that the test drops.
    for statement in [
        "ALTER SUBSCRIPTION \"to us\" DISABLE",
        "ALTER SUBSCRIPTION \"to us\" SET (slot_name = NONE)",
        "DROP SUBSCRIPTION \"to us\"",
    ] {
        subscriber.exec(statement).await.unwrap();
    }
    let drop = "SELECT pg_drop_replication_slot('events')";
    eventually("the slot is free", LIMIT, async || {
        publisher.exec(drop).await.is_ok()
    })
    .await
    .unwrap();
}
