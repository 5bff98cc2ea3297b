//! Leaves whose bytes are in TOAST.

use super::{DONE, call, moves_equal};
use crate::support::target_database;

#[tokio::test]
async fn a_leaf_small_in_heap_and_large_in_toast_is_cut_by_bytes() {
    let database = target_database("toast").await;
    database
        .exec(
            "CREATE TABLE messages (id integer, at timestamptz NOT NULL, body text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
            ALTER TABLE messages ALTER body SET STORAGE EXTERNAL;
            CREATE TABLE messages_1 PARTITION OF messages FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00');
            INSERT INTO messages SELECT n, timestamptz '2025-12-11 00:00+00' + n * interval '40 seconds', repeat(md5(n::text), 250)
            FROM generate_series(1, 2000) AS n",
        )
        .await
        .unwrap();
    let heap_bytes: i64 = database
        .value("SELECT pg_relation_size('messages_1')")
        .await
        .unwrap();
    assert!(heap_bytes < 1 << 20, "the heap alone would make one slice");

    let planned = call("plan --json --slice-size 1MiB", &database)
        .table("messages")
        .run()
        .await
        .expect_code(DONE);
    let plan = planned.json();
    let slices = plan["slices"]
        .as_array()
        .unwrap_or_else(|| panic!("{plan}"));
    assert!(slices.len() >= 8, "{} slices of 16 MB", slices.len());
    for slice in slices {
        let bytes = slice["bytes"].as_u64().unwrap();
        assert!((1 << 19..=1 << 21).contains(&bytes), "{slice}");
        assert!(
            slice["reason"].as_str().unwrap().contains("TOAST"),
            "{slice}"
        );
    }
    moves_equal(&database, "messages", "--slice-size 1MiB").await;
}

#[tokio::test]
async fn a_value_of_50_megabytes_is_moved() {
    let database = target_database("large_value").await;
    database
        .exec(
            "CREATE TABLE files (id integer, at timestamptz NOT NULL, body bytea) PARTITION BY RANGE (at);
            CREATE TABLE files_1 PARTITION OF files FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00');
            CREATE TABLE files_rest PARTITION OF files DEFAULT;
            ALTER TABLE files_1 ALTER body SET STORAGE EXTERNAL;
            INSERT INTO files VALUES (1, '2025-12-11 00:00+00', convert_to(repeat('0123456789abcdef', 3276800), 'UTF8')),
                (2, '2025-12-11 01:00+00', ''), (3, '2025-12-11 02:00+00', NULL),
                (4, '2025-12-13 00:00+00', convert_to(repeat('fedcba9876543210', 3276800), 'UTF8'))",
        )
        .await
        .unwrap();
    moves_equal(&database, "files", "").await;
    let longest: i32 = database
        .value("SELECT max(length(body)) FROM files")
        .await
        .unwrap();
    assert_eq!(longest, 52_428_800);
}
