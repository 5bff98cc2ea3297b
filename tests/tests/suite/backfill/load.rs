//! Rows that come in all the time, beside slices of history: every one of both once, and nobody is refused for a deadlock.

use super::writers::{PARTITION_OF_NOW, Writers, assert_history_is_coming, until_cut_over};
use crate::faults::{HeldSlices, Moved};
use crate::support::{Positions, target_database};

const DAYS: u32 = 3;

/// Several slices a day.
const HISTORY: Positions = Positions {
    days: DAYS,
    rows_per_day: 8_000,
    packet_bytes: 250,
};

#[tokio::test]
async fn rows_that_come_in_all_the_time_are_there_once_beside_the_history() {
    for strategy in ["server", "copy"] {
        let database = target_database("backfill_load").await;
        HISTORY.create(&database).await;
        database.exec(PARTITION_OF_NOW).await.unwrap();
        let moved = Moved::of(database, None).await;
        let writers = Writers::start(&moved, 4, DAYS).await;
        moved
            .plan(&format!(
                "--mode backfill --workers 2 --strategy {strategy}"
            ))
            .await;
        let held = HeldSlices::hold(moved.target(), "slice_id > 3").await;
        let migrating = moved.call("migrate").spawn();
        until_cut_over(&moved).await;
        writers.until_more(200).await;
        assert!(writers.fenced() > 0);
        assert_history_is_coming(&moved).await;
        held.release().await;
        migrating.wait().await.expect_code(0);
        writers.until_more(50).await;
        writers.stop().await.assert_all_there(&moved).await;
    }
}
