//! A stored plan is what `migrate` runs; what changed since is told, and nothing is done.

use crate::support::{
    Hyperhaul, Positions, assert_each_slice_done_once, rows_seen, target_database,
};

#[tokio::test]
async fn the_stored_plan_is_what_migrate_runs() {
    let database = target_database("plan_stored").await;
    Positions::default().create(&database).await;
    let before = rows_seen(&database, Positions::ROWS).await;
    let planned = Hyperhaul::new("plan --json")
        .source(database.url())
        .table("positions")
        .run()
        .await
        .expect_code(0)
        .json();
    let stored: serde_json::Value = database
        .value("SELECT plan FROM hyperhaul.run")
        .await
        .unwrap();
    assert_eq!(planned["tables"], stored["tables"]);
    Hyperhaul::new("migrate")
        .source(database.url())
        .run()
        .await
        .expect_code(0);
    assert_eq!(rows_seen(&database, Positions::ROWS).await, before);
    assert_each_slice_done_once(&database).await;
    assert_eq!(
        database
            .value::<i64>("SELECT count(*) FROM hyperhaul.run")
            .await
            .unwrap(),
        1
    );
}
