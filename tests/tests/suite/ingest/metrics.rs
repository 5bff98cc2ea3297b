//! What a process says of itself while it feeds tables: its metrics, and what `--status` makes of them and of the ledger.

use super::spooled::{Answer, Taker, body, exchange};
use super::{Pumps, reading};
use hyperhaul_testkit::{Proxy, eventually};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// A taker whose metrics are served.
struct Metered {
    taker: Taker,
    port: u16,
}

impl Metered {
    async fn new(name: &str) -> Metered {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        let more = format!("[metrics]\nlisten = \"127.0.0.1:{port}\"\n");
        Metered {
            taker: Taker::new(name, &more).await,
            port,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        get(self.port, path).await
    }

    /// What is served under a name, with its labels.
    async fn value(&self, sample: &str) -> f64 {
        let text = self.get("/metrics").await.body;
        value(&text, sample).unwrap_or_else(|| panic!("{sample} is not in\n{text}"))
    }

    async fn eventually(&self, sample: &str, expected: impl Fn(f64) -> bool) {
        let look = async || expected(self.value(sample).await);
        let waited = eventually(sample, Duration::from_secs(20), look).await;
        waited.unwrap();
    }
}

async fn get(port: u16, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: pumps\r\nConnection: close\r\n\r\n");
    exchange(port, request.as_bytes()).await
}

fn value(text: &str, sample: &str) -> Option<f64> {
    let sample = format!("hyperhaul_ingest_{sample} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&sample))?;
    value.parse().ok()
}

#[tokio::test]
async fn every_end_of_a_record_is_counted_once_it_is_committed() {
    let metered = Metered::new("metrics_ends").await;
    let taker = &metered.taker;
    let running = taker.start().await;
    let late = reading(9, 0, "") + "\n";
    let dead = reading(1, 100, "").replace("1000.25", "\"?\"") + "\n";
    let refused_by_server = reading(1, 101, "").replace("42.5", "13") + "\n";
    let first = body(1, 0..10) + &late + &dead + &refused_by_server;
    assert_eq!(taker.post("esp", "", &first).await.status, 200);
    taker.pumps.eventually_stored(11).await;
    let conflict = reading(1, 0, "").replace("1000.25", "999") + "\n";
    let again = body(1, 1..10) + &conflict;
    assert_eq!(taker.post("esp", "", &again).await.status, 200);
    metered
        .eventually(
            "settled_records_total{stream=\"esp\",end=\"duplicate\"}",
            |count| count == 9.0,
        )
        .await;
    let text = metered.get("/metrics").await.body;
    for (sample, expected) in [
        ("received_records_total{stream=\"esp\"}", 23.0),
        (
            "received_bytes_total{stream=\"esp\"}",
            (first.len() + again.len() - 23) as f64,
        ),
        ("spooled_records_total{stream=\"esp\"}", 23.0),
        ("settled_records_total{stream=\"esp\",end=\"stored\"}", 11.0),
        (
            "settled_records_total{stream=\"esp\",end=\"conflict\"}",
            1.0,
        ),
        ("settled_records_total{stream=\"esp\",end=\"dead\"}", 2.0),
        ("settled_records_total{stream=\"esp\",end=\"lost\"}", 0.0),
        (
            "dead_records_total{stream=\"esp\",reason=\"wrong-type\"}",
            1.0,
        ),
        (
            "dead_records_total{stream=\"esp\",reason=\"refused-by-server\"}",
            1.0,
        ),
        ("committed_rows_total{stream=\"esp\"}", 11.0),
        // All readings are of nine days ago.
        ("late_rows_total{stream=\"esp\"}", 22.0),
        ("lag_seconds_count{stream=\"esp\"}", 23.0),
        ("batch_records_sum{stream=\"esp\"}", 23.0),
        ("storing_seconds_count{stream=\"esp\"}", 2.0),
        ("spool_records{stream=\"esp\"}", 0.0),
        ("uncommitted_seconds{stream=\"esp\"}", 0.0),
        ("database_connected{stream=\"esp\"}", 1.0),
        ("received_records_total{stream=\"esp-csv\"}", 0.0),
    ] {
        assert_eq!(value(&text, sample), Some(expected), "{sample}\n{text}");
    }
    assert!(value(&text, "batches_total{stream=\"esp\",way=\"row-by-row\"}").unwrap() >= 1.0);
    assert!(value(&text, "batches_total{stream=\"esp\",way=\"staged\"}").unwrap() >= 1.0);
    assert!(value(&text, "spool_bytes{stream=\"esp\"}").unwrap() > 0.0);
    taker.stop(running).await;
    assert_eq!(metered.get("/metrics").await.status, 0);
}

#[tokio::test]
async fn what_is_served_is_what_the_readme_says() {
    let metered = Metered::new("metrics_names").await;
    let running = metered.taker.start().await;
    let answer = metered.get("/metrics").await;
    assert!(
        answer.head.contains("text/plain; version=0.0.4"),
        "{answer:?}"
    );
    let served: BTreeSet<(String, String)> = answer
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let said: BTreeSet<(String, String)> = readme
        .lines()
        .filter_map(|line| {
            line.strip_prefix("| `hyperhaul_ingest_")?
                .split_once("` | ")
        })
        .filter_map(|(name, rest)| Some((name, rest.split_once(" |")?.0)))
        .map(|(name, kind)| (format!("hyperhaul_ingest_{name}"), kind.to_owned()))
        .collect();
    assert_eq!(said, served);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(metered.get(path).await.status, 200, "{path}");
    }
    metered.taker.stop(running).await;
}

#[tokio::test]
async fn a_database_that_is_away_shows_in_age_and_depth() {
    let metered = Metered::new("metrics_away").await;
    let taker = &metered.taker;
    let nowhere = "postgresql://postgres@127.0.0.1:1/postgres";
    let running = taker.call().arg("--target").arg(nowhere).spawn();
    taker.until_listening().await;
    assert_eq!(
        metered.value("uncommitted_seconds{stream=\"esp\"}").await,
        0.0
    );
    assert_eq!(taker.post("esp", "", &body(1, 0..30)).await.status, 200);
    metered
        .eventually("uncommitted_seconds{stream=\"esp\"}", |age| age > 1.0)
        .await;
    assert_eq!(metered.value("spool_records{stream=\"esp\"}").await, 30.0);
    assert_eq!(
        metered.value("database_connected{stream=\"esp\"}").await,
        0.0
    );
    assert_eq!(metered.get("/healthz").await.status, 200);
    let unready = metered.get("/readyz").await;
    assert_eq!(unready.status, 503);
    assert!(
        unready.body.contains("the database does not answer"),
        "{unready:?}"
    );
    running.signal("KILL");
    running.wait().await.expect_killed();
    // What was found is as old as it is.
    let running = taker.call().arg("--target").arg(nowhere).spawn();
    taker.until_listening().await;
    assert!(metered.value("uncommitted_seconds{stream=\"esp\"}").await > 1.0);
    running.signal("KILL");
    running.wait().await.expect_killed();
    let running = taker.start().await;
    taker.pumps.eventually_stored(30).await;
    metered
        .eventually("spool_records{stream=\"esp\"}", |records| records == 0.0)
        .await;
    assert_eq!(
        metered.value("uncommitted_seconds{stream=\"esp\"}").await,
        0.0
    );
    // The lag is that of the whole outage.
    assert_eq!(
        metered
            .value("lag_seconds_bucket{stream=\"esp\",le=\"1\"}")
            .await,
        0.0
    );
    taker.stop(running).await;
}

#[tokio::test]
async fn a_connection_that_is_lost_shows_and_what_waits_behind_it_too() {
    let metered = Metered::new("metrics_lost").await;
    let taker = &metered.taker;
    let proxy = Proxy::start(taker.pumps.database.url()).unwrap();
    let running = taker.call().arg("--target").arg(proxy.url()).spawn();
    taker.until_listening().await;
    let connected = "database_connected{stream=\"esp\"}";
    metered
        .eventually(connected, |connected| connected == 1.0)
        .await;
    assert_eq!(taker.post("esp", "", &body(1, 0..10)).await.status, 200);
    taker.pumps.eventually_stored(10).await;
    proxy.refuse(true);
    proxy.cut_all();
    assert_eq!(taker.post("esp", "", &body(2, 0..10)).await.status, 200);
    metered
        .eventually("uncommitted_seconds{stream=\"esp\"}", |age| age > 1.0)
        .await;
    metered
        .eventually("database_connected{stream=\"esp\"}", |connected| {
            connected == 0.0
        })
        .await;
    proxy.refuse(false);
    taker.pumps.eventually_stored(20).await;
    metered
        .eventually("database_connected{stream=\"esp\"}", |connected| {
            connected == 1.0
        })
        .await;
    let reconnects = "reconnects_total{stream=\"esp\",to=\"database\"}";
    assert!(metered.value(reconnects).await >= 1.0);
    // Ten lay there for longer than a second.
    let quick = "lag_seconds_bucket{stream=\"esp\",le=\"1\"}";
    assert!(metered.value(quick).await <= 10.0);
    taker.stop(running).await;
    taker.pumps.assert_proved().await;
}

#[tokio::test]
async fn what_a_full_spool_turns_away_is_counted() {
    let mut metered = Metered::new("metrics_full").await;
    metered.taker = metered.taker.spool_bytes("128 KiB");
    let taker = &metered.taker;
    let nowhere = "postgresql://postgres@127.0.0.1:1/postgres";
    let running = taker.call().arg("--target").arg(nowhere).spawn();
    taker.until_listening().await;
    let mut acknowledged = 0;
    while taker
        .post("esp", "", &body(acknowledged, 0..10))
        .await
        .status
        == 200
    {
        acknowledged += 1;
        assert!(acknowledged < 1000, "the spool is never full");
    }
    let refused = "refused_records_total{stream=\"esp\",reason=\"full\"}";
    assert_eq!(metered.value(refused).await, 10.0);
    let stored = metered.value("spooled_records_total{stream=\"esp\"}").await;
    assert_eq!(stored, f64::from(acknowledged * 10));
    let limit = metered.value("spool_limit_bytes{stream=\"esp\"}").await;
    assert_eq!(limit, 131_072.0);
    running.signal("KILL");
    running.wait().await.expect_killed();
}

#[tokio::test]
async fn status_tells_of_a_running_process_and_of_one_that_has_ended() {
    let metered = Metered::new("metrics_status").await;
    let taker = &metered.taker;
    // Nothing was ever ingested.
    taker.call().arg("--status").run().await.expect_code(2);
    let running = taker.start().await;
    assert_eq!(taker.post("esp", "", &body(1, 0..30)).await.status, 200);
    taker.pumps.eventually_stored(30).await;
    let status = taker.call().arg("--status").run().await.expect_code(0);
    let status = status.json();
    let streams = status["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 2, "{status}");
    assert_eq!(streams[0]["stream"], "esp");
    assert_eq!(streams[0]["state"], "idle");
    let source = &status["sources"][0];
    assert_eq!(source["stream"], "esp");
    assert_eq!(source["position"], 30);
    assert_eq!(source["is_held"], true);
    assert_eq!(source["lately"]["stored_count"], 30);
    let only = taker.call().arg("--status").arg("--stream").arg("esp-csv");
    let only = only.run().await.expect_code(0).json();
    assert_eq!(only["streams"].as_array().unwrap().len(), 1, "{only}");
    taker.stop(running).await;
    let ended = taker.call().arg("--status").run().await.expect_code(0);
    assert!(ended.json()["streams"].is_null());
    assert_eq!(ended.json()["sources"][0]["is_held"], false);
    // Somebody else's address is a mistake.
    let _other = taker.start().await;
    let wrong = format!("127.0.0.1:{}", taker.port);
    taker
        .call()
        .arg("--status")
        .arg("--metrics")
        .arg(&wrong)
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["is no hyperhaul ingest"]);
}

#[tokio::test]
async fn a_file_is_metered_where_no_spool_is() {
    let pumps = Pumps::new("metrics_file").await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let file = pumps.file("grows.ndjson", &body(1, 0..20));
    let running = pumps
        .ingest(&file)
        .arg("--follow")
        .arg("--metrics")
        .arg(&format!("127.0.0.1:{port}"))
        .spawn();
    pumps.eventually_stored(20).await;
    let of_stream = "{stream=\"public.esp_telemetry\"}";
    let look = async || {
        let text = get(port, "/metrics").await.body;
        value(&text, &format!("committed_rows_total{of_stream}")) == Some(20.0)
    };
    let waited = eventually("the rows are counted", Duration::from_secs(20), look).await;
    waited.unwrap();
    let text = get(port, "/metrics").await.body;
    let received = value(&text, &format!("received_records_total{of_stream}"));
    assert_eq!(received, Some(20.0));
    assert_eq!(value(&text, &format!("spool_bytes{of_stream}")), None);
    running.signal("INT");
    running.wait().await.expect_code(0);
}
