//! Messages of a JetStream consumer that processes share: each committed once, whoever is killed.

use super::{Pumps, reading};
use crate::support::Hyperhaul;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::{Context, stream};
use hyperhaul_testkit::{Broker, BrokerKind, eventually, skip};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

/// How soon a message comes again that nobody acknowledged.
const ACK_WAIT: Duration = Duration::from_secs(2);

/// A server with a stream `wells`, and a process's configuration for it.
struct Wells {
    broker: Broker,
    context: Context,
    pumps: Pumps,
    config: PathBuf,
}

impl Wells {
    /// `None`: there is no server to be had.
    async fn new(name: &str) -> Option<Wells> {
        let broker = match Broker::start(BrokerKind::Nats, "") {
            Ok(broker) => broker,
            Err(error) if error.is_unavailable() => {
                skip(name, &error);
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let url = format!("nats://127.0.0.1:{}", broker.port());
        let context = async_nats::jetstream::new(async_nats::connect(&url).await.unwrap());
        let stream = stream::Config {
            name: "wells".to_owned(),
            subjects: vec!["esp.>".to_owned()],
            ..stream::Config::default()
        };
        context.create_stream(stream).await.unwrap();
        let pumps = Pumps::new(name).await;
        let config = format!(
            "target = \"{}\"\n[[stream]]\nname = \"esp\"\nprofile = \"esp-telemetry\"\ntable = \"public.esp_telemetry\"\n\
             batch = {{ rows_max = 200 }}\n\
             [stream.source]\nkind = \"nats\"\nserver = \"{url}\"\nstream = \"wells\"\nconsumer = \"hyperhaul\"\nsubject = \"esp.{{well_id}}.telemetry\"\n\
             [[stream.column]]\nname = \"well_id\"\nfrom = \"$attribute.well_id\"\n",
            pumps.database.url(),
        );
        let config = pumps.file("ingest.toml", &config);
        Some(Wells {
            broker,
            context,
            pumps,
            config,
        })
    }

    fn call(&self) -> Hyperhaul {
        Hyperhaul::new("ingest --json --config").arg(self.config.to_str().unwrap())
    }

    /// A consumer that is quick to give messages again.
    async fn quick_consumer(&self) -> PullConsumer {
        let config = pull::Config {
            durable_name: Some("hyperhaul".to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: 100_000,
            filter_subject: "esp.*.telemetry".to_owned(),
            ..pull::Config::default()
        };
        self.context
            .create_consumer_on_stream(config, "wells")
            .await
            .unwrap()
    }

    /// Readings without a well: that is in the subject. Each is stored by the server when this returns.
    async fn publish(&self, well: &str, minutes: Range<u32>) {
        let mut stored = Vec::new();
        for minute in minutes {
            let text = reading(0, minute, "").replace("\"well_id\":\"W-0000\",", "");
            let subject = format!("esp.{well}.telemetry");
            stored.push(self.context.publish(subject, text.into()).await.unwrap());
            // Other subjects of the stream are not the consumer's.
            if minute % 7 == 0 {
                stored.push(
                    self.context
                        .publish(format!("esp.{well}.other"), "x".into())
                        .await
                        .unwrap(),
                );
            }
        }
        for stored in stored {
            stored.await.unwrap();
        }
    }

    async fn assert_once(&self, rows: i64) {
        self.pumps.eventually_stored(rows).await;
        // A reading that had been committed twice would be a duplicate of itself.
        let twice = "hyperhaul.ingest_receipt WHERE duplicate_count + conflict_count + dead_count + lost_count > 0";
        assert_eq!(self.pumps.count(twice).await, 0);
        self.pumps.assert_proved().await;
    }

    async fn skipped(&self) -> i64 {
        let sql = "SELECT coalesce(sum(skipped_count), 0)::bigint FROM hyperhaul.ingest_receipt";
        self.pumps.database.value(sql).await.unwrap()
    }
}

#[tokio::test]
async fn messages_become_rows_and_are_acknowledged_when_they_are_committed() {
    let Some(wells) = Wells::new("nats_rows").await else {
        return;
    };
    wells.publish("W-1", 0..500).await;
    let running = wells.call().spawn();
    wells.pumps.eventually_stored(500).await;
    wells.publish("W-2", 0..500).await;
    wells.assert_once(1000).await;
    assert_eq!(
        wells
            .pumps
            .count("esp_telemetry WHERE well_id = 'W-2'")
            .await,
        500
    );
    running.signal("INT");
    let done = running.wait().await.expect_code(0).json();
    assert_eq!(done[0]["stored_count"], 1000);
    let consumer: PullConsumer = wells
        .context
        .get_consumer_from_stream("hyperhaul", "wells")
        .await
        .unwrap();
    let info = consumer.get_info().await.unwrap();
    assert_eq!((info.num_ack_pending, info.num_pending), (0, 0));
}

#[tokio::test]
async fn what_was_committed_and_not_acknowledged_comes_again_and_is_left_out() {
    let Some(wells) = Wells::new("nats_again").await else {
        return;
    };
    wells.quick_consumer().await;
    wells.publish("W-1", 0..150).await;
    wells
        .call()
        .failpoint("ingest.after_commit")
        .run()
        .await
        .expect_killed();
    assert!(
        wells.pumps.count("esp_telemetry").await > 0,
        "nothing was committed"
    );
    let running = wells.call().spawn();
    wells.assert_once(150).await;
    let left_out = async || wells.skipped().await > 0;
    eventually("it came again", Duration::from_secs(20), left_out)
        .await
        .unwrap();
    running.signal("INT");
    running.wait().await.expect_code(0);
    wells.assert_once(150).await;
}

#[tokio::test]
async fn processes_that_share_a_consumer_and_are_killed_commit_each_message_once() {
    let Some(mut wells) = Wells::new("nats_kills").await else {
        return;
    };
    wells.quick_consumer().await;
    let mut steady = wells.call().spawn();
    for round in 0..6_u32 {
        let killed = wells.call().spawn();
        wells.publish(&format!("W-{round}"), 0..400).await;
        tokio::time::sleep(Duration::from_millis(30 * u64::from(round))).await;
        killed.signal("KILL");
        killed.wait().await.expect_killed();
    }
    wells.broker.kill();
    wells.broker.start_again().unwrap();
    assert!(!steady.has_ended());
    let other = wells.call().spawn();
    wells.assert_once(6 * 400).await;
    for running in [steady, other] {
        running.signal("INT");
        running.wait().await.expect_code(0);
    }
    wells.assert_once(6 * 400).await;
    // The set of what is committed does not grow with it.
    let ranges = "(SELECT unnest(committed) FROM hyperhaul.ingest_consumer) AS ranges";
    assert!(wells.pumps.count(ranges).await < 2400);
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_said() {
    let Some(wells) = Wells::new("nats_mistaken").await else {
        return;
    };
    let config = std::fs::read_to_string(&wells.config).unwrap();
    std::fs::write(
        &wells.config,
        config.replace("stream = \"wells\"", "stream = \"nothing\""),
    )
    .unwrap();
    wells
        .call()
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["JetStream stream nothing cannot be read"]);
}
