//! Messages of an MQTT broker: acknowledged when they are durable, whatever happens to process or broker.

use super::spooled::put_spool;
use super::{Pumps, reading};
use crate::support::{Hyperhaul, Running};
use hyperhaul_testkit::{Broker, BrokerKind, eventually, skip};
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Mosquitto, or `None` where it cannot be had.
pub(super) fn mosquitto(test: &str, more: &str) -> Option<Broker> {
    match Broker::start(BrokerKind::Mosquitto, &format!("log_type all\n{more}")) {
        Ok(broker) => Some(broker),
        Err(error) if error.is_unavailable() => {
            skip(test, &error);
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// A stream of messages into the table of [`Pumps`].
pub(super) struct Listener {
    pub(super) pumps: Pumps,
    config: PathBuf,
}

impl Listener {
    pub(super) async fn new(name: &str, broker: &str, more: &str) -> Listener {
        let pumps = Pumps::new(name).await;
        let config = format!(
            "target = \"{}\"\n[spool]\npath = \"{}\"\n\
             [[stream]]\nname = \"esp\"\nprofile = \"esp-telemetry\"\ntable = \"public.esp_telemetry\"\n\
             [stream.source]\nkind = \"mqtt\"\nbroker = \"{broker}\"\ntopic = \"esp/{{well_id}}/telemetry\"\nclient_id = \"hyperhaul-{}\"\n{more}\
             [[stream.column]]\nname = \"well_id\"\nfrom = \"$attribute.well_id\"\n",
            pumps.database.url(),
            pumps.folder.join("spool").display(),
            pumps.database.name(),
        );
        let config = pumps.file("ingest.toml", &config);
        Listener { pumps, config }
    }

    pub(super) async fn plain(name: &str, broker: &Broker) -> Listener {
        Listener::new(name, &format!("mqtt://127.0.0.1:{}", broker.port()), "").await
    }

    /// Puts the spool elsewhere.
    pub(super) fn spool_path(self, path: &Path) -> Listener {
        put_spool(&self.config, path);
        self
    }

    pub(super) fn call(&self) -> Hyperhaul {
        Hyperhaul::new("ingest --json --config").arg(self.config.to_str().unwrap())
    }

    /// Starts it and ends it, so that the broker has its session.
    pub(super) async fn subscribe(&self, broker: &Broker) {
        let running = self.call().spawn();
        self.until_subscribed(broker).await;
        stop(running).await;
    }

    /// The broker's log tells of each subscription.
    pub(super) async fn until_subscribed(&self, broker: &Broker) {
        let log = broker.folder().join("log");
        let line = format!("hyperhaul-{} 1 esp/+/telemetry", self.pumps.database.name());
        let subscribed = async || {
            std::fs::read_to_string(&log)
                .unwrap_or_default()
                .contains(&line)
        };
        eventually("it is subscribed", Duration::from_secs(20), subscribed)
            .await
            .unwrap();
    }
}

pub(super) async fn stop(running: Running) {
    running.signal("INT");
    running.wait().await.expect_code(0);
}

/// Readings without a well: that is in the topic.
pub(super) fn messages(minutes: Range<u32>) -> String {
    let mut text = String::new();
    for minute in minutes {
        writeln!(
            text,
            "{}",
            reading(0, minute, "").replace("\"well_id\":\"W-0000\",", "")
        )
        .unwrap();
    }
    text
}

#[tokio::test]
async fn messages_become_rows_with_what_their_topics_say() {
    let Some(broker) = mosquitto("messages_become_rows_with_what_their_topics_say", "") else {
        return;
    };
    let listener = Listener::plain("mqtt_rows", &broker).await;
    listener.subscribe(&broker).await;
    // The broker keeps them for a session that is not there.
    broker
        .publisher()
        .publish("esp/W-1/telemetry", &messages(0..300), &[])
        .unwrap();
    broker
        .publisher()
        .publish("esp/W-1/other", &messages(0..10), &[])
        .unwrap();
    let running = listener.call().spawn();
    broker
        .publisher()
        .publish("esp/W ä/telemetry", &messages(0..300), &[])
        .unwrap();
    listener.pumps.eventually_stored(600).await;
    for well in ["W-1", "W ä"] {
        assert_eq!(
            listener
                .pumps
                .count(&format!("esp_telemetry WHERE well_id = '{well}'"))
                .await,
            300
        );
    }
    stop(running).await;
    // All were acknowledged: nothing comes again.
    let running = listener.call().spawn();
    broker
        .publisher()
        .publish("esp/W-2/telemetry", &messages(0..1), &[])
        .unwrap();
    listener.pumps.eventually_stored(601).await;
    stop(running).await;
    let again = "hyperhaul.ingest_receipt WHERE duplicate_count > 0";
    assert_eq!(listener.pumps.count(again).await, 0);
    listener.pumps.assert_proved().await;
}

#[tokio::test]
async fn what_was_stored_and_not_acknowledged_comes_again_and_is_a_duplicate() {
    let Some(broker) = mosquitto(
        "what_was_stored_and_not_acknowledged_comes_again_and_is_a_duplicate",
        "",
    ) else {
        return;
    };
    let listener = Listener::plain("mqtt_again", &broker).await;
    listener.subscribe(&broker).await;
    broker
        .publisher()
        .publish("esp/W-1/telemetry", &messages(0..100), &[])
        .unwrap();
    listener
        .call()
        .failpoint("ingest.stored")
        .run()
        .await
        .expect_killed();
    let running = listener.call().spawn();
    listener.pumps.eventually_stored(100).await;
    stop(running).await;
    let again = "hyperhaul.ingest_receipt WHERE duplicate_count > 0";
    assert!(listener.pumps.count(again).await > 0, "nothing came again");
    listener.pumps.assert_proved().await;
}

#[tokio::test]
async fn processes_and_brokers_that_are_killed_under_load_lose_nothing() {
    let Some(mut broker) = mosquitto(
        "processes_and_brokers_that_are_killed_under_load_lose_nothing",
        "",
    ) else {
        return;
    };
    let listener = Listener::plain("mqtt_kills", &broker).await;
    listener.subscribe(&broker).await;
    for well in 0..6_u32 {
        let running = listener.call().spawn();
        let topic = format!("esp/W-{well}/telemetry");
        let lines = messages(0..400);
        let publisher = broker.publisher();
        let publishing =
            tokio::task::spawn_blocking(move || publisher.publish(&topic, &lines, &[]));
        tokio::time::sleep(Duration::from_millis(100 + 60 * u64::from(well))).await;
        running.signal("KILL");
        running.wait().await.expect_killed();
        publishing.await.unwrap().unwrap();
        // In good order, so that it writes down what it has; a broker that is killed may forget what it acknowledged.
        broker.stop();
        broker.start_again().unwrap();
    }
    let mut running = listener.call().spawn();
    tokio::time::sleep(Duration::from_millis(200)).await;
    broker.kill();
    broker.start_again().unwrap();
    listener.pumps.eventually_stored(6 * 400).await;
    assert!(!running.has_ended());
    stop(running).await;
    listener.pumps.assert_proved().await;
}

#[tokio::test]
async fn a_full_spool_acknowledges_nothing_and_the_broker_keeps_the_rest() {
    let Some(broker) = mosquitto(
        "a_full_spool_acknowledges_nothing_and_the_broker_keeps_the_rest",
        "",
    ) else {
        return;
    };
    let listener = Listener::plain("mqtt_full", &broker).await;
    listener.subscribe(&broker).await;
    let config = std::fs::read_to_string(&listener.config).unwrap();
    std::fs::write(
        &listener.config,
        config.replace("[spool]\n", "[spool]\nbytes_max = \"128 KiB\"\n"),
    )
    .unwrap();
    let nowhere = "postgresql://postgres@127.0.0.1:1/postgres";
    let mut running = listener
        .call()
        .arg("--target")
        .arg(nowhere)
        .env("RUST_LOG", "warn")
        .spawn();
    listener.until_subscribed(&broker).await;
    broker
        .publisher()
        .publish("esp/W-1/telemetry", &messages(0..1400), &[])
        .unwrap();
    let folder = listener.pumps.folder.join("spool/esp");
    let bytes = || {
        let files = std::fs::read_dir(&folder)
            .unwrap()
            .filter_map(|file| Some(file.ok()?.metadata().ok()?.len()));
        files.sum::<u64>()
    };
    let full = async || bytes() > 120 << 10;
    eventually("the spool is full", Duration::from_secs(20), full)
        .await
        .unwrap();
    assert!(!running.has_ended());
    running.signal("KILL");
    running.wait().await.expect_killed();
    let running = listener.call().spawn();
    listener.pumps.eventually_stored(1400).await;
    stop(running).await;
    listener.pumps.assert_proved().await;
}

#[tokio::test]
async fn brokers_are_logged_in_to_by_tls_and_say_what_they_refuse() {
    let test = "brokers_are_logged_in_to_by_tls_and_say_what_they_refuse";
    let Some(broker) = mosquitto(test, "") else {
        return;
    };
    let folder = broker.folder();
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (certificate, key, logins) = (file("certificate.pem"), file("key.pem"), file("logins"));
    let (ca, ca_key) = (file("ca.pem"), file("ca.key"));
    let openssl = |options: &str, files: &[&str]| {
        let made = Command::new("openssl")
            .args("req -x509 -newkey rsa:2048 -nodes -days 2".split(' '))
            .args(options.split(' '))
            .args(files)
            .stderr(Stdio::null())
            .status();
        made.is_ok_and(|made| made.success())
    };
    if !openssl("-subj /CN=pumps", &["-keyout", &ca_key, "-out", &ca]) {
        return eprintln!("skipped: openssl is not installed");
    }
    let server =
        "-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=CA:FALSE";
    assert!(openssl(
        server,
        &[
            "-keyout",
            &key,
            "-out",
            &certificate,
            "-CA",
            &ca,
            "-CAkey",
            &ca_key
        ]
    ));
    let made = Command::new("mosquitto_passwd")
        .args(["-b", "-c", &logins, "pumps", "a long password"])
        .status();
    assert!(made.unwrap().success());
    let more = format!("certfile {certificate}\nkeyfile {key}\npassword_file {logins}");
    let secured = mosquitto(test, &more).unwrap();
    let url = format!("mqtts://127.0.0.1:{}", secured.port());
    let login = |password: &str| {
        format!("ca = \"{ca}\"\nusername = \"pumps\"\npassword = \"{password}\"\n")
    };

    let refused = Listener::new("mqtt_refused", &url, &login("another password")).await;
    let ended = refused
        .call()
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["the broker refuses the connection"]);
    assert!(
        !ended.stderr.contains("another password"),
        "{}",
        ended.stderr
    );

    let listener = Listener::new("mqtt_tls", &url, &login("a long password")).await;
    let running = listener.call().spawn();
    listener.until_subscribed(&secured).await;
    let options = ["--cafile", &ca, "-u", "pumps", "-P", "a long password"];
    secured
        .publisher()
        .publish("esp/W-1/telemetry", &messages(0..10), &options)
        .unwrap();
    listener.pumps.eventually_stored(10).await;
    stop(running).await;
}
