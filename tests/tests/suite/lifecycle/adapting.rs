//! The number of workers follows what the server shows, within its range.

use super::hold_chunks;
use crate::support::{Hyperhaul, Positions, assert_each_slice_done_once, target_database};
use std::time::Duration;

#[tokio::test]
async fn a_crew_whose_backends_wait_for_locks_becomes_smaller() {
    let database = target_database("adapting").await;
    Positions {
        days: 4,
        rows_per_day: 1_000,
        packet_bytes: 400,
    }
    .create(&database)
    .await;
    Hyperhaul::new(
        "migrate --workers 1..2 --slice-size 64kB --strategy copy --lock-timeout 10min --table positions",
    )
    .source(database.url())
    .failpoint("slice.claimed")
    .run()
    .await
    .expect_killed();
    let holder = hold_chunks(&database).await;
    let running = Hyperhaul::new("migrate").source(database.url()).spawn();
    tokio::time::sleep(Duration::from_secs(9)).await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    running
        .wait()
        .await
        .expect_code(0)
        .expect_printed(&["now 1 worker: most of 2 wait for locks"]);
    assert_each_slice_done_once(&database).await;
}
