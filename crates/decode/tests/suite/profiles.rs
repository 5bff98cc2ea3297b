//! The profiles against their tables on a real server: what was sent is what is there.

use crate::server::Database;
use crate::values::record;
use hyperhaul_decode::{
    ColumnKind, Decoder, Found, Id, LookupKey, Mapping, Reason, Rows, TargetColumn,
    fill_from_profile,
};
use std::collections::HashMap;

const TABLES: &str = "
    CREATE TABLE esp_telemetry (
        id serial, well_id varchar(50) NOT NULL, timestamp timestamptz NOT NULL DEFAULT now(),
        flow_rate double precision, pip double precision, motor_current double precision,
        motor_temp double precision, vibration double precision, vsd_frequency double precision,
        flow_variance double precision, torque double precision, gor double precision,
        created_at timestamptz DEFAULT now(), PRIMARY KEY (id, timestamp));
    CREATE TABLE diagnostic_results (
        id serial, well_id varchar(50), timestamp timestamptz, diagnosis varchar(50),
        confidence double precision CHECK (confidence BETWEEN 0 AND 1), severity varchar(20), actions jsonb,
        telemetry_snapshot jsonb, resolution_time varchar(50), notes text, created_at timestamptz DEFAULT now());
    CREATE SCHEMA factory_telemetry;
    CREATE TABLE factory_telemetry.metric_def (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), equipment_code text, metric_key text,
        value_type text CHECK (value_type IN ('BOOL', 'INT', 'REAL', 'TEXT', 'JSON')), unit text, description text,
        UNIQUE (equipment_code, metric_key));
    CREATE TABLE factory_telemetry.metric_hist (
        id bigserial, metric_def_id uuid NOT NULL REFERENCES factory_telemetry.metric_def ON DELETE CASCADE,
        ts timestamptz NOT NULL, value_bool boolean, value_int bigint, value_real double precision, value_text text,
        value_json jsonb);
    INSERT INTO factory_telemetry.metric_def (equipment_code, metric_key, value_type) VALUES ('L1', 'count', 'INT');
    SET timezone = 'UTC'";

fn text(chars_max: u32) -> ColumnKind {
    ColumnKind::Text {
        chars_max: Some(chars_max),
    }
}

fn decoder(stream: &str, columns: &[TargetColumn]) -> Box<dyn Decoder> {
    let stream = stream.parse().expect("it is TOML");
    let mut stream = fill_from_profile(stream).expect("there is the profile");
    let mapping = Mapping::take(&mut stream).expect("it is a mapping");
    mapping
        .decoder(&[columns.to_vec()])
        .expect("it fits the table")
}

/// Decodes lines; those that are refused are given back by their place.
fn decode(decoder: &dyn Decoder, lines: &[&str]) -> (Rows, Vec<(u64, Reason)>) {
    let mut rows = decoder.empty_rows();
    let mut refused = Vec::new();
    for (position, line) in (0..).zip(lines) {
        if let Err(refusal) = decoder.decode(&record(line.as_bytes(), position), &mut rows) {
            refused.push((position, refusal.reason));
        }
    }
    (rows.pop().expect("there is one target"), refused)
}

fn into(decoder: &dyn Decoder) -> String {
    let target = &decoder.targets()[0];
    format!("{} ({})", target.table, target.columns.join(", "))
}

#[tokio::test]
async fn telemetry_arrives_in_the_units_of_the_table() {
    let database = Database::new(TABLES).await;
    let mut columns = vec![
        TargetColumn::needed("id", ColumnKind::Int4).with_default(),
        TargetColumn::needed("well_id", text(50)),
        TargetColumn::needed("timestamp", ColumnKind::Timestamptz).with_default(),
    ];
    let measures = [
        "flow_rate",
        "pip",
        "motor_current",
        "motor_temp",
        "vibration",
        "vsd_frequency",
        "flow_variance",
        "torque",
        "gor",
    ];
    columns.extend(measures.map(|name| TargetColumn::new(name, ColumnKind::Float8)));
    let decoder = decoder(
        "profile = \"esp-telemetry\"
        [[column]]
        name = \"flow_rate\"
        unit = { from = \"m3/d\", to = \"bbl/d\" }
        [[column]]
        name = \"motor_temp\"
        from = \"motor.temp\"
        unit = { from = \"degF\", to = \"degC\" }
        implausible = \"null\"",
        &columns,
    );
    let (mut rows, refused) = decode(
        &*decoder,
        &[
            r#"{"well_id": "W-17", "timestamp": "2025-12-11T09:59:00+00:00", "flow_rate": 317.974589856, "motor": {"temp": 212}, "pip": 950.5}"#,
            r#"{"well_id": "W-17", "timestamp": 1765447199.25, "motor": {"temp": 1000}, "gor": "450"}"#,
            r#"{"well_id": "W-17", "timestamp": "1970-01-01T00:00:00Z"}"#,
            r#"{"well_id": "W-17", "timestamp": "294276-12-31T00:00:00Z"}"#,
            r#"{"timestamp": "2025-12-11T09:59:00Z"}"#,
            r#"{"well_id": "W-17", "timestamp": "2025-12-11T09:59:00Z", "vsd_frequency": 121}"#,
            r#"{"well_id": "W-17", "timestamp": "2025-12-11T09:59:00Z", "pip": -0.1}"#,
        ],
    );
    let expected = [
        (2, Reason::TimeWindow),
        (3, Reason::TimeWindow),
        (4, Reason::Null),
        (5, Reason::Implausible),
        (6, Reason::Implausible),
    ];
    assert_eq!(refused, expected);
    assert_eq!(rows.tally().implausible_nulls, 1);
    database.copy(&into(&*decoder), &mut rows).await;
    let sql = "SELECT row(well_id, timestamp, flow_rate, pip, motor_temp, gor, created_at IS NOT NULL)::text
        FROM esp_telemetry ORDER BY id";
    let found = database.query(sql, &[]).await;
    let found: Vec<String> = found.iter().map(|row| row.get(0)).collect();
    let expected = [
        "(W-17,\"2025-12-11 09:59:00+00\",2000,950.5,100,,t)",
        "(W-17,\"2025-12-11 09:59:59.25+00\",,,,450,t)",
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn diagnoses_keep_their_documents() {
    let database = Database::new(TABLES).await;
    let decoder = decoder(
        "profile = \"diagnostic-results\"",
        &[
            TargetColumn::new("well_id", text(50)),
            TargetColumn::new("timestamp", ColumnKind::Timestamptz),
            TargetColumn::new("diagnosis", text(50)),
            TargetColumn::new("confidence", ColumnKind::Float8),
            TargetColumn::new("severity", text(20)),
            TargetColumn::new("actions", ColumnKind::Jsonb),
            TargetColumn::new("telemetry_snapshot", ColumnKind::Jsonb),
            TargetColumn::new("resolution_time", text(50)),
            TargetColumn::new("notes", ColumnKind::Text { chars_max: None }),
        ],
    );
    let (mut rows, refused) = decode(
        &*decoder,
        &[
            r#"{"well_id": "W-1", "timestamp": "2025-12-11T09:00:00Z", "diagnosis": "gas lock", "confidence": 0.93,
               "severity": "high", "actions": ["slow down", {"to": 1.50}], "telemetry_snapshot": {"pip": 9e2}, "notes": "ä\n\"b\""}"#,
            r#"{"timestamp": "2025-12-11T09:00:00Z", "confidence": 1.01}"#,
            r#"{"timestamp": "2025-12-11T09:00:00Z", "severity": "worse than anything before"}"#,
            r#"{"timestamp": "2025-12-11T09:00:00Z", "actions": ["\u0000"]}"#,
        ],
    );
    let expected = [
        (1, Reason::Implausible),
        (2, Reason::TooLong),
        (3, Reason::BadEscape),
    ];
    assert_eq!(refused, expected);
    database.copy(&into(&*decoder), &mut rows).await;
    let sql = "SELECT actions::text, telemetry_snapshot::text, notes FROM diagnostic_results";
    let found = database.query(sql, &[]).await;
    let found: Vec<[String; 3]> = found
        .iter()
        .map(|row| [0, 1, 2].map(|at| row.get(at)))
        .collect();
    let expected = [
        "[\"slow down\", {\"to\": 1.50}]",
        "{\"pip\": 900}",
        "ä\n\"b\"",
    ];
    assert_eq!(found, [expected.map(str::to_owned)]);
}

#[tokio::test]
async fn metrics_are_learned_and_their_values_find_their_columns() {
    let database = Database::new(TABLES).await;
    let decoder = decoder(
        "profile = \"metric-hist\"",
        &[
            TargetColumn::needed("id", ColumnKind::Int8).with_default(),
            TargetColumn::needed("metric_def_id", ColumnKind::Uuid),
            TargetColumn::needed("ts", ColumnKind::Timestamptz),
            TargetColumn::new("value_bool", ColumnKind::Bool),
            TargetColumn::new("value_int", ColumnKind::Int8),
            TargetColumn::new("value_real", ColumnKind::Float8),
            TargetColumn::new("value_text", ColumnKind::Text { chars_max: None }),
            TargetColumn::new("value_json", ColumnKind::Jsonb),
        ],
    );
    let line = |key: &str, value: &str| {
        format!(
            r#"{{"equipment_code": "L1", "metric_key": "{key}", "ts": "2025-12-11T09:00:00Z", "value": {value}, "unit": "u"}}"#
        )
    };
    let lines: Vec<String> = [
        ("count", "9007199254740993"),
        ("count", "1.5"),
        ("speed", "12"),
        ("speed", "12.5"),
        ("running", "true"),
        ("state", "\"idle\""),
        ("recipe", "{\"a\": [1]}"),
        ("count", "7.0"),
    ]
    .iter()
    .map(|(key, value)| line(key, value))
    .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (mut rows, refused) = decode(&*decoder, &lines);
    assert!(refused.is_empty(), "{refused:?}");
    let known = learn(&database, &rows.wanted(0)).await;
    let refused = rows.patch(0, |key| {
        let (id, value_type) = known.get(&key.key)?;
        Some(Found {
            id: Id::Uuid(*id),
            returned: Some(value_type),
        })
    });
    let places: Vec<_> = refused
        .iter()
        .map(|(row, refusal)| (*row, refusal.reason))
        .collect();
    assert_eq!(places, [(1, Reason::WrongType)], "1.5 is no INT");
    rows.retain(|row| row != 1);
    database.copy(&into(&*decoder), &mut rows).await;
    let sql = "SELECT row(d.metric_key, d.value_type, d.unit, value_bool, value_int, value_real, value_text, value_json)::text
        FROM factory_telemetry.metric_hist h JOIN factory_telemetry.metric_def d ON d.id = h.metric_def_id ORDER BY h.id";
    let found = database.query(sql, &[]).await;
    let found: Vec<String> = found.iter().map(|row| row.get(0)).collect();
    let expected = [
        "(count,INT,,,9007199254740993,,,)",
        "(speed,REAL,u,,,12,,)",
        "(speed,REAL,u,,,12.5,,)",
        "(running,BOOL,u,t,,,,)",
        "(state,TEXT,u,,,,idle,)",
        "(recipe,JSON,u,,,,,\"{\"\"a\"\": [1]}\")",
        "(count,INT,,,7,,,)",
    ];
    assert_eq!(found, expected);
}

/// Adds the keys that are not there, and finds all, as who feeds the table does.
async fn learn(
    database: &Database,
    keys: &[&LookupKey],
) -> HashMap<Vec<String>, ([u8; 16], String)> {
    let insert = "INSERT INTO factory_telemetry.metric_def (equipment_code, metric_key, description, unit, value_type)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    let find = "SELECT uuid_send(id), value_type FROM factory_telemetry.metric_def
        WHERE equipment_code = $1 AND metric_key = $2";
    let mut known = HashMap::new();
    for LookupKey { key, extra } in keys {
        database
            .query(insert, &[&key[0], &key[1], &extra[0], &extra[1], &extra[2]])
            .await;
        let row = database.query(find, &[&key[0], &key[1]]).await;
        let id: Vec<u8> = row[0].get(0);
        let id = id.try_into().expect("a uuid has 16 bytes");
        known.insert(key.clone(), (id, row[0].get(1)));
    }
    known
}
