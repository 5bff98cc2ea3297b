//! A broker that forgets its sessions: what was acknowledged is stored, what the broker held is gone with it, and what is sent again is
//! a duplicate.

use super::mqtt::{Listener, messages, mosquitto, stop};
use hyperhaul_testkit::eventually;
use std::time::Duration;

/// Overrides what the broker is usually told: sessions and messages do not outlive it.
const FORGETS: &str = "persistence false\n";

#[tokio::test]
async fn messages_that_a_broker_without_sessions_sends_again_are_duplicates() {
    let test = "messages_that_a_broker_without_sessions_sends_again_are_duplicates";
    let Some(mut broker) = mosquitto(test, FORGETS) else {
        return;
    };
    let listener = Listener::plain("mqtt_forgets", &broker).await;
    let mut running = listener.call().spawn();
    listener.until_subscribed(&broker).await;
    let topic = "esp/W-1/telemetry";
    let publish = |broker: &hyperhaul_testkit::Broker, minutes| {
        let publisher = broker.publisher();
        publisher.publish(topic, &messages(minutes), &[]).unwrap();
    };
    publish(&broker, 0..200);
    listener.pumps.eventually_stored(200).await;
    // The session is gone, and the broker answers with none: it is subscribed to anew, by the same process.
    broker.kill();
    broker.start_again().unwrap();
    listener.until_subscribed(&broker).await;
    assert!(!running.has_ended());
    // Whoever published cannot know, and sends all of it again.
    publish(&broker, 0..300);
    listener.pumps.eventually_stored(300).await;
    stop(running).await;
    assert_eq!(duplicates(&listener).await, 200);

    // Without a listener and without a session nobody keeps messages.
    broker.kill();
    broker.start_again().unwrap();
    publish(&broker, 300..400);
    let mut running = listener.call().spawn();
    listener.until_subscribed(&broker).await;
    publish(&broker, 400..500);
    listener.pumps.eventually_stored(400).await;
    publish(&broker, 300..400);
    listener.pumps.eventually_stored(500).await;
    assert!(!running.has_ended());
    stop(running).await;
    assert_eq!(duplicates(&listener).await, 200);
    listener.pumps.assert_proved().await;
}

#[tokio::test]
async fn what_was_stored_before_the_broker_forgot_it_is_there_and_what_it_held_is_not() {
    let test = "what_was_stored_before_the_broker_forgot_it_is_there_and_what_it_held_is_not";
    let Some(mut broker) = mosquitto(test, FORGETS) else {
        return;
    };
    let listener = Listener::plain("mqtt_forgot", &broker).await;
    listener.subscribe(&broker).await;
    // Stored, and killed before it is acknowledged: nobody was told, and the broker forgets it.
    let publisher = broker.publisher();
    let lines = messages(0..100);
    publisher.publish("esp/W-1/telemetry", &lines, &[]).unwrap();
    let killed = listener.call().failpoint("ingest.stored");
    killed.run().await.expect_killed();
    broker.kill();
    broker.start_again().unwrap();
    let running = listener.call().spawn();
    listener.until_subscribed(&broker).await;
    let some = async || listener.pumps.count("esp_telemetry").await > 0;
    let what = "what was stored is written";
    eventually(what, Duration::from_secs(20), some)
        .await
        .unwrap();
    publisher.publish("esp/W-1/telemetry", &lines, &[]).unwrap();
    listener.pumps.eventually_stored(100).await;
    stop(running).await;
    let stored_before = duplicates(&listener).await;
    assert!(stored_before > 0, "nothing came again");
    listener.pumps.assert_proved().await;
}

async fn duplicates(listener: &Listener) -> i64 {
    let sum = "SELECT sum(duplicate_count)::bigint FROM hyperhaul.ingest_receipt";
    listener.pumps.database.value(sum).await.unwrap()
}
