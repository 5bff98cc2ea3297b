//! Rows and partition bounds at the edges of chunks: default partitions, days of 23 and 25 hours, microseconds, other time types,
//! times before 1970. Each row is to arrive exactly once.

use super::{DONE, call, moves_equal};
use crate::support::target_database;
use hyperhaul_testkit::TestDatabase;

/// Rows around every hour of the days, to the microsecond: chunks and partitions begin at some of them.
fn rows_around(first: &str, hours: u32) -> String {
    format!(
        "SELECT hour * 3 + edge, {first} + hour * interval '1 hour' + (edge - 1) * interval '1 microsecond'
        FROM generate_series(1, {hours}) AS hour, generate_series(0, 2) AS edge"
    )
}

/// Daily partitions from midnight to midnight in Berlin, as pg_partman makes them on a server of that time zone, with a default.
async fn berlin_days(database: &TestDatabase, first_day: &str) {
    let zone = format!(
        "ALTER DATABASE \"{}\" SET timezone = 'Europe/Berlin'",
        database.name()
    );
    database.exec(&zone).await.unwrap();
    let first = format!("timestamptz '{first_day} 00:00 Europe/Berlin'");
    let rows = rows_around(&first, 6 * 24);
    let sql = format!(
        "CREATE TABLE fixes (id bigint, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
        CREATE TABLE fixes_default PARTITION OF fixes DEFAULT;
        DO $$ BEGIN FOR day IN 0..4 LOOP
            EXECUTE format('CREATE TABLE fixes_%s PARTITION OF fixes FOR VALUES FROM (%L) TO (%L)', day,
                (date '{first_day}' + day)::timestamptz, (date '{first_day}' + day + 1)::timestamptz);
        END LOOP; END $$;
        INSERT INTO fixes {rows}"
    );
    database.exec(&sql).await.unwrap();
}

/// The chunks that rows of the table lie in, counted by the server.
async fn assert_chunks_are_those_of_the_rows(
    database: &TestDatabase,
    table: &str,
    interval: &str,
    time: &str,
) {
    let wanted: i64 = database
        .value(&format!("SELECT count(DISTINCT date_bin('{interval}', {time}, '1970-01-01 00:00+00')) FROM {table}"))
        .await
        .unwrap();
    let chunks: i64 = database
        .value(&format!("SELECT count(*) FROM show_chunks('{table}')"))
        .await
        .unwrap();
    assert_eq!(chunks, wanted, "chunks of {table}, {interval} each");
}

#[tokio::test]
async fn days_of_23_and_of_25_hours_in_berlin_are_moved_once() {
    for (first_day, hours) in [("2025-03-28", 23_i64), ("2025-10-24", 25)] {
        let database = target_database("berlin").await;
        berlin_days(&database, first_day).await;
        let odd_days: i64 = database
            .value(&format!(
                "SELECT count(*) FROM generate_series(0, 4) AS day
                WHERE (date '{first_day}' + day + 1)::timestamptz - (date '{first_day}' + day)::timestamptz = interval '{hours} hours'"
            ))
            .await
            .unwrap();
        assert_eq!(odd_days, 1, "a day of {hours} hours from {first_day} on");
        moves_equal(&database, "fixes", "").await;
        assert_chunks_are_those_of_the_rows(&database, "fixes", "1 day", "at").await;
    }
}

#[tokio::test]
async fn berlin_days_are_moved_into_chunks_of_hours_and_of_weeks() {
    for interval in ["1hour", "7days"] {
        let database = target_database("intervals").await;
        berlin_days(&database, "2025-10-24").await;
        moves_equal(
            &database,
            "fixes",
            &format!("--chunk-interval {interval} --slice-size 8KiB"),
        )
        .await;
        let interval = if interval == "1hour" {
            "1 hour"
        } else {
            "7 days"
        };
        assert_chunks_are_those_of_the_rows(&database, "fixes", interval, "at").await;
    }
}

#[tokio::test]
async fn rows_that_are_all_in_the_default_partition_are_moved() {
    let database = target_database("default_only").await;
    let rows = rows_around("timestamptz '2025-12-11 00:00+00'", 72);
    database
        .exec(&format!(
            "CREATE TABLE fixes (id bigint, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
            CREATE TABLE fixes_default PARTITION OF fixes DEFAULT;
            CREATE TABLE fixes_empty PARTITION OF fixes FOR VALUES FROM ('2026-12-11 00:00+00') TO ('2026-12-12 00:00+00');
            INSERT INTO fixes {rows}"
        ))
        .await
        .unwrap();
    moves_equal(&database, "fixes", "").await;
    assert_chunks_are_those_of_the_rows(&database, "fixes", "1 day", "at").await;
}

#[tokio::test]
async fn time_columns_without_a_zone_are_moved() {
    for interval in ["1hour", "1day", "7days"] {
        let database = target_database("timestamps").await;
        // A session's time zone must not matter.
        database
            .exec(&format!(
                "ALTER DATABASE \"{}\" SET timezone = 'Pacific/Auckland'",
                database.name()
            ))
            .await
            .unwrap();
        let rows = rows_around("timestamp '2025-12-11 00:00'", 48);
        database
            .exec(&format!(
                "CREATE TABLE fixes (id bigint, at timestamp NOT NULL) PARTITION BY RANGE (at);
                CREATE TABLE fixes_default PARTITION OF fixes DEFAULT;
                CREATE TABLE fixes_1 PARTITION OF fixes FOR VALUES FROM ('2025-12-11') TO ('2025-12-12');
                INSERT INTO fixes {rows}"
            ))
            .await
            .unwrap();
        moves_equal(&database, "fixes", &format!("--chunk-interval {interval}")).await;
    }
}

#[tokio::test]
async fn a_date_column_is_moved() {
    for interval in ["1day", "7days"] {
        let database = target_database("dates").await;
        database
            .exec(&format!(
                "ALTER DATABASE \"{}\" SET timezone = 'Pacific/Auckland'",
                database.name()
            ))
            .await
            .unwrap();
        database
            .exec(
                "CREATE TABLE totals (id bigint, day date NOT NULL, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
                CREATE TABLE totals_default PARTITION OF totals DEFAULT;
                CREATE TABLE totals_1 PARTITION OF totals FOR VALUES FROM ('2025-12-01') TO ('2026-01-01');
                CREATE TABLE totals_2 PARTITION OF totals FOR VALUES FROM ('2026-01-01') TO ('2026-01-02');
                INSERT INTO totals SELECT n, date '2025-11-20' + n FROM generate_series(0, 60) AS n",
            )
            .await
            .unwrap();
        moves_equal(&database, "totals", &format!("--chunk-interval {interval}")).await;
        let interval = if interval == "1day" {
            "1 day"
        } else {
            "7 days"
        };
        assert_chunks_are_those_of_the_rows(
            &database,
            "totals",
            interval,
            "day::timestamp AT TIME ZONE 'UTC'",
        )
        .await;
    }
}

#[tokio::test]
async fn rows_before_1970_are_moved() {
    let database = target_database("before_1970").await;
    let rows = rows_around("timestamptz '1969-12-30 12:00+00'", 72);
    database
        .exec(&format!(
            "CREATE TABLE fixes (id bigint, at timestamptz NOT NULL) PARTITION BY RANGE (at);
            CREATE TABLE fixes_default PARTITION OF fixes DEFAULT;
            CREATE TABLE fixes_1 PARTITION OF fixes FOR VALUES FROM ('1969-12-31 00:00+00') TO ('1970-01-01 00:00+00');
            CREATE TABLE fixes_2 PARTITION OF fixes FOR VALUES FROM ('1970-01-01 00:00+00') TO ('1970-01-02 00:00+00');
            INSERT INTO fixes {rows} UNION ALL VALUES (-1, timestamptz '1901-02-03 04:05:06.000007+00'), (-2, '1901-02-03 00:00+00')"
        ))
        .await
        .unwrap();
    let checked = call("check", &database)
        .table("fixes")
        .run()
        .await
        .expect_code(DONE);
    checked.expect_printed(&["absurd_time"]);
    moves_equal(&database, "fixes", "").await;
    assert_chunks_are_those_of_the_rows(&database, "fixes", "1 day", "at").await;
}
