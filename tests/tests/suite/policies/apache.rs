//! The Apache edition refuses policies: `check` says so before, and `maintain` does what it can.

use super::{Ticks, declared};
use crate::support::{Hyperhaul, assert_equal_rows, rows_seen, target_database};

/// In place of pg_cron: runs a command at once that is scheduled.
const STAND_IN: &str = "CREATE SCHEMA cron; CREATE FUNCTION cron.schedule_in_database(title text, times text, command text, place text) \
                    RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE command; RETURN title; END $$";

const OLD: &str = "hyperhaul_old_public.ticks";

#[tokio::test]
async fn check_says_before_the_window_what_becomes_of_each_declaration() {
    let ticks = Ticks::on_apache("policies_check", &declared()).await;
    let expired: i64 = ticks
        .database
        .value("SELECT count(*) FROM ticks WHERE at < date_trunc('day', now() - interval '30 days', 'UTC')")
        .await
        .unwrap();
    let check = ticks.call("check --json").run().await.expect_code(0).json();
    let message = |code: &str| {
        let findings = check["findings"].as_array().unwrap().iter();
        let found = findings
            .filter(|finding| finding["code"] == code)
            .collect::<Vec<_>>();
        assert_eq!(found.len(), 1, "{code}");
        found[0]["message"].as_str().unwrap().to_owned()
    };
    let retention = message("retention");
    let wanted = format!("by hyperhaul maintain, drops about {expired} rows in 10 of ");
    let wanted_later = format!("by hyperhaul maintain, drops about {expired} rows in 11 of ");
    assert!(
        retention.contains(&wanted) || retention.contains(&wanted_later),
        "{retention}, expired {expired}"
    );
    assert!(message("columnstore").contains("this edition has none"));
    assert!(message("aggregate").contains("becomes an ordinary table"));
    ticks
        .call("plan --sql")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&[
            "CREATE TABLE \"public\".\"Ticks hourly\" AS SELECT",
            "-- stored in the ledger: ",
        ]);
}

#[tokio::test]
async fn maintain_rolls_up_then_drops_what_is_too_old_and_may_be_repeated() {
    let ticks = Ticks::on_apache("policies_apache", &declared()).await;
    let before = rows_seen(&ticks.database, "SELECT * FROM ticks").await;
    ticks.migrate().await;
    assert_eq!(
        rows_seen(&ticks.database, "SELECT * FROM ticks").await,
        before,
        "migrate drops nothing"
    );
    let comment: String = ticks
        .database
        .value("SELECT obj_description('ticks'::regclass)")
        .await
        .unwrap();
    assert_eq!(comment, "kept for 30 days");

    let dry = ticks.call("maintain --dry-run").run().await.expect_code(0);
    dry.expect_printed(&[
        "would be computed",
        "would be dropped",
        "Nothing was changed.",
    ]);
    let untouched = rows_seen(&ticks.database, "SELECT * FROM ticks").await;
    assert_eq!(untouched, before);
    assert_eq!(
        rows_seen(&ticks.database, "SELECT * FROM \"Ticks hourly\"")
            .await
            .count,
        0
    );

    let done = ticks
        .call("maintain --json")
        .run()
        .await
        .expect_code(0)
        .json();
    let table = &done["tables"][0];
    assert!(
        table["retention"]["dropped"].as_array().unwrap().len() >= 9,
        "{done}"
    );
    assert!(
        table["unavailable"][0]
            .as_str()
            .unwrap()
            .contains("columnstore"),
        "{done}"
    );
    ticks.assert_rolled_up(OLD).await;
    let kept = format!(
        "SELECT * FROM {OLD} WHERE at >= date_trunc('day', now() - interval '30 days', 'UTC')"
    );
    let kept = rows_seen(&ticks.database, &kept).await;
    assert_eq!(
        rows_seen(&ticks.database, "SELECT * FROM ticks").await,
        kept
    );

    let again = ticks.call("maintain").run().await.expect_code(0);
    again.expect_printed(&["retention: nothing is from before"]);
    ticks.assert_rolled_up(OLD).await;
    assert_eq!(
        rows_seen(&ticks.database, "SELECT * FROM ticks").await,
        kept
    );
    // What retention has dropped is no row that was lost.
    ticks
        .call("verify")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["dropped by the declared retention"]);
}

#[tokio::test]
async fn rows_that_come_late_are_computed_anew_within_start_offset_only() {
    let ticks = Ticks::on_apache("policies_late", &declared()).await;
    ticks.migrate().await;
    ticks.call("maintain").run().await.expect_code(0);
    let late = "INSERT INTO ticks (at, well, flow) VALUES \
                (now() - interval '1 day', 'late', 7), (now() - interval '10 days', 'too late', 7)";
    ticks.database.exec(late).await.unwrap();
    ticks
        .database
        .exec("DELETE FROM ticks WHERE well = 'well 1' AND at > now() - interval '2 days'")
        .await
        .unwrap();
    ticks.call("maintain").run().await.expect_code(0);
    let wells = "SELECT well FROM \"Ticks hourly\" WHERE well LIKE '%late' OR well = 'well 1' AND bucket > now() - interval '2 days'";
    let found: Vec<String> = ticks.database.values(wells).await.unwrap();
    assert_eq!(found, ["late"]);
}

#[tokio::test]
async fn a_process_killed_while_it_maintains_leaves_whole_ranges() {
    let ticks = Ticks::on_apache("policies_killed", &declared()).await;
    ticks.migrate().await;
    for point in [
        "maintain.before_commit",
        "maintain.range",
        "maintain.range:5",
        "maintain.before_commit:3",
    ] {
        ticks
            .call("maintain")
            .failpoint(point)
            .run()
            .await
            .expect_killed();
        ticks.assert_rolled_up(OLD).await;
    }
    ticks.call("maintain").run().await.expect_code(0);
    ticks.assert_rolled_up(OLD).await;
}

#[tokio::test]
async fn an_aggregate_needs_a_schema_to_be_in_and_a_name_of_its_own() {
    let elsewhere = declared().replace("'\"Ticks hourly\"'", "'reports.hourly'");
    let ticks = Ticks::on_apache("policies_schema", &elsewhere).await;
    let blocked = ticks.call("check").run().await.expect_code(3);
    blocked.expect_printed(&[
        "reports.hourly cannot be made",
        "CREATE SCHEMA IF NOT EXISTS \"reports\";",
    ]);
    ticks
        .database
        .exec("CREATE SCHEMA reports; CREATE TABLE reports.hourly ()")
        .await
        .unwrap();
    let blocked = ticks.call("check").run().await.expect_code(3);
    blocked.expect_printed(&["reports.hourly exists already"]);
    ticks
        .database
        .exec("DROP TABLE reports.hourly")
        .await
        .unwrap();
    ticks.migrate().await;
    ticks.call("maintain").run().await.expect_code(0);
}

#[tokio::test]
async fn a_plain_owner_maintains() {
    let ticks = Ticks::on_apache("policies_owner", &declared()).await;
    let role = ticks.plain_owner().await;
    ticks.whole_lifecycle_as(&role).await;
}

#[tokio::test]
async fn two_at_once_are_one() {
    let ticks = Ticks::on_apache("policies_two", &declared()).await;
    ticks.migrate().await;
    let other = ticks.database.connect().await.unwrap();
    other
        .batch_execute("SELECT pg_advisory_lock(hashtext('hyperhaul maintain'), 0)")
        .await
        .unwrap();
    let refused = ticks.call("maintain").run().await.expect_code(3);
    refused.expect_printed(&["another hyperhaul maintain is at work"]);
    ticks.call("maintain --dry-run").run().await.expect_code(0);
    drop(other);
    let (first, second) = tokio::join!(ticks.call("maintain").run(), ticks.call("maintain").run());
    let codes = [first.code(), second.code()];
    assert!(
        codes.contains(&Some(0)) && codes.iter().all(|code| matches!(code, Some(0 | 3))),
        "{codes:?}"
    );
    ticks.assert_rolled_up(OLD).await;
}

#[tokio::test]
async fn steps_go_on_where_they_were_killed_and_a_rollback_takes_declarations_back() {
    let ticks = Ticks::on_apache("policies_steps", &declared()).await;
    let before = rows_seen(&ticks.database, "SELECT * FROM ticks").await;
    ticks.migrate_killed_at_every_step().await;
    ticks.call("maintain").run().await.expect_code(0);
    ticks.assert_rolled_up(OLD).await;

    // That retention has dropped rows keeps nobody from going back: the old table has them.
    ticks.call("rollback").run().await.expect_code(0);
    assert_eq!(
        rows_seen(&ticks.database, "SELECT * FROM ticks").await,
        before
    );
    let gone: bool = ticks
        .database
        .value("SELECT to_regclass('\"Ticks hourly\"') IS NULL")
        .await
        .unwrap();
    assert!(gone, "the rolled-up table goes with the rollback");
    let nothing = ticks.call("maintain").run().await.expect_code(0);
    nothing.expect_printed(&["Nothing is declared"]);

    ticks.migrate().await;
    ticks.call("maintain").run().await.expect_code(0);
    ticks.assert_rolled_up(OLD).await;
}

#[tokio::test]
async fn what_is_installed_names_no_password_and_does_what_maintain_does() {
    let ticks = Ticks::on_apache("policies_install", &declared()).await;
    ticks.migrate().await;
    // The support looks for the connection string's password in all that is printed.
    let by_url = |arguments: &str| Hyperhaul::new(arguments).source(ticks.database.url());
    by_url("maintain --install systemd --dry-run --every 15min")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&[
            "OnUnitActiveSec=900s",
            "maintain --target",
            ticks.database.name(),
        ]);
    by_url("maintain --install cron --dry-run")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["7 * * * * ", "maintain --target"]);
    by_url("maintain --install cron").run().await.expect_code(2);
    let jobs = by_url("maintain --install pg_cron --dry-run")
        .run()
        .await
        .expect_code(0)
        .stdout;

    // Before maintain has rolled history up, the jobs change nothing; afterwards they go on from there.
    ticks.database.exec(STAND_IN).await.unwrap();
    let rows = rows_seen(&ticks.database, "SELECT * FROM ticks").await;
    ticks.database.exec(&jobs).await.unwrap();
    assert_eq!(
        rows_seen(&ticks.database, "SELECT * FROM \"Ticks hourly\"")
            .await
            .count,
        0
    );
    assert_eq!(
        rows_seen(&ticks.database, "SELECT * FROM ticks").await,
        rows
    );

    ticks.call("maintain").run().await.expect_code(0);
    let set_back = "UPDATE hyperhaul.rollup SET watermark_us = watermark_us - 3600000000 * 24 * 5; \
                    DELETE FROM \"Ticks hourly\" WHERE bucket >= now() - interval '4 days'";
    ticks.database.exec(set_back).await.unwrap();
    ticks.database.exec(&jobs).await.unwrap();
    ticks.assert_rolled_up(OLD).await;
}

/// The same by day and week, over a column of type date, and by the hour over a timestamp without time zone.
#[tokio::test]
async fn dates_and_timestamps_are_rolled_up_and_dropped_as_well() {
    for (kind, bucket, length) in [
        ("date", "1 week", "7 days"),
        ("timestamp", "1 hour", "1 hour"),
    ] {
        let database = target_database(&format!("policies_{kind}")).await;
        let table = format!(
            "SET timezone = 'UTC'; CREATE TABLE levels (taken {kind} NOT NULL, tank int, level float8, PRIMARY KEY (taken, tank));
             INSERT INTO levels SELECT now() - n * interval '1 day', n % 2, n FROM generate_series(0, 120) AS n"
        );
        database.exec(&table).await.unwrap();
        let config = format!(
            "[[table]]\nname = 'levels'\ntime_column = 'taken'\nretention = '60 days'\n\
             [[table.aggregate]]\nname = 'summary'\nbucket = '{bucket}'\ngroup_by = ['tank']\n\
             measures = ['sum(level)', 'first(level)']\nstart_offset = '28 days'\nend_offset = '1 us'\nschedule = '1 day'\n"
        );
        let path = std::env::temp_dir().join(format!("hyperhaul-{}.toml", database.name()));
        std::fs::write(&path, config).unwrap();
        let call = |arguments: &str| {
            let call = Hyperhaul::new(arguments).source(database.url());
            call.arg("--config").arg(path.to_str().unwrap())
        };
        call("migrate").run().await.expect_code(0);
        call("maintain").run().await.expect_code(0);
        database.exec(STAND_IN).await.unwrap();
        let jobs = call("maintain --install pg_cron --dry-run")
            .run()
            .await
            .expect_code(0)
            .stdout;
        database
            .exec("DELETE FROM summary WHERE bucket >= now() - interval '14 days'")
            .await
            .unwrap();
        database.exec(&jobs).await.unwrap();
        let wanted = format!(
            "SELECT tank, time_bucket('{length}', taken) AS bucket, sum(level), first(level, taken) FROM hyperhaul_old_public.levels \
             WHERE time_bucket('{length}', taken) < (SELECT timestamp '1970-01-01' + watermark_us * interval '1 microsecond' FROM hyperhaul.rollup) \
             GROUP BY 1, 2"
        );
        assert_equal_rows((&database, &wanted), (&database, "SELECT * FROM summary")).await;
        let oldest: bool = database.value("SELECT min(taken) BETWEEN now() - interval '62 days' AND now() - interval '59 days' FROM levels").await.unwrap();
        assert!(oldest, "{kind}");
        std::fs::remove_file(&path).unwrap();
    }
}
