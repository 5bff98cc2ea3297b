//! Rows that are there already, rows that nobody takes, and tables that change.

use super::{Pumps, append, now_minus_days, reading, readings};
use crate::support::Hyperhaul;
use std::fmt::Write;

#[tokio::test]
async fn what_is_there_already_is_a_duplicate_and_with_other_values_a_conflict() {
    let pumps = Pumps::new("ingest_dup").await;
    let first = pumps.file("first.ndjson", &readings(20, 100));
    pumps.ingest(&first).run().await.expect_code(0);
    // The first readings again, one of them with another pressure, the same one twice, and one that is new, twice as well.
    let mut text = readings(20, 50);
    let other = reading(3, 60, "").replace("1000.25", "999.5");
    let new = reading(3, 1500, "");
    writeln!(text, "{other}\n{other}\n{new}\n{new}").unwrap();
    writeln!(text, "{}", new.replace("1000.25", "998.5")).unwrap();
    let second = pumps.file("second.ndjson", &text);
    let done = pumps.ingest(&second).run().await.expect_code(0).json();
    assert_eq!(done[0]["record_count"], 1005);
    assert_eq!(done[0]["stored_count"], 1);
    assert_eq!(done[0]["conflict_count"], 3);
    assert_eq!(done[0]["duplicate_count"], 1001);
    assert_eq!(pumps.count("esp_telemetry").await, 2001);
    let kept = "hyperhaul.ingest_conflict WHERE convert_from(payload, 'UTF8') LIKE '%99_.5%'";
    assert_eq!(pumps.count(kept).await, 3);
    pumps.assert_proved().await;
}

#[tokio::test]
async fn late_rows_among_fresh_ones_are_told_apart_as_well() {
    let pumps = Pumps::new("ingest_spread").await;
    let days = |minute: u32| (0..10).map(move |day| day * 1440 + minute);
    let lines = |well: u32, minute: u32, pip: &str| -> String {
        let lines = days(minute).map(|minute| reading(well, minute, "").replace("1000.25", pip));
        lines.map(|line| line + "\n").collect()
    };
    let first = pumps.file(
        "first.ndjson",
        &(lines(1, 0, "1000.25") + &lines(1, 5, "1000.25")),
    );
    pumps.ingest(&first).run().await.expect_code(0);
    let text = lines(1, 0, "1000.25") + &lines(1, 5, "999.5") + &lines(2, 0, "1000.25");
    let second = pumps.file("second.ndjson", &text);
    let done = pumps.ingest(&second).run().await.expect_code(0).json();
    let counts = ["stored_count", "duplicate_count", "conflict_count"];
    let counts = counts.map(|count| done[0][count].as_i64().unwrap());
    assert_eq!(counts, [10, 10, 10]);
    let kept = "hyperhaul.ingest_conflict WHERE convert_from(payload, 'UTF8') LIKE '%999.5%'";
    assert_eq!(pumps.count(kept).await, 10);
    pumps.assert_proved().await;
}

#[tokio::test]
async fn a_row_that_another_index_refuses_is_a_conflict_and_one_that_a_trigger_changes_is_stored() {
    let pumps = Pumps::new("ingest_other_index").await;
    let sql = "CREATE UNIQUE INDEX one_torque ON esp_telemetry (torque, timestamp);
        CREATE FUNCTION rounded() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.well_id = 'W-0009' THEN RETURN NULL; END IF;
            NEW.pip := round(NEW.pip); RETURN NEW; END $$;
        CREATE TRIGGER rounded BEFORE INSERT ON esp_telemetry FOR EACH ROW EXECUTE FUNCTION rounded()";
    pumps.database.exec(sql).await.unwrap();
    // Another well at the same time with the same torque; a well that the trigger leaves out.
    let text = [
        reading(1, 10, ""),
        reading(2, 10, ""),
        reading(3, 11, ""),
        reading(9, 12, ""),
    ];
    let file = pumps.file("readings.ndjson", &text.join("\n"));
    let done = pumps.ingest(&file).run().await.expect_code(0).json();
    assert_eq!(done[0]["stored_count"], 2);
    assert_eq!(done[0]["conflict_count"], 2);
    assert_eq!(done[0]["duplicate_count"], 0);
    assert_eq!(pumps.count("hyperhaul.ingest_conflict").await, 2);
    assert_eq!(pumps.count("esp_telemetry WHERE pip = 1000").await, 2);
    pumps.assert_proved().await;
}

#[tokio::test]
async fn one_bad_row_in_ten_dies_once_and_all_others_are_stored() {
    let pumps = Pumps::new("ingest_bad").await;
    let bad = [
        "not json".to_owned(),
        "{}".to_owned(),
        reading(1, 3000, "").replace("1000.25", "\"high\""),
        reading(1, 3001, "").replace("W-0001", "W\\u0000"),
        reading(1, 3002, "").replace("W-0001", &"W".repeat(51)),
        reading(1, 3003, "").replace("\"motor_temp\":85", "\"motor_temp\":1e9"),
        reading(1, 3004, "").replace(&now_minus_days(7), "1970-01-01"),
        reading(1, 3005, "").replace(&now_minus_days(7), "294277-01-01"),
        // The server alone knows of its CHECK.
        reading(1, 3006, "").replace("42.5", "13"),
        reading(1, 3007, "").replace("42.5", "13"),
    ];
    let mut text = String::new();
    for (at, line) in readings(9, 200).lines().enumerate() {
        writeln!(text, "{line}").unwrap();
        if at % 9 == 8 {
            writeln!(text, "{}", bad[at / 9 % bad.len()]).unwrap();
        }
    }
    let file = pumps.file("mixed.ndjson", &text);
    let done = pumps.ingest(&file).run().await.expect_code(0).json();
    assert_eq!(done[0]["record_count"], 2000);
    assert_eq!(done[0]["stored_count"], 1800);
    assert_eq!(done[0]["dead_count"], 200);
    pumps.assert_readings(9, 200).await;
    let reasons: Vec<String> = pumps
        .database
        .values("SELECT concat_ws(' ', reason, sqlstate, column_name, constraint_name, count(*)) \
                 FROM hyperhaul.dead_letter GROUP BY reason, sqlstate, column_name, constraint_name ORDER BY 1")
        .await
        .unwrap();
    assert_eq!(
        reasons,
        [
            "bad-json 22P02 20",
            "implausible 23514 motor_temp 20",
            "nul-byte 22021 well_id 20",
            "null 23502 well_id 20",
            "refused-by-server 23514 esp_not_idle 40",
            "time-range 22008 timestamp 20",
            "time-window 22008 timestamp 20",
            "too-long 22001 well_id 20",
            "wrong-type 22P02 pip 20",
        ]
    );
    let chunks: i64 = pumps
        .database
        .value("SELECT count(*) FROM show_chunks('esp_telemetry')")
        .await
        .unwrap();
    assert_eq!(chunks, 1);
    pumps.assert_proved().await;
}

#[tokio::test]
async fn a_table_that_changes_meanwhile_is_looked_at_again() {
    let pumps = Pumps::new("ingest_altered").await;
    let file = pumps.file("log.ndjson", &readings(10, 10));
    let running = pumps.ingest(&file).arg("--follow").spawn();
    let mut expected = 100;
    let changes = [
        "ALTER TABLE esp_telemetry ADD COLUMN oil_cut double precision",
        "ALTER TABLE esp_telemetry ALTER COLUMN gor TYPE numeric",
        "ALTER TABLE esp_telemetry ALTER COLUMN pip TYPE real",
        "ALTER TABLE esp_telemetry ALTER COLUMN flow_rate TYPE bigint USING flow_rate::bigint",
    ];
    for (at, change) in changes.into_iter().enumerate() {
        pumps.eventually_stored(expected).await;
        pumps.database.exec(change).await.unwrap();
        let minute = 1000 + u32::try_from(at).unwrap();
        // Whole numbers fit everything.
        let line = reading(1, minute, "")
            .replace(".5,", ",")
            .replace(".25,", ",");
        append(&file, &(line + "\n"));
        expected += 1;
    }
    pumps.eventually_stored(expected).await;
    running.signal("INT");
    running.wait().await.expect_code(0);
    let sql = "SELECT concat_ws('|', flow_rate, pip, gor) FROM esp_telemetry ORDER BY timestamp DESC LIMIT 1";
    let row: String = pumps.database.value(sql).await.unwrap();
    assert_eq!(row, "1503|1000|500");
    pumps.assert_proved().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_said_before_anything_is_read() {
    let pumps = Pumps::new("ingest_mistaken").await;
    let file = pumps.file("readings.ndjson", &readings(1, 1));
    let path = file.to_str().unwrap();
    let call = |arguments: &str| pumps.call(arguments);
    call("ingest --table public.nothing")
        .arg(path)
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["there is no table public.nothing"]);
    call("ingest --profile esp-telemetry --table public.esp_telemetry --key well_id")
        .arg(path)
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["has no unique index on the key", "CREATE UNIQUE INDEX"]);
    call("ingest --table public.esp_telemetry --profile pump")
        .arg(path)
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["there is no profile \"pump\"", "esp-telemetry"]);
    call("ingest --table public.esp_telemetry /nowhere/at.all")
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["could not read /nowhere/at.all"]);
    assert_eq!(pumps.count("esp_telemetry").await, 0);
}

#[tokio::test]
async fn a_role_that_could_not_tell_duplicates_is_refused_before_anything_is_read() {
    let pumps = Pumps::new("ingest_privileges").await;
    let file = pumps.file("readings.ndjson", &readings(2, 5));
    // The ledger is there, and the role may write it.
    pumps.ingest(&file).run().await.expect_code(0);
    let role = pumps.database.owner_role().await.unwrap();
    let name = format!("\"{}\"", role.name());
    let sql = format!(
        "GRANT USAGE ON SCHEMA hyperhaul TO {name}; GRANT ALL ON ALL TABLES IN SCHEMA hyperhaul TO {name};
         GRANT ALL ON ALL SEQUENCES IN SCHEMA hyperhaul TO {name}; GRANT INSERT ON esp_telemetry TO {name};
         GRANT USAGE ON SEQUENCE esp_telemetry_id_seq TO {name}"
    );
    pumps.database.exec(&sql).await.unwrap();
    let url = pumps.database.url_as(&role).unwrap();
    let call = || {
        Hyperhaul::new("ingest --profile esp-telemetry --json")
            .target(&url)
            .table("public.esp_telemetry")
            .arg(file.to_str().unwrap())
    };
    call().run().await.expect_code(2).expect_printed(&[
        "may not write and read all columns of table public.esp_telemetry",
        "GRANT INSERT, SELECT",
    ]);
    let grant = format!("GRANT SELECT ON esp_telemetry TO {name}");
    pumps.database.exec(&grant).await.unwrap();
    call().run().await.expect_code(0);
}
