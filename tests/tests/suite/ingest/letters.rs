//! Dead letters afterwards.

use super::{Pumps, reading, readings};
use crate::support::Hyperhaul;
use hyperhaul_testkit::{Cut, Proxy, eventually};
use std::path::PathBuf;
use std::time::Duration;

#[tokio::test]
async fn letters_are_shown_as_they_came_and_go_in_when_the_table_takes_them() {
    let pumps = Pumps::new("ingest_dlq").await;
    let refused = reading(1, 500, "").replace("42.5", "13");
    let text = readings(5, 5) + &refused + "\nnot json\n";
    let file = pumps.file("readings.ndjson", &text);
    let config = format!(
        "target = \"{}\"\n[[stream]]\nname = \"esp\"\nprofile = \"esp-telemetry\"\ntable = \"public.esp_telemetry\"\n\
         source = {{ kind = \"file\", path = \"{}\" }}\n",
        pumps.database.url(),
        file.display()
    );
    let config = pumps.file("ingest.toml", &config);
    let call = |arguments: &str| {
        pumps
            .call(arguments)
            .arg("--config")
            .arg(config.to_str().unwrap())
    };
    call("ingest")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["esp", "27", "25", "2"]);

    let listed = call("dlq list --json").run().await.expect_code(0).json();
    assert_eq!(listed[0]["constraint"], "esp_not_idle");
    assert_eq!(listed[1]["reason"], "bad-json");
    let id = listed[0]["id"].to_string();
    let shown = call("dlq show").arg(&id).run().await.expect_code(0);
    assert_eq!(shown.stdout, refused);

    call("dlq retry")
        .run()
        .await
        .expect_code(4)
        .expect_printed(&["0 dead letters gone, 2 kept"]);
    pumps
        .database
        .exec("ALTER TABLE esp_telemetry DROP CONSTRAINT esp_not_idle")
        .await
        .unwrap();
    // Killed before the COMMIT, it is as if nothing had happened; killed behind it, row and letter have changed places.
    for (point, letters, rows) in [("dlq.before_commit", 2, 25), ("dlq.after_commit", 1, 26)] {
        call("dlq retry")
            .failpoint(point)
            .run()
            .await
            .expect_killed();
        assert_eq!(
            pumps.count("hyperhaul.dead_letter").await,
            letters,
            "{point}"
        );
        assert_eq!(pumps.count("esp_telemetry").await, rows, "{point}");
    }
    call("dlq retry")
        .run()
        .await
        .expect_code(4)
        .expect_printed(&["0 dead letters gone, 1 kept"]);
    assert_eq!(pumps.count("esp_telemetry").await, 26);
    assert_eq!(
        pumps.count("esp_telemetry WHERE motor_current = 13").await,
        1
    );

    call("dlq drop --reason bad-json")
        .run()
        .await
        .expect_code(2);
    call("dlq drop --reason bad-json --yes")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["dropped 1 dead letter"]);
    call("dlq list")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["There are no dead letters."]);
    pumps.assert_proved().await;
}

/// Readings that the table's CHECK refused, and takes by now.
struct Refused {
    pumps: Pumps,
    config: PathBuf,
}

impl Refused {
    /// `change` alters the lines of some.
    async fn new(name: &str, count: u32, change: impl Fn(u32, String) -> String) -> Refused {
        let pumps = Pumps::new(name).await;
        let lines =
            (0..count).map(|at| change(at, reading(1, at, "").replace(":42.5,", ":13,")) + "\n");
        let file = pumps.file("readings.ndjson", &lines.collect::<String>());
        let config = format!(
            "[[stream]]\nname = \"esp\"\nprofile = \"esp-telemetry\"\ntable = \"public.esp_telemetry\"\n\
             source = {{ kind = \"file\", path = \"{}\" }}\n",
            file.display()
        );
        let config = pumps.file("ingest.toml", &config);
        let refused = Refused { pumps, config };
        let url = refused.pumps.database.url();
        refused.call("ingest", url).run().await.expect_code(0);
        let letters = refused.pumps.count("hyperhaul.dead_letter").await;
        assert_eq!(letters, i64::from(count));
        let drop = "ALTER TABLE esp_telemetry DROP CONSTRAINT esp_not_idle";
        refused.pumps.database.exec(drop).await.unwrap();
        refused
    }

    fn call(&self, arguments: &str, url: &str) -> Hyperhaul {
        let call = Hyperhaul::new(arguments).target(url).arg("--config");
        call.arg(self.config.to_str().unwrap())
    }
}

#[tokio::test]
async fn letters_whose_commit_got_no_answer_are_counted_as_what_became_of_them() {
    let refused = Refused::new("ingest_dlq_commit", 50, |_, line| line).await;
    let proxy = Proxy::start(refused.pumps.database.url()).unwrap();
    proxy.arm(Cut::AnswerToWhole("COMMIT".to_owned()));
    let retried = refused.call("dlq retry", proxy.url()).run().await;
    retried
        .expect_code(0)
        .expect_printed(&["50 dead letters gone, 0 kept"]);
    assert!(proxy.fired_count() > 0);
    assert_eq!(refused.pumps.count("hyperhaul.dead_letter").await, 0);
    assert_eq!(refused.pumps.count("esp_telemetry").await, 50);
}

#[tokio::test]
async fn a_letter_that_is_not_even_staged_does_not_hold_up_the_others() {
    let change = |at, line: String| match at {
        100 | 400 => line.replace("\"gor\":500", "\"gor\":5000"),
        _ => line,
    };
    let refused = Refused::new("ingest_dlq_poison", 600, change).await;
    let narrower = "ALTER TABLE esp_telemetry ALTER COLUMN gor TYPE numeric(5, 2)";
    refused.pumps.database.exec(narrower).await.unwrap();
    let rollbacks = "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()";
    let before: i64 = refused.pumps.database.value(rollbacks).await.unwrap();
    let retried = refused.call("dlq retry", refused.pumps.database.url());
    retried
        .run()
        .await
        .expect_code(4)
        .expect_printed(&["598 dead letters gone, 2 kept"]);
    assert_eq!(refused.pumps.count("esp_telemetry").await, 598);
    let why = "SELECT DISTINCT concat_ws(' ', reason, sqlstate) FROM hyperhaul.dead_letter";
    let why: String = refused.pumps.database.value(why).await.unwrap();
    assert_eq!(why, "refused-by-server 22003");
    // Halving finds each in ten steps, of which each costs at most one transaction.
    // Backends tell what they counted when they end.
    let rolled_back = async || {
        refused
            .pumps
            .database
            .value::<i64>(rollbacks)
            .await
            .unwrap()
            - before
    };
    let ours = "pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'hyperhaul%'";
    let told = async || refused.pumps.count(ours).await == 0 && rolled_back().await >= 10;
    let waited = eventually("all is told", Duration::from_secs(20), told).await;
    waited.unwrap();
    let count = rolled_back().await;
    assert!(count < 40, "{count}");
}
