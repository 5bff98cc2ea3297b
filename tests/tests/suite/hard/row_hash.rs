//! The server's hash of rows, which proves what never left it: of every type, no change of rows may leave the sum as it was.

use super::{DONE, call, moves_equal_once};
use crate::support::target_database;
use hyperhaul_plan::sql::{RowHash, chunk_hash_sql};
use hyperhaul_plan::{Plan, TablePlan};
use hyperhaul_testkit::{Client, TestDatabase};
use std::collections::BTreeMap;

/// Types and some of their values, `NULL` besides: those whose hash is the seed, next to it, or without it, where there are any.
const TYPES: &[(&str, &[&str])] = &[
    ("smallint", &["0", "7"]),
    ("integer", &["0", "7"]),
    ("bigint", &["0", "7"]),
    ("real", &["0", "1.5", "NaN"]),
    ("double precision", &["0", "1.5", "NaN"]),
    ("numeric", &["0", "NaN", "1.5"]),
    ("boolean", &["false", "true"]),
    ("text", &["", "a"]),
    ("varchar(9)", &["", "a"]),
    ("char(4)", &["", "a"]),
    ("name", &["", "a"]),
    ("\"char\"", &["a", "b"]),
    ("text COLLATE regardless", &["a", "A"]),
    ("bytea", &["", "\\x00"]),
    (
        "uuid",
        &[
            "00000000-0000-0000-0000-000000000000",
            "00000000-0000-0000-0000-000000000001",
        ],
    ),
    ("date", &["2000-01-01", "infinity"]),
    ("time", &["00:00", "12:00"]),
    ("timetz", &["00:00+00", "01:00+01"]),
    (
        "timestamp",
        &["2000-01-01 00:00", "-infinity", "2025-12-11 00:00"],
    ),
    (
        "timestamptz",
        &[
            "2000-01-01 00:00+00",
            "infinity",
            "2025-12-11 00:00+00",
            "4700-01-01 00:00+00 BC",
        ],
    ),
    ("interval", &["0", "1 day"]),
    ("inet", &["::", "10.0.0.0/8"]),
    ("cidr", &["::/0", "10.0.0.0/8"]),
    ("macaddr", &["00:00:00:00:00:00", "00:00:00:00:00:01"]),
    ("jsonb", &["{}", "null", "[[null]]", "{\"a\": 1}"]),
    ("oid", &["0", "7"]),
    ("pg_lsn", &["0/0", "0/7"]),
    ("xid8", &["0", "7"]),
    ("tid", &["(0,0)", "(0,1)"]),
    ("oidvector", &["", "0", "7"]),
    ("mood", &["calm", "cross"]),
    ("mood[]", &["{}", "{NULL}", "{calm}"]),
    ("a_mood", &["calm", "cross"]),
    ("positive", &["1", "7"]),
    ("small_positive", &["1", "7"]),
    ("word", &["", "a"]),
    ("words", &["{}", "{NULL}", "{NULL,NULL}", "{a}"]),
    ("moment", &["2000-01-01 00:00+00", "infinity"]),
    ("truth", &["false", "true"]),
    ("text[]", &["{}", "{NULL}", "{NULL,NULL}", "{a}"]),
    ("double precision[]", &["{}", "{NULL}", "{0}"]),
    ("jsonb[]", &["{}", "{NULL}", "{\"{}\"}"]),
    ("int4range", &["empty", "[1,7)", "(,)"]),
    ("tstzrange", &["empty", "(,infinity]"]),
    ("int4multirange", &["{}", "{[1,7)}"]),
    ("pair", &["(0,)", "(,0)"]),
    ("pair[]", &["{}", "{\"(0,)\"}"]),
];

/// Of these a record's hash takes some values for others: the type itself does, and midnight UTC has the hash of NULL.
const EQUAL_IN_A_RECORD: &[&str] = &["text COLLATE regardless", "timetz"];

const CREATE: &str = "
    CREATE COLLATION regardless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE TYPE mood AS ENUM ('calm', 'cross');
    CREATE TYPE pair AS (a integer, b numeric);
    CREATE DOMAIN a_mood AS mood;
    CREATE DOMAIN positive AS integer CHECK (value > 0);
    CREATE DOMAIN small_positive AS positive CHECK (value < 100);
    CREATE DOMAIN word AS varchar(9);
    CREATE DOMAIN words AS text[];
    CREATE DOMAIN moment AS timestamptz;
    CREATE DOMAIN truth AS boolean;";

/// A table with two columns of each type, one of which needs quotes.
async fn every_type(name: &str) -> TestDatabase {
    let database = target_database(name).await;
    let columns: String = (0..TYPES.len())
        .map(|index| {
            let (first, second) = columns(index);
            let (type_sql, _) = TYPES[index];
            format!(", {first} {type_sql}, {second} {type_sql}")
        })
        .collect();
    database
        .exec(&format!(
            "{CREATE} CREATE TABLE every (at timestamptz NOT NULL{columns}) PARTITION BY RANGE (at);
            CREATE TABLE every_1 PARTITION OF every FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00');
            CREATE TABLE subject (LIKE every)"
        ))
        .await
        .unwrap();
    database
}

/// The two columns of a type.
fn columns(index: usize) -> (String, String) {
    (format!("c{index}"), format!("\"C \"\"{index}\""))
}

/// A value as SQL.
fn literal(value: Option<&str>) -> String {
    value.map_or("NULL".into(), |value| format!("'{value}'"))
}

async fn planned(database: &TestDatabase) -> TablePlan {
    let plan = call("plan --strategy server --json", database)
        .table("every")
        .run()
        .await
        .expect_code(DONE);
    let plan: Plan = serde_json::from_value(plan.json()).unwrap();
    plan.tables.into_iter().next().unwrap()
}

/// Count and sum of the hashes of such rows, each two values of one type.
async fn hash_of(
    client: &Client,
    sql: &str,
    index: usize,
    rows: &[(Option<&str>, Option<&str>)],
) -> (i64, String) {
    let (first, second) = columns(index);
    let row = |(one, two): &(Option<&str>, Option<&str>)| {
        format!(
            "('2025-12-11 00:00+00', {}, {})",
            literal(*one),
            literal(*two)
        )
    };
    let rows: Vec<String> = rows.iter().map(row).collect();
    let fill = format!(
        "TRUNCATE subject; INSERT INTO subject (at, {first}, {second}) VALUES {}",
        rows.join(", ")
    );
    client.batch_execute(&fill).await.expect(&fill);
    let row = client.query_one(sql, &[]).await.expect(sql);
    (row.get(1), row.get(2))
}

/// Panics unless rows that differ in two values, or where they are, have other hashes.
async fn told_apart(
    client: &Client,
    sql: &str,
    index: usize,
    one: Option<&str>,
    two: Option<&str>,
) {
    let rows: [(&str, &[_]); 7] = [
        ("one value", &[(one, one)]),
        ("the other value", &[(two, two)]),
        ("both", &[(one, two)]),
        ("both, exchanged", &[(two, one)]),
        ("two rows", &[(one, one), (two, two)]),
        ("two rows that exchanged a value", &[(one, two), (two, one)]),
        ("a row twice", &[(one, one), (one, one)]),
    ];
    let mut seen = BTreeMap::new();
    for (what, rows) in rows {
        let hash = hash_of(client, sql, index, rows).await;
        if let Some(same) = seen.insert(hash, what) {
            panic!(
                "{}, {one:?} and {two:?}: {what} like {same}\n{sql}",
                TYPES[index].0
            );
        }
    }
}

#[tokio::test]
async fn whatever_changes_in_rows_of_any_type_changes_their_hash() {
    let database = every_type("row_hash_told").await;
    let table = planned(&database).await;
    let hashed: Vec<&str> = table
        .hash_functions
        .iter()
        .map(|function| function.column.as_str())
        .collect();
    assert!(hashed.len() > 2 * TYPES.len() / 2, "{hashed:?}");
    assert!(hashed.len() < table.copy_columns.len(), "{hashed:?}");
    // What a plan of before names no functions for.
    let without = TablePlan {
        hash_functions: Vec::new(),
        ..table.clone()
    };
    let client = database.connect().await.unwrap();
    let subject = hyperhaul_plan::Relation::new("public", "subject");
    for table in [&table, &without] {
        let sql = chunk_hash_sql(table, &subject, RowHash::Values);
        for (index, (type_sql, values)) in TYPES.iter().enumerate() {
            if table.hash_functions.is_empty() && EQUAL_IN_A_RECORD.contains(type_sql) {
                continue;
            }
            let mut values: Vec<Option<&str>> = values.iter().copied().map(Some).collect();
            values.push(None);
            for (position, one) in values.iter().enumerate() {
                for two in &values[..position] {
                    told_apart(&client, &sql, index, *one, *two).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn rows_of_every_type_are_proved_within_the_server() {
    let database = every_type("row_hash_moves").await;
    for (index, (_, values)) in TYPES.iter().enumerate() {
        let (first, second) = columns(index);
        let rows: Vec<String> = values
            .iter()
            .map(|value| format!("('2025-12-11 12:00+00', '{value}', NULL), ('2025-12-11 12:00+00', NULL, '{value}')"))
            .collect();
        let insert = format!(
            "INSERT INTO every (at, {first}, {second}) VALUES {}",
            rows.join(", ")
        );
        database.exec(&insert).await.unwrap();
    }
    moves_equal_once(&database, "every", "--strategy server").await;
}
