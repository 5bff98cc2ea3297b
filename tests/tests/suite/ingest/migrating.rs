//! A table is moved into a hypertable while rows come in: they wait while the fence stands, and go on by themselves.

use super::Pumps;
use super::kills::assert_kept_of;
use super::spooled::{BODY_READINGS, Sender, Taker, body};
use crate::support::{Hyperhaul, Running};
use hyperhaul_testkit::{TestDatabase, eventually};
use std::cell::Cell;
use std::time::Duration;

/// History, so that the move takes some time.
const HISTORY: &str = "INSERT INTO esp_telemetry (well_id, timestamp, flow_rate)
    SELECT 'H-' || well, now() - minute * interval '1 minute', 1500
    FROM generate_series(1, 20) AS well, generate_series(1, 5000) AS minute";

/// A process that takes records by HTTP into an ordinary table, and senders.
pub(crate) struct Moving {
    taker: Taker,
    senders: Vec<Sender>,
    running: Option<Running>,
    /// So far; each is of another minute.
    probes: Cell<u32>,
}

impl Moving {
    pub(crate) async fn start(name: &str) -> Moving {
        let pumps = Pumps::ordinary(name).await;
        pumps.database.exec(HISTORY).await.unwrap();
        let taker = Taker::with(pumps, "");
        let running = Some(taker.start().await);
        let senders = (0..3).map(|at| Sender::start(&taker, at * 1_000_000));
        let moving = Moving {
            senders: senders.collect(),
            taker,
            running,
            probes: Cell::new(0),
        };
        moving.until_written().await;
        moving
    }

    pub(crate) fn migrate(&self) -> Hyperhaul {
        self.of_table("migrate")
    }

    /// A call about the table.
    pub(crate) fn of_table(&self, command: &str) -> Hyperhaul {
        Hyperhaul::new(&format!(
            "{command} --time-column timestamp --chunk-interval 1day"
        ))
        .source(self.database().url())
        .table("public.esp_telemetry")
    }

    pub(crate) fn database(&self) -> &TestDatabase {
        &self.taker.pumps.database
    }

    /// A body of readings of this well; none of the senders' is near.
    pub(crate) fn body(well: u32) -> String {
        body(well, 0..BODY_READINGS)
    }

    /// Sends records, and waits until each has its end.
    pub(crate) async fn send(&self, body: &str) {
        let answer = self.taker.post("esp", "", body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let last = answer.json()["last"].as_i64().unwrap();
        let ended = format!("hyperhaul.ingest_source WHERE stream = 'esp' AND position > {last}");
        let ended = async || self.taker.pumps.count(&ended).await == 1;
        eventually("records have their end", Duration::from_secs(60), ended)
            .await
            .unwrap();
    }

    /// Kills the process that takes records, and begins another one.
    pub(crate) async fn kill_and_go_on(&mut self) {
        let running = self.running.take().unwrap();
        running.signal("KILL");
        running.wait().await.expect_killed();
        self.running = Some(self.taker.start().await);
    }

    async fn rows(&self) -> i64 {
        self.taker.pumps.count("esp_telemetry").await
    }

    /// Waits until more rows are there than now.
    pub(crate) async fn until_written(&self) {
        let before = self.rows().await;
        let written = async || self.rows().await > before + 200;
        let what = "rows are written";
        eventually(what, Duration::from_secs(60), written)
            .await
            .unwrap();
    }

    /// Records come in, and none of them gets into the table.
    pub(crate) async fn assert_waiting(&self) {
        let before = self.rows().await;
        let first = self.acknowledged().await;
        let taken = async || self.acknowledged().await > first + 200;
        eventually("records come in", Duration::from_secs(60), taken)
            .await
            .unwrap();
        assert_eq!(self.rows().await, before);
    }

    /// The spool's last position.
    async fn acknowledged(&self) -> i64 {
        let minute = self.probes.get();
        self.probes.set(minute + 1);
        let probe = super::reading(9_999_999, minute, "");
        let answer = self.taker.post("esp", "", &probe).await;
        answer.json()["last"].as_i64().unwrap()
    }

    pub(crate) async fn is_hypertable(&self) -> bool {
        let there = "timescaledb_information.hypertables WHERE hypertable_name = 'esp_telemetry' AND hypertable_schema = 'public'";
        self.taker.pumps.count(there).await == 1
    }

    async fn end(self) {
        self.end_with_duplicates(0).await;
    }

    /// Ends all, and counts: so many records were sent twice.
    pub(crate) async fn end_with_duplicates(self, duplicates: u32) {
        let Moving {
            taker,
            mut senders,
            running,
            ..
        } = self;
        let mut acknowledged = Vec::new();
        for sender in &mut senders {
            acknowledged.extend(sender.stop().await);
        }
        assert!(acknowledged.len() > 50);
        let ended = taker.stop(running.unwrap()).await;
        assert!(!ended.stderr.contains("error"), "{}", ended.stderr);
        let sql = "DELETE FROM esp_telemetry WHERE well_id LIKE 'H-%' OR well_id = 'W-9999999'";
        taker.pumps.database.exec(sql).await.unwrap();
        assert_kept_of(&taker.pumps, &acknowledged, duplicates).await;
    }
}

#[tokio::test]
async fn rows_wait_for_the_cutover_and_go_on_into_the_hypertable() {
    let moving = Moving::start("ingest_migrated").await;
    moving.migrate().run().await.expect_code(0);
    assert!(moving.is_hypertable().await);
    moving.until_written().await;
    moving.end().await;
}

#[tokio::test]
async fn rows_wait_as_long_as_the_fence_stands_also_in_the_next_process() {
    let mut moving = Moving::start("ingest_fenced").await;
    let killed = moving.migrate().failpoint("slice.claimed");
    killed.run().await.expect_killed();
    moving.assert_waiting().await;
    moving.kill_and_go_on().await;
    moving.assert_waiting().await;
    // Back again: the table is as it was.
    let rollback = Hyperhaul::new("rollback").source(moving.database().url());
    rollback.run().await.expect_code(0);
    moving.until_written().await;
    assert!(!moving.is_hypertable().await);
    moving.migrate().run().await.expect_code(0);
    moving.until_written().await;
    assert!(moving.is_hypertable().await);
    moving.end().await;
}
