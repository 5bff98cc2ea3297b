//! Files: where they are gone on with, what they look like, what follows them.

use super::{Pumps, append, reading, readings};
use std::fmt::Write;
use std::process::Command;
use std::time::Duration;

#[tokio::test]
async fn a_file_goes_in_once_and_what_is_appended_goes_on_from_there() {
    let pumps = Pumps::new("ingest_file").await;
    let file = pumps.file("readings.ndjson", &readings(50, 100));
    let done = pumps.ingest(&file).run().await.expect_code(0).json();
    assert_eq!(done[0]["record_count"], 5000);
    assert_eq!(done[0]["stored_count"], 5000);
    pumps.assert_readings(50, 100).await;
    let again = pumps.ingest(&file).run().await.expect_code(0).json();
    assert_eq!(again[0]["record_count"], 0);
    // The last line without its end is a record, too.
    append(
        &file,
        &(reading(1, 2000, "") + "\n" + &reading(2, 2000, "")),
    );
    let more = pumps.ingest(&file).run().await.expect_code(0).json();
    assert_eq!(more[0]["stored_count"], 2);
    pumps.assert_proved().await;
}

#[tokio::test]
async fn a_clock_that_was_set_back_breaks_no_receipt() {
    let pumps = Pumps::new("ingest_clock").await;
    let file = pumps.file("readings.ndjson", &readings(5, 10));
    pumps.ingest(&file).run().await.expect_code(0);
    let ahead = "UPDATE hyperhaul.ingest_receipt SET minute = minute + interval '1 hour'";
    pumps.database.exec(ahead).await.unwrap();
    append(&file, &reading(1, 2000, ""));
    pumps.ingest(&file).run().await.expect_code(0);
    pumps.assert_proved().await;
}

#[tokio::test]
async fn values_are_those_of_the_records() {
    let pumps = Pumps::new("ingest_values").await;
    let file = pumps.file(
        "one.ndjson",
        &reading(7, 90, ",\"flow_variance\":null,\"unheard_of\":1"),
    );
    pumps.ingest(&file).run().await.expect_code(0);
    let sql = "SELECT concat_ws('|', well_id, to_char(timestamp AT TIME ZONE 'UTC', 'HH24:MI:SS'), flow_rate, pip, motor_temp, \
               flow_variance IS NULL, created_at > now() - interval '1 hour', id) FROM esp_telemetry";
    let row: String = pumps.database.value(sql).await.unwrap();
    assert_eq!(row, "W-0007|01:30:00|1590.5|1000.25|85|t|t|1");
}

#[tokio::test]
async fn csv_goes_by_its_header_and_compressed_files_by_their_endings() {
    let pumps = Pumps::new("ingest_csv").await;
    let mut text = "timestamp,ignored,well_id,flow_rate\r\n".to_owned();
    for minute in 0..100 {
        let time = reading(0, minute, "").split('"').nth(7).unwrap().to_owned();
        writeln!(text, "{time},\"a \"\"b\"\"\n,\",W-1,{}.25\r", 1500 + minute).unwrap();
    }
    for (name, packer) in [
        ("a.csv", None),
        ("b.csv.gz", Some("gzip")),
        ("c.csv.zst", Some("zstd")),
    ] {
        let text = text.replace("W-1", name);
        let mut file = pumps.file(name.trim_end_matches(".gz").trim_end_matches(".zst"), &text);
        if let Some(packer) = packer {
            if Command::new(packer).arg("--version").output().is_err() {
                eprintln!("skipped: {packer} is not installed");
                continue;
            }
            assert!(
                Command::new(packer)
                    .args(["-f", "-q"])
                    .arg(&file)
                    .status()
                    .unwrap()
                    .success()
            );
            file = pumps.folder.join(name);
        }
        let call = pumps.ingest(&file).arg("--decoder").arg("csv");
        let done = call.run().await.expect_code(0).json();
        assert_eq!(done[0]["stored_count"], 100, "{name}");
        let rows = format!(
            "esp_telemetry WHERE well_id = '{name}' AND flow_rate BETWEEN 1500.25 AND 1599.25"
        );
        assert_eq!(pumps.count(&rows).await, 100, "{name}");
    }
    pumps.assert_proved().await;
}

#[tokio::test]
async fn a_file_that_is_written_anew_in_its_place_is_another_file() {
    let pumps = Pumps::new("ingest_anew").await;
    // The same inode and the same first line each time; longer, shorter, and of the same length.
    for (wells, stored) in [
        (0..5, 5),
        (10..30, 20),
        (40..43, 3),
        (50..53, 3),
        (50..53, 0),
    ] {
        let file = pumps.file("export.csv", &csv(wells.clone()));
        let done = pumps.ingest(&file).run().await.expect_code(0).json();
        assert_eq!(done[0]["stored_count"], stored, "{wells:?}");
    }
    pumps.assert_proved().await;
}

#[tokio::test]
async fn a_csv_file_needs_no_profile_and_a_pipe_is_sent_to_standard_input() {
    let pumps = Pumps::new("ingest_plain").await;
    let text = "well_id,timestamp,pip\nW-1,2026-01-01T00:00:00Z,900.5\n";
    let file = pumps.file("plain.csv", text);
    pumps
        .call("ingest --table public.esp_telemetry")
        .arg(file.to_str().unwrap())
        .run()
        .await
        .expect_code(0);
    assert_eq!(pumps.count("esp_telemetry WHERE pip = 900.5").await, 1);
    pumps
        .call("ingest --table public.esp_telemetry --decoder ndjson /dev/null")
        .run()
        .await
        .expect_code(2)
        .expect_printed(&[
            "/dev/null is no file that can be read again",
            "standard input",
        ]);
    pumps
        .call("ingest --table public.esp_telemetry --follow /nowhere/a.ndjson.gz")
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["/nowhere/a.ndjson.gz is compressed, and does not grow"]);
}

#[tokio::test]
async fn standard_input_is_resumed_by_name() {
    let pumps = Pumps::new("ingest_stdin").await;
    let file = pumps.file("readings.ndjson", &readings(5, 10));
    let config = format!(
        "target = \"{}\"\n[[stream]]\nname = \"esp\"\nprofile = \"esp-telemetry\"\ntable = \"public.esp_telemetry\"\n\
         source = {{ kind = \"stdin\", resume = \"nightly\" }}\n",
        pumps.database.url()
    );
    let config = pumps.file("ingest.toml", &config);
    for expected in [50, 0] {
        let call = crate::support::Hyperhaul::new("ingest --json")
            .arg("--config")
            .arg(config.to_str().unwrap())
            .stdin_from(&file);
        let done = call.run().await.expect_code(0).json();
        assert_eq!(done[0]["stored_count"], expected);
    }
    pumps.assert_readings(5, 10).await;
}

#[tokio::test]
async fn a_file_that_grows_and_is_replaced_is_followed() {
    let pumps = Pumps::new("ingest_follow").await;
    let file = pumps.file("log.ndjson", &readings(10, 10));
    let running = pumps.ingest(&file).arg("--follow").spawn();
    pumps.eventually_stored(100).await;
    // Half a line is none yet.
    let line = reading(1, 500, "") + "\n";
    append(&file, &line[..20]);
    append(&file, &line[20..]);
    pumps.eventually_stored(101).await;
    std::fs::rename(&file, pumps.folder.join("log.ndjson.1")).unwrap();
    append(
        &pumps.folder.join("log.ndjson.1"),
        &(reading(2, 501, "") + "\n"),
    );
    std::fs::write(&file, reading(3, 502, "") + "\n").unwrap();
    pumps.eventually_stored(103).await;
    append(&file, &(reading(4, 503, "") + "\n"));
    pumps.eventually_stored(104).await;
    running.signal("INT");
    let done = running.wait().await.expect_code(0).json();
    assert_eq!(done[0]["stored_count"], 104);
    pumps.assert_proved().await;
}

#[tokio::test]
async fn what_was_rotated_away_while_nobody_followed_is_read_first() {
    let pumps = Pumps::new("ingest_rotated").await;
    // Called so before anybody followed.
    pumps.file("log.ndjson.3", &(reading(77, 1, "") + "\n"));
    let file = pumps.file("log.ndjson", &readings(10, 10));
    let follow = |expected| {
        let running = pumps.ingest(&file).arg("--follow").spawn();
        let pumps = &pumps;
        async move {
            pumps.eventually_stored(expected).await;
            running.signal("INT");
            running.wait().await.expect_code(0).json()
        }
    };
    follow(100).await;
    // It grows, and is rotated twice; there is none of the name then.
    append(&file, &(reading(2, 501, "") + "\n"));
    std::fs::rename(&file, pumps.folder.join("log.ndjson.2")).unwrap();
    std::fs::write(&file, reading(3, 502, "") + "\n").unwrap();
    std::fs::rename(&file, pumps.folder.join("log.ndjson.1")).unwrap();
    pumps.file("log.ndjson.bak", "of somebody else\n");
    follow(102).await;
    std::fs::write(&file, reading(4, 503, "") + "\n").unwrap();
    let done = follow(103).await;
    assert_eq!(done[0]["record_count"], 1);
    assert_eq!(pumps.count("hyperhaul.dead_letter").await, 0);
    let before = "esp_telemetry WHERE well_id = 'W-0077'";
    assert_eq!(pumps.count(before).await, 0);
    pumps.assert_proved().await;
}

#[tokio::test]
async fn what_is_rotated_twice_while_the_table_is_locked_is_read() {
    rotated_twice(false).await;
}

#[tokio::test]
async fn what_is_rotated_behind_a_file_that_is_compressed_meanwhile_is_read() {
    rotated_twice(true).await;
}

async fn rotated_twice(is_packed: bool) {
    let pumps = Pumps::new("ingest_rotated_twice").await;
    let file = pumps.file("log.ndjson", &readings(10, 10));
    let running = pumps.ingest(&file).arg("--follow").spawn();
    pumps.eventually_stored(100).await;
    let holder = pumps.database.connect().await.unwrap();
    let lock = "BEGIN; LOCK TABLE esp_telemetry IN ACCESS EXCLUSIVE MODE";
    holder.batch_execute(lock).await.unwrap();
    append(&file, &(reading(1, 501, "") + "\n"));
    for number in [2, 1] {
        // Written a moment apart, so that their order is seen.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let rotated = pumps.folder.join(format!("log.ndjson.{number}"));
        std::fs::rename(&file, &rotated).unwrap();
        std::fs::write(&file, reading(number + 1, 502, "") + "\n").unwrap();
        // Its writer still has it.
        append(&rotated, &(reading(number + 1, 503, "") + "\n"));
    }
    if is_packed {
        let rotated = pumps.folder.join("log.ndjson.2");
        std::fs::rename(&rotated, pumps.folder.join("log.ndjson.2.gz")).unwrap();
    }
    holder.batch_execute("COMMIT").await.unwrap();
    pumps.eventually_stored(105).await;
    running.signal("INT");
    running.wait().await.expect_code(0);
    assert_eq!(pumps.count("hyperhaul.dead_letter").await, 0);
    pumps.assert_proved().await;
}

#[tokio::test]
async fn a_rotated_file_that_was_written_anew_before_is_read_and_left() {
    let pumps = Pumps::new("ingest_rotated_anew").await;
    // The same inode and the same first line.
    let file = pumps.file("export.csv", &csv(0..5));
    pumps
        .ingest(&file)
        .arg("--decoder")
        .arg("csv")
        .run()
        .await
        .expect_code(0);
    std::fs::write(&file, csv(10..30)).unwrap();
    let follow = |expected| {
        let call = pumps
            .ingest(&file)
            .arg("--follow")
            .arg("--decoder")
            .arg("csv");
        let (running, pumps) = (call.spawn(), &pumps);
        async move {
            pumps.eventually_stored(expected).await;
            running.signal("INT");
            running.wait().await.expect_code(0);
        }
    };
    follow(25).await;
    std::fs::rename(&file, pumps.folder.join("export.csv.1")).unwrap();
    std::fs::write(&file, csv(40..43)).unwrap();
    follow(28).await;
    pumps.assert_proved().await;
}

/// A reading of each well.
fn csv(wells: std::ops::Range<u32>) -> String {
    let mut text = "timestamp,well_id,flow_rate\n".to_owned();
    for well in wells {
        let time = reading(0, well, "").split('"').nth(7).unwrap().to_owned();
        writeln!(text, "{time},W-{well},1500.5").unwrap();
    }
    text
}
