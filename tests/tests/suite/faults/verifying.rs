//! Foreign keys are validated while rows are compared: killed, interrupted, and either of them failing while the other one is
//! under way.

use super::Moved;
use crate::support::{Positions, Running, target_database};
use hyperhaul_testkit::Client;

const DIFFERS: i32 = 4;
const BLOCKED: i32 = 3;
const INTERRUPTED: i32 = 6;

const KEY: &str = "step_id = 'foreign keys:public.positions:positions_aircraft_id_fkey'";
const VALIDATES: &str = "application_name LIKE 'hyperhaul%' AND query LIKE '%VALIDATE CONSTRAINT%' AND wait_event_type = 'Lock'";
const COMPARES: &str =
    "application_name LIKE 'hyperhaul%' AND query LIKE '%slow(%' AND state = 'active'";

/// A run that was killed when its foreign key was validated, just before that was committed. Its table has a generated column
/// whose comparison takes minutes while `hyperhaul_test.slow` is on.
async fn killed_before_the_key_is_valid(name: &str) -> Moved {
    let database = target_database(name).await;
    Positions::default().create(&database).await;
    let slow = "CREATE FUNCTION slow(value integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
            IF current_setting('hyperhaul_test.slow', true) = 'on' AND current_setting('application_name') LIKE 'hyperhaul%' THEN
                PERFORM pg_catalog.pg_sleep(0.2); END IF;
            RETURN value; END $$;
         ALTER TABLE positions ADD COLUMN slow_feet integer GENERATED ALWAYS AS (public.slow(altitude_feet)) STORED";
    database.exec(slow).await.unwrap();
    let moved = Moved::of(database, None).await;
    moved.plan("--workers 2 --strategy server").await;
    let before = "SELECT min(place) - 1 FROM hyperhaul.run, jsonb_array_elements(plan -> 'steps') WITH ORDINALITY AS step (planned, place) \
                  WHERE planned ->> 'phase' = 'verify'";
    let before: i64 = moved.target().value(before).await.unwrap();
    moved
        .call("migrate")
        .failpoint(&format!("step.before_commit:{}", before + 1))
        .run()
        .await
        .expect_killed();
    moved.until_nobody_works().await;
    assert_eq!(moved.marks("true").await, before);
    moved
}

/// Whether the comparison takes its time.
async fn slow(moved: &Moved, value: &str) {
    let database = moved.source.name();
    let set = format!("ALTER DATABASE \"{database}\" SET hyperhaul_test.slow = '{value}'");
    moved.source.exec(&set).await.unwrap();
}

/// Keeps the key from being validated, until the session lets go.
async fn hold_the_key(moved: &Moved) -> Client {
    let holder = moved.target().connect().await.unwrap();
    let hold = "BEGIN; LOCK TABLE aircraft IN EXCLUSIVE MODE";
    holder.batch_execute(hold).await.unwrap();
    holder
}

/// A run that is at both, until the session lets go and the comparison is not slow any more.
async fn at_both(moved: &Moved) -> (Running, Client) {
    slow(moved, "on").await;
    let holder = hold_the_key(moved).await;
    let running = moved.call("migrate").spawn();
    for at in [VALIDATES, COMPARES] {
        moved.until(at, &format!("SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND {at}"))
            .await;
    }
    (running, holder)
}

impl Moved {
    /// How many steps are marked.
    async fn marks(&self, which: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM hyperhaul.step WHERE {which}");
        self.target().value(&sql).await.unwrap()
    }

    async fn until_nobody_works(&self) {
        let sql = "SELECT count(*) = 0 FROM pg_stat_activity \
                   WHERE datname = current_database() AND application_name LIKE 'hyperhaul%'";
        self.until("nobody works", sql).await;
    }

    async fn verdicts(&self) -> i64 {
        let sql = "SELECT count(*) FROM hyperhaul.verdict";
        self.target().value(sql).await.unwrap()
    }
}

#[tokio::test]
async fn a_process_killed_while_foreign_keys_are_validated_and_rows_compared_repeats_what_is_not_done()
 {
    let moved = killed_before_the_key_is_valid("verify_killed").await;
    let (running, holder) = at_both(&moved).await;
    running.signal("KILL");
    running.wait().await.expect_killed();
    slow(&moved, "off").await;
    // The rows are equal, and the key is still held.
    moved
        .call("migrate")
        .failpoint("verify.compared")
        .run()
        .await
        .expect_killed();
    assert_eq!((moved.marks(KEY).await, moved.verdicts().await), (0, 0));
    holder.batch_execute("COMMIT").await.unwrap();
    // This time the comparison is what is not done.
    slow(&moved, "on").await;
    moved
        .call("migrate")
        .failpoint("step.after_commit")
        .run()
        .await
        .expect_killed();
    slow(&moved, "off").await;
    assert_eq!((moved.marks(KEY).await, moved.verdicts().await), (1, 0));
    let mark = format!("SELECT xmin::text FROM hyperhaul.step WHERE {KEY}");
    let marked: String = moved.target().value(&mark).await.unwrap();
    moved.call("migrate").run().await.expect_code(0);
    assert_eq!(moved.target().value::<String>(&mark).await.unwrap(), marked);
    moved.assert_moved().await;
    moved.call("rollback").run().await.expect_code(0);
    moved.assert_back().await;
}

#[tokio::test]
async fn a_row_that_refers_to_nothing_stops_the_comparison_beside_it() {
    let moved = killed_before_the_key_is_valid("verify_orphan").await;
    let (running, holder) = at_both(&moved).await;
    let orphan =
        "SET session_replication_role = replica; DELETE FROM aircraft WHERE id = 7; COMMIT";
    holder.batch_execute(orphan).await.unwrap();
    running.wait().await.expect_code(BLOCKED).expect_printed(&[
        "could not validate foreign key positions_aircraft_id_fkey of public.positions",
        "Rows refer to others that are not there",
    ]);
    moved.until_nobody_works().await;
    assert_eq!((moved.marks(KEY).await, moved.verdicts().await), (0, 0));
    assert_eq!(moved.state().await, "running");
    let aircraft = "INSERT INTO aircraft VALUES (7, 'D-7')";
    moved.source.exec(aircraft).await.unwrap();
    slow(&moved, "off").await;
    moved.call("migrate").run().await.expect_code(0);
    moved.assert_moved().await;
}

#[tokio::test]
async fn a_difference_stops_the_validation_beside_it_and_cuts_nothing_over() {
    let moved = killed_before_the_key_is_valid("verify_difference").await;
    let change =
        |to: &str| format!("UPDATE hyperhaul_new_public.positions SET packet = {to} WHERE id = 77");
    moved.source.exec(&change("packet || '!'")).await.unwrap();
    let holder = hold_the_key(&moved).await;
    // Its foreign key is held all the time.
    moved
        .call("migrate")
        .run()
        .await
        .expect_code(DIFFERS)
        .expect_printed(&["1 of 4 chunks differ", "nothing was cut over"]);
    moved.until_nobody_works().await;
    assert_eq!((moved.marks(KEY).await, moved.verdicts().await), (0, 1));
    assert_eq!(moved.marks("step_id LIKE 'cutover%'").await, 0);
    // What is still to be validated is no difference of its own.
    let said = moved.call("verify").run().await.expect_code(DIFFERS);
    assert!(!said.stdout.contains("foreign key"), "{said:?}");
    holder.batch_execute("COMMIT").await.unwrap();
    moved
        .source
        .exec(&change("left(packet, -1)"))
        .await
        .unwrap();
    moved.call("migrate").run().await.expect_code(0);
    moved.assert_moved().await;
}

#[tokio::test]
async fn an_interrupt_ends_the_validation_and_the_comparison() {
    let moved = killed_before_the_key_is_valid("verify_interrupted").await;
    let (running, holder) = at_both(&moved).await;
    running.signal("INT");
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    running.signal("INT");
    running.wait().await.expect_code(INTERRUPTED);
    // The key is still held: nobody waits for it any more.
    moved.until_nobody_works().await;
    assert_eq!((moved.marks(KEY).await, moved.verdicts().await), (0, 0));
    holder.batch_execute("COMMIT").await.unwrap();
    slow(&moved, "off").await;
    moved.call("migrate").run().await.expect_code(0);
    moved.assert_moved().await;
}
