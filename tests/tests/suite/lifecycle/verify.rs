//! What was changed by hand is found and named; what is not proved cannot be cleaned up, and what was written since the cutover is
//! no difference.

use crate::support::{Hyperhaul, Positions, target_database};
use hyperhaul_testkit::TestDatabase;

async fn migrated(prefix: &str) -> TestDatabase {
    let database = target_database(prefix).await;
    Positions::default().create(&database).await;
    Hyperhaul::new("migrate --table positions")
        .source(database.url())
        .run()
        .await
        .expect_code(0);
    database
}

#[tokio::test]
async fn three_deleted_rows_are_named_by_their_keys() {
    let database = migrated("verify_deleted").await;
    database
        .exec("DELETE FROM positions WHERE id IN (17, 801, 802)")
        .await
        .unwrap();
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    let ended = call("verify").run().await.expect_code(4).expect_printed(&[
        "public.positions",
        "2025-12-11",
        "2025-12-12",
        "499 in the target",
        "498 in the target",
    ]);
    for id in ["17", "801", "802"] {
        let named = ended
            .stdout
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| word == id);
        assert!(named, "{id} is not named\n{}", ended.stdout);
    }
    assert!(
        !ended.stdout.contains("flr"),
        "values beyond the key are nobody's business\n{}",
        ended.stdout
    );
    let json = call("verify --json")
        .run()
        .await
        .expect_code(4)
        .json()
        .to_string();
    assert!(
        ["17", "801", "802"].iter().all(|id| json.contains(id)),
        "{json}"
    );

    call("cleanup --yes")
        .run()
        .await
        .expect_code(3)
        .expect_printed(&["lacks 3 rows", "hyperhaul verify", "--accept-differences"]);
    let old: i64 = database
        .value("SELECT count(*) FROM hyperhaul_old_public.positions")
        .await
        .unwrap();
    assert_eq!(old, 2_000, "the old rows are still there");
    database.exec("INSERT INTO positions SELECT * FROM hyperhaul_old_public.positions WHERE id IN (17, 801, 802)").await.unwrap();
    call("verify").run().await.expect_code(0);
    call("cleanup --yes").run().await.expect_code(0);
}

#[tokio::test]
async fn a_changed_and_an_added_row_are_told_apart() {
    let database = migrated("verify_changed").await;
    database
        .exec(
            "UPDATE positions SET packet = packet || '!' WHERE id = 44;
            INSERT INTO positions (id, received_at, aircraft_id, packet) VALUES (777000, '2025-12-13 03:00Z', 3, 'secret text')",
        )
        .await
        .unwrap();
    let ended = Hyperhaul::new("verify")
        .source(database.url())
        .run()
        .await
        .expect_code(4);
    let ended = ended.expect_printed(&[
        "(44,",
        "in both, different (1)",
        "2 rows written since the cutover",
    ]);
    assert!(
        !ended.stdout.contains("secret text") && !ended.stdout.contains("777000"),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn rows_that_changed_places_with_a_twin_are_not_equal() {
    let database = migrated("verify_twins").await;
    // Count and sum over the column stay the same.
    database
        .exec(
            "UPDATE positions SET altitude_feet = altitude_feet + 1 WHERE id = 101;
            UPDATE positions SET altitude_feet = altitude_feet - 1 WHERE id = 102",
        )
        .await
        .unwrap();
    Hyperhaul::new("verify")
        .source(database.url())
        .run()
        .await
        .expect_code(4)
        .expect_printed(&["101", "102", "different"]);
}

#[tokio::test]
async fn an_index_or_a_constraint_that_is_gone_is_a_difference() {
    let database = migrated("verify_structure").await;
    database.exec("DROP INDEX positions_aircraft_received_at; ALTER TABLE positions DROP CONSTRAINT positions_altitude").await.unwrap();
    Hyperhaul::new("verify")
        .source(database.url())
        .run()
        .await
        .expect_code(4)
        .expect_printed(&["positions_aircraft_received_at", "positions_altitude"]);
}

#[tokio::test]
async fn an_identity_that_would_give_numbers_again_is_a_difference() {
    let database = target_database("verify_sequence").await;
    database
        .exec(
            "CREATE TABLE samples (n bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL) PARTITION BY RANGE (at);
            CREATE TABLE samples_1 PARTITION OF samples FOR VALUES FROM ('2025-12-11Z') TO ('2025-12-12Z');
            INSERT INTO samples (at) SELECT timestamptz '2025-12-11Z' + n * interval '1 minute' FROM generate_series(1, 100) AS n",
        )
        .await
        .unwrap();
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    call("migrate --table samples").run().await.expect_code(0);
    database
        .exec("ALTER TABLE samples ALTER COLUMN n RESTART WITH 5")
        .await
        .unwrap();
    call("verify")
        .run()
        .await
        .expect_code(4)
        .expect_printed(&["sequence public.samples_n_seq", "behind"]);
    database
        .exec(
            "ALTER TABLE samples ALTER COLUMN n RESTART WITH 101; SELECT nextval('samples_n_seq')",
        )
        .await
        .unwrap();
    call("verify").run().await.expect_code(0);
}

#[tokio::test]
async fn a_run_that_stopped_before_its_verification_cannot_be_cleaned_up() {
    let database = target_database("verify_unfinished").await;
    Positions::default().create(&database).await;
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    call("migrate --table positions")
        .failpoint("copy.before_mark")
        .run()
        .await
        .expect_killed();
    call("cleanup --yes")
        .run()
        .await
        .expect_code(3)
        .expect_printed(&["run 1 is running", "hyperhaul migrate"]);
    let kept: i64 = database
        .value("SELECT count(*) FROM positions")
        .await
        .unwrap();
    assert_eq!(kept, 2_000);
}

#[tokio::test]
async fn rows_written_since_the_cutover_are_told_and_stand_in_nobodys_way() {
    let database = migrated("verify_written").await;
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    // More than are ever listed, into a chunk with old rows and into one of their own.
    database
        .exec(
            "INSERT INTO positions (received_at, aircraft_id, packet) SELECT '2025-12-12 06:00Z', 1, 'new' FROM generate_series(1, 700);
            INSERT INTO positions (received_at, aircraft_id, packet) VALUES ('2026-02-01Z', 1, 'new')",
        )
        .await
        .unwrap();
    call("verify")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["701 rows written since the cutover"]);
    let json = call("verify --json").run().await.expect_code(0).json();
    assert_eq!(json["tables"][0]["since_cutover"]["written_rows"], 701);
    call("status")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["equal, also since"]);

    // A row that is lost among them is found.
    database
        .exec("DELETE FROM positions WHERE id = 801")
        .await
        .unwrap();
    let ended = call("verify").run().await.expect_code(4).expect_printed(&[
        "missing in the target (1)",
        "(801,",
        "701 rows written",
    ]);
    assert!(!ended.stdout.contains("in the target only"));
    call("status")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["equal, since then DIFFERS"]);
    call("cleanup --yes")
        .run()
        .await
        .expect_code(3)
        .expect_printed(&["lacks 1 rows"]);
    let old = "SELECT to_regclass('hyperhaul_old_public.positions') IS NOT NULL";
    assert!(database.value::<bool>(old).await.unwrap());
    call("cleanup --yes --accept-differences")
        .run()
        .await
        .expect_code(0);
    assert!(!database.value::<bool>(old).await.unwrap());
    call("verify")
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["cleaned up"]);
}

#[tokio::test]
async fn only_a_run_with_something_to_compare_is_verified() {
    let database = target_database("verify_states").await;
    database
        .exec(
            "CREATE TABLE samples (n bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL) PARTITION BY RANGE (at)",
        )
        .await
        .unwrap();
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    call("plan --table samples").run().await.expect_code(0);
    call("verify")
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["not copied everything"]);
    for command in ["verify", "status", "migrate", "rollback", "cleanup"] {
        call(&format!("{command} --run 77"))
            .run()
            .await
            .expect_code(2)
            .expect_printed(&["no run 77"]);
    }
    // It has no partition, and so nothing to copy.
    call("migrate --table samples").run().await.expect_code(0);
    call("verify").run().await.expect_code(0);
    call("rollback").run().await.expect_code(0);
    call("verify")
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["run 1 is rolled back"]);
    call("migrate --table samples").run().await.expect_code(0);
    call("cleanup --yes").run().await.expect_code(0);
    call("verify")
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["run 2 is cleaned up"]);
}
