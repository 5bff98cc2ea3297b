//! `plan --calibrate`: measures on a sample, leaves nothing, and its prediction decides whether a run may begin.

use crate::support::{
    Hyperhaul, Positions, assert_each_slice_done_once, community_database, source_database,
    target_database,
};
use hyperhaul_testkit::{TestDatabase, eventually};
use std::time::Duration;

const SCRATCH_IS_THERE: &str = "SELECT to_regnamespace('hyperhaul_scratch') IS NOT NULL";
const PLAN: &str = "plan --calibrate=1 --workers 2 --slice-size 1MiB --json --table positions";

async fn database(name: &str) -> TestDatabase {
    let database = target_database(name).await;
    some().create(&database).await;
    database
}

fn some() -> Positions {
    Positions {
        rows_per_day: 5_000,
        packet_bytes: 250,
        ..Positions::default()
    }
}

/// Looks at the estimate of a plan that was printed as JSON: every measured phase lies in its range.
fn assert_calibrated(plan: &serde_json::Value, ways: &[&str]) {
    let estimate = &plan["estimate"];
    let measured = &estimate["basis"]["calibrated"][0];
    let loaded = measured["load_s"].as_array().unwrap();
    let mut names: Vec<&str> = loaded.iter().filter_map(|way| way[0].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ways, "{estimate:#}");
    let phases = estimate["phases"].as_array().unwrap();
    let built: &[&str] = match measured["attach"].is_null() {
        true => &["keys", "indexes", "foreign_keys"],
        false => &["attach"],
    };
    for phase in ["copy", "verify", "cutover", "after"].iter().chain(built) {
        let own = phases.iter().find(|own| own["phase"] == *phase).unwrap();
        let seconds = own["seconds"].as_f64().unwrap();
        let bound = |index: usize| own["range"][index].as_f64().unwrap();
        assert!(
            seconds > 0.0 && bound(0) < seconds && seconds < bound(1),
            "{own}"
        );
    }
}

#[tokio::test]
async fn a_calibrated_plan_is_what_a_run_then_takes() {
    let database = database("calibrate").await;
    let plan = Hyperhaul::new(PLAN)
        .source(database.url())
        .run()
        .await
        .expect_code(0);
    assert_calibrated(&plan.json(), &["copy", "server"]);
    assert!(!database.value::<bool>(SCRATCH_IS_THERE).await.unwrap());
    let left = "SELECT count(*) FROM timescaledb_information.hypertables";
    assert_eq!(database.value::<i64>(left).await.unwrap(), 0);
    // The range takes the place of the margin of an estimate.
    Hyperhaul::new("migrate --window 10min")
        .source(database.url())
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["with a margin of 15 %"]);
    assert_each_slice_done_once(&database).await;
}

#[tokio::test]
async fn rows_of_another_server_are_calibrated_by_copying() {
    let source = source_database("calibrate").await;
    let target = target_database("calibrate").await;
    some().create(&source).await;
    let aircraft = "CREATE TABLE aircraft (id integer PRIMARY KEY, registration text NOT NULL);
        INSERT INTO aircraft SELECT n, 'D-' || n FROM generate_series(0, 49) AS n";
    target.exec(aircraft).await.unwrap();
    let plan = Hyperhaul::new(PLAN)
        .source(source.url())
        .target(target.url())
        .run()
        .await
        .expect_code(0);
    assert_calibrated(&plan.json(), &["copy"]);
    assert!(!target.value::<bool>(SCRATCH_IS_THERE).await.unwrap());
}

/// Needs the Community edition: `HYPERHAUL_COMMUNITY_URL`.
#[tokio::test]
async fn partitions_that_are_attached_are_calibrated_by_attaching_a_part() {
    let Some(database) = community_database("calibrate_attach").await else {
        return;
    };
    some().create(&database).await;
    let beside = "CREATE TABLE positions_default PARTITION OF positions DEFAULT; \
                  INSERT INTO positions (received_at, aircraft_id, packet) VALUES ('2025-11-01 12:00+00', 1, 'early')";
    database.exec(beside).await.unwrap();
    let files = "SELECT string_agg(relname || relfilenode, ' ' ORDER BY relname) FROM pg_class \
                 WHERE relname ~ '^positions_' AND relkind = 'r'";
    let before: String = database.value(files).await.unwrap();
    let plan = Hyperhaul::new(PLAN)
        .source(database.url())
        .run()
        .await
        .expect_code(0);
    assert_calibrated(&plan.json(), &["copy", "server"]);
    let attach = &plan.json()["estimate"]["basis"]["calibrated"][0]["attach"];
    for measured in ["empty_s", "part_s", "part_bytes"] {
        assert!(attach[measured].as_f64().unwrap() > 0.0, "{attach}");
    }
    assert!(!database.value::<bool>(SCRATCH_IS_THERE).await.unwrap());
    assert_eq!(database.value::<String>(files).await.unwrap(), before);
    Hyperhaul::new("migrate --window 10min")
        .source(database.url())
        .run()
        .await
        .expect_code(0);
    assert_each_slice_done_once(&database).await;
}

#[tokio::test]
async fn what_a_killed_calibration_left_is_dropped_by_the_next_plan() {
    let database = database("calibrate_killed").await;
    Hyperhaul::new(PLAN)
        .source(database.url())
        .failpoint("calibrate.loaded")
        .run()
        .await
        .expect_killed();
    assert!(database.value::<bool>(SCRATCH_IS_THERE).await.unwrap());
    let settled = "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() \
                   AND application_name LIKE 'hyperhaul%'";
    eventually(
        "the killed process's sessions are gone",
        Duration::from_secs(60),
        async || database.value::<bool>(settled).await.unwrap(),
    )
    .await
    .unwrap();
    Hyperhaul::new("plan --table positions")
        .source(database.url())
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["estimated from sizes", "--calibrate"]);
    assert!(!database.value::<bool>(SCRATCH_IS_THERE).await.unwrap());
}
