//! Dead letters afterwards.

use super::{Pumps, reading, readings};

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
