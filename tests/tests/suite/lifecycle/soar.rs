//! SOAR's tables become hypertables: everything that was there is there, and the old tables stay until `cleanup`.

use super::catalog;
use crate::support::{
    Hyperhaul, SOAR_TABLES, assert_each_slice_done_once, assert_equal_rows, load_soar, rows_seen,
    soar_database, source_database, target_database,
};
use hyperhaul_testkit::TestDatabase;
use std::collections::BTreeSet;

const TABLES: [&str; 2] = ["public.raw_messages", "public.fixes"];

/// What a real database has and the sample lacks.
const MORE: &str = "
    COMMENT ON INDEX idx_fixes_location IS 'for the map';
    GRANT SELECT (raw_message), UPDATE (source) ON raw_messages TO soar_readonly;
    GRANT SELECT ON fixes TO PUBLIC;
    ALTER TABLE raw_messages ALTER COLUMN raw_message SET STORAGE EXTERNAL;
    CREATE INDEX \"Idx fixes, by hour\" ON fixes (date_trunc('hour', received_at AT TIME ZONE 'UTC'), aircraft_id) INCLUDE (latitude) WHERE is_active;
    ALTER TABLE raw_messages ADD CONSTRAINT raw_messages_hash_length CHECK (length(raw_message_hash) = 32);
    CREATE VIEW latest_of_all AS SELECT max(received_at) AS newest FROM latest_fixes;
    GRANT SELECT ON latest_of_all TO soar_readonly;
";

async fn lines_of_tables(database: &TestDatabase) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for table in TABLES {
        lines.extend(
            catalog::table(database, table)
                .await
                .into_iter()
                .map(|line| format!("{table} {line}")),
        );
    }
    lines
}

#[tokio::test]
async fn partitions_become_hypertables_with_all_that_belongs_to_them() {
    let database = soar_database("soar_whole", 20_000).await;
    database.exec(MORE).await.unwrap();
    let lines_before = lines_of_tables(&database).await;
    let mut rows_before = Vec::new();
    for table in TABLES {
        rows_before.push(rows_seen(&database, &format!("SELECT * FROM {table}")).await);
    }
    let view_before = rows_seen(&database, "SELECT * FROM latest_fixes").await;
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());

    call("check --table public.raw_messages --table public.fixes")
        .run()
        .await
        .expect_code(3)
        .expect_printed(&[
            "hypertable_foreign_key",
            "fixes_raw_message_id_fkey",
            "--accept",
        ]);
    call(&format!("check {SOAR_TABLES}"))
        .run()
        .await
        .expect_code(0);
    assert!(
        !database
            .value::<bool>("SELECT to_regnamespace('hyperhaul') IS NOT NULL")
            .await
            .unwrap(),
        "check changes nothing"
    );
    call(&format!("plan {SOAR_TABLES}"))
        .run()
        .await
        .expect_code(0);
    let migrated = call("migrate").run().await.expect_code(0).expect_printed(&[
        "public.raw_messages",
        "public.fixes",
        "equal",
    ]);
    assert!(migrated.stdout.contains("rows"));
    call("verify").run().await.expect_code(0);
    let status = call("status --json").run().await.expect_code(0).json();
    assert!(status.to_string().contains("\"done\""), "{status}");
    assert_each_slice_done_once(&database).await;

    assert_hypertables(&database).await;
    for (table, before) in TABLES.iter().zip(&rows_before) {
        assert_eq!(
            &rows_seen(&database, &format!("SELECT * FROM {table}")).await,
            before,
            "{table}"
        );
    }
    assert_eq!(
        rows_seen(&database, "SELECT * FROM latest_fixes").await,
        view_before
    );
    let lines_expected: BTreeSet<String> = lines_before
        .iter()
        .filter(|line| !line.contains("fixes_raw_message_id_fkey"))
        .cloned()
        .collect();
    assert_eq!(
        lines_before.len() - lines_expected.len(),
        2,
        "one foreign key, seen from both ends"
    );
    catalog::assert_same(&lines_expected, &lines_of_tables(&database).await);
    assert_generated_columns(&database).await;
    let managed: i64 = database
        .value("SELECT count(*) FROM partman.part_config")
        .await
        .unwrap();
    assert_eq!(managed, 0, "pg_partman lets go of them");

    for (table, before) in ["raw_messages", "fixes"].iter().zip(&rows_before) {
        let old = rows_seen(
            &database,
            &format!("SELECT * FROM hyperhaul_old_public.{table}"),
        )
        .await;
        assert_eq!(&old, before, "the old table is kept");
    }
    call("cleanup").run().await.expect_code(3).expect_printed(&[
        "--yes",
        "DROP TABLE",
        "hyperhaul_old_public",
    ]);
    assert_eq!(
        rows_seen(&database, "SELECT * FROM hyperhaul_old_public.fixes").await,
        rows_before[1]
    );
    call("cleanup --yes").run().await.expect_code(0);
    assert_cleaned_up(&database).await;
    for (table, before) in TABLES.iter().zip(&rows_before) {
        assert_eq!(
            &rows_seen(&database, &format!("SELECT * FROM {table}")).await,
            before,
            "{table}"
        );
    }
    catalog::assert_same(&lines_expected, &lines_of_tables(&database).await);
    call("rollback")
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["cleaned up"]);
    call("cleanup --yes")
        .run()
        .await
        .expect_code(2)
        .expect_printed(&["cleaned up"]);
}

/// Both are hypertables with chunks of a day, and every row lies in the chunk of its day.
async fn assert_hypertables(database: &TestDatabase) {
    let dimensions: Vec<String> = database
        .values(
            "SELECT format('%s.%s %s %s', hypertable_schema, hypertable_name, column_name, time_interval)
            FROM timescaledb_information.dimensions ORDER BY 1",
        )
        .await
        .unwrap();
    assert_eq!(
        dimensions,
        [
            "public.fixes received_at 1 day",
            "public.raw_messages received_at 1 day"
        ]
    );
    for table in TABLES {
        let sql = format!(
            "WITH chunk AS (SELECT format('%I.%I', chunk_schema, chunk_name)::regclass AS oid, range_start, range_end
                FROM timescaledb_information.chunks WHERE format('%I.%I', hypertable_schema, hypertable_name)::regclass = '{table}'::regclass)
            SELECT count(*) FROM {table} AS t LEFT JOIN chunk ON chunk.oid = t.tableoid
            WHERE chunk.oid IS NULL OR t.received_at < range_start OR t.received_at >= range_end OR range_end - range_start <> interval '1 day'"
        );
        assert_eq!(database.value::<i64>(&sql).await.unwrap(), 0, "{table}");
    }
}

/// PostGIS computes them again here, from the table's own coordinates.
async fn assert_generated_columns(database: &TestDatabase) {
    let wrong = "SELECT count(*) FROM fixes WHERE location IS NULL OR location_geom IS NULL
        OR encode(st_asewkb(location::geometry), 'hex') <> encode(st_asewkb(st_point(longitude, latitude)::geography::geometry), 'hex')
        OR encode(st_asewkb(location_geom), 'hex') <> encode(st_asewkb(st_setsrid(st_makepoint(longitude, latitude), 4326)), 'hex')";
    assert_eq!(database.value::<i64>(wrong).await.unwrap(), 0);
}

/// Nothing of the old tables or of the move is left but the ledger.
async fn assert_cleaned_up(database: &TestDatabase) {
    let left: Vec<String> = database
        .values(
            "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'hyperhaul\\_%'
            UNION ALL SELECT relname::text FROM pg_class WHERE relispartition OR relkind = 'p'
            UNION ALL SELECT tgname::text FROM pg_trigger WHERE tgname LIKE 'hyperhaul%'
            UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = 'hyperhaul'::regnamespace",
        )
        .await
        .unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn soar_moves_from_postgresql_15_to_a_database_that_has_its_other_tables() {
    let source = source_database("soar_away").await;
    load_soar(&source, 3_000).await;
    let target = target_database("soar_here").await;
    load_soar(&target, 3_000).await;
    target.exec("DROP TABLE fixes, raw_messages CASCADE; DELETE FROM partman.part_config; DROP VIEW IF EXISTS latest_fixes").await.unwrap();
    let call = |arguments: &str| {
        Hyperhaul::new(arguments)
            .source(source.url())
            .target(target.url())
    };

    call(&format!(
        "migrate {SOAR_TABLES} --accept referenced_table_missing"
    ))
    .run()
    .await
    .expect_code(0);
    for table in TABLES {
        let query = format!("SELECT * FROM {table}");
        assert_equal_rows((&source, &query), (&target, &query)).await;
    }
    assert_generated_columns(&target).await;
    assert_hypertables(&target).await;
}
