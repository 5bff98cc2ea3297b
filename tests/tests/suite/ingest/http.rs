//! Records by HTTP: acknowledged when they are durable, whole bodies or none, whatever happens to process, spool or database.

use super::spooled::{Taker, body};
use super::{Pumps, own_server};
use hyperhaul_testkit::{Role, eventually};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

#[tokio::test]
async fn bodies_are_answered_with_a_receipt_and_become_rows() {
    let taker = Taker::new("http_rows", "").await;
    let running = taker.start().await;
    let answer = taker.post("esp", "", &body(1, 0..100)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let receipt = answer.json();
    assert_eq!(
        (
            receipt["records"].as_i64(),
            receipt["first"].as_i64(),
            receipt["last"].as_i64()
        ),
        (Some(100), Some(1), Some(100))
    );
    // Empty lines are none, and the last line needs no end.
    let spread = format!(
        "\n\r\n{}\r\n\n{}",
        body(2, 0..1).trim_end(),
        body(2, 1..2).trim_end()
    );
    assert_eq!(
        taker
            .post("esp", "Content-Type: application/x-ndjson\r\n", &spread)
            .await
            .json()["last"],
        102
    );
    assert_eq!(taker.post("esp", "", "\n\n").await.json()["records"], 0);
    // Short lines take up more memory than the body does.
    let many = taker.post("esp", "", &"1\n".repeat(300_000)).await;
    assert_eq!(many.status, 413, "{many:?}");
    assert!(many.body.contains("262144 lines"), "{many:?}");
    // CSV by its header, in another order than the table's, with a field that nobody maps.
    let csv = "flow_rate,\"well_id\",x,timestamp\n1500.5,\"W,\"\"3\"\"\",,2026-01-01T00:00:00Z\r\n1501.5,W-3,\"\n\",2026-01-01T00:01:00Z";
    let answer = taker
        .post("esp-csv", "Content-Type: text/csv; charset=utf-8\r\n", csv)
        .await;
    assert_eq!(answer.json()["records"], 2, "{answer:?}");
    taker.pumps.eventually_stored(104).await;
    let rows =
        "esp_telemetry WHERE well_id IN ('W,\"3\"', 'W-3') AND flow_rate BETWEEN 1500.5 AND 1501.5";
    assert_eq!(taker.pumps.count(rows).await, 2);
    taker.stop(running).await;
    taker.pumps.assert_proved().await;
}

#[tokio::test]
async fn compressed_bodies_are_unpacked_up_to_the_limit() {
    let taker = Taker::new("http_packed", "body_max = \"64 KiB\"\n").await;
    let running = taker.start().await;
    for (minute, (coding, packer)) in [("gzip", "gzip"), ("zstd", "zstd")].into_iter().enumerate() {
        let Some(packed) = pack(packer, body(1, 0..200).as_bytes()) else {
            eprintln!("skipped: {packer} is not installed");
            continue;
        };
        let headers = format!("Content-Encoding: {coding}\r\n");
        let answer = taker
            .send("POST", "/v1/ingest/esp", &headers, &packed)
            .await;
        assert_eq!(answer.json()["records"], 200, "{coding} {answer:?}");
        let large = pack(packer, body(2, 0..2000).as_bytes()).unwrap();
        assert!(large.len() < 64 << 10);
        assert_eq!(
            taker
                .send("POST", "/v1/ingest/esp", &headers, &large)
                .await
                .status,
            413
        );
        let torn = &packed[..packed.len() / 2];
        assert_eq!(
            taker
                .send("POST", "/v1/ingest/esp", &headers, torn)
                .await
                .status,
            400
        );
        assert!(minute < 2);
    }
    taker.pumps.eventually_stored(200).await;
    taker.stop(running).await;
}

#[tokio::test]
async fn what_is_refused_is_not_stored_and_says_why() {
    let taker = Taker::new(
        "http_refused",
        "token = \"a long token\"\nbody_max = \"8 KiB\"\n",
    )
    .await;
    let running = taker.start().await;
    let good = body(1, 0..1);
    let right = "Authorization: bearer a long token\r\n";
    for wrong in [
        "",
        "Authorization: Bearer a long tokem\r\n",
        "Authorization: Basic a long token\r\n",
    ] {
        let answer = taker.post("esp", wrong, &good).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(
            answer.head.contains("www-authenticate: Bearer"),
            "{answer:?}"
        );
    }
    // Who may not send is not told which streams there are.
    assert_eq!(taker.post("nothing", "", &good).await.status, 401);
    assert_eq!(taker.post("nothing", right, &good).await.status, 404);
    let large = taker.post("esp", right, &body(1, 0..100)).await;
    assert_eq!(large.status, 413);
    assert!(
        large.json()["error"]
            .as_str()
            .unwrap()
            .contains("8192 bytes")
    );
    let chunked = format!("{right}Transfer-Encoding: chunked\r\n");
    let chunk = format!("2710\r\n{}\r\n0\r\n\r\n", "\n".repeat(10_000));
    assert_eq!(
        taker.raw("/v1/ingest/esp", &chunked, &chunk).await.status,
        413
    );
    let csv = format!("{right}Content-Type: text/csv\r\n");
    assert_eq!(taker.post("esp", &csv, &good).await.status, 415);
    let coding = format!("{right}Content-Encoding: br\r\n");
    assert_eq!(taker.post("esp", &coding, &good).await.status, 415);
    let short = taker
        .post(
            "esp-csv",
            right,
            "well_id,timestamp\nW-1,2026-01-01T00:00:00Z\nW-1\n",
        )
        .await;
    assert_eq!(short.status, 400);
    assert!(
        short.json()["error"].as_str().unwrap().contains("record 2"),
        "{short:?}"
    );
    assert_eq!(
        taker
            .post("esp-csv", right, "nobody,knows\n1,2\n")
            .await
            .status,
        400
    );
    assert_eq!(
        taker.send("GET", "/v1/ingest/esp", right, b"").await.status,
        405
    );
    for path in ["/healthz", "/readyz"] {
        assert_eq!(taker.send("GET", path, "", b"").await.status, 200, "{path}");
    }
    assert_eq!(taker.post("esp", right, &good).await.json()["first"], 1);
    taker.pumps.eventually_stored(1).await;
    let ended = taker.stop(running).await;
    assert!(!ended.stderr.contains("a long token"), "{}", ended.stderr);
}

#[tokio::test]
async fn connections_are_encrypted_where_a_certificate_is_configured() {
    let pumps = Pumps::new("http_tls").await;
    let (certificate, key) = (
        pumps.folder.join("certificate.pem"),
        pumps.folder.join("key.pem"),
    );
    let make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout";
    let mut make = make.split(' ');
    let made = Command::new(make.next().unwrap())
        .args(make)
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status();
    if !made.is_ok_and(|made| made.success())
        || Command::new("curl").arg("--version").output().is_err()
    {
        return eprintln!("skipped: openssl or curl is not installed");
    }
    let http = format!(
        "certificate = \"{}\"\nkey = \"{}\"\n",
        certificate.display(),
        key.display()
    );
    let taker = Taker::with(pumps, &http);
    let running = taker.spawn();
    taker.until_listening().await;
    let url = format!("https://127.0.0.1:{}/v1/ingest/esp", taker.port);
    let mut curl = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--data-binary",
            "@-",
            "--cacert",
        ])
        .arg(&certificate)
        .arg(&url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    curl.stdin
        .take()
        .unwrap()
        .write_all(body(1, 0..10).as_bytes())
        .unwrap();
    let answered = curl.wait_with_output().unwrap();
    let answered = String::from_utf8(answered.stdout).unwrap();
    assert!(answered.contains("\"records\":10"), "{answered}");
    taker.pumps.eventually_stored(10).await;
    // Without encryption nobody is answered.
    assert_eq!(taker.post("esp", "", &body(2, 0..10)).await.status, 0);
    taker.stop(running).await;
    assert_eq!(taker.pumps.count("esp_telemetry").await, 10);
}

#[tokio::test]
async fn a_database_that_is_away_fills_the_spool_and_is_caught_up_with() {
    let name = "a_database_that_is_away_fills_the_spool_and_is_caught_up_with";
    let Some((instance, database)) = own_server(name, "http_away").await else {
        return;
    };
    let taker = Taker::with(Pumps::on(database).await, "").spool_bytes("512 KiB");
    let running = taker.start().await;
    assert_eq!(taker.post("esp", "", &body(0, 0..100)).await.status, 200);
    taker.pumps.eventually_stored(100).await;
    assert_eq!(taker.send("GET", "/readyz", "", b"").await.status, 200);

    instance.crash(Role::Target).unwrap();
    let mut acknowledged = 100;
    let full = loop {
        let well = acknowledged / 100;
        let answer = taker.post("esp", "", &body(well, 0..100)).await;
        if answer.status != 200 {
            break answer;
        }
        acknowledged += 100;
        assert!(well < 1000, "the spool is never full");
    };
    assert_eq!(full.status, 503, "{full:?}");
    assert!(full.head.contains("retry-after: "), "{full:?}");
    assert_eq!(taker.send("GET", "/healthz", "", b"").await.status, 200);
    let unready = async || taker.send("GET", "/readyz", "", b"").await;
    let says_both = async || {
        let text = unready().await.body;
        text.contains("spool of stream esp is full") && text.contains("database does not answer")
    };
    eventually("what is wrong is said", Duration::from_secs(20), says_both)
        .await
        .unwrap();

    instance.start(Role::Target).unwrap();
    taker.pumps.eventually_stored(acknowledged.into()).await;
    let is_ready = async || unready().await.status == 200;
    eventually("it is ready again", Duration::from_secs(20), is_ready)
        .await
        .unwrap();
    assert_eq!(taker.post("esp", "", &body(9999, 0..100)).await.status, 200);
    taker
        .pumps
        .eventually_stored(i64::from(acknowledged) + 100)
        .await;
    taker.stop(running).await;
    taker.pumps.assert_proved().await;
}

fn pack(packer: &str, content: &[u8]) -> Option<Vec<u8>> {
    let mut packing = Command::new(packer)
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = packing.stdin.take()?;
    let content = content.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&content));
    let packed = packing.wait_with_output().ok()?;
    writing.join().ok()?.ok()?;
    Some(packed.stdout)
}
