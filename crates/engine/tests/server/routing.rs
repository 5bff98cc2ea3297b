//! Copies into the chunks of a hypertable, by time.

use hyperhaul_engine::{ChunkKey, ChunkTarget, CopyRequest, Destination, Side};
use hyperhaul_pg::Disposition;
use hyperhaul_pgcopy::TimeType;

use crate::{Worker, copy_in, copy_out};

const DAY_US: i64 = 86_400_000_000;

/// 40 days of rows out of order, and a hypertable in which 25 chunks exist, empty.
const TABLES: &str = "\
CREATE EXTENSION timescaledb;
CREATE TABLE source (word text, at timestamptz, id int);
INSERT INTO source
SELECT repeat('w', 300), '2025-11-20 00:00Z'::timestamptz + (n * 7919 % 40) * interval '1 day' + n * interval '1 millisecond', n
FROM generate_series(1, 80000) AS n;
CREATE TABLE target (word text, at timestamptz NOT NULL, id int);
SELECT create_hypertable('target', by_range('at', interval '1 day'));";

/// One row per chunk through the hypertable, then `TRUNCATE ONLY`: the way that works in every edition.
const CHUNKS: &str = "\
INSERT INTO target SELECT 'w', '2025-11-20 00:00Z'::timestamptz + n * interval '1 day', n FROM generate_series(0, 24) AS n;
DO $$ DECLARE chunk regclass; BEGIN
    FOR chunk IN SELECT show_chunks('target') LOOP EXECUTE format('TRUNCATE ONLY %s', chunk); END LOOP;
END $$;";

const CHUNK_LIST: &str = "\
SELECT (extract(epoch FROM range_start) * 1000000)::bigint, (extract(epoch FROM range_end) * 1000000)::bigint,
    format('%I.%I', chunk_schema, chunk_name)
FROM timescaledb_information.chunks ORDER BY range_start";

async fn chunks(worker: &Worker) -> Vec<(ChunkKey, String)> {
    let rows = worker.database.query(CHUNK_LIST, &[]).await.unwrap();
    rows.iter()
        .map(|row| {
            (
                ChunkKey {
                    start_us: row.get(0),
                    end_us: row.get(1),
                },
                row.get(2),
            )
        })
        .collect()
}

async fn by_time(worker: &Worker, query: &str) -> CopyRequest {
    let chunks = chunks(worker).await.into_iter();
    CopyRequest {
        source_sql: copy_out(query),
        destination: Destination::ByTime {
            time_position: 1,
            time_type: TimeType::Timestamptz,
            chunks: chunks
                .map(|(chunk, name)| ChunkTarget {
                    chunk,
                    copy_sql: copy_in(&name),
                })
                .collect(),
            interval_us: DAY_US,
            fallback_copy_sql: copy_in("public.target"),
        },
        rewrites: vec![],
    }
}

async fn hypertable(name: &str) -> Worker {
    let worker = Worker::new(name, TABLES).await;
    worker.database.exec(CHUNKS).await.unwrap();
    assert_eq!(chunks(&worker).await.len(), 25);
    worker
}

#[tokio::test]
async fn every_row_gets_into_its_chunk_and_new_chunks_come_from_the_hypertable() {
    let worker = hypertable("by_time").await;
    let copied = worker
        .copy(by_time(&worker, "SELECT * FROM public.source").await)
        .await;
    assert_eq!(copied.rows, 80_000);
    // More than the buffers hold together: some were written before the end.
    assert!(copied.bytes > 16 * 1024 * 1024, "{}", copied.bytes);
    let chunks = chunks(&worker).await;
    assert_eq!(chunks.len(), 40);
    let mut read_again = Vec::new();
    for (key, name) in chunks {
        read_again.push((key, worker.digest(&format!("SELECT * FROM {name}")).await));
    }
    assert_eq!(copied.digests, read_again);
    let source = worker.digest("SELECT * FROM public.source").await;
    assert_eq!(worker.digest("SELECT * FROM public.target").await, source);
    assert_eq!(
        (worker.progress.rows(), worker.progress.bytes()),
        (copied.rows, copied.bytes)
    );
}

#[tokio::test]
async fn nothing_to_route_is_no_copy_at_all() {
    let worker = hypertable("by_time_empty").await;
    let copied = worker
        .copy(by_time(&worker, "SELECT * FROM public.source WHERE false").await)
        .await;
    assert_eq!((copied.rows, copied.bytes, copied.digests.len()), (0, 0, 0));
}

#[tokio::test]
async fn a_row_that_is_larger_than_all_buffers_is_routed_too() {
    let worker = hypertable("by_time_wide").await;
    let query = "SELECT CASE WHEN id = 500 THEN repeat(word, 70000) ELSE word END, at, id \
        FROM public.source WHERE id <= 1000";
    let copied = worker.copy(by_time(&worker, query).await).await;
    assert_eq!(copied.rows, 1_000);
    let source = worker.digest(query).await;
    assert_eq!(worker.digest("SELECT * FROM public.target").await, source);
}

#[tokio::test]
async fn times_that_belong_nowhere_stop_the_copy_by_name() {
    for (time, expected) in [
        (
            "'infinity'::timestamptz",
            "infinite value in the time column",
        ),
        (
            "'-infinity'::timestamptz",
            "infinite value in the time column",
        ),
        ("NULL::timestamptz", "null value in the time column"),
    ] {
        let worker = hypertable("by_time_nowhere").await;
        let query = format!(
            "SELECT word, CASE WHEN id = 70000 THEN {time} ELSE at END, id FROM public.source"
        );
        let error = worker
            .begin_and_copy(by_time(&worker, &query).await)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(
            (error.side(), error.disposition()),
            (Side::Stream, Disposition::Fix)
        );
        worker.assert_nothing_finished("target").await;
        worker.until_reader_is_gone().await;
    }
}

#[tokio::test]
async fn an_interval_or_list_that_makes_no_sense_is_refused_before_anything_is_read() {
    let worker = hypertable("by_time_wrong").await;
    let sensible = by_time(&worker, "SELECT * FROM public.source").await;
    let mut no_interval = sensible.clone();
    let mut overlapping = sensible;
    if let Destination::ByTime { interval_us, .. } = &mut no_interval.destination {
        *interval_us = 0;
    }
    if let Destination::ByTime { chunks, .. } = &mut overlapping.destination {
        chunks[3].chunk.end_us += 1;
    }
    for request in [no_interval, overlapping] {
        let error = worker.begin_and_copy(request).await.unwrap_err();
        assert_eq!(error.disposition(), Disposition::Fix, "{error}");
        worker.target.batch("ROLLBACK").await.unwrap();
    }
    assert!(worker.reader.is_usable());
}
