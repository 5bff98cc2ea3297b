//! A fence that did not stand all the time: rows that came in meanwhile are behind slices that are copied. The cutover is
//! refused, whoever took the fence off and however it was put back; the row stays where it was written.

use super::{BLOCKED, DONE, call};
use crate::support::{Hyperhaul, Positions, rows_seen, source_database, target_database};
use hyperhaul_testkit::{TestDatabase, eventually};
use std::time::Duration;

/// Bounds a failing test; no claim about speed.
const LIMIT: Duration = Duration::from_secs(60);

const LEAF: &str = "positions_p20251211";

/// A row that goes straight into the leaf, which was copied already.
const ROW: &str = "INSERT INTO positions_p20251211 (id, received_at, aircraft_id, packet) \
                   VALUES (-1, '2025-12-11 12:00+00', 1, 'behind the copy')";

/// Ways to let a row in and to leave things as if nothing had been; `{row}` is where it comes in.
const WAYS: &[&str] = &[
    "ALTER TABLE {leaf} DISABLE TRIGGER USER; {row}; ALTER TABLE {leaf} ENABLE TRIGGER USER",
    "ALTER TABLE {leaf} DISABLE TRIGGER USER; {row}",
    "ALTER TABLE {leaf} DISABLE TRIGGER hyperhaul_fence, DISABLE TRIGGER hyperhaul_fence_row; {row};
     ALTER TABLE {leaf} ENABLE ALWAYS TRIGGER hyperhaul_fence, ENABLE ALWAYS TRIGGER hyperhaul_fence_row",
    "DROP TRIGGER hyperhaul_fence ON {leaf}; DROP TRIGGER hyperhaul_fence_row ON {leaf}; {row}",
    "DO $$ DECLARE made text[]; one text; BEGIN
         made := ARRAY(SELECT pg_get_triggerdef(oid) FROM pg_trigger
             WHERE tgrelid = '{leaf}'::regclass AND tgname LIKE 'hyperhaul%');
         DROP TRIGGER hyperhaul_fence ON {leaf}; DROP TRIGGER hyperhaul_fence_row ON {leaf};
         {row};
         FOREACH one IN ARRAY made LOOP EXECUTE one; END LOOP;
         ALTER TABLE {leaf} ENABLE ALWAYS TRIGGER hyperhaul_fence, ENABLE ALWAYS TRIGGER hyperhaul_fence_row;
     END $$",
    "ALTER TABLE {leaf} DISABLE TRIGGER hyperhaul_fence, DISABLE TRIGGER hyperhaul_fence_row; {row};
     ALTER TABLE {leaf} ENABLE REPLICA TRIGGER hyperhaul_fence, ENABLE ALWAYS TRIGGER hyperhaul_fence_row",
];

/// Source and target, and the rows of the table between them.
struct Case {
    source: TestDatabase,
    target: Option<TestDatabase>,
    leaf: &'static str,
}

impl Case {
    async fn partitioned(prefix: &str) -> Case {
        let source = target_database(prefix).await;
        positions(&source).await;
        Case {
            source,
            target: None,
            leaf: LEAF,
        }
    }

    /// The same rows in a table without partitions.
    async fn ordinary(prefix: &str) -> Case {
        let case = Case::partitioned(prefix).await;
        case.source
            .exec(
                "ALTER TABLE positions RENAME TO parts; CREATE TABLE positions (LIKE parts INCLUDING DEFAULTS);
                 INSERT INTO positions TABLE parts; DROP TABLE parts CASCADE",
            )
            .await
            .unwrap();
        Case {
            leaf: "positions",
            ..case
        }
    }

    async fn on_another_server(prefix: &str) -> Case {
        let source = source_database(prefix).await;
        positions(&source).await;
        let target = target_database(prefix).await;
        aircraft(&target).await;
        Case {
            source,
            target: Some(target),
            leaf: LEAF,
        }
    }

    fn call(&self, arguments: &str) -> Hyperhaul {
        let call = call(arguments, &self.source);
        match &self.target {
            Some(target) => call.target(target.url()),
            None => call,
        }
    }

    fn ledger(&self) -> &TestDatabase {
        self.target.as_ref().unwrap_or(&self.source)
    }

    /// Begins a run that is killed at the point.
    async fn begin(&self, failpoint: &str) {
        self.call("migrate --workers 1 --lock-timeout 200ms --lock-attempts 1000")
            .arg("--time-column")
            .arg("received_at")
            .table("positions")
            .failpoint(failpoint)
            .run()
            .await
            .expect_killed();
    }

    fn written(&self, way: &str) -> String {
        let row = ROW.replace(LEAF, self.leaf);
        way.replace("{row}", &row).replace("{leaf}", self.leaf)
    }

    /// The run is refused for the fence and goes back; the row is still there, and nothing of the fence.
    async fn assert_refused_and_back(&self, what: &str) {
        self.call("migrate")
            .run()
            .await
            .expect_code(BLOCKED)
            .expect_printed(&["did not stand all the time", "hyperhaul rollback"]);
        let hypertables = "SELECT count(*) FROM timescaledb_information.hypertables WHERE hypertable_schema = 'public'";
        let in_place: i64 = self.ledger().value(hypertables).await.unwrap();
        assert_eq!(in_place, 0, "{what}");
        self.call("rollback").run().await.expect_code(DONE);
        let rows = "SELECT count(*) FROM positions WHERE id = -1";
        let found: i64 = self.source.value(rows).await.unwrap();
        assert_eq!(found, 1, "{what}: the row is there");
        assert_nothing_left(&self.source, self.target.is_some()).await;
    }
}

async fn positions(database: &TestDatabase) {
    let positions = Positions {
        days: 2,
        rows_per_day: 200,
        packet_bytes: 32,
    };
    positions.create(database).await;
}

/// What the foreign key of `positions` refers to.
async fn aircraft(database: &TestDatabase) {
    let aircraft = "CREATE TABLE aircraft (id integer PRIMARY KEY, registration text NOT NULL);
        INSERT INTO aircraft SELECT n, 'D-' || n FROM generate_series(0, 49) AS n";
    database.exec(aircraft).await.unwrap();
}

/// No trigger and no function of the fence; where the ledger is elsewhere, not even its schema.
async fn assert_nothing_left(source: &TestDatabase, elsewhere: bool) {
    let left: Vec<String> = source
        .values(
            "SELECT format('%s on %s', tgname, tgrelid::regclass) FROM pg_trigger WHERE tgname LIKE 'hyperhaul%'
             UNION ALL SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = to_regnamespace('hyperhaul')",
        )
        .await
        .unwrap();
    assert_eq!(left, Vec::<String>::new());
    let schema = "SELECT to_regnamespace('hyperhaul') IS NOT NULL";
    let schema: bool = source.value(schema).await.unwrap();
    assert_eq!(schema, !elsewhere, "schema hyperhaul on the source");
}

#[tokio::test]
async fn a_row_that_came_in_behind_the_copy_stops_the_run_whatever_was_done_to_the_fence() {
    let case = Case::partitioned("fence_off").await;
    for way in WAYS {
        case.begin("copy.before_mark").await;
        case.source.exec(&case.written(way)).await.unwrap();
        case.assert_refused_and_back(way).await;
        case.source
            .exec("DELETE FROM positions WHERE id = -1")
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_ordinary_tables_fence_is_proved_too() {
    let case = Case::ordinary("fence_off_plain").await;
    case.begin("copy.before_mark").await;
    case.source.exec(&case.written(WAYS[2])).await.unwrap();
    case.assert_refused_and_back(WAYS[2]).await;
}

#[tokio::test]
async fn the_fence_on_another_server_is_proved_too() {
    let case = Case::on_another_server("fence_off_away").await;
    case.begin("copy.before_mark").await;
    case.source.exec(&case.written(WAYS[2])).await.unwrap();
    case.assert_refused_and_back(WAYS[2]).await;
}

/// A transaction takes the fence off, writes, and is still open when everything has been looked at: the cutover waits for
/// it, and sees what it did.
async fn a_transaction_that_is_open_meanwhile(case: Case) {
    case.begin("slice.claimed").await;
    let other = case.source.connect().await.unwrap();
    let open = format!("BEGIN; {}", case.written(WAYS[2]));
    other.batch_execute(&open).await.unwrap();
    let process = case.call("migrate").spawn();
    let verified = "SELECT EXISTS (SELECT FROM hyperhaul.step WHERE step_id LIKE 'verify:%')";
    eventually("everything is verified", LIMIT, async || {
        case.ledger().value::<bool>(verified).await.unwrap()
    })
    .await
    .unwrap();
    let waits = "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE NOT granted AND application_name LIKE 'hyperhaul%' AND datname = current_database())";
    eventually("the cutover waits", LIMIT, async || {
        case.source.value::<bool>(waits).await.unwrap()
    })
    .await
    .unwrap();
    other.batch_execute("COMMIT").await.unwrap();
    process
        .wait()
        .await
        .expect_code(BLOCKED)
        .expect_printed(&["did not stand all the time", "hyperhaul rollback"]);
    case.assert_refused_and_back("an open transaction").await;
}

#[tokio::test]
async fn the_cutover_waits_for_whoever_has_the_fence_off() {
    a_transaction_that_is_open_meanwhile(Case::partitioned("fence_open").await).await;
}

#[tokio::test]
async fn the_cutover_to_another_server_waits_for_whoever_has_the_fence_off() {
    a_transaction_that_is_open_meanwhile(Case::on_another_server("fence_open_away").await).await;
}

#[tokio::test]
async fn a_fence_that_was_never_really_off_lets_the_run_go_on() {
    // Taken back with its transaction it has stood; and so it has where its catalog was rewritten.
    let case = Case::partitioned("fence_touched").await;
    let before = rows_seen(&case.source, Positions::ROWS).await;
    case.begin("copy.before_mark").await;
    let undone = format!("BEGIN; {}; ROLLBACK", case.written(WAYS[2]));
    case.source.exec(&undone).await.unwrap();
    let session = case.source.connect().await.unwrap();
    session
        .batch_execute("VACUUM FULL pg_trigger")
        .await
        .unwrap();
    case.call("migrate").run().await.expect_code(DONE);
    assert_eq!(rows_seen(&case.source, Positions::ROWS).await, before);
    case.call("cleanup --yes").run().await.expect_code(DONE);
    assert_nothing_left(&case.source, false).await;
}

/// Killed when the fence stands and the ledger on the other server does not know: the run goes on, or back.
#[tokio::test]
async fn a_fence_that_the_ledger_does_not_know_of_is_put_on_again_or_lifted() {
    let case = Case::on_another_server("fence_unmarked").await;
    let before = rows_seen(&case.source, Positions::ROWS).await;
    let stands = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'hyperhaul_fence%'";
    let steps = "SELECT count(*) FROM hyperhaul.step";
    for way in ["rollback", "migrate"] {
        case.begin("step.after_commit:1").await;
        assert!(case.source.value::<i64>(stands).await.unwrap() > 0, "{way}");
        assert_eq!(case.ledger().value::<i64>(steps).await.unwrap(), 0, "{way}");
        case.call(way).run().await.expect_code(DONE);
        if way == "rollback" {
            assert_nothing_left(&case.source, true).await;
        }
    }
    assert_eq!(rows_seen(case.ledger(), Positions::ROWS).await, before);
    case.call("rollback").run().await.expect_code(DONE);
    assert_nothing_left(&case.source, true).await;
}

/// A source and the targets of two runs.
async fn two_targets(prefix: &str) -> (Case, TestDatabase) {
    let other = target_database(prefix).await;
    aircraft(&other).await;
    (Case::on_another_server(prefix).await, other)
}

#[tokio::test]
async fn a_second_run_over_a_fenced_table_is_refused_and_leaves_the_fence_alone() {
    let (first, target) = two_targets("fence_two").await;
    let before = rows_seen(&first.source, Positions::ROWS).await;
    let second = |arguments: &str| call(arguments, &first.source).target(target.url());
    // Planned before the first one's fence stood.
    second("plan")
        .table("positions")
        .run()
        .await
        .expect_code(DONE);
    first.begin("slice.claimed").await;
    second("check")
        .table("positions")
        .run()
        .await
        .expect_code(BLOCKED)
        .expect_printed(&["fenced", "to another target", "DROP TRIGGER"]);
    second("migrate")
        .run()
        .await
        .expect_code(BLOCKED)
        .expect_printed(&["another run keeps writers off", "hyperhaul check"]);
    second("rollback").run().await.expect_code(DONE);
    let refused = first.source.exec(ROW).await;
    assert!(refused.is_err(), "the first run's fence stands");
    first.call("migrate").run().await.expect_code(DONE);
    assert_eq!(rows_seen(first.ledger(), Positions::ROWS).await, before);
}

#[tokio::test]
async fn a_fence_without_a_ledger_is_lifted_by_what_check_says() {
    let (first, target) = two_targets("fence_orphan").await;
    first.begin("slice.claimed").await;
    let checked = call("check --json", &first.source)
        .target(target.url())
        .table("positions")
        .run()
        .await
        .expect_code(BLOCKED)
        .json();
    let findings = checked
        .get("findings")
        .unwrap_or(&checked["plan"]["findings"]);
    let fenced = findings
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["code"] == "fenced")
        .unwrap();
    let lines = fenced["resolution"].as_array().unwrap();
    let query = lines
        .iter()
        .find_map(|line| line.as_str().unwrap().strip_suffix(" \\gexec"))
        .unwrap();
    for drop in first.source.values::<String>(query).await.unwrap() {
        first.source.exec(&drop).await.unwrap();
    }
    first.source.exec(ROW).await.unwrap();
}

#[tokio::test]
async fn names_with_quotes_of_ours_are_fenced_and_moved() {
    let database = target_database("fence_names").await;
    database
        .exec(
            "CREATE SCHEMA \"a$do$ b\"; CREATE TABLE \"a$do$ b\".\"c$do$'\"\"d\" (at timestamptz NOT NULL, v integer)
                 PARTITION BY RANGE (at);
             CREATE TABLE \"a$do$ b\".\"e$undo$'\"\"f\" PARTITION OF \"a$do$ b\".\"c$do$'\"\"d\"
                 FOR VALUES FROM ('2025-12-11 00:00Z') TO ('2025-12-12 00:00Z');
             INSERT INTO \"a$do$ b\".\"c$do$'\"\"d\" SELECT timestamptz '2025-12-11 00:00Z' + n * interval '1 minute', n
                 FROM generate_series(0, 99) AS n",
        )
        .await
        .unwrap();
    let table = "\"a$do$ b\".\"c$do$'\"\"d\"";
    let rows = format!("TABLE {table}");
    let before = rows_seen(&database, &rows).await;
    for command in ["rollback", "cleanup --yes"] {
        call("migrate", &database)
            .table(table)
            .run()
            .await
            .expect_code(DONE);
        assert_eq!(rows_seen(&database, &rows).await, before);
        call(command, &database).run().await.expect_code(DONE);
        assert_nothing_left(&database, false).await;
    }
}
