//! Chunks that go to the columnstore during the run. Runs where `HYPERHAUL_COMMUNITY_URL` names a server, but for what the
//! Apache edition says.

use super::{Ticks, declared};
use crate::support::{
    Hyperhaul, assert_equal_rows, community_database, rows_seen, source_database,
};
use hyperhaul_testkit::TestDatabase;

/// Chunks by what they are in: old ones that are wholly in the columnstore, old ones that are not, newer ones that are.
const FORMS: &str = "
    SELECT count(*) FILTER (WHERE old AND is_compressed AND NOT heap) || ' in, ' ||
        count(*) FILTER (WHERE old AND NOT (is_compressed AND NOT heap)) || ' out, ' ||
        count(*) FILTER (WHERE NOT old AND is_compressed) || ' newer'
    FROM (SELECT is_compressed, range_end <= now() - interval '7 days' AS old,
        (xpath('/row/heap/text()', query_to_xml(format('SELECT EXISTS (SELECT FROM ONLY %I.%I) AS heap', chunk_schema, chunk_name),
            false, true, '')))[1]::text::bool AS heap
        FROM timescaledb_information.chunks WHERE hypertable_name = 'ticks') AS chunk";

/// Rows of forty days, the last seven of which stay out.
const ALL_IN: &str = "34 in, 0 out, 0 newer";

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
