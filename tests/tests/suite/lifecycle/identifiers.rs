//! Names with capitals, spaces, quotes, dots, letters beyond ASCII, and of the greatest length, in every place where a name stands.

use super::catalog;
use crate::support::{Hyperhaul, assert_each_slice_done_once, rows_seen, target_database};
use hyperhaul_testkit::TestDatabase;

/// 63 bytes, the limit of PostgreSQL (NAMEDATALEN - 1), of which the last letter takes two.
const LONGEST: &str = "Längster 'Name' \"der\" geht; DROP TABLE x; -- %s $1 \\ .......é";

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A partitioned table with these names for its schema, itself, its time column, another column, index, constraints and partitions.
async fn create(
    database: &TestDatabase,
    schema: &str,
    table: &str,
    time: &str,
    column: &str,
) -> String {
    let [
        schema,
        table,
        time,
        column,
        index,
        check,
        key,
        other,
        foreign,
    ] = [
        schema,
        table,
        time,
        column,
        "An \"index\"",
        "it's > -1",
        "Schlüssel.1",
        "Ger\u{e4}te \"x\"",
        "zu 'x'",
    ]
    .map(quoted);
    let relation = format!("{schema}.{table}");
    let first = format!("{schema}.{}", quoted("p.1 \"one\""));
    let second = format!("{schema}.{}", quoted("Zweite%s'"));
    let sql = format!(
        "SET timezone = 'UTC';
        CREATE SCHEMA {schema};
        CREATE TYPE {schema}.\"Art \"\"x\"\"\" AS ENUM ('a ''b''', 'ü');
        CREATE TABLE {schema}.{other} (\"Id\" integer PRIMARY KEY);
        INSERT INTO {schema}.{other} SELECT generate_series(0, 9);
        CREATE TABLE {relation} (
            \"Id\" bigserial, {time} timestamptz NOT NULL, {column} integer NOT NULL DEFAULT 7, \"Art\" {schema}.\"Art \"\"x\"\"\" DEFAULT 'ü',
            \"Das \"\"Doppelte\"\"\" integer GENERATED ALWAYS AS ({column} * 2) STORED,
            CONSTRAINT {key} PRIMARY KEY (\"Id\", {time}), CONSTRAINT {check} CHECK ({column} > -1),
            CONSTRAINT {foreign} FOREIGN KEY ({column}) REFERENCES {schema}.{other} (\"Id\")
        ) PARTITION BY RANGE ({time});
        CREATE TABLE {first} PARTITION OF {relation} FOR VALUES FROM ('2025-12-11') TO ('2025-12-12');
        CREATE TABLE {second} PARTITION OF {relation} FOR VALUES FROM ('2025-12-12') TO ('2025-12-13');
        CREATE INDEX {index} ON {relation} ({column}, ({column} + 1)) WHERE {column} <> 3;
        CREATE VIEW {schema}.\"Sicht. 1\" AS SELECT {column} AS \"Wert \"\"w\"\"\" FROM {relation};
        COMMENT ON TABLE {relation} IS 'it''s \"so\" \\n %s $1';
        COMMENT ON COLUMN {relation}.{column} IS '''';
        INSERT INTO {relation} ({time}, {column}) SELECT timestamptz '2025-12-11' + n * interval '1 minute', n % 10 FROM generate_series(0, 2879) AS n;"
    );
    database.exec(&sql).await.unwrap();
    relation
}

/// Forth, back and forth again, with everything compared.
async fn moves(prefix: &str, schema: &str, table: &str, time: &str, column: &str) {
    let database = target_database(prefix).await;
    let relation = create(&database, schema, table, time, column).await;
    let query = format!("SELECT * FROM {relation}");
    let (rows, lines) = (
        rows_seen(&database, &query).await,
        catalog::table(&database, &relation).await,
    );
    let everything = catalog::everything(&database).await;
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());

    call("plan --sql")
        .table(&relation)
        .arg("--time-column")
        .arg(time)
        .run()
        .await
        .expect_code(0);
    call("migrate").run().await.expect_code(0);
    assert_eq!(rows_seen(&database, &query).await, rows);
    catalog::assert_same(&lines, &catalog::table(&database, &relation).await);
    call("verify").run().await.expect_code(0);
    let (missing, at) = (quoted(column), quoted(time));
    database
        .exec(&format!("DELETE FROM {relation} WHERE \"Id\" = 1234"))
        .await
        .unwrap();
    call("verify")
        .run()
        .await
        .expect_code(4)
        .expect_printed(&["1234"]);
    call("rollback --discard-new-rows")
        .run()
        .await
        .expect_code(0);
    catalog::assert_same(&everything, &catalog::everything(&database).await);
    assert_eq!(rows_seen(&database, &query).await, rows);

    call("migrate").table(&relation).run().await.expect_code(0);
    database
        .exec(&format!(
            "INSERT INTO {relation} ({at}, {missing}) VALUES ('2026-01-01', 4)"
        ))
        .await
        .unwrap();
    database
        .exec(&format!("DELETE FROM {relation} WHERE {at} = '2026-01-01'"))
        .await
        .unwrap();
    call("cleanup --yes").run().await.expect_code(0);
    assert_eq!(rows_seen(&database, &query).await, rows);
    assert_each_slice_done_once(&database).await;
}

#[tokio::test]
async fn names_with_capitals_spaces_quotes_and_dots_move() {
    moves(
        "Names \"and\" dots",
        "My Schema.\"x\"",
        "Ta'ble. \"One\"",
        "Received at, \"UTC\"",
        "sel.ect '",
    )
    .await;
}

#[tokio::test]
async fn names_beyond_ascii_and_reserved_words_move() {
    moves("names_letters", "ÄÖ ß 日本", "select", "Zeit ⏱", "größe").await;
}

#[tokio::test]
async fn names_of_the_greatest_length_move() {
    assert_eq!(LONGEST.len(), 63);
    let ascii = "T".repeat(63);
    moves("names_long", "S", LONGEST, &ascii, LONGEST).await;
}

#[tokio::test]
async fn a_schema_whose_name_leaves_no_room_for_more_moves() {
    moves("names_schema", LONGEST, "t", "at", "n").await;
}
