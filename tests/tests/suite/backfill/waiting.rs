//! Live sessions with keys of slices that are under way: whoever waits for whom, no live session is refused for a deadlock.

use crate::faults::{HeldSlices, Moved};
use crate::support::{Positions, Running, target_database};
use hyperhaul_testkit::{Client, connect};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// How long before a slice comes to a key of a live transaction that one begins to wait for the slice, for each day. A second
/// after it began to wait, the live session looks for a deadlock.
const BEFORE_MS: [i64; 3] = [750, 850, 950];

const ROWS_PER_DAY: i64 = 300;
/// A block of such rows takes a slice a few hundredths of a second.
const WIDE: u32 = 1_900;
/// How long a slice takes for a row, or longer.
const SECONDS_A_ROW: f64 = 0.005;
/// The rows of a day whose keys the live transaction writes first and then.
const LATE: i64 = 280;
const EARLY: i64 = 10;
/// Between these rows a slice's speed is measured.
const MEASURED: [i64; 2] = [15, 35];

#[tokio::test]
async fn a_slice_gives_way_before_a_live_session_finds_a_deadlock() {
    meet("server").await;
}

#[tokio::test]
async fn a_slice_that_is_copied_gives_way_as_well() {
    meet("copy").await;
}

async fn meet(strategy: &str) {
    let (moved, held, migrating) = cut_over("backfill_meeting", strategy, SECONDS_A_ROW).await;
    let mut live = Vec::new();
    for (day, before_ms) in (0..).zip(BEFORE_MS) {
        let client = connect(moved.target().url()).await.unwrap();
        let first = day * ROWS_PER_DAY;
        client.batch_execute("BEGIN").await.unwrap();
        insert(&client, first + LATE).await;
        let looking = connect(moved.target().url()).await.unwrap();
        live.push(tokio::spawn(async move {
            until_before(&looking, first, before_ms).await;
            insert(&client, first + EARLY).await;
            client.batch_execute("COMMIT").await.unwrap();
        }));
    }
    held.release().await;
    for live in live {
        live.await.unwrap();
    }
    migrating.wait().await.expect_code(0);
    moved.assert_moved().await;
    let skipped = "SELECT sum(skipped_count)::bigint FROM hyperhaul.slice";
    let skipped: i64 = moved.target().value(skipped).await.unwrap();
    assert_eq!(skipped, 2 * i64::try_from(BEFORE_MS.len()).unwrap());
}

/// A table of some days, a slice each, whose slices are held back behind the cutover.
async fn cut_over(name: &str, strategy: &str, seconds_a_row: f64) -> (Moved, HeldSlices, Running) {
    let positions = Positions {
        days: u32::try_from(BEFORE_MS.len()).unwrap(),
        rows_per_day: u32::try_from(ROWS_PER_DAY).unwrap(),
        packet_bytes: WIDE,
    };
    let moved = Moved::new(target_database(name).await, None, positions).await;
    moved.slow_down("id", seconds_a_row).await;
    let options = format!("--mode backfill --workers 1 --strategy {strategy}");
    moved.plan(&options).await;
    let held = HeldSlices::hold(&moved, "true").await;
    let migrating = moved.call("migrate").spawn();
    super::writers::until_cut_over(&moved).await;
    (moved, held, migrating)
}

#[tokio::test]
async fn a_slice_in_whose_way_somebody_stands_holds_no_other_up() {
    let (moved, held, migrating) = cut_over("backfill_hindered", "server", 0.0).await;
    let live = connect(moved.target().url()).await.unwrap();
    live.batch_execute("BEGIN").await.unwrap();
    // Of the newest day, whose slice comes first.
    insert(&live, 2 * ROWS_PER_DAY + LATE).await;
    held.release().await;
    let others = "SELECT count(*) = 2 FROM hyperhaul.slice WHERE done";
    moved.until("the other slices are done", others).await;
    live.batch_execute("COMMIT").await.unwrap();
    let ended = migrating.wait().await.expect_code(0);
    ended.expect_printed(&["trying again"]);
    moved.assert_moved().await;
}

#[tokio::test]
async fn a_live_session_that_gives_up_and_tries_again_does_not_hold_a_slice_still_for_ever() {
    let (moved, held, migrating) = cut_over("backfill_impatient", "server", SECONDS_A_ROW).await;
    let looking = connect(moved.target().url()).await.unwrap();
    let live = connect(moved.target().url()).await.unwrap();
    live.batch_execute("SET lock_timeout = '300ms'")
        .await
        .unwrap();
    held.release().await;
    let first = 2 * ROWS_PER_DAY;
    until_at(&looking, first + EARLY + 5..=first + LATE).await;
    let insert = format!(
        "INSERT INTO positions SELECT * FROM hyperhaul_old_public.positions WHERE id = {}",
        first + EARLY
    );
    // Either of the two comes first.
    let refused = loop {
        match live.execute(&insert, &[]).await {
            Ok(_) => break false,
            Err(error) => match error.code().map(|code| code.code()) {
                Some("55P03") => {}
                Some("23505") => break true,
                _ => panic!("{error:?}"),
            },
        }
    };
    migrating.wait().await.expect_code(0);
    moved.assert_moved().await;
    let skipped = "SELECT sum(skipped_count)::bigint FROM hyperhaul.slice";
    let skipped: i64 = moved.target().value(skipped).await.unwrap();
    assert_eq!(skipped, i64::from(!refused));
}

/// The very row of the archive.
async fn insert(client: &Client, id: i64) {
    let insert = format!(
        "INSERT INTO positions SELECT * FROM hyperhaul_old_public.positions WHERE id = {id}"
    );
    let inserted = client.execute(&insert, &[]).await;
    assert_eq!(
        inserted.unwrap_or_else(|error| panic!("{id}: {error:?}")),
        1
    );
}

/// By then a slice has passed any row.
const PASSED: Duration = Duration::from_secs(20);

/// Waits until the slice of the day after row `first` will be at the later key in so many milliseconds.
async fn until_before(client: &Client, first: i64, before_ms: i64) {
    let [from, to] = MEASURED.map(|row| first + row);
    let from = (until_at(client, from..=to).await, Instant::now());
    let to = (until_at(client, to..=first + LATE).await, Instant::now());
    let took_ms = i64::try_from((to.1 - from.1).as_millis()).unwrap().max(1);
    let rows = before_ms * (to.0 - from.0) / took_ms;
    until_at(client, first + LATE - rows..=first + LATE).await;
}

/// Waits until a slice is at one of these rows, and says at which. One that has passed them unseen is not waited for: then the moment
/// is missed, and the rest of the test holds all the same.
async fn until_at(client: &Client, ids: RangeInclusive<i64>) -> i64 {
    let begun = Instant::now();
    while begun.elapsed() < PASSED {
        let row = client
            .query_one("SELECT last_value FROM slow_at", &[])
            .await;
        let at = row.unwrap().get(0);
        if ids.contains(&at) {
            return at;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    *ids.end()
}
