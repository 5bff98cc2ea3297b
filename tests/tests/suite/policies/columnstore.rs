//! Chunks that go to the columnstore during the run. Runs where `HYPERHAUL_COMMUNITY_URL` names a server, but for what the
//! Apache edition says.

use super::{Ticks, declared};
use crate::support::{assert_equal_rows, community_database, rows_seen, source_database};
use hyperhaul_testkit::{TestDatabase, eventually};
use std::time::Duration;

/// Bounds a failing test; no claim about speed.
const LIMIT: Duration = Duration::from_secs(60);

/// Chunks by what they are in: old ones that are wholly in the columnstore, old ones that are not, newer ones that are.
const FORMS: &str = "
    SELECT count(*) FILTER (WHERE old AND is_compressed AND NOT heap) || ' in, ' ||
        count(*) FILTER (WHERE old AND NOT (is_compressed AND NOT heap)) || ' out, ' ||
        count(*) FILTER (WHERE NOT old AND is_compressed) || ' newer'
    FROM (SELECT is_compressed, range_end <= cutoff AS old,
        (xpath('/row/heap/text()', query_to_xml(format('SELECT EXISTS (SELECT FROM ONLY %I.%I) AS heap', chunk_schema, chunk_name),
            false, true, '')))[1]::text::bool AS heap
        FROM timescaledb_information.chunks, (SELECT to_timestamp((plan -> 'tables' -> 0 -> 'to_columnstore' ->> 'before_us')::bigint / 1e6)
            AS cutoff FROM hyperhaul.run ORDER BY run_id DESC LIMIT 1) AS latest
        WHERE hypertable_name = 'ticks') AS chunk";

/// Rows of forty days, the last seven of which stay out.
const ALL_IN: &str = "33 in, 0 out, 0 newer";

/// An index and a generated column more than other tests have.
async fn ticks(test: &str) -> Option<Ticks> {
    let ticks = Ticks::fill(community_database(test).await?, &declared()).await;
    let more = "CREATE INDEX ticks_flow ON ticks (flow);
        ALTER TABLE ticks ADD COLUMN twice float8 GENERATED ALWAYS AS (flow * 2) STORED";
    ticks.database.exec(more).await.unwrap();
    Some(ticks)
}

async fn forms(database: &TestDatabase) -> String {
    database.value(FORMS).await.unwrap()
}

/// What the server's own job says of what it finds.
async fn assert_policy_is_content(database: &TestDatabase) {
    let before = forms(database).await;
    let run =
        "DO $$ DECLARE job int; BEGIN FOR job IN SELECT job_id FROM timescaledb_information.jobs
        WHERE proc_name = 'policy_compression' LOOP CALL run_job(job); END LOOP; END $$";
    database.exec(run).await.unwrap();
    assert_eq!(forms(database).await, before);
}

#[tokio::test]
async fn old_chunks_go_there_before_the_cutover_and_are_proved_there() {
    let Some(ticks) = ticks("columnstore_now").await else {
        return;
    };
    for strategy in ["server", "copy"] {
        let rows = rows_seen(&ticks.database, "TABLE ticks").await;
        let call = format!("migrate --columnstore now --strategy {strategy}");
        ticks
            .call(&format!("plan --columnstore now --strategy {strategy}"))
            .run()
            .await
            .expect_code(0)
            .expect_printed(&["go to the columnstore during the run", "columnstore"]);
        ticks.call(&call).run().await.expect_code(0);
        assert_eq!(forms(&ticks.database).await, ALL_IN);
        assert_eq!(rows_seen(&ticks.database, "TABLE ticks").await, rows);
        let proved = "SELECT bool_and(equal) FROM hyperhaul.verdict";
        assert!(ticks.database.value::<bool>(proved).await.unwrap());
        ticks.call("verify").run().await.expect_code(0);
        assert_policy_is_content(&ticks.database).await;

        // Keys hold in the columnstore, and the index is there for chunks that come back from it.
        let double = "INSERT INTO ticks (id, at, well) SELECT id, at, well FROM ticks WHERE at < now() - interval '20 days' LIMIT 1";
        assert!(ticks.database.exec(double).await.is_err());
        let indexed = "SELECT count(*) FROM pg_indexes WHERE indexname LIKE '%ticks_flow'";
        assert!(ticks.database.value::<i64>(indexed).await.unwrap() > 40);

        ticks.call("rollback").run().await.expect_code(0);
        assert_eq!(rows_seen(&ticks.database, "TABLE ticks").await, rows);
    }
    ticks
        .call("migrate --columnstore now")
        .run()
        .await
        .expect_code(0);
    let rows = rows_seen(&ticks.database, "TABLE ticks").await;
    ticks.call("cleanup --yes").run().await.expect_code(0);
    assert_eq!(rows_seen(&ticks.database, "TABLE ticks").await, rows);
}

#[tokio::test]
async fn a_process_killed_around_a_chunk_leaves_it_wholly_in_or_out() {
    let Some(ticks) = ticks("columnstore_kill").await else {
        return;
    };
    let rows = rows_seen(&ticks.database, "TABLE ticks").await;
    let call = |command: &str| {
        ticks.call(&format!(
            "{command} --columnstore now --strategy server --workers 1"
        ))
    };
    // One transaction that is lost, then one that is not, then some more.
    for (point, inside) in [
        ("columnstore.before_commit", 0),
        ("columnstore.after_commit", 1),
        ("columnstore.before_commit:4", 4),
        ("columnstore.after_commit:9", 13),
    ] {
        call("migrate").failpoint(point).run().await.expect_killed();
        let wanted = format!("{inside} in, {} out, 0 newer", 33 - inside);
        eventually("the killed process's backend ends", LIMIT, async || {
            forms(&ticks.database).await == wanted
        })
        .await
        .unwrap();
    }
    // From there both ways are open.
    ticks.call("rollback").run().await.expect_code(0);
    assert_eq!(rows_seen(&ticks.database, "TABLE ticks").await, rows);
    call("migrate")
        .failpoint("columnstore.after_commit:33")
        .run()
        .await
        .expect_killed();
    assert_eq!(forms(&ticks.database).await, ALL_IN);
    ticks.call("migrate").run().await.expect_code(0);
    assert_eq!(forms(&ticks.database).await, ALL_IN);
    assert_eq!(rows_seen(&ticks.database, "TABLE ticks").await, rows);
    let marked = "SELECT count(*) FROM hyperhaul.step WHERE step_id LIKE 'columnstore:%:chunks' \
                  AND run_id = (SELECT max(run_id) FROM hyperhaul.run)";
    assert_eq!(ticks.database.value::<i64>(marked).await.unwrap(), 1);
}

/// A row that changes in the columnstore is not missed, nor a generated column there.
#[tokio::test]
async fn verification_reads_what_is_in_the_columnstore() {
    let Some(ticks) = ticks("columnstore_differs").await else {
        return;
    };
    for strategy in ["server", "copy"] {
        let call = ticks.call(&format!("migrate --columnstore now --strategy {strategy}"));
        let call = call.failpoint("columnstore.after_commit:33").run().await;
        call.expect_killed();
        let change = "UPDATE hyperhaul_new_public.ticks SET flow = -1 \
                      WHERE id = (SELECT id FROM ticks WHERE at < now() - interval '20 days' AND flow > 0 LIMIT 1)";
        ticks.database.exec(change).await.unwrap();
        // What came out of the columnstore by that goes there again.
        ticks
            .call("migrate")
            .run()
            .await
            .expect_code(4)
            .expect_printed(&["1 of", "differ"]);
        assert_eq!(forms(&ticks.database).await, ALL_IN);
        ticks.call("rollback").run().await.expect_code(0);
    }
}

/// The columnstore keeps one of several values that are equal, and gives it back for all of them.
#[tokio::test]
async fn values_that_become_others_that_are_equal_stop_the_run_before_the_cutover() {
    let Some(ticks) = ticks("columnstore_equal").await else {
        return;
    };
    let lengths = "ALTER TABLE ticks ADD COLUMN lasted interval;
        UPDATE ticks SET lasted = CASE id % 2 WHEN 0 THEN interval '30 days' ELSE interval '1 mon' END";
    ticks.database.exec(lengths).await.unwrap();
    let rows = rows_seen(&ticks.database, "TABLE ticks").await;
    for strategy in ["server", "copy"] {
        ticks
            .call(&format!("migrate --columnstore now --strategy {strategy}"))
            .run()
            .await
            .expect_code(4)
            // The first chunk may have too few rows for that, by the time of the day.
            .expect_printed(&["chunks differ"]);
        assert_eq!(forms(&ticks.database).await, ALL_IN);
        let here = "SELECT to_regclass('hyperhaul_new_public.ticks') IS NOT NULL";
        assert!(ticks.database.value::<bool>(here).await.unwrap());
        ticks.call("rollback").run().await.expect_code(0);
        assert_eq!(rows_seen(&ticks.database, "TABLE ticks").await, rows);
    }
}

/// The catalog takes chunks to be in the columnstore that are not: the server then answers with a notice, and does nothing.
#[tokio::test]
async fn a_chunk_that_the_server_silently_leaves_out_stops_the_run() {
    let Some(ticks) = ticks("columnstore_silent").await else {
        return;
    };
    ticks
        .call("migrate --columnstore now --strategy server --workers 1")
        .failpoint("columnstore.before_commit")
        .run()
        .await
        .expect_killed();
    let taken = |status: i32| {
        format!(
            "UPDATE _timescaledb_catalog.chunk SET status = {status} WHERE id = (SELECT substring(chunk_name FROM '_(\\d+)_chunk')::int \
             FROM timescaledb_information.chunks WHERE hypertable_name = 'ticks' ORDER BY range_start LIMIT 1)"
        )
    };
    ticks.database.exec(&taken(1)).await.unwrap();
    ticks
        .call("migrate")
        .run()
        .await
        .expect_code(3)
        .expect_printed(&[
            "left chunk",
            "out of the columnstore without an error",
            "already converted to columnstore",
        ]);
    ticks.database.exec(&taken(0)).await.unwrap();
    ticks.call("migrate").run().await.expect_code(0);
    assert_eq!(forms(&ticks.database).await, ALL_IN);
}

#[tokio::test]
async fn attached_partitions_go_there_after_the_cutover_and_come_back() {
    let Some(ticks) = ticks("columnstore_attached").await else {
        return;
    };
    let rows = rows_seen(&ticks.database, "TABLE ticks").await;
    let call = ticks.call("migrate --columnstore now --strategy attach --workers 1");
    call.failpoint("columnstore.after_commit:5")
        .run()
        .await
        .expect_killed();
    let here = "SELECT to_regclass('hyperhaul_new_public.ticks') IS NULL AND state = 'running' FROM hyperhaul.run";
    assert!(
        ticks.database.value::<bool>(here).await.unwrap(),
        "cut over"
    );
    // The way back is open from the middle of it.
    ticks.call("rollback").run().await.expect_code(0);
    assert_eq!(rows_seen(&ticks.database, "TABLE ticks").await, rows);
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'ticks'::regclass";
    assert_eq!(ticks.database.value::<i64>(partitions).await.unwrap(), 43);

    ticks
        .call("migrate --columnstore now --strategy attach")
        .run()
        .await
        .expect_code(0);
    // One of the old partitions has no row.
    assert_eq!(forms(&ticks.database).await, "34 in, 0 out, 0 newer");
    ticks.call("verify").run().await.expect_code(0);
    assert_policy_is_content(&ticks.database).await;
    ticks.call("rollback").run().await.expect_code(0);
    assert_eq!(rows_seen(&ticks.database, "TABLE ticks").await, rows);
}

/// Rows of another table of the run refer to attached chunks that are in the columnstore by then: a rollback still finds them.
#[tokio::test]
async fn a_rollback_sees_rows_of_attached_chunks_there() {
    let Some(database) = community_database("columnstore_orphans").await else {
        return;
    };
    let both = format!(
        "{}[[table]]\nname = 'alarms'\ntime_column = 'at'\n",
        declared()
    );
    let ticks = Ticks::fill(database, &both).await;
    let refer = "CREATE TABLE alarms (tick bigint, at timestamptz NOT NULL, \
        CONSTRAINT alarms_tick FOREIGN KEY (tick, at) REFERENCES ticks (id, at)) PARTITION BY RANGE (at);
        CREATE TABLE alarms_default PARTITION OF alarms DEFAULT;
        INSERT INTO alarms SELECT id, at FROM ticks WHERE id % 7 = 0";
    ticks.database.exec(refer).await.unwrap();
    let rows = rows_seen(&ticks.database, "TABLE alarms").await;
    ticks
        .call("migrate --columnstore now --accept hypertable_foreign_key")
        .run()
        .await
        .expect_code(0);
    assert_eq!(forms(&ticks.database).await, "34 in, 0 out, 0 newer");
    ticks.call("rollback").run().await.expect_code(0);
    assert_eq!(rows_seen(&ticks.database, "TABLE alarms").await, rows);
    let valid = "SELECT convalidated FROM pg_constraint WHERE conname = 'alarms_tick' AND conrelid = 'alarms'::regclass";
    assert!(ticks.database.value::<bool>(valid).await.unwrap());
}

/// TimescaleDB puts no chunk there that a foreign key refers to: the run does it before the keys are back.
#[tokio::test]
async fn chunks_that_rows_refer_to_go_there_before_the_foreign_key_is_back() {
    let Some(ticks) = ticks("columnstore_referenced").await else {
        return;
    };
    let refer = "CREATE TABLE alarms (tick bigint, at timestamptz, FOREIGN KEY (tick, at) REFERENCES ticks (id, at));
        INSERT INTO alarms SELECT id, at FROM ticks WHERE id % 7 = 0";
    ticks.database.exec(refer).await.unwrap();
    ticks
        .call("plan --columnstore now")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&[
            "keeps chunks out of the columnstore after the cutover",
            "puts no chunk into the columnstore that a foreign key refers to",
        ]);
    ticks
        .call("migrate --columnstore now")
        .run()
        .await
        .expect_code(0);
    assert_eq!(forms(&ticks.database).await, ALL_IN);
    let delete = "DELETE FROM ticks WHERE id IN (SELECT min(tick) FROM alarms)";
    assert!(ticks.database.exec(delete).await.is_err());
    ticks.call("verify").run().await.expect_code(0);
    ticks.call("rollback").run().await.expect_code(0);
}

#[tokio::test]
async fn rows_of_another_server_go_there_too() {
    let Some(target) = community_database("columnstore_elsewhere").await else {
        return;
    };
    let ticks = Ticks::fill(source_database("columnstore_source").await, &declared()).await;
    let call = ticks.call("migrate --columnstore now").target(target.url());
    call.run().await.expect_code(0);
    assert_eq!(forms(&target).await, ALL_IN);
    let rows = "TABLE ticks";
    assert_equal_rows((&ticks.database, rows), (&target, rows)).await;
    let call = ticks.call("rollback").target(target.url());
    call.run().await.expect_code(0);
}

#[tokio::test]
async fn the_apache_edition_says_that_it_has_none() {
    let ticks = Ticks::on_apache("columnstore_apache", &declared()).await;
    for command in ["check", "plan", "migrate"] {
        ticks
            .call(&format!("{command} --columnstore now"))
            .run()
            .await
            .expect_code(3)
            .expect_printed(&["cannot go to the columnstore during the run"]);
    }
    ticks
        .call("check --columnstore now")
        .run()
        .await
        .expect_printed(&["--columnstore later"]);
    ticks
        .call("check --columnstore later")
        .run()
        .await
        .expect_code(0);
    let nothing = Ticks::on_apache("columnstore_nothing", "[[table]]\nname = 'ticks'\n").await;
    nothing
        .call("check --columnstore now")
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["no table has a columnstore_after"]);
}

#[tokio::test]
async fn a_calibration_measures_what_chunks_take_there() {
    let Some(ticks) = ticks("columnstore_calibrated").await else {
        return;
    };
    let call = ticks.call("plan --calibrate=1 --columnstore now --strategy server --json");
    let estimate = call.run().await.expect_code(0).json()["estimate"].clone();
    let measured = &estimate["basis"]["calibrated"][0];
    assert!(
        measured["columnstore_share"].as_f64().unwrap() > 0.0,
        "{estimate}"
    );
    assert!(
        measured["columnstore_s"].as_f64().unwrap() > 0.0,
        "{estimate}"
    );
    let mut phases = estimate["phases"].as_array().unwrap().iter();
    let own = phases.find(|own| own["phase"] == "columnstore").unwrap();
    assert!(own["range"].is_array(), "{own}");
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname = 'hyperhaul_scratch'";
    assert_eq!(ticks.database.value::<i64>(left).await.unwrap(), 0);
}
