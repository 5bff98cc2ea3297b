//! Batches that are too much at once go in halves, each of which is exactly once by itself; and what is said to a process that waits.

use super::{Pumps, now_minus_days, own_server, reading, readings};
use hyperhaul_testkit::Role;
use std::fmt::Write as _;
use std::time::Duration;

/// A server whose memory is enough for 300 rows at once.
const LITTLE_MEMORY: &str = "
    CREATE FUNCTION little_memory() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (SELECT count(*) FROM fresh) > 300 THEN
            RAISE EXCEPTION 'out of memory' USING ERRCODE = 'out_of_memory';
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER little_memory AFTER INSERT ON esp_telemetry REFERENCING NEW TABLE AS fresh
        FOR EACH STATEMENT EXECUTE FUNCTION little_memory()";

async fn pumps_with_little_memory(name: &str) -> Pumps {
    let pumps = Pumps::ordinary(name).await;
    pumps.database.exec(LITTLE_MEMORY).await.unwrap();
    pumps
}

#[tokio::test]
async fn what_is_too_much_for_the_servers_memory_goes_in_halves() {
    let pumps = pumps_with_little_memory("ingest_memory").await;
    let file = pumps.file("readings.ndjson", &readings(20, 100));
    pumps.ingest(&file).run().await.expect_code(0);
    pumps.assert_readings(20, 100).await;
    pumps.assert_proved().await;
}

/// Each chunk that is made takes several locks.
#[tokio::test]
async fn what_takes_more_chunks_than_the_server_has_locks_for_goes_in_pieces() {
    let test = "what_takes_more_chunks_than_the_server_has_locks_for_goes_in_pieces";
    let Some((instance, database)) = own_server(test, "few_locks").await else {
        return;
    };
    let pumps = Pumps::on(database).await;
    for setting in [
        "max_locks_per_transaction = 10",
        "max_connections = 15",
        "max_worker_processes = 8",
        "max_prepared_transactions = 0",
    ] {
        let set = format!("ALTER SYSTEM SET {setting}");
        pumps.database.exec(&set).await.unwrap();
    }
    instance.crash(Role::Target).unwrap();
    instance.start(Role::Target).unwrap();
    let lines = (0..400).map(|day| {
        let line = reading(1, day, "");
        let (before, time) = line.split_once("\"timestamp\":\"").unwrap();
        let day = now_minus_days(day);
        format!("{before}\"timestamp\":\"{day}{}\n", &time[day.len()..])
    });
    let file = pumps.file("days.ndjson", &lines.collect::<String>());
    let ended = pumps.ingest(&file).env("RUST_LOG", "debug").run().await;
    let ended = ended.expect_code(0).expect_printed(&["verdict=Memory"]);
    assert_eq!(ended.json()[0]["stored_count"], 400);
}

#[tokio::test]
async fn a_file_that_is_written_anew_between_two_halves_is_another_one() {
    let pumps = pumps_with_little_memory("ingest_half").await;
    let text = |well: u32| {
        let mut text = reading(1, 0, "") + "\n";
        for minute in 1..1_000 {
            writeln!(text, "{}", reading(well, minute, "")).unwrap();
        }
        text
    };
    let file = pumps.file("readings.ndjson", &text(2));
    let killed = pumps.ingest(&file).failpoint("ingest.after_commit");
    killed.run().await.expect_killed();
    let half = pumps.count("esp_telemetry").await;
    assert!((30..=300).contains(&half), "{half} rows");
    // In its place, with the same first line, and each other line as long as before.
    pumps.file("readings.ndjson", &text(3));
    pumps.ingest(&file).run().await.expect_code(0);
    assert_eq!(
        pumps.count("esp_telemetry WHERE well_id = 'W-0003'").await,
        999
    );
    assert_eq!(pumps.count("esp_telemetry").await, half + 999);
    pumps.assert_proved().await;
}

#[tokio::test]
async fn a_stream_that_waits_for_its_database_hears_that_it_is_to_stop() {
    let pumps = Pumps::new("ingest_waits").await;
    let file = pumps.file("readings.ndjson", &readings(2, 2));
    // Nobody listens at the port for long: it is one that the system gives to clients.
    let nowhere = "postgresql://postgres@127.0.0.1:1/postgres";
    let running = crate::support::Hyperhaul::new(
        "ingest --profile esp-telemetry --table public.esp_telemetry",
    )
    .target(nowhere)
    .arg(file.to_str().unwrap())
    .spawn();
    tokio::time::sleep(Duration::from_secs(3)).await;
    running.signal("INT");
    running.wait().await.expect_code(0);
    pumps.ingest(&file).run().await.expect_code(0);
    pumps.assert_readings(2, 2).await;
}
