//! The Community edition: jobs of the server and continuous aggregates. Runs where `HYPERHAUL_COMMUNITY_URL` names a server.

use super::{Ticks, aggregate_sql, declared};
use crate::support::{Hyperhaul, assert_equal_rows, community_database, load_soar, rows_seen};
use hyperhaul_testkit::TestDatabase;
use serde_json::Value;

async fn ticks(test: &str) -> Option<Ticks> {
    Some(Ticks::fill(community_database(test).await?, &declared()).await)
}

/// The jobs of all hypertables, but for their numbers and times.
async fn jobs(database: &TestDatabase) -> Vec<String> {
    let sql = "SELECT format('%s %s every %s %s', proc_name, hypertable_name, schedule_interval, config - 'hypertable_id' - 'mat_hypertable_id') \
               FROM timescaledb_information.jobs WHERE job_id >= 1000 \
               AND (proc_name <> 'policy_refresh_continuous_aggregate' OR config ? 'mat_hypertable_id') ORDER BY 1";
    let found: Vec<String> = database.values(sql).await.unwrap();
    // The aggregate's own hypertable is numbered.
    found
        .into_iter()
        .map(|job| {
            if job.contains("_materialized_") {
                job.replace(char::is_numeric, "")
            } else {
                job
            }
        })
        .collect()
}

async fn assert_set_up(ticks: &Ticks) {
    let jobs = jobs(&ticks.database).await;
    assert_eq!(jobs.len(), 3, "{jobs:?}");
    assert!(
        jobs[0].starts_with("policy_compression ticks every") && jobs[0].contains("7 days"),
        "{jobs:?}"
    );
    assert!(
        jobs[1].starts_with("policy_refresh_continuous_aggregate"),
        "{jobs:?}"
    );
    assert_eq!(
        jobs[2],
        "policy_retention ticks every 1 day {\"drop_after\": \"30 days\"}"
    );
    let settings = "SELECT segmentby || ' / ' || orderby FROM timescaledb_information.hypertable_columnstore_settings \
                    WHERE hypertable = 'ticks'::regclass";
    let settings: String = ticks.database.value(settings).await.unwrap();
    assert_eq!(settings, "well / at DESC");
    let waits = "SELECT next_start > now() + interval '23 hours' FROM timescaledb_information.jobs WHERE proc_name = 'policy_retention'";
    assert!(
        ticks.database.value::<bool>(waits).await.unwrap(),
        "retention waits a whole schedule"
    );
    let wanted = aggregate_sql("ticks", "'infinity'");
    assert_equal_rows(
        (&ticks.database, &wanted),
        (&ticks.database, "SELECT * FROM \"Ticks hourly\""),
    )
    .await;
}

/// Statements of the policies' steps, as the plan in the ledger has them.
async fn policy_statements(database: &TestDatabase, what: &str) -> Vec<String> {
    let plan: Value = database
        .value("SELECT plan FROM hyperhaul.run ORDER BY run_id DESC LIMIT 1")
        .await
        .unwrap();
    let steps = plan["steps"].as_array().unwrap().iter();
    let own = steps.filter(|step| step["phase"] == "policies");
    let texts = |step: &Value| -> Vec<String> {
        let list = if what == "inverse" {
            &step["inverse"]
        } else {
            step["action"]
                .as_object()
                .unwrap()
                .values()
                .next()
                .unwrap()
                .get("statements")
                .unwrap_or(&Value::Null)
        };
        list.as_array()
            .into_iter()
            .flatten()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect()
    };
    own.flat_map(texts).collect()
}

#[tokio::test]
async fn policies_are_set_up_after_the_load_and_again_without_harm() {
    let test = "policies_are_set_up";
    let Some(ticks) = ticks(test).await else {
        return;
    };
    ticks
        .call("check")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&[
            "becomes a continuous",
            "go to the columnstore",
            "the first run of the retention of 30 days",
        ]);
    ticks.migrate().await;
    assert_set_up(&ticks).await;
    for statement in policy_statements(&ticks.database, "statements").await {
        ticks
            .database
            .exec(&statement)
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    assert_set_up(&ticks).await;
    let nothing = ticks.call("maintain").run().await.expect_code(0);
    nothing.expect_printed(&["Nothing is declared"]);
}

#[tokio::test]
async fn steps_killed_at_any_moment_go_on_and_are_taken_back() {
    let test = "policies_community_killed";
    let Some(ticks) = ticks(test).await else {
        return;
    };
    let before = rows_seen(&ticks.database, "SELECT * FROM ticks").await;
    ticks.migrate_killed_at_every_step().await;
    assert_set_up(&ticks).await;
    ticks.call("rollback").run().await.expect_code(0);
    assert_eq!(
        rows_seen(&ticks.database, "SELECT * FROM ticks").await,
        before
    );
    assert_eq!(jobs(&ticks.database).await, Vec::<String>::new());
    let views: i64 = ticks
        .database
        .value("SELECT count(*) FROM timescaledb_information.continuous_aggregates")
        .await
        .unwrap();
    assert_eq!(views, 0);
    ticks.migrate().await;
    assert_set_up(&ticks).await;
}

/// Runs every job of columnstore and retention at once.
async fn run_jobs(ticks: &Ticks) {
    for job in ["policy_compression", "policy_retention"] {
        let run = format!(
            "DO $$ DECLARE job integer; BEGIN SELECT job_id INTO job FROM timescaledb_information.jobs WHERE proc_name = '{job}'; \
             CALL run_job(job); END $$"
        );
        ticks.database.exec(&run).await.unwrap();
    }
    let compressed = "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'ticks' AND is_compressed";
    let compressed: i64 = ticks.database.value(compressed).await.unwrap();
    assert!(
        compressed >= 20,
        "{compressed} chunks are in the columnstore"
    );
    let oldest = "SELECT min(at) > now() - interval '32 days' FROM ticks";
    assert!(
        ticks.database.value::<bool>(oldest).await.unwrap(),
        "retention has dropped what was too old"
    );
}

#[tokio::test]
async fn what_the_jobs_did_is_verified_and_rolled_back() {
    let test = "policies_jobs";
    let Some(ticks) = ticks(test).await else {
        return;
    };
    let before = rows_seen(&ticks.database, "SELECT * FROM ticks").await;
    ticks
        .call("migrate --strategy copy")
        .run()
        .await
        .expect_code(0);
    ticks.call("verify").run().await.expect_code(0);
    run_jobs(&ticks).await;
    ticks
        .call("verify")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["dropped by the declared retention"]);
    ticks.call("rollback").run().await.expect_code(0);
    assert_eq!(
        rows_seen(&ticks.database, "SELECT * FROM ticks").await,
        before
    );
}

/// An attached partition is the chunk: it comes back from the columnstore, and not from retention.
#[tokio::test]
async fn what_the_jobs_did_to_attached_partitions_is_taken_back_as_far_as_it_can_be() {
    let test = "policies_attached";
    let Some(ticks) = ticks(test).await else {
        return;
    };
    let said = "no second copy";
    ticks
        .call("check --strategy attach")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&[said]);
    ticks
        .call("migrate --strategy attach")
        .run()
        .await
        .expect_code(0);
    assert_set_up(&ticks).await;
    run_jobs(&ticks).await;
    ticks.call("verify").run().await.expect_code(0);
    let kept = rows_seen(&ticks.database, "SELECT * FROM ticks").await;
    ticks.call("rollback").run().await.expect_code(0);
    assert_eq!(
        rows_seen(&ticks.database, "SELECT * FROM ticks").await,
        kept
    );
    let hypertables: i64 = ticks
        .database
        .value("SELECT count(*) FROM timescaledb_information.hypertables")
        .await
        .unwrap();
    assert_eq!(hypertables, 0);
}

#[tokio::test]
async fn a_plain_owner_sets_policies_up() {
    let test = "policies_community_owner";
    let Some(ticks) = ticks(test).await else {
        return;
    };
    let role = ticks.plain_owner().await;
    ticks.whole_lifecycle_as(&role).await;
    assert_set_up(&ticks).await;
}

#[tokio::test]
async fn inverses_may_be_repeated() {
    let test = "policies_inverses";
    let Some(ticks) = ticks(test).await else {
        return;
    };
    ticks.migrate().await;
    let mut inverses = policy_statements(&ticks.database, "inverse").await;
    inverses.reverse();
    for _ in 0..2 {
        // remove before off: the order within a step is kept by running the policies' removal twice.
        for statement in &inverses {
            ticks
                .database
                .exec(statement)
                .await
                .unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }
    assert_eq!(jobs(&ticks.database).await, Vec::<String>::new());
}

#[tokio::test]
async fn soar_gets_what_it_declares() {
    let test = "policies_soar";
    let Some(database) = community_database(test).await else {
        return;
    };
    load_soar(&database, 2_000).await;
    let config = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../fixtures/soar/hyperhaul.toml"
    );
    let call = |arguments: &str| {
        Hyperhaul::new(arguments)
            .source(database.url())
            .arg("--config")
            .arg(config)
    };
    call("check")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["The job fails at each run until then."]);
    call("migrate").run().await.expect_code(0);
    let jobs = jobs(&database).await;
    let of = |name: &str, table: &str, age: &str| {
        jobs.iter()
            .any(|job| job.starts_with(&format!("{name} {table} ")) && job.contains(age))
    };
    for table in ["fixes", "raw_messages"] {
        assert!(
            of("policy_compression", table, "\"7 days\""),
            "{table}: {jobs:?}"
        );
        assert!(
            of("policy_retention", table, "\"30 days\""),
            "{table}: {jobs:?}"
        );
    }
    let settings = "SELECT hypertable::text || ' ' || segmentby || ' / ' || orderby \
                    FROM timescaledb_information.hypertable_columnstore_settings ORDER BY 1";
    let settings: Vec<String> = database.values(settings).await.unwrap();
    assert_eq!(
        settings,
        [
            "fixes aircraft_id / received_at DESC",
            "raw_messages receiver_id / received_at DESC"
        ]
    );
    let comment: String = database
        .value("SELECT obj_description('fixes'::regclass)")
        .await
        .unwrap();
    assert!(comment.contains("retention 30 days"), "{comment}");
    call("verify").run().await.expect_code(0);

    // Every row is from 2025. A foreign key refers to raw_messages: only maintain can delete from it.
    let maintained = call("maintain --json").run().await.json();
    assert_eq!(
        maintained["tables"].as_array().unwrap().len(),
        1,
        "{maintained}"
    );
    assert_eq!(
        maintained["tables"][0]["table"]["name"], "raw_messages",
        "{maintained}"
    );
    assert!(
        maintained["tables"][0]["retention"]["refused"]
            .as_array()
            .unwrap()
            .iter()
            .all(|refusal| refusal["reason"]
                .as_str()
                .unwrap()
                .contains("receiver_statuses")),
        "{maintained}"
    );
    call("rollback").run().await.expect_code(0);
}

/// LaunchStack: a hypertable that refers to an ordinary table, and its hourly aggregate.
#[tokio::test]
async fn launchstack_gets_its_hourly_aggregate_over_all_history() {
    let test = "policies_launchstack";
    let Some(database) = community_database(test).await else {
        return;
    };
    let table = "
        CREATE TABLE instances (id uuid PRIMARY KEY);
        INSERT INTO instances SELECT gen_random_uuid() FROM generate_series(1, 3);
        CREATE TABLE resource_usage (id uuid DEFAULT gen_random_uuid(), instance_id uuid NOT NULL REFERENCES instances ON DELETE CASCADE,
            \"timestamp\" timestamptz NOT NULL DEFAULT now(), cpu_usage float8 NOT NULL, memory_usage bigint NOT NULL, network_in bigint,
            PRIMARY KEY (id, \"timestamp\"));
        INSERT INTO resource_usage (instance_id, \"timestamp\", cpu_usage, memory_usage, network_in)
            SELECT i.id, now() - n * interval '20 minutes', n % 100, n * 1000, n FROM instances AS i, generate_series(0, 1500) AS n";
    database.exec(table).await.unwrap();
    let config = "
        [[table]]
        name = 'resource_usage'
        time_column = 'timestamp'
        columnstore_after = '7 days'
        segment_by = ['instance_id']
        order_by = ['timestamp DESC']
        retention = '30 days'
        [[table.aggregate]]
        name = 'resource_usage_hourly'
        bucket = '1 hour'
        group_by = ['instance_id']
        measures = ['avg(cpu_usage) AS avg_cpu', 'max(memory_usage) AS max_memory', 'sum(network_in) AS total_network_in']
        start_offset = '2 days'
        end_offset = '1 hour'
        schedule = '1 hour'";
    let path = std::env::temp_dir().join(format!("hyperhaul-{}.toml", database.name()));
    std::fs::write(&path, config).unwrap();
    let call = |arguments: &str| {
        let call = Hyperhaul::new(arguments).source(database.url());
        call.arg("--config").arg(path.to_str().unwrap())
    };
    call("migrate").run().await.expect_code(0);
    std::fs::remove_file(&path).unwrap();
    let wanted = "SELECT instance_id, time_bucket('1 hour', \"timestamp\") AS bucket, avg(cpu_usage), max(memory_usage), sum(network_in) \
                  FROM hyperhaul_old_public.resource_usage GROUP BY 1, 2";
    assert_equal_rows(
        (&database, wanted),
        (&database, "SELECT * FROM resource_usage_hourly"),
    )
    .await;
    let jobs = jobs(&database).await;
    assert_eq!(jobs.len(), 3, "{jobs:?}");
    let refresh: bool = database
        .value("SELECT config ->> 'start_offset' = '2 days' AND config ->> 'end_offset' = '01:00:00' AND schedule_interval = '1 hour' \
                FROM timescaledb_information.jobs WHERE proc_name = 'policy_refresh_continuous_aggregate' AND job_id >= 1000")
        .await
        .unwrap();
    assert!(refresh);
}
