//! Records that come by HTTP while history follows: they wait for the fence and for nothing else, and those that history has already
//! are there once.

use crate::faults::HeldSlices;
use crate::ingest::migrating::Moving;
use crate::support::Hyperhaul;
use hyperhaul_testkit::{TestDatabase, eventually};
use std::time::Duration;

/// Its readings are sent three times: before the migration, before their slice comes, and at the end.
const WELL: u32 = 8_000_000;
/// Readings in a body.
const READINGS: u32 = 20;

/// Those slices that have the well's readings.
const SLICES_OF_WELL: &str = "SELECT 'slice_id IN (' || string_agg(slice_id::text, ',') || ')' FROM hyperhaul.slice WHERE EXISTS (SELECT FROM esp_telemetry WHERE well_id = 'W-8000000' \
    AND (ctid::text::point)[0] >= (spec ->> 'first_block')::bigint \
    AND (ctid::text::point)[0] < coalesce((spec ->> 'end_block')::bigint, 4294967296))";

/// The same, as the ledger has them.
const COMING: &str = "SELECT count(*) FROM hyperhaul.slice WHERE NOT done";

/// Records that the archive's first block has, as they would be sent.
const OF_FIRST_SLICE: &str = "SELECT string_agg(json_build_object('well_id', well_id, 'flow_rate', flow_rate, \
    'timestamp', to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'))::text, E'\\n') \
    FROM (SELECT * FROM hyperhaul_old_public.esp_telemetry WHERE ctid < '(1,0)' LIMIT 20) AS history";

#[tokio::test]
async fn records_go_on_beside_the_history_and_those_that_it_has_are_there_once() {
    let mut moving = Moving::start("backfill_ingest").await;
    moving.send(&Moving::body(WELL)).await;
    let plan = "plan --mode backfill --workers 2 --slice-size 1MiB";
    moving.of_table(plan).run().await.expect_code(0);
    // By their numbers: who holds them must not hold the table.
    let of_well: String = moving.database().value(SLICES_OF_WELL).await.unwrap();
    let held = HeldSlices::hold_in(moving.database(), &of_well).await;

    // The fence stands, whoever is killed.
    let killed = migrate(&moving).failpoint("chunks.before_commit");
    killed.run().await.expect_killed();
    moving.assert_waiting().await;
    moving.kill_and_go_on().await;
    moving.assert_waiting().await;

    // The slices that are held are still to come.
    let migrating = migrate(&moving).spawn();
    let few = async || coming(moving.database()).await <= 2;
    let what = "the other slices are done";
    eventually(what, Duration::from_secs(60), few)
        .await
        .unwrap();
    assert!(moving.is_hypertable().await);
    moving.until_written().await;
    let early: String = moving.database().value(OF_FIRST_SLICE).await.unwrap();
    moving.send(&early).await;
    moving.send(&Moving::body(WELL)).await;
    migrating.signal("KILL");
    migrating.wait().await.expect_killed();
    moving.until_written().await;
    moving.kill_and_go_on().await;
    let migrating = migrate(&moving).spawn();
    moving.until_written().await;
    assert!(coming(moving.database()).await > 0);

    held.release().await;
    migrating.wait().await.expect_code(0);
    moving.until_written().await;
    moving.send(&Moving::body(WELL)).await;
    let readings = "SELECT count(*) FROM esp_telemetry WHERE well_id = 'W-8000000'";
    let readings: i64 = moving.database().value(readings).await.unwrap();
    assert_eq!(readings, i64::from(READINGS));
    let verify = Hyperhaul::new("verify").source(moving.database().url());
    verify.run().await.expect_code(0);
    // Those of the first slice, and the third time that the well's were sent: the second time they came before their slice.
    moving.end_with_duplicates(2 * READINGS).await;
}

/// As it is planned.
fn migrate(moving: &Moving) -> Hyperhaul {
    Hyperhaul::new("migrate").source(moving.database().url())
}

async fn coming(database: &TestDatabase) -> i64 {
    database.value(COMING).await.unwrap()
}
