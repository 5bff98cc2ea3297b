//! From the cutover to the proof and back, without anybody in the way.

use crate::faults::Moved;
use crate::support::{Positions, target_database};

/// In which order leaves were copied, by their names.
const ORDER: &str =
    "SELECT leaf_oid::regclass::text FROM hyperhaul.slice ORDER BY finished_at, slice_id";

#[tokio::test]
async fn history_follows_newest_first_and_is_proved() {
    let database = target_database("backfill_whole").await;
    let moved = Moved::new(database, None, Positions::default()).await;
    let migrated = moved
        .call("migrate --table positions --mode backfill --workers 1")
        .run()
        .await
        .expect_code(0);
    migrated.expect_printed(&["backfill", "proof"]);
    moved.assert_moved().await;
    let order: Vec<String> = moved.target().values(ORDER).await.unwrap();
    assert!(
        order.len() == 4 && order.is_sorted_by(|a, b| a > b),
        "{order:?}"
    );
    let left = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'positions'::regclass AND tgname LIKE 'hyperhaul%'";
    assert_eq!(moved.target().value::<i64>(left).await.unwrap(), 0);
    moved.call("cleanup --yes").run().await.expect_code(0);
}
