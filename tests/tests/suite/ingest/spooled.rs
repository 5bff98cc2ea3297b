//! The spool between a source and its tables: killed between its moments, damaged, set back. And a process that takes records by HTTP,
//! with a client that says what came over the line.

use super::{Pumps, reading};
use crate::support::{Ended, Hyperhaul, Running};
use hyperhaul_testkit::eventually;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

#[tokio::test]
async fn a_process_killed_while_a_spool_gets_its_name_leaves_one_that_goes_on() {
    for point in ["ingest.source_written", "ingest.source_named"] {
        let taker = Taker::new("spool_name", "").await;
        taker.call().failpoint(point).run().await.expect_killed();
        let running = taker.start().await;
        let answer = taker.post("esp", "", &body(1, 0..50)).await;
        assert_eq!(answer.status, 200, "{point} {answer:?}");
        taker.pumps.eventually_stored(50).await;
        taker.stop(running).await;
        let of_stream = "hyperhaul.ingest_source WHERE stream = 'esp'";
        assert_eq!(taker.pumps.count(of_stream).await, 1, "{point}");
        taker.pumps.assert_proved().await;
    }
}

#[tokio::test]
async fn a_process_killed_between_its_moments_goes_on_without_loss_or_double() {
    for point in [
        "ingest.stored",
        "ingest.before_commit",
        "ingest.after_commit",
    ] {
        let taker = Taker::new("spool_kill", "").await;
        let running = taker.call().failpoint(point).spawn();
        taker.until_listening().await;
        let answer = taker.post("esp", "", &body(1, 0..50)).await;
        running.wait().await.expect_killed();
        // Between fsync and acknowledgement: nobody was told, and it is there all the same.
        assert_eq!(
            answer.status == 0,
            point == "ingest.stored",
            "{point} {answer:?}"
        );
        let running = taker.start().await;
        taker.pumps.eventually_stored(50).await;
        taker.stop(running).await;
        assert_eq!(taker.sum("stored_count").await, 50, "{point}");
        assert_eq!(
            taker.sum("duplicate_count + lost_count").await,
            0,
            "{point}"
        );
        taker.pumps.assert_proved().await;
    }
}

#[tokio::test]
async fn a_flipped_bit_costs_one_record_and_is_counted() {
    let taker = Taker::new("spool_flipped", "").await;
    taker.fill_without_database(&body(1, 0..3)).await;
    let segment = taker.segments().pop().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let second = reading(1, 1, "");
    let at = bytes
        .windows(second.len())
        .position(|bytes| bytes == second.as_bytes())
        .unwrap();
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let running = taker.start().await;
    taker.pumps.eventually_stored(2).await;
    taker.stop(running).await;
    assert_eq!(taker.sum("lost_count").await, 1);
    // What was acknowledged and is gone is no proof.
    taker
        .pumps
        .call("receipts")
        .run()
        .await
        .expect_code(4)
        .expect_printed(&["records are missing"]);
}

#[tokio::test]
async fn a_write_that_was_cut_off_is_no_loss() {
    let taker = Taker::new("spool_torn", "").await;
    taker.fill_without_database(&body(1, 0..3)).await;
    let segment = taker.segments().pop().unwrap();
    let bytes = std::fs::read(&segment).unwrap();
    // As a power cut leaves it: a header whose payload never came, and whole pages of zeros.
    let torn = [&bytes[..], &bytes[64..90], &[0; 8192]].concat();
    std::fs::write(&segment, torn).unwrap();
    let running = taker.start().await;
    assert_eq!(taker.post("esp", "", &body(2, 0..3)).await.status, 200);
    taker.pumps.eventually_stored(6).await;
    taker.stop(running).await;
    assert_eq!(taker.sum("lost_count").await, 0);
    assert!(taker.sum("skipped_count").await > 0);
    taker.pumps.assert_proved().await;
}

#[tokio::test]
async fn a_folder_that_was_removed_is_another_source_and_one_that_was_set_back_is_refused() {
    let taker = Taker::new("spool_gone", "").await;
    let sent = async |well: u32, rows: i64| {
        let running = taker.start().await;
        assert_eq!(taker.post("esp", "", &body(well, 0..10)).await.status, 200);
        taker.pumps.eventually_stored(rows).await;
        taker.stop(running).await;
    };
    sent(1, 10).await;
    std::fs::remove_dir_all(taker.folder()).unwrap();
    sent(2, 20).await;
    assert_eq!(
        taker
            .pumps
            .count("hyperhaul.ingest_source WHERE position = 10")
            .await,
        2
    );
    // New records would get positions that the ledger takes for done.
    for segment in taker.segments() {
        std::fs::remove_file(segment).unwrap();
    }
    taker
        .call()
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["the ledger is at 10", "set back"]);
    // As the hint says.
    std::fs::remove_file(taker.folder().join("source")).unwrap();
    sent(3, 30).await;
    taker.pumps.assert_proved().await;
}

#[tokio::test]
async fn a_spool_is_used_by_one_process_and_is_needed() {
    let taker = Taker::new("spool_locked", "").await;
    let running = taker.start().await;
    taker
        .call()
        .run()
        .await
        .expect_code(1)
        .expect_printed(&["another process uses the spool"]);
    taker.stop(running).await;
    let config = std::fs::read_to_string(&taker.config).unwrap();
    let without = config.replace("[spool]", "[unused]");
    std::fs::write(&taker.config, without).unwrap();
    taker.call().run().await.expect_code(2);
    let (before, after) = config.split_once("[spool]").unwrap();
    let (_, after) = after.split_once("[http]").unwrap();
    std::fs::write(&taker.config, format!("{before}[http]{after}")).unwrap();
    taker
        .call()
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["needs a spool", "Add [spool]"]);
}

/// A process with streams `esp` (NDJSON) and `esp-csv` by HTTP, both into the table of [`Pumps`].
pub(super) struct Taker {
    pub(super) pumps: Pumps,
    pub(super) port: u16,
    config: PathBuf,
}

impl Taker {
    /// `http`: more lines of the section `[http]`.
    pub(super) async fn new(name: &str, http: &str) -> Taker {
        Taker::with(Pumps::new(name).await, http)
    }

    pub(super) fn with(pumps: Pumps, http: &str) -> Taker {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        let config = format!(
            "target = \"{}\"\n[spool]\npath = \"{}\"\n[http]\nlisten = \"127.0.0.1:{port}\"\n{http}\
             [[stream]]\nname = \"esp\"\nprofile = \"esp-telemetry\"\ntable = \"public.esp_telemetry\"\nsource = {{ kind = \"http\" }}\n\
             [[stream]]\nname = \"esp-csv\"\nprofile = \"esp-telemetry\"\ndecoder = \"csv\"\ntable = \"public.esp_telemetry\"\nsource = {{ kind = \"http\" }}\n",
            pumps.database.url(),
            pumps.folder.join("spool").display(),
        );
        let config = pumps.file("ingest.toml", &config);
        Taker {
            pumps,
            port,
            config,
        }
    }

    /// Bounds each stream's spool.
    pub(super) fn spool_bytes(self, bytes_max: &str) -> Taker {
        let config = std::fs::read_to_string(&self.config).unwrap();
        let bounded = config.replace("[http]", &format!("bytes_max = \"{bytes_max}\"\n[http]"));
        std::fs::write(&self.config, bounded).unwrap();
        self
    }

    /// More of the configuration file, at its end.
    pub(super) fn declare(self, more: &str) -> Taker {
        super::append(&self.config, more);
        self
    }

    /// Puts the spool elsewhere.
    pub(super) fn spool_path(self, path: &Path) -> Taker {
        put_spool(&self.config, path);
        self
    }

    pub(super) fn call(&self) -> Hyperhaul {
        Hyperhaul::new("ingest --json --config").arg(self.config.to_str().unwrap())
    }

    pub(super) fn spawn(&self) -> Running {
        self.call().spawn()
    }

    /// Returns when it answers.
    pub(super) async fn start(&self) -> Running {
        let running = self.spawn();
        self.until_listening().await;
        running
    }

    pub(super) async fn until_listening(&self) {
        let listens = async || TcpStream::connect(("127.0.0.1", self.port)).await.is_ok();
        eventually("it listens", Duration::from_secs(20), listens)
            .await
            .unwrap();
    }

    /// Asks it to end, which it does when the spools are empty.
    pub(super) async fn stop(&self, running: Running) -> Ended {
        running.signal("INT");
        running.wait().await.expect_code(0)
    }

    /// Makes a body durable in the spool while there is no database, and kills the process.
    async fn fill_without_database(&self, body: &str) {
        // Nobody listens at the port for long: it is one that the system gives to clients.
        let nowhere = "postgresql://postgres@127.0.0.1:1/postgres";
        let running = self.call().arg("--target").arg(nowhere).spawn();
        self.until_listening().await;
        assert_eq!(self.post("esp", "", body).await.status, 200);
        running.signal("KILL");
        running.wait().await.expect_killed();
    }

    /// The folder of stream `esp`.
    fn folder(&self) -> PathBuf {
        self.pumps.folder.join("spool/esp")
    }

    /// Its segments that hold records, in their order.
    fn segments(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.folder()).unwrap();
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|ending| ending == "segment"));
        files.sort();
        files
    }

    /// A count over all receipts.
    pub(super) async fn sum(&self, what: &str) -> i64 {
        let sql = format!("SELECT coalesce(sum({what}), 0)::bigint FROM hyperhaul.ingest_receipt");
        self.pumps.database.value(&sql).await.unwrap()
    }

    pub(super) async fn post(&self, stream: &str, headers: &str, body: &str) -> Answer {
        self.send(
            "POST",
            &format!("/v1/ingest/{stream}"),
            headers,
            body.as_bytes(),
        )
        .await
    }

    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> Answer {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: pumps\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        exchange(self.port, &[head.as_bytes(), body].concat()).await
    }

    /// A body whose headers say all about its length.
    pub(super) async fn raw(&self, path: &str, headers: &str, body: &str) -> Answer {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: pumps\r\nConnection: close\r\n{headers}\r\n{body}"
        );
        exchange(self.port, request.as_bytes()).await
    }
}

/// Changes where a configuration file has the spool.
pub(super) fn put_spool(config: &Path, path: &Path) {
    let text = std::fs::read_to_string(config).unwrap();
    let (before, after) = text.split_once("[spool]\npath = ").unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    let text = format!("{before}[spool]\npath = \"{}\"\n{after}", path.display());
    std::fs::write(config, text).unwrap();
}

/// What came back; status 0: nothing.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} {self:?}"))
    }
}

pub(super) async fn exchange(port: u16, request: &[u8]) -> Answer {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else {
        return Answer::default();
    };
    // Whoever refuses a body may not read all of it.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return Answer::default();
    };
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Answer {
        status: status.unwrap_or_default(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// Readings of a well, one a line.
pub(super) fn body(well: u32, minutes: Range<u32>) -> String {
    let mut text = String::new();
    for minute in minutes {
        writeln!(text, "{}", reading(well, minute, "")).unwrap();
    }
    text
}

/// Readings in a body of a [`Sender`].
pub(super) const BODY_READINGS: u32 = 20;

/// Sends a body of 20 readings after the other, each of another well.
pub(super) struct Sender {
    stop: Arc<AtomicBool>,
    task: Option<JoinHandle<Vec<u32>>>,
}

impl Sender {
    pub(super) fn start(taker: &Taker, first_well: u32) -> Sender {
        let body = |well| body(well, 0..BODY_READINGS);
        Sender::sending(taker, first_well, body, Duration::ZERO)
    }

    /// Bodies of so many records of another kind, with a pause between them.
    pub(super) fn sending(
        taker: &Taker,
        first_well: u32,
        body: fn(u32) -> String,
        pause: Duration,
    ) -> Sender {
        let stop = Arc::new(AtomicBool::new(false));
        let (port, is_asked) = (taker.port, Arc::clone(&stop));
        let task = tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for well in first_well.. {
                if is_asked.load(Ordering::Relaxed) {
                    break;
                }
                let body = body(well);
                let head = format!(
                    "POST /v1/ingest/esp HTTP/1.1\r\nHost: pumps\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                match exchange(port, (head + &body).as_bytes()).await.status {
                    200 => acknowledged.push(well),
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
                tokio::time::sleep(pause).await;
            }
            acknowledged
        });
        Sender {
            stop,
            task: Some(task),
        }
    }

    /// The wells whose readings were acknowledged.
    pub(super) async fn stop(&mut self) -> Vec<u32> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.take().unwrap().await.unwrap()
    }
}
