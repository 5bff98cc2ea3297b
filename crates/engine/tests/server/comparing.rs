//! Two tables that should be equal: which rows are not.

use hyperhaul_engine::limits::LOSS_HASHES_MAX;
use hyperhaul_engine::{Compared, Differences, Losses, Side, SourceReader, differences, losses};

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

/// `source_rows` decides how many parts the rows are looked at in.
async fn lost(worker: &Worker, source_rows: u64, keys_max: usize) -> Losses {
    let target = SourceReader::start_on(Side::Target, &worker.server, None).unwrap();
    let sql = |table: &str| copy_out(&format!("SELECT id, word, id::text FROM public.{table}"));
    let compared = Compared {
        source: &worker.reader,
        target: &target,
        pool: &worker.pool,
        source_sql: sql("source"),
        target_sql: sql("target"),
        rewrites: vec![],
        identities: 0,
    };
    losses(&compared, source_rows, keys_max).await.unwrap()
}

#[tokio::test]
async fn lost_rows_are_found_among_any_number_of_new_ones() {
    let worker = Worker::new("lost", TABLES).await;
    let grow = "INSERT INTO target SELECT n, 'new' FROM generate_series(1, 50000) AS n";
    worker.database.exec(grow).await.unwrap();
    let found = lost(&worker, 30_000, 10).await;
    let grown = Losses {
        new_count: 50_000,
        ..Losses::default()
    };
    assert_eq!(found, grown);

    let change = "\
DELETE FROM target WHERE id IN (17, 4711);
UPDATE target SET word = 'other' WHERE id = 5 AND word = 'w5';
INSERT INTO source VALUES (NULL, 'no key'), (9, 'w9');";
    worker.database.exec(change).await.unwrap();
    // In one part, and in three.
    for source_rows in [30_002, 3 * LOSS_HASHES_MAX] {
        let found = lost(&worker, source_rows, 10).await;
        assert_eq!(found.missing, keys(&["17", "4711", "NULL"]));
        assert_eq!(found.different, keys(&["5", "9"]));
        assert_eq!((found.lost_count, found.new_count), (5, 49_999));
        assert!(!found.truncated());
    }
    let found = lost(&worker, 30_002, 2).await;
    assert_eq!(found.missing.len() + found.different.len(), 2);
    assert!(found.truncated());
    assert_eq!((found.lost_count, found.new_count), (5, 49_999));
}

#[tokio::test]
async fn a_row_whose_key_is_missing_is_named_among_any_number_that_are_different() {
    let worker = Worker::new("missing", TABLES).await;
    let more = "INSERT INTO source SELECT n, 'w' || n FROM generate_series(30001, 250000) AS n;
        TRUNCATE target; INSERT INTO target TABLE source;";
    worker.database.exec(more).await.unwrap();
    let change =
        "UPDATE target SET word = 'other' WHERE id <= 220000; DELETE FROM target WHERE id = 12345";
    worker.database.exec(change).await.unwrap();
    let found = lost(&worker, 250_000, 2).await;
    assert_eq!(found.missing, keys(&["12345"]));
    assert_eq!(found.different.len(), 1);
    assert_eq!((found.lost_count, found.new_count), (220_000, 219_999));
    assert!(found.truncated());
}

#[tokio::test]
async fn a_row_is_there_if_any_of_its_identities_is() {
    let worker = Worker::new("identities", TABLES).await;
    let change = "\
DELETE FROM target WHERE id IN (1, 2, 3);
INSERT INTO target VALUES (-1, 'w1'), (2, 'other');";
    worker.database.exec(change).await.unwrap();
    let target = SourceReader::start_on(Side::Target, &worker.server, None).unwrap();
    // By the number, and by the word: what identifies by one of them identifies by no other. Both sides spell the number differently.
    let sql = |table: &str, sign: &str| {
        copy_out(&format!(
            "SELECT id, word, abs(id)::text, CASE WHEN id <> 4 THEN word END, '{sign}' || id FROM public.{table}"
        ))
    };
    let compared = Compared {
        source: &worker.reader,
        target: &target,
        pool: &worker.pool,
        source_sql: sql("source", "+"),
        target_sql: sql("target", ""),
        rewrites: vec![],
        identities: 2,
    };
    let found = losses(&compared, 30_000, 10).await.unwrap();
    assert_eq!(found.missing, keys(&["+3"]));
    assert_eq!(found.different, keys(&["+1", "+2"]));
    assert_eq!((found.lost_count, found.new_count), (3, 2));
}
