//! Copies that are broken in the middle: who is named, what is left, what ends.

use std::time::Duration;

use hyperhaul_engine::{Copied, Error, Side, copy};
use hyperhaul_pg::Disposition;
use hyperhaul_testkit::eventually;

use crate::{LIMIT, Worker, into_one};

/// Rows without end, as far as a test is concerned, and made on the way.
const ENDLESS: &str = "SELECT generate_series(1, 1000000000) AS id, repeat('w', 200) AS word";

const TABLE: &str =
    "CREATE TABLE target (id int CONSTRAINT target_id_small CHECK (id < 2000000000), word text)";

/// Copies rows without end and does something when they flow.
async fn broken_by(worker: &Worker, what: impl AsyncFnOnce()) -> Result<Copied, Error> {
    let breaking = async {
        let flowing = || async { worker.progress.rows() > 50_000 };
        eventually("rows flow", LIMIT, flowing).await.unwrap();
        what().await;
    };
    let request = into_one(ENDLESS, "public.target");
    tokio::join!(worker.begin_and_copy(request), breaking).0
}

async fn terminate(worker: &Worker, pid: i32) {
    worker
        .number(&format!("SELECT pg_terminate_backend({pid})::int::bigint"))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_reader_aborts_the_writers_copy() {
    let worker = Worker::new("kill_reader", TABLE).await;
    let killing = async || terminate(&worker, worker.reader.backend_pid()).await;
    let error = broken_by(&worker, killing).await.unwrap_err();
    assert_eq!(
        (error.side(), error.disposition()),
        (Side::Source, Disposition::Reconnect),
        "{error}"
    );
    assert!(!worker.reader.is_usable());
    worker.assert_nothing_finished("target").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_writer_stops_the_reader() {
    let worker = Worker::new("kill_writer", TABLE).await;
    let killing = async || terminate(&worker, worker.target.backend_pid()).await;
    let error = broken_by(&worker, killing).await.unwrap_err();
    assert_eq!(
        (error.side(), error.disposition()),
        (Side::Target, Disposition::Reconnect),
        "{error}"
    );
    worker.until_reader_is_gone().await;
    assert!(!worker.reader.is_usable());
    worker.assert_nothing_finished("target").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_query_is_reported_as_cancelled() {
    let worker = Worker::new("cancel_query", TABLE).await;
    let cancelling = async || worker.reader.canceller().cancel().await.unwrap();
    let error = broken_by(&worker, cancelling).await.unwrap_err();
    assert_eq!(
        (error.side(), error.disposition()),
        (Side::Source, Disposition::Cancelled),
        "{error}"
    );
    worker.assert_nothing_finished("target").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_fails_half_way_aborts_the_writers_copy() {
    let worker = Worker::new("source_fails", TABLE).await;
    let query = "SELECT 1 / (100000 - id), repeat('w', 200) FROM generate_series(1, 200000) AS id";
    let error = worker
        .begin_and_copy(into_one(query, "public.target"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.side(), error.disposition()),
        (Side::Source, Disposition::Fix),
        "{error}"
    );
    assert_eq!(
        error.server_error().and_then(|error| error.sqlstate()),
        Some("22012")
    );
    worker.assert_nothing_finished("target").await;
}

#[tokio::test]
async fn a_query_that_cannot_begin_is_the_sources_error() {
    let worker = Worker::new("source_wrong", TABLE).await;
    let request = into_one("SELECT 1, 'w' FROM public.nowhere", "public.target");
    let error = worker.begin_and_copy(request).await.unwrap_err();
    assert_eq!(error.side(), Side::Source);
    assert!(
        error
            .server_error()
            .is_some_and(hyperhaul_pg::Error::is_undefined_object),
        "{error}"
    );
    worker.assert_nothing_finished("target").await;
}

#[tokio::test]
async fn a_violated_constraint_is_named_and_nothing_is_finished() {
    let worker = Worker::new("violation", TABLE).await;
    let query = "SELECT CASE WHEN id = 150000 THEN 2000000001 ELSE id END, repeat('w', 200) \
        FROM generate_series(1, 200000) AS id";
    let error = worker
        .begin_and_copy(into_one(query, "public.target"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.side(), error.disposition()),
        (Side::Target, Disposition::Fix),
        "{error}"
    );
    let reported = error.server_error().unwrap();
    assert_eq!(reported.sqlstate(), Some("23514"));
    assert_eq!(reported.constraint(), Some("target_id_small"));
    worker.assert_nothing_finished("target").await;
}

#[tokio::test]
async fn rows_that_the_target_swallows_are_noticed() {
    let swallowing = format!(
        "{TABLE}; CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN IF NEW.id = 777 THEN RETURN NULL; END IF; RETURN NEW; END $$;
        CREATE TRIGGER swallow BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION swallow();"
    );
    let worker = Worker::new("swallow", &swallowing).await;
    let query = "SELECT id, 'w' FROM generate_series(1, 1000) AS id";
    let error = worker
        .begin_and_copy(into_one(query, "public.target"))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "target: the server took in 999 rows of 1000 that were sent"
    );
    assert_eq!(
        (error.side(), error.disposition()),
        (Side::Target, Disposition::Fix)
    );
    worker.target.batch("ROLLBACK").await.unwrap();
    worker.assert_nothing_finished("target").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_a_copy_while_rows_flow_leaves_no_copy_and_no_thread() {
    let worker = Worker::new("dropped", TABLE).await;
    {
        let request = into_one(ENDLESS, "public.target");
        let copying = worker.begin_and_copy(request);
        let flowing = || async { worker.progress.rows() > 50_000 };
        tokio::select! {
            _ = copying => panic!("rows without end came to an end"),
            flows = eventually("rows flow", LIMIT, flowing) => flows.unwrap(),
        }
    }
    worker.until_reader_is_gone().await;
    worker.assert_nothing_finished("target").await;
    // The pool's only thread is free again.
    let reader = hyperhaul_engine::SourceReader::start(&worker.server, None).unwrap();
    worker.target.batch("BEGIN").await.unwrap();
    let request = into_one("SELECT 1, 'w'", "public.target");
    let copied = copy(
        &reader,
        &worker.target,
        &worker.pool,
        request,
        &worker.progress,
    )
    .await;
    assert_eq!(copied.unwrap().rows, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_a_copy_whose_source_says_nothing_ends_the_query() {
    let worker = Worker::new("silent", TABLE).await;
    let asleep = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE pid = {} AND wait_event = 'PgSleep'",
        worker.reader.backend_pid()
    );
    {
        let query = "SELECT 1, 'w' FROM (SELECT pg_sleep(86400)) AS s";
        let sleeping = || async { worker.number(&asleep).await == 1 };
        tokio::select! {
            _ = worker.begin_and_copy(into_one(query, "public.target")) => panic!("the query ended"),
            sleeps = eventually("the query sleeps", LIMIT, sleeping) => sleeps.unwrap(),
        }
    }
    worker.until_reader_is_gone().await;
    worker.assert_nothing_finished("target").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_a_copy_whose_target_is_stuck_behind_a_lock_ends_the_reader() {
    let worker = Worker::new("stuck", TABLE).await;
    let blocker = worker.database.connect().await.unwrap();
    blocker
        .batch_execute("BEGIN; LOCK TABLE target")
        .await
        .unwrap();
    let request = into_one(ENDLESS, "public.target");
    let stuck =
        tokio::time::timeout(Duration::from_millis(500), worker.begin_and_copy(request)).await;
    assert!(stuck.is_err(), "the copy ended");
    worker.until_reader_is_gone().await;
    blocker.batch_execute("ROLLBACK").await.unwrap();
    worker.assert_nothing_finished("target").await;
}
