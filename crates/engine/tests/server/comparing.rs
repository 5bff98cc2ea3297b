//! Two tables that should be equal: which rows are not.

use hyperhaul_engine::{Differences, Side, SourceReader, differences};

use crate::{Worker, copy_out};

const TABLES: &str = "\
CREATE TABLE source (id int, word text);
INSERT INTO source SELECT n, 'w' || n FROM generate_series(1, 30000) AS n;
CREATE TABLE target (LIKE source);
INSERT INTO target TABLE source;";

async fn compare(worker: &Worker, keys_max: usize) -> Differences {
    let target = SourceReader::start_on(Side::Target, &worker.server, None).unwrap();
    let sql = |table: &str| copy_out(&format!("SELECT id, word, id::text FROM public.{table}"));
    let (source_sql, target_sql) = (sql("source"), sql("target"));
    // The worker's pool has one thread: the sides then take turns.
    differences(
        &worker.reader,
        &target,
        &worker.pool,
        source_sql,
        target_sql,
        vec![],
        keys_max,
    )
    .await
    .unwrap()
}

fn keys(numbers: &[&str]) -> Vec<String> {
    numbers.iter().map(|&number| number.to_owned()).collect()
}

#[tokio::test]
async fn equal_tables_have_no_differences_whatever_their_order() {
    let worker = Worker::new("equal", TABLES).await;
    worker
        .database
        .exec("TRUNCATE target; INSERT INTO target SELECT * FROM source ORDER BY random()")
        .await
        .unwrap();
    let found = compare(&worker, 1000).await;
    assert!(found.is_empty(), "{found:?}");
    assert_eq!((found.source_rows, found.target_rows), (30_000, 30_000));
}

#[tokio::test]
async fn missing_extra_doubled_and_changed_rows_are_found_by_key() {
    let worker = Worker::new("unequal", TABLES).await;
    let change = "\
DELETE FROM target WHERE id IN (17, 4711, 29999);
UPDATE target SET word = 'other' WHERE id IN (5, 6);
UPDATE target SET word = NULL WHERE id = 7;
INSERT INTO target VALUES (40000, 'new'), (100, 'w100'), (NULL, 'no key');";
    worker.database.exec(change).await.unwrap();
    let found = compare(&worker, 1000).await;
    assert_eq!(found.missing, keys(&["17", "29999", "4711"]));
    assert_eq!(found.extra, keys(&["100", "40000", "NULL"]));
    assert_eq!(found.different, keys(&["5", "6", "7"]));
    assert!(!found.truncated);
    assert_eq!((found.source_rows, found.target_rows), (30_000, 30_000));
}

#[tokio::test]
async fn more_differences_than_may_be_held_are_told_in_part() {
    let worker = Worker::new("truncated", TABLES).await;
    worker
        .database
        .exec("DELETE FROM target WHERE id % 2 = 0")
        .await
        .unwrap();
    let found = compare(&worker, 100).await;
    assert!(found.truncated);
    assert!(!found.is_empty());
    assert!(
        !found.missing.is_empty() && found.missing.len() <= 100,
        "{}",
        found.missing.len()
    );
    let even = |key: &String| key.parse::<i32>().unwrap() % 2 == 0;
    assert!(found.missing.iter().all(even), "{:?}", found.missing);
    assert_eq!((found.extra.len(), found.different.len()), (0, 0));
    assert_eq!((found.source_rows, found.target_rows), (30_000, 15_000));
}
