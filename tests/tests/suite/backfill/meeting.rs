//! Live rows that have the keys of history before it comes: they stay, and whatever is missing in the end is told.

use super::{ARCHIVE, backfill, cut_over};
use crate::faults::Moved;
use crate::hard::call;
use crate::support::{Positions, assert_equal_rows, rows_seen, source_database, target_database};
use hyperhaul_testkit::TestDatabase;

const START: &str = "migrate --table positions --mode backfill --workers 2";

const SKIPPED: &str = "SELECT sum(skipped_count)::bigint FROM hyperhaul.slice";

/// Rows whose partition is not one of the days', so that they are routed.
const ELSEWHERE: &str = "CREATE TABLE positions_rest PARTITION OF positions DEFAULT;
    INSERT INTO positions (received_at, aircraft_id, packet)
    SELECT timestamptz '2025-12-20 00:00+00' + n * interval '1 hour', n, 'rest' FROM generate_series(1, 49) AS n";

/// Live rows with keys of history and equal values: ids 1 to 10 and 1991 to 2000.
fn equal_rows() -> String {
    let rows = Positions::default();
    format!(
        "INSERT INTO positions SELECT * FROM ({} UNION ALL {}) AS rows",
        rows.rows(1, 10),
        rows.rows(1991, 2000)
    )
}

/// With other values: ids 501 to 505. Beside them two rows whose keys are new.
fn other_rows() -> String {
    format!(
        "INSERT INTO positions SELECT id, received_at, 7, 7, 'live', source FROM ({}) AS rows;
        INSERT INTO positions (received_at, aircraft_id, packet)
        VALUES ('2025-12-11 12:00:00.5+00', 1, 'live'), ('2026-01-01 00:00+00', 1, 'live')",
        Positions::default().rows(501, 505)
    )
}

/// What the old table is called where it is now.
fn old(moved: &Moved) -> String {
    match moved.is_between_servers() {
        true => "public.positions".to_owned(),
        false => format!("{ARCHIVE}.positions"),
    }
}

/// Meets history in every way, and takes the run to its end.
async fn meets(moved: &Moved, options: &str) {
    cut_over(moved.call(&format!("{START} {options}"))).await;
    let target = moved.target();
    target.exec(&equal_rows()).await.unwrap();
    target.exec(&other_rows()).await.unwrap();
    moved.call("migrate").run().await.expect_code(0);
    assert_eq!(target.value::<i64>(SKIPPED).await.unwrap(), 25, "{options}");
    let there = Positions::ROWS;
    assert_equal_rows(
        (
            &moved.source,
            &format!(
                "SELECT * FROM {} WHERE id NOT BETWEEN 501 AND 505",
                old(moved)
            ),
        ),
        (target, &format!("{there} WHERE packet <> 'live'")),
    )
    .await;
    let live = "SELECT count(*) FROM positions WHERE packet = 'live'";
    assert_eq!(target.value::<i64>(live).await.unwrap(), 7, "{options}");
    let told = [
        "but for those whose keys live\nrows had first",
        "5 rows of the source stayed out",
    ];
    let verified = moved.call("verify").run().await;
    verified.expect_code(0).expect_printed(&told);
    let report = moved.call("report --json -").run().await.expect_code(0);
    let table = &report.json()["tables"][0];
    assert_eq!(table["before_cutover"]["lost_rows"], 5, "{table}");
    let cleaned = moved.call("cleanup --yes --drop-source").run().await;
    cleaned
        .expect_code(3)
        .expect_printed(&["5 rows", "--accept-differences"]);
    let cleanup = "cleanup --yes --drop-source --accept-differences";
    moved.call(cleanup).run().await.expect_code(0);
}

#[tokio::test]
async fn a_live_row_stays_where_a_whole_partition_follows_into_its_chunk() {
    for strategy in ["server", "copy"] {
        let database = target_database(&format!("meet_{strategy}")).await;
        let moved = Moved::new(database, None, Positions::default()).await;
        meets(&moved, &format!("--strategy {strategy}")).await;
    }
}

#[tokio::test]
async fn a_live_row_stays_where_rows_are_routed() {
    for strategy in ["server", "copy"] {
        let database = target_database(&format!("meet_routed_{strategy}")).await;
        Positions::default().create(&database).await;
        database.exec(ELSEWHERE).await.unwrap();
        let moved = Moved::of(database, None).await;
        let options = format!("--strategy {strategy} --chunk-interval 36h --slice-size 64kB");
        meets(&moved, &options).await;
    }
}

#[tokio::test]
async fn a_live_row_stays_where_history_comes_from_another_server() {
    let (source, target) = (
        source_database("meet_source").await,
        target_database("meet_target").await,
    );
    let moved = Moved::new(source, Some(target), Positions::default()).await;
    meets(&moved, "--chunk-interval 36h").await;
}

#[tokio::test]
async fn rows_that_were_written_twice_are_there_once_and_nothing_differs() {
    for strategy in ["server", "copy"] {
        let database = target_database(&format!("meet_equal_{strategy}")).await;
        let moved = Moved::new(database, None, Positions::default()).await;
        cut_over(moved.call(&format!("{START} --strategy {strategy}"))).await;
        moved.source.exec(&equal_rows()).await.unwrap();
        let migrated = moved.call("migrate").run().await.expect_code(0);
        assert!(!migrated.stdout.contains("stayed out"), "{migrated:?}");
        assert_eq!(moved.source.value::<i64>(SKIPPED).await.unwrap(), 20);
        moved.assert_moved().await;
        moved.call("cleanup --yes").run().await.expect_code(0);
    }
}

#[tokio::test]
async fn a_row_that_is_lost_is_told_among_rows_that_stayed_out() {
    let database = target_database("meet_lost").await;
    let moved = Moved::new(database, None, Positions::default()).await;
    cut_over(moved.call(START)).await;
    moved.source.exec(&equal_rows()).await.unwrap();
    moved.source.exec(&other_rows()).await.unwrap();
    backfill(moved.call("migrate")).await;
    let lost = "DO $$ DECLARE chunk regclass; BEGIN
        SELECT tableoid INTO chunk FROM positions WHERE id = 777;
        EXECUTE format('DELETE FROM %s WHERE id = 777', chunk); END $$";
    moved.source.exec(lost).await.unwrap();
    for _ in 0..2 {
        let told = moved.call("migrate").run().await.expect_code(4);
        told.expect_printed(&["6 of 2000 rows of the old table", "put them back"]);
        let told = moved.call("verify").run().await.expect_code(4);
        told.expect_printed(&["missing in the target (1)", "(777,"]);
    }
    assert_eq!(moved.state().await, "running");
    let again = format!("INSERT INTO positions SELECT * FROM {ARCHIVE}.positions WHERE id = 777");
    moved.source.exec(&again).await.unwrap();
    moved.call("migrate").run().await.expect_code(0);
    let verified = moved.call("verify").run().await.expect_code(0);
    verified.expect_printed(&["5 rows of the source stayed out"]);
}

#[tokio::test]
async fn without_a_key_every_row_comes_and_a_lost_one_is_told() {
    let database = target_database("meet_keyless").await;
    let table = "CREATE TABLE readings (at timestamptz NOT NULL, depth integer);
        INSERT INTO readings SELECT timestamptz '2025-12-11 00:00+00' + n / 2 * interval '1 hour', n / 2
        FROM generate_series(0, 99) AS n";
    database.exec(table).await.unwrap();
    let before = rows_seen(&database, "SELECT * FROM readings").await;
    let start = "migrate --mode backfill --time-column at";
    cut_over(call(start, &database).table("readings")).await;
    database
        .exec("INSERT INTO readings VALUES ('2025-12-11 00:00+00', 0), ('2025-12-11 00:00+00', -1)")
        .await
        .unwrap();
    backfill(call("migrate", &database)).await;
    let all = "SELECT count(*) FROM readings";
    assert_eq!(database.value::<i64>(all).await.unwrap(), before.count + 2);
    let lose = "DO $$ DECLARE row record; BEGIN
        SELECT tableoid::regclass AS chunk, ctid INTO row FROM readings WHERE depth = 17 LIMIT 1;
        EXECUTE format('DELETE FROM %s WHERE ctid = %L', row.chunk, row.ctid); END $$";
    database.exec(lose).await.unwrap();
    let told = call("migrate", &database).run().await.expect_code(4);
    told.expect_printed(&["1 of 100 rows of the old table"]);
    let told = call("verify", &database).run().await.expect_code(4);
    told.expect_printed(&["(\"2025-12-11 17:00:00+00\",17)"]);
    let again = "INSERT INTO readings VALUES ('2025-12-11 17:00+00', 17)";
    database.exec(again).await.unwrap();
    call("migrate", &database).run().await.expect_code(0);
    let history = "SELECT * FROM readings WHERE depth >= 0 OFFSET 0";
    assert_eq!(rows_seen(&database, history).await.count, before.count + 1);
}

/// A table with more than one unique key; `mark` is of a type that the server cannot hash, or that it can.
async fn with_several_keys(database: &TestDatabase, mark: &str) {
    let table = format!(
        "CREATE EXTENSION citext;
        CREATE TABLE readings (id integer, at timestamptz, amount numeric, name citext, word text, mark {mark}, note text,
            PRIMARY KEY (id, at), UNIQUE (amount, at), UNIQUE (at, name), UNIQUE NULLS NOT DISTINCT (word, at));
        CREATE UNIQUE INDEX readings_mark ON readings (mark, at) WHERE mark IS NOT NULL;
        INSERT INTO readings SELECT n, timestamptz '2025-12-11 00:00+00' + n * interval '1 hour', n + 0.0, 'name ' || n,
            CASE WHEN n % 5 > 0 THEN 'word' END, CASE WHEN n % 3 = 0 THEN n::bit(16)::{mark} END, 'old'
        FROM generate_series(1, 99) AS n"
    );
    database.exec(&table).await.unwrap();
}

/// One after the other: what meets history by each key, and what only seems to.
const BY_EACH_KEY: &str = "
    CREATE FUNCTION at(n integer) RETURNS timestamptz LANGUAGE sql AS $$ SELECT timestamptz '2025-12-11 00:00+00' + n * interval '1 hour' $$;
    INSERT INTO readings VALUES (7, at(7), NULL, NULL, 'live', NULL, 'live, by id');
    INSERT INTO readings VALUES (1013, at(13), 13.000, NULL, 'live', NULL, 'live, by amount');
    INSERT INTO readings VALUES (1023, at(23), NULL, 'NAME 23', 'live', NULL, 'live, by name');
    INSERT INTO readings VALUES (1030, at(30), NULL, NULL, NULL, NULL, 'live, by word');
    INSERT INTO readings SELECT 1036, at, NULL, NULL, 'live', mark, 'live, by mark' FROM hyperhaul_old_public.readings WHERE id = 36;
    INSERT INTO readings SELECT id, at, amount + 0.00, name, word, mark, note FROM hyperhaul_old_public.readings WHERE id = 41;
    INSERT INTO readings SELECT * FROM hyperhaul_old_public.readings WHERE id = 43;
    INSERT INTO readings VALUES (1047, at(47), NULL, NULL, 'live', NULL, 'live, by none');
    DROP FUNCTION at";

#[tokio::test]
async fn whichever_of_several_keys_a_live_row_has_it_stays_and_is_no_loss() {
    for (strategy, mark) in [
        ("server", "integer"),
        ("copy", "integer"),
        ("copy", "varbit"),
    ] {
        let database = target_database(&format!("meet_keys_{strategy}_{mark}")).await;
        with_several_keys(&database, mark).await;
        let start = format!("migrate --mode backfill --time-column at --strategy {strategy}");
        cut_over(call(&start, &database).table("readings")).await;
        database.exec(BY_EACH_KEY).await.unwrap();
        call("migrate", &database).run().await.expect_code(0);
        assert_eq!(
            database.value::<i64>(SKIPPED).await.unwrap(),
            7,
            "{strategy}"
        );
        let rows = "SELECT count(*), count(*) FILTER (WHERE note LIKE 'live%') FROM readings";
        let row = database.query_one(rows, &[]).await.unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (100, 6));
        let verified = call("verify", &database).run().await.expect_code(0);
        verified.expect_printed(&["6 rows of the source stayed out"]);
        let lose =
            "SELECT drop_chunks('readings', older_than => timestamptz '2025-12-12 00:00+00')";
        database.exec(lose).await.unwrap();
        let verified = call("verify", &database).run().await.expect_code(4);
        verified.expect_printed(&["(1,"]);
    }
}
