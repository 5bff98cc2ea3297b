//! Hundreds of kills under load: of the process, of its backends, of the server. What was acknowledged has its end, nothing has two,
//! and rows are written again soon after.

use super::spooled::{BODY_READINGS, Sender, Taker, body};
use super::{Pumps, append, own_server};
use crate::support::Running;
use hyperhaul_testkit::Role;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How long after the server takes connections again rows may be missing, as a rule: this machine may be at something else.
const WRITING_AGAIN: Duration = Duration::from_secs(2);
/// What is no delay any more.
const GIVEN_UP: Duration = Duration::from_secs(30);
/// Wells whose readings the followed file has at first: some large batches.
const WELLS_AT_FIRST: u32 = 2_000;
/// Between two bodies: a load that the server keeps up with, so that its being away is what is measured.
const PAUSE: Duration = Duration::from_millis(10);
/// Far from those of the senders.
const FIRST_WELL_OF_FILE: u32 = 50_000_000;

#[tokio::test]
async fn a_process_that_is_killed_a_hundred_times_loses_and_doubles_nothing() {
    let load = Load::start(Pumps::new("kills_process").await).await;
    let mut moments = Moments(1);
    for _ in 0..100 {
        let mut running = load.taker.spawn();
        tokio::time::sleep(moments.next(20, 250)).await;
        assert!(!running.has_ended());
        running.signal("KILL");
        running.wait().await.expect_killed();
    }
    let running = load.taker.start().await;
    load.end(running).await;
}

#[tokio::test]
async fn backends_that_are_terminated_are_replaced_and_rows_are_written_again() {
    let load = Load::start(Pumps::new("kills_backends").await).await;
    let mut running = load.taker.start().await;
    load.until_written().await;
    let mut moments = Moments(2);
    let mut terminated = 0;
    while terminated < 70 {
        assert!(!running.has_ended(), "{terminated} were terminated");
        let session = load.taker.pumps.database.connect().await.unwrap();
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE datname = current_database() AND application_name LIKE 'hyperhaul %'";
        terminated += session.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
        tokio::time::sleep(moments.next(20, 100)).await;
    }
    load.assert_written_soon().await;
    load.end(running).await;
}

#[tokio::test]
async fn a_server_whose_processes_are_killed_is_written_to_as_soon_as_it_is_back() {
    let test = "a_server_whose_processes_are_killed_is_written_to_as_soon_as_it_is_back";
    let Some((instance, database)) = own_server(test, "kills").await else {
        return;
    };
    let load = Load::start(Pumps::on(database).await).await;
    let mut running = load.taker.start().await;
    load.until_written().await;
    let mut moments = Moments(3);
    let mut waits = Vec::new();
    let (mut backends, mut servers) = (0, 0);
    while backends < 30 || servers < 20 {
        tokio::time::sleep(moments.next(20, 150)).await;
        assert!(!running.has_ended());
        if 2 * backends <= 3 * servers {
            // The server ends all sessions and recovers by itself.
            let pid = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'hyperhaul ingest%' ORDER BY random() LIMIT 1";
            let pid = load.taker.pumps.database.values::<i32>(pid).await.unwrap();
            let Some(pid) = pid.first() else { continue };
            instance.kill_backend(Role::Target, *pid).unwrap();
            backends += 1;
        } else {
            instance.kill(Role::Target).unwrap();
            instance.start(Role::Target).unwrap();
            servers += 1;
        }
        waits.push(load.assert_written_soon().await);
    }
    waits.sort();
    let (median, slowest) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    eprintln!(
        "rows were written {median:?} after the server took connections, at the latest {slowest:?}"
    );
    assert!(median < WRITING_AGAIN, "{waits:?}");
    load.end(running).await;
}

/// Records by HTTP and in a file that grows, each tenth of which the table refuses.
struct Load {
    taker: Taker,
    senders: Vec<Sender>,
    writer: Writer,
}

impl Load {
    async fn start(pumps: Pumps) -> Load {
        let file = pumps.folder.join("log.ndjson");
        let wells_at_first = FIRST_WELL_OF_FILE..FIRST_WELL_OF_FILE + WELLS_AT_FIRST;
        let text: String = wells_at_first.map(some_refused).collect();
        std::fs::write(&file, text).unwrap();
        let more = format!(
            "[[stream]]\nname = \"esp-file\"\nprofile = \"esp-telemetry\"\ntable = \"public.esp_telemetry\"\n\
             source = {{ kind = \"file\", path = \"{}\", follow = true }}\nbatch = {{ rows_max = 5000 }}\n",
            file.display()
        );
        let taker = Taker::with(pumps, "").declare(&more);
        let senders =
            (0..3).map(|at| Sender::sending(&taker, at * 10_000_000, some_refused, PAUSE));
        Load {
            senders: senders.collect(),
            writer: Writer::start(file, FIRST_WELL_OF_FILE + WELLS_AT_FIRST),
            taker,
        }
    }

    /// Waits until every source has written something.
    async fn until_written(&self) {
        let written = async || {
            let stands = "SELECT count(*) FROM hyperhaul.ingest_source WHERE position > 0";
            let count = self.taker.pumps.database.value::<i64>(stands).await;
            count.is_ok_and(|count| count == 2)
        };
        let what = "something is written";
        hyperhaul_testkit::eventually(what, Duration::from_secs(60), written)
            .await
            .unwrap();
    }

    /// How long it takes from the server's first answer until both sources have moved on.
    async fn assert_written_soon(&self) -> Duration {
        let since = Instant::now();
        loop {
            if let Some(taken) = self.written_after().await {
                return taken;
            }
            assert!(since.elapsed() < Duration::from_secs(60), "no server");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// `None`: the server takes no connections, or was only about to go away.
    async fn written_after(&self) -> Option<Duration> {
        let session = self.taker.pumps.database.connect().await.ok()?;
        let ready = Instant::now();
        let positions = async || -> Option<Vec<i64>> {
            let sql = "SELECT array_agg(position ORDER BY source_id) FROM hyperhaul.ingest_source";
            Some(session.query_one(sql, &[]).await.ok()?.get(0))
        };
        let before = positions().await?;
        loop {
            let now = positions().await?;
            // The stream of CSV gets nothing.
            let moved = now.iter().zip(&before).filter(|(now, before)| now > before);
            if moved.count() == 2 {
                return Some(ready.elapsed());
            }
            assert!(ready.elapsed() < GIVEN_UP, "{before:?} {now:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Lets everything be written, and counts.
    async fn end(self, running: Running) {
        let Load {
            taker,
            mut senders,
            writer,
        } = self;
        let mut acknowledged = writer.stop().await;
        let of_file = acknowledged.len();
        for sender in &mut senders {
            acknowledged.extend(sender.stop().await);
        }
        let by_http = acknowledged.len() - of_file;
        assert!(by_http > 100, "{by_http} bodies were acknowledged");
        let end = std::fs::metadata(taker.pumps.folder.join("log.ndjson"));
        let end = end.unwrap().len();
        let read = async || {
            let at_end = format!("hyperhaul.ingest_source WHERE position = {end}");
            taker.pumps.count(&at_end).await == 1
        };
        hyperhaul_testkit::eventually("the file is read", Duration::from_secs(60), read)
            .await
            .unwrap();
        taker.stop(running).await;
        assert_kept(&taker.pumps, &acknowledged).await;
        eprintln!("{of_file} bodies of the file, {by_http} by HTTP");
    }
}

/// What was acknowledged is in the table or among the dead letters; bodies are there as a whole or not at all, and once.
pub(super) async fn assert_kept(pumps: &Pumps, acknowledged: &[u32]) {
    assert_kept_of(pumps, acknowledged, 0).await;
}

/// The same where so many records were sent twice.
pub(super) async fn assert_kept_of(pumps: &Pumps, acknowledged: &[u32], duplicates: u32) {
    let ends = "(SELECT well_id FROM esp_telemetry UNION ALL \
                 SELECT convert_from(payload, 'UTF8')::json ->> 'well_id' FROM hyperhaul.dead_letter) AS ends";
    let whole =
        format!("SELECT well_id FROM {ends} GROUP BY well_id HAVING count(*) = {BODY_READINGS}");
    let whole: Vec<String> = pumps.database.values(&whole).await.unwrap();
    let whole: HashSet<String> = whole.into_iter().collect();
    let is_lost = |well: &&u32| !whole.contains(&format!("W-{well:04}"));
    assert_eq!(acknowledged.iter().filter(is_lost).count(), 0, "lost");
    let torn =
        format!("(SELECT FROM {ends} GROUP BY well_id HAVING count(*) <> {BODY_READINGS}) AS torn");
    assert_eq!(pumps.count(&torn).await, 0, "torn or doubled");
    let sums = "SELECT concat_ws(' ', sum(duplicate_count), sum(conflict_count), sum(lost_count)) FROM hyperhaul.ingest_receipt";
    let sums: String = pumps.database.value(sums).await.unwrap();
    assert_eq!(
        sums,
        format!("{duplicates} 0 0"),
        "duplicate, conflict, lost"
    );
    pumps.assert_proved().await;
}

/// Readings of which two are refused: as implausible, and every now and then by the table's CHECK, which makes a batch slow.
fn some_refused(well: u32) -> String {
    let (good, bad) = match well % 50 {
        0 => ("\"motor_current\":42.5", "\"motor_current\":13"),
        _ => ("\"motor_temp\":85", "\"motor_temp\":1e9"),
    };
    let readings = body(well, 0..BODY_READINGS);
    let readings = readings.lines().enumerate();
    let readings = readings.map(|(at, line)| match at % 10 {
        7 => line.replace(good, bad) + "\n",
        _ => line.to_owned() + "\n",
    });
    readings.collect()
}

/// Appends to a file.
struct Writer {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Vec<u32>>,
}

impl Writer {
    fn start(file: PathBuf, first_well: u32) -> Writer {
        let stop = Arc::new(AtomicBool::new(false));
        let is_asked = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut written: Vec<u32> = (FIRST_WELL_OF_FILE..first_well).collect();
            for well in first_well.. {
                if is_asked.load(Ordering::Relaxed) {
                    break;
                }
                append(&file, &some_refused(well));
                written.push(well);
                tokio::time::sleep(PAUSE).await;
            }
            written
        });
        Writer { stop, task }
    }

    /// The wells whose readings were written.
    async fn stop(self) -> Vec<u32> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

/// Moments as good as random ones, and the same in each run.
pub(crate) struct Moments(pub(crate) u64);

impl Moments {
    pub(crate) fn next(&mut self, min_ms: u64, max_ms: u64) -> Duration {
        // Numerical Recipes' linear congruential generator.
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) % (1 << 32);
        Duration::from_millis(min_ms + self.0 * (max_ms - min_ms) / (1 << 32))
    }
}
