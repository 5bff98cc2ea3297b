//! What a migration must survive: kills, lost sessions, lost answers, crashed servers, a full disk. Each test ends with the rows
//! that it began with, each slice done once.

mod deadline;
mod disk_full;
mod jobs;
mod kill;
mod late_writes;
mod looking;
pub(crate) mod lost_commit;
mod other_server;
pub(crate) mod terminated;
mod verifying;
mod watchdogs;
mod within_the_server;

use crate::support::{
    Ended, Hyperhaul, Positions, RowsSeen, assert_each_slice_done_once, rows_seen, target_database,
};
use hyperhaul_testkit::{TestDatabase, eventually};
use std::time::Duration;

/// Bounds a failing test; no claim about speed.
const LIMIT: Duration = Duration::from_secs(120);

/// Where a process may be killed while slices are copied, in the order in which a run meets the points.
pub(crate) const AROUND_SLICES: [&str; 9] = [
    "chunks.before_commit",
    "chunks.some",
    "slice.claimed",
    "slice.copied",
    "slice.before_commit",
    "slice.after_commit",
    "slice.copied:2",
    "slice.after_commit:2",
    "copy.before_mark",
];

/// Several slices for each partition.
const SEVERAL_SLICES: Positions = Positions {
    days: 3,
    rows_per_day: 8_000,
    packet_bytes: 250,
};

/// `positions` in a database, to be moved within it or to another, and what its rows were before.
pub(crate) struct Moved {
    pub(crate) source: TestDatabase,
    /// `None`: the source.
    other_target: Option<TestDatabase>,
    pub(crate) before: RowsSeen,
}

impl Moved {
    /// A table of several slices a partition in a database with TimescaleDB, planned to be copied through hyperhaul.
    async fn within_one_database(name: &str, positions: Positions) -> Moved {
        Moved::within_one_database_by("copy", name, positions).await
    }

    /// The same by another strategy.
    async fn within_one_database_by(strategy: &str, name: &str, positions: Positions) -> Moved {
        let moved = Moved::new(target_database(name).await, None, positions).await;
        moved
            .plan(&format!("--workers 2 --strategy {strategy}"))
            .await;
        moved
    }

    pub(crate) async fn new(
        source: TestDatabase,
        other_target: Option<TestDatabase>,
        positions: Positions,
    ) -> Moved {
        positions.create(&source).await;
        if let Some(target) = &other_target {
            // What the foreign key points to is not moved.
            let aircraft =
                "CREATE TABLE aircraft (id integer PRIMARY KEY, registration text NOT NULL);
                INSERT INTO aircraft SELECT n, 'D-' || n FROM generate_series(0, 49) AS n";
            target.exec(aircraft).await.unwrap();
        }
        Moved::of(source, other_target).await
    }

    /// The same of what is there already.
    pub(crate) async fn of(source: TestDatabase, other_target: Option<TestDatabase>) -> Moved {
        let before = rows_seen(&source, Positions::ROWS).await;
        Moved {
            source,
            other_target,
            before,
        }
    }

    /// Kills migrations at these points, in the order in which a run meets them: each call goes on where the one before was
    /// killed.
    pub(crate) async fn killed_at_each(&self, points: &[&str]) {
        for point in points {
            self.call("migrate")
                .failpoint(point)
                .run()
                .await
                .expect_killed();
            self.assert_wholly_in_or_out().await;
        }
    }

    /// Plans several slices a partition.
    pub(crate) async fn plan(&self, arguments: &str) {
        self.call(&format!("plan --slice-size 1MiB {arguments}"))
            .table("positions")
            .run()
            .await
            .expect_code(0);
    }

    pub(crate) fn target(&self) -> &TestDatabase {
        self.other_target.as_ref().unwrap_or(&self.source)
    }

    pub(crate) fn is_between_servers(&self) -> bool {
        self.other_target.is_some()
    }

    /// A call that names both ends.
    pub(crate) fn call(&self, arguments: &str) -> Hyperhaul {
        self.call_through(arguments, self.source.url(), self.target().url())
    }

    fn call_through(&self, arguments: &str, source: &str, target: &str) -> Hyperhaul {
        let call = Hyperhaul::new(arguments).source(source);
        if self.other_target.is_some() {
            call.target(target)
        } else {
            call
        }
    }

    pub(crate) async fn state(&self) -> String {
        let sql = "SELECT state FROM hyperhaul.run ORDER BY run_id DESC LIMIT 1";
        self.target().value(sql).await.unwrap()
    }

    pub(crate) async fn is_done(&self) -> bool {
        self.state().await == "done"
    }

    /// Rows of a slice are in if and only if the slice is marked, whatever is killed; looked at where slices go while they go there.
    async fn assert_wholly_in_or_out(&self) {
        let into = "SELECT coalesce(to_regclass('hyperhaul_new_public.positions'), (SELECT to_regclass('public.positions') \
                    FROM hyperhaul.run WHERE plan -> 'options' ->> 'mode' = 'backfill' AND state = 'running' \
                    AND to_regclass('hyperhaul_old_public.positions') IS NOT NULL))::text";
        let Some(into): Option<String> = self.target().value(into).await.unwrap() else {
            return;
        };
        // Between the two looks the cutover of a backend that outlived its process may take the table away.
        let sql = format!(
            "SELECT (SELECT count(*) FROM {into}), \
                   (SELECT coalesce(sum(row_count), 0)::bigint FROM hyperhaul.slice WHERE done)"
        );
        if let Ok(row) = self.target().query_one(&sql, &[]).await {
            assert_eq!(
                row.get::<_, i64>(0),
                row.get::<_, i64>(1),
                "rows, rows of slices that are done"
            );
        }
    }

    /// The hypertable is in place, with the rows of before; every slice was done once, every step is marked.
    pub(crate) async fn assert_moved(&self) {
        self.assert_moved_beside(Positions::ROWS).await;
    }

    /// The same where others have come in since: `rows` gives those of before.
    pub(crate) async fn assert_moved_beside(&self, rows: &str) {
        assert_eq!(self.state().await, "done");
        let hypertable = "SELECT count(*) FROM timescaledb_information.hypertables \
                          WHERE hypertable_schema = 'public' AND hypertable_name = 'positions'";
        assert_eq!(self.target().value::<i64>(hypertable).await.unwrap(), 1);
        assert_eq!(rows_seen(self.target(), rows).await, self.before);
        assert_each_slice_done_once(self.target()).await;
        let unmarked = "SELECT count(*) FROM hyperhaul.run, jsonb_array_elements(plan -> 'steps') AS planned \
                        WHERE NOT EXISTS (SELECT FROM hyperhaul.step \
                        WHERE step.run_id = run.run_id AND step_id = planned ->> 'id')";
        assert_eq!(self.target().value::<i64>(unmarked).await.unwrap(), 0);
        self.call("verify").run().await.expect_code(0);
    }

    /// The table is what it was, no step is marked, and it takes writes.
    pub(crate) async fn assert_back(&self) {
        assert_eq!(self.state().await, "rolled back");
        assert_eq!(rows_seen(&self.source, Positions::ROWS).await, self.before);
        let marked = "SELECT count(*) FROM hyperhaul.step";
        assert_eq!(self.target().value::<i64>(marked).await.unwrap(), 0);
        let insert = "INSERT INTO positions (received_at, aircraft_id, packet) VALUES ('2025-12-11 12:00+00', 1, 'new')";
        self.source.exec(insert).await.unwrap();
    }

    /// Makes an index on this column slow for hyperhaul alone; the sequence `slow_at` stands at the value that it is at.
    pub(crate) async fn slow_down(&self, column: &str, seconds_a_row: f64) {
        let slow = format!(
            "CREATE SEQUENCE slow_at;
             CREATE FUNCTION slow(value bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
                IF current_setting('hyperhaul_test.slow', true) = 'on' AND current_setting('application_name') LIKE 'hyperhaul%' THEN
                    PERFORM pg_catalog.setval('public.slow_at', greatest(value, 1)), pg_catalog.pg_sleep({seconds_a_row}); END IF;
                RETURN value; END $$;
             CREATE INDEX positions_slow ON positions (public.slow({column}));
             ALTER DATABASE \"{}\" SET hyperhaul_test.slow = 'on'",
            self.source.name()
        );
        self.source.exec(&slow).await.unwrap();
    }

    /// Ends that for new sessions.
    pub(crate) async fn speed_up(&self) {
        let name = self.source.name();
        let reset = format!("ALTER DATABASE \"{name}\" RESET hyperhaul_test.slow");
        self.source.exec(&reset).await.unwrap();
    }

    /// Waits until the query on the target says true.
    pub(crate) async fn until(&self, what: &str, sql: &str) {
        let probe = || async { self.target().value::<bool>(sql).await.unwrap_or(false) };
        eventually(what, LIMIT, probe).await.unwrap();
    }
}

/// A stop that tells what to do next: anything but a panic or a signal.
#[track_caller]
pub(crate) fn assert_clean_stop(ended: &Ended) {
    assert!(
        matches!(ended.code(), Some(1 | 3)) && ended.stderr.contains("hyperhaul: error:"),
        "{ended:?}"
    );
}

/// Holds the run's pending slices, so that a migration cannot end before this is dropped.
pub(crate) struct HeldSlices(hyperhaul_testkit::Client);

impl HeldSlices {
    pub(crate) async fn hold(moved: &Moved, which: &str) -> HeldSlices {
        HeldSlices::hold_in(moved.target(), which).await
    }

    pub(crate) async fn hold_in(target: &TestDatabase, which: &str) -> HeldSlices {
        let client = target.connect().await.unwrap();
        let sql =
            format!("BEGIN; SELECT FROM hyperhaul.slice WHERE NOT done AND {which} FOR UPDATE");
        client.batch_execute(&sql).await.unwrap();
        HeldSlices(client)
    }

    pub(crate) async fn release(self) {
        self.0.batch_execute("COMMIT").await.unwrap();
    }
}
