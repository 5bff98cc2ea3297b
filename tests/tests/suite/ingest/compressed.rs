//! Late rows into chunks of the columnstore, of which the server decompresses only so much in one transaction. Runs where
//! `HYPERHAUL_COMMUNITY_URL` names a server: the embedded one takes no COPY, by which rows are staged, too.

use super::{Pumps, reading, readings};
use crate::support::community_database;
use std::fmt::Write as _;

/// A limit that one duplicate exceeds: with two unique indexes, all batches that the time may lie in are decompressed.
const LITTLE: &str = "DO $$ BEGIN EXECUTE format(
    'ALTER DATABASE %I SET timescaledb.max_tuples_decompressed_per_dml_transaction = 1000', current_database()); END $$";

const COLUMNSTORE: &str = "ALTER TABLE esp_telemetry SET (timescaledb.enable_columnstore, timescaledb.segmentby = 'well_id', timescaledb.orderby = 'timestamp')";

/// Readings of 20 wells at 500 minutes, compressed.
async fn compressed(test: &str) -> Option<Pumps> {
    let pumps = Pumps::on(community_database(test).await?).await;
    pumps.database.exec(LITTLE).await.unwrap();
    pumps.database.exec(COLUMNSTORE).await.unwrap();
    let file = pumps.file("history.ndjson", &readings(20, 500));
    pumps.ingest(&file).run().await.expect_code(0);
    let compress = "SELECT count(compress_chunk(chunk)) FROM show_chunks('esp_telemetry') AS chunk";
    let chunks: i64 = pumps.database.value(compress).await.unwrap();
    assert_eq!(chunks, 1);
    Some(pumps)
}

#[tokio::test]
async fn late_rows_get_into_compressed_chunks_and_duplicates_are_told() {
    let Some(pumps) = compressed("ingest_compressed").await else {
        return;
    };
    let mut text = String::new();
    for well in 10..30 {
        // There already, between those that are there, and behind them.
        for minute in [7, 123, 499, 500, 1_000] {
            writeln!(text, "{}", reading(well, minute, "")).unwrap();
        }
        let other = reading(well, 300, "").replace("1000.25", "999.5");
        let refused = reading(well, 301, "").replace("42.5", "13");
        writeln!(text, "{other}\n{refused}").unwrap();
    }
    let file = pumps.file("late.ndjson", &text);
    let call = pumps.ingest(&file).env("RUST_LOG", "debug");
    let done = call.run().await.expect_code(0);
    let done = done.expect_printed(&["tuple decompression limit exceeded"]);
    let done = done.json();
    let counts = ["record", "stored", "duplicate", "conflict", "dead"];
    let counts = counts.map(|name| done[0][format!("{name}_count")].as_i64().unwrap());
    // The wells from 20 on are new.
    assert_eq!(counts, [140, 10 * 2 + 10 * 6, 30, 10, 20]);
    pumps.assert_readings(1, 20 * 500 + 80).await;
    pumps.assert_proved().await;
}

#[tokio::test]
async fn a_process_that_is_killed_between_pieces_goes_on_in_compressed_chunks() {
    let Some(pumps) = compressed("ingest_compressed_kill").await else {
        return;
    };
    // What is decompressed is committed with the piece that needed it.
    let file = pumps.file("again.ndjson", &(readings(40, 20) + &readings(20, 500)));
    let killed = pumps.ingest(&file).failpoint("ingest.after_commit");
    killed.run().await.expect_killed();
    let piece = "SELECT record_count FROM hyperhaul.ingest_receipt ORDER BY record_count LIMIT 1";
    let piece: i64 = pumps.database.value(piece).await.unwrap();
    assert_eq!(piece, 1, "a single record goes with the limit lifted");
    pumps.ingest(&file).run().await.expect_code(0);
    pumps.assert_readings(1, 20 * 500 + 20 * 20).await;
    let sums = "SELECT concat_ws(' ', sum(stored_count), sum(duplicate_count), sum(conflict_count), sum(dead_count)) \
                FROM hyperhaul.ingest_receipt";
    let sums: String = pumps.database.value(sums).await.unwrap();
    assert_eq!(sums, "10400 10400 0 0");
    pumps.assert_proved().await;
}
