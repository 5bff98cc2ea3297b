//! Why a table in one piece is not attached as one wide chunk, to be divided later: what the server's own means do to readers.
//! They do no part of hyperhaul; if one of these tests fails on a newer TimescaleDB, that decision may be looked at again
//! (ARCHITECTURE.md, "Left out, and why"). Needs the Community edition: `HYPERHAUL_COMMUNITY_URL`.
//!
//! Nothing here detaches a chunk without a lock on the hypertable: readers that come along bring the server down (2.29.2).

use crate::support::community_database;
use hyperhaul_testkit::{TestDatabase, eventually};
use std::time::Duration;

/// Bounds a failing test; no claim about speed.
const LIMIT: Duration = Duration::from_secs(60);

/// A thousand rows on each of four days, in one wide chunk.
const WIDE: &str = "SET timezone = 'UTC';
    CREATE TABLE wide (id bigint NOT NULL, at timestamptz NOT NULL, PRIMARY KEY (id, at));
    INSERT INTO wide SELECT n, timestamptz '2025-12-10' + n * interval '86.4 seconds' FROM generate_series(0, 3999) AS n;
    CREATE INDEX wide_at ON wide (at);
    CREATE TABLE readings (LIKE wide INCLUDING ALL);
    SELECT create_hypertable('readings', 'at', chunk_time_interval => interval '1 day', create_default_indexes => false);
    CALL attach_chunk('readings', 'wide', '{\"at\": [\"2025-12-10\", \"2025-12-14\"]}')";

/// Readers that have not planned yet wait until the transaction is through.
const KEEP_READERS_OFF: &str = "LOCK TABLE readings IN ACCESS EXCLUSIVE MODE";

const SPLIT: &str = "CALL split_chunk('wide', timestamptz '2025-12-13')";

/// The rows of the newest day in a table of their own.
const STAGE_NEWEST: &str = "CREATE TABLE newest (LIKE readings INCLUDING ALL);
    INSERT INTO newest SELECT * FROM wide WHERE at >= '2025-12-13'";

/// The wide chunk gives the newest day up to that table.
const SWAP_NEWEST: &str = "CALL detach_chunk('wide');
    DELETE FROM wide WHERE at >= '2025-12-13';
    CALL attach_chunk('readings', 'wide', '{\"at\": [\"2025-12-10\", \"2025-12-13\"]}');
    CALL attach_chunk('readings', 'newest', '{\"at\": [\"2025-12-13\", \"2025-12-14\"]}')";

/// All rows in tables of their own.
const STAGE_ALL: &str = "CREATE TABLE older (LIKE readings INCLUDING ALL);
    INSERT INTO older SELECT * FROM wide WHERE at < '2025-12-13';
    CREATE TABLE newest (LIKE readings INCLUDING ALL);
    INSERT INTO newest SELECT * FROM wide WHERE at >= '2025-12-13'";

/// The wide chunk goes, and all of them come.
const SWAP_ALL: &str = "CALL detach_chunk('wide');
    CALL attach_chunk('readings', 'older', '{\"at\": [\"2025-12-10\", \"2025-12-13\"]}');
    CALL attach_chunk('readings', 'newest', '{\"at\": [\"2025-12-13\", \"2025-12-14\"]}')";

/// What a reader finds: all rows, and those of the newest day.
const SEEN: &str =
    "SELECT count(*), (SELECT count(*) FROM readings WHERE at >= '2025-12-13') FROM readings";

async fn wide_chunk(prefix: &str) -> Option<TestDatabase> {
    let database = community_database(prefix).await?;
    database.exec(WIDE).await.unwrap();
    Some(database)
}

#[tokio::test]
async fn splitting_a_chunk_rewrites_all_of_it_while_nobody_can_read_it() {
    let Some(database) = wide_chunk("wide_split").await else {
        return;
    };
    let client = database.connect().await.unwrap();
    let file = "SELECT pg_relation_filenode('wide')";
    let before: u32 = client.query_one(file, &[]).await.unwrap().get(0);
    let split = format!("BEGIN; SET LOCAL timezone = 'UTC'; {SPLIT}");
    client.batch_execute(&split).await.unwrap();
    let after: u32 = client.query_one(file, &[]).await.unwrap().get(0);
    assert_ne!(before, after);
    let kept = client.query_one("SELECT count(*) FROM wide", &[]).await;
    assert_eq!(kept.unwrap().get::<_, i64>(0), 3_000);
    let locked =
        "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'wide'::regclass
        AND mode = 'AccessExclusiveLock'";
    let locked = client.query_one(locked, &[]).await.unwrap();
    assert_eq!(locked.get::<_, i64>(0), 1);
}

#[tokio::test]
async fn attaching_a_chunk_reads_all_of_it_whatever_proves_its_bounds() {
    let Some(database) = wide_chunk("wide_attach").await else {
        return;
    };
    let proof =
        "ALTER TABLE wide ADD CHECK (at >= '2025-12-10 00:00+00' AND at < '2025-12-13 00:00+00')";
    let client = database.connect().await.unwrap();
    let begin = format!(
        "SET timezone = 'UTC'; BEGIN; {KEEP_READERS_OFF}; CALL detach_chunk('wide');
        DELETE FROM wide WHERE at >= '2025-12-13'; {proof}"
    );
    client.batch_execute(&begin).await.unwrap();
    let read = "SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relid = 'wide'::regclass";
    let before: i64 = client.query_one(read, &[]).await.unwrap().get(0);
    let attach =
        "CALL attach_chunk('readings', 'wide', '{\"at\": [\"2025-12-10\", \"2025-12-13\"]}')";
    client.batch_execute(attach).await.unwrap();
    let after: i64 = client.query_one(read, &[]).await.unwrap().get(0);
    assert_eq!(after - before, 3_000);
}

#[tokio::test]
async fn who_waits_for_a_chunk_that_is_split_misses_rows_unless_the_hypertable_is_locked() {
    for (prefix, lock, seen) in [
        ("wide_unlocked", "", 3_000_i64),
        ("wide_locked", KEEP_READERS_OFF, 4_000),
    ] {
        let Some(database) = wide_chunk(prefix).await else {
            return;
        };
        let client = database.connect().await.unwrap();
        let split = format!("SET timezone = 'UTC'; BEGIN; {lock}; {SPLIT}");
        client.batch_execute(&split).await.unwrap();
        let reader = database.connect().await.unwrap();
        let reader = tokio::spawn(async move {
            let row = reader.query_one("SELECT count(*) FROM readings", &[]);
            row.await.unwrap().get::<_, i64>(0)
        });
        let waits =
            "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
            WHERE datname = current_database() AND locktype = 'relation' AND NOT granted)";
        let probe = || async { database.value::<bool>(waits).await.unwrap() };
        eventually("the reader waits", LIMIT, probe).await.unwrap();
        client.batch_execute("COMMIT").await.unwrap();
        assert_eq!(reader.await.unwrap(), seen, "{prefix}");
    }
}

/// What a transaction finds whose snapshot is older than the swap, and that reads the table after it for the first time.
async fn seen_with_older_snapshot(database: &TestDatabase, swap: &str) -> (i64, i64) {
    let reader = database.connect().await.unwrap();
    let begin = "SET timezone = 'UTC'; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class";
    reader.batch_execute(begin).await.unwrap();
    let swap = format!("SET timezone = 'UTC'; BEGIN; {KEEP_READERS_OFF}; {swap}; COMMIT");
    database.exec(&swap).await.unwrap();
    let row = reader.query_one(SEEN, &[]).await.unwrap();
    reader.batch_execute("ROLLBACK").await.unwrap();
    let now = reader.query_one(SEEN, &[]).await.unwrap();
    assert_eq!((now.get(0), now.get(1)), (4_000_i64, 1_000_i64), "{swap}");
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn an_older_snapshot_sees_a_range_that_went_over_not_at_all_or_twice() {
    let in_one = format!("{STAGE_NEWEST}; {SWAP_NEWEST}");
    for (prefix, stage, swap, seen) in [
        ("wide_moved", "", in_one.as_str(), (4_000, 0)),
        ("wide_staged", STAGE_NEWEST, SWAP_NEWEST, (5_000, 1_000)),
    ] {
        let Some(database) = wide_chunk(prefix).await else {
            return;
        };
        database.exec(stage).await.unwrap();
        let found = seen_with_older_snapshot(&database, swap).await;
        assert_eq!(found, seen, "{prefix}");
    }
}

#[tokio::test]
async fn an_older_snapshot_sees_all_rows_once_only_where_all_of_them_are_rewritten_or_read() {
    for (prefix, stage, swap) in [
        ("wide_rewritten", "", SPLIT),
        ("wide_replaced", STAGE_ALL, SWAP_ALL),
    ] {
        let Some(database) = wide_chunk(prefix).await else {
            return;
        };
        database.exec(stage).await.unwrap();
        let found = seen_with_older_snapshot(&database, swap).await;
        assert_eq!(found, (4_000, 1_000), "{prefix}");
    }
}
