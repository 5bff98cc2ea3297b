//! Copies into one table: what arrives, and what is returned.

use hyperhaul_engine::{ArrayRewrite, Pool, Progress, SourceReader, copy};
use hyperhaul_pg::Server;
use hyperhaul_testkit::{Servers, TestDatabase};

use crate::{ANY_CHUNK, Worker, copy_out, into_one};

const TABLES: &str = "\
CREATE TABLE source (id bigint, at timestamptz, word text, list text[], document jsonb, bytes bytea);
CREATE TABLE target (LIKE source);
INSERT INTO source
SELECT n, '2025-12-11 00:00Z'::timestamptz + n * interval '1 second',
    CASE WHEN n % 7 <> 0 THEN repeat('w', (n % 400)::int) END,
    CASE WHEN n % 5 <> 0 THEN ARRAY['a', NULL, n::text] END,
    jsonb_build_object('n', n), sha256(n::text::bytea)
FROM generate_series(1, 50000) AS n;";

#[tokio::test]
async fn rows_arrive_equal_and_the_digest_says_so() {
    let worker = Worker::new("pass", TABLES).await;
    let copied = worker
        .copy(into_one("SELECT * FROM public.source", "public.target"))
        .await;

    let differing = "SELECT count(*) FROM (
        (TABLE source EXCEPT ALL TABLE target) UNION ALL (TABLE target EXCEPT ALL TABLE source)) AS d";
    assert_eq!(worker.number(differing).await, 0);
    assert_eq!(copied.rows, 50_000);
    assert_eq!(
        (worker.progress.rows(), worker.progress.bytes()),
        (50_000, copied.bytes)
    );
    let written = worker.digest("SELECT * FROM public.target").await;
    assert_eq!(copied.digests, [(ANY_CHUNK, written)]);
    assert_eq!(written.rows, 50_000);
}

#[tokio::test]
async fn a_reader_serves_one_slice_after_another() {
    let worker = Worker::new("slices", TABLES).await;
    for (slice, bounds) in ["BETWEEN 1 AND 20000", "BETWEEN 20001 AND 20001", "> 20001"]
        .iter()
        .enumerate()
    {
        let query = format!("SELECT * FROM public.source WHERE id {bounds}");
        let copied = worker.copy(into_one(&query, "public.target")).await;
        assert_eq!(copied.rows, [20_000, 1, 29_999][slice]);
    }
    let source = worker.digest("SELECT * FROM public.source").await;
    assert_eq!(worker.digest("SELECT * FROM public.target").await, source);
    assert!(worker.reader.is_usable());
}

#[tokio::test]
async fn no_row_at_all_is_a_copy_too() {
    let worker = Worker::new("empty", TABLES).await;
    let copied = worker
        .copy(into_one(
            "SELECT * FROM public.source WHERE false",
            "public.target",
        ))
        .await;
    assert_eq!(copied.rows, 0);
    assert_eq!(
        copied.digests,
        [(ANY_CHUNK, hyperhaul_pgcopy::Digest::default())]
    );
}

#[tokio::test]
async fn a_value_of_50_megabytes_passes_between_small_rows() {
    let setup = "\
CREATE TABLE source (id int, bytes bytea);
CREATE TABLE target (LIKE source);
INSERT INTO source SELECT n, 'small' FROM generate_series(1, 1000) AS n;
INSERT INTO source SELECT 1001, convert_to(repeat(sha256(n::text::bytea)::text, 800000), 'UTF8') FROM generate_series(1, 1) AS n;
INSERT INTO source SELECT n, 'small' FROM generate_series(1002, 2000) AS n;";
    let worker = Worker::new("wide", setup).await;
    let largest = worker
        .number("SELECT max(length(bytes))::bigint FROM source")
        .await;
    assert!(largest >= 50_000_000, "{largest}");
    let copied = worker
        .copy(into_one("SELECT * FROM public.source", "public.target"))
        .await;
    assert_eq!(copied.rows, 2_000);
    let written = worker.digest("SELECT * FROM public.target").await;
    assert_eq!(copied.digests, [(ANY_CHUNK, written)]);
}

#[tokio::test]
async fn a_setup_statement_holds_for_all_reads() {
    let worker = Worker::new("setup", TABLES).await;
    let setup =
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1 FROM public.source LIMIT 1";
    let reader = SourceReader::start(&worker.server, Some(setup.to_owned())).unwrap();
    worker.database.exec("DELETE FROM source").await.unwrap();
    worker.target.batch("BEGIN").await.unwrap();
    let request = into_one("SELECT * FROM public.source", "public.target");
    let copied = copy(
        &reader,
        &worker.target,
        &worker.pool,
        request,
        &worker.progress,
    )
    .await;
    assert_eq!(copied.unwrap().rows, 50_000);
}

#[tokio::test]
async fn a_setup_statement_that_fails_is_the_sources_error() {
    let worker = Worker::new("setup_fails", TABLES).await;
    let setup = Some("SET TRANSACTION SNAPSHOT '00000003-0000001B-1'".to_owned());
    let error = SourceReader::start(&worker.server, setup).unwrap_err();
    assert_eq!(error.side(), hyperhaul_engine::Side::Source);
}

/// A database whose enum has another OID than in a second database that was set up the same way, but later.
async fn database_with_enum(name: &str, types_before: usize) -> TestDatabase {
    let servers = Servers::shared().unwrap();
    let database = TestDatabase::create(servers.target.url(), name)
        .await
        .unwrap();
    for number in 0..types_before {
        database
            .exec(&format!("CREATE TYPE earlier_{number} AS ENUM ('x')"))
            .await
            .unwrap();
    }
    database
        .exec(
            "CREATE TYPE mood AS ENUM ('calm', 'wild');
            CREATE TABLE moods (id int, list mood[], other mood[]);",
        )
        .await
        .unwrap();
    database
}

#[tokio::test]
async fn arrays_of_a_type_with_another_oid_are_renumbered() {
    let source = database_with_enum("enum_source", 0).await;
    let target = database_with_enum("enum_target", 3).await;
    source
        .exec(
            "INSERT INTO moods SELECT n, ARRAY['calm', NULL, 'wild']::mood[],
                CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN '{}'::mood[] ELSE ARRAY['wild']::mood[] END
            FROM generate_series(1, 20000) AS n",
        )
        .await
        .unwrap();
    let oid = "SELECT 'mood'::regtype::oid";
    let from_oid: u32 = source.value(oid).await.unwrap();
    let to_oid: u32 = target.value(oid).await.unwrap();
    assert_ne!(from_oid, to_oid);
    let worker = Worker::in_database(target).await;
    let source_server = Server::parse(source.url()).unwrap();
    let reader = || SourceReader::start(&source_server, None).unwrap();
    let pool = Pool::new(2).unwrap();
    let mut request = into_one("SELECT * FROM public.moods", "public.moods");

    let rewrite = |position| ArrayRewrite {
        position,
        from_oid,
        to_oid,
    };
    request.rewrites = vec![rewrite(1), rewrite(2)];
    worker.target.batch("BEGIN").await.unwrap();
    let copied = copy(
        &reader(),
        &worker.target,
        &pool,
        request.clone(),
        &worker.progress,
    )
    .await;
    worker.target.batch("COMMIT").await.unwrap();
    let written = worker.digest("SELECT * FROM public.moods").await;
    assert_eq!(copied.unwrap().digests, [(ANY_CHUNK, written)]);
    let sql = copy_out("SELECT * FROM public.moods");
    let digested =
        hyperhaul_engine::digest(&reader(), &pool, sql, request.rewrites, &Progress::new()).await;
    assert_eq!(digested.unwrap(), written);
}
