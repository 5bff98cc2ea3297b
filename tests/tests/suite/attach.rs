//! Partitions that become chunks as they are. Needs the Community edition: `HYPERHAUL_COMMUNITY_URL`.

use crate::support::{
    Direction, Hyperhaul, Positions, RowsSeen, SOAR_TABLES, community_database,
    killed_around_every_step, load_soar, rows_seen, step_count,
};
use hyperhaul_testkit::TestDatabase;

/// What a rollback has to give back: the tree with its bounds, indexes, constraints, triggers.
const TABLES_AS_THEY_ARE: &str = "
    SELECT 'relation' AS kind, c.oid::regclass::text AS name, c.relfilenode::text || c.relispartition ||
        coalesce(pg_get_expr(c.relpartbound, c.oid), '') AS definition
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    UNION ALL
    SELECT 'index', indexname, tablename || ' ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL
    SELECT 'constraint', conrelid::regclass || ' ' || conname, pg_get_constraintdef(oid) || convalidated
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conparentid = 0 AND conrelid <> 0
    UNION ALL
    SELECT 'trigger', tgrelid::regclass || ' ' || tgname, tgenabled::text FROM pg_trigger
    WHERE NOT tgisinternal AND tgrelid::regclass::text NOT LIKE '\\_timescaledb%'";

fn call(arguments: &str, database: &TestDatabase) -> Hyperhaul {
    Hyperhaul::new(arguments).source(database.url())
}

async fn as_it_is(database: &TestDatabase) -> RowsSeen {
    rows_seen(database, TABLES_AS_THEY_ARE).await
}

/// File numbers of the partitions of a table, or of the chunks of a hypertable that were partitions.
async fn files(database: &TestDatabase, like: &str) -> RowsSeen {
    let query = format!(
        "SELECT relname, relfilenode FROM pg_class WHERE relname ~ '{like}' AND relkind = 'r'"
    );
    rows_seen(database, &query).await
}

#[tokio::test]
async fn soar_is_attached_proved_written_to_and_given_back() {
    let Some(database) = community_database("attach_soar").await else {
        return;
    };
    load_soar(&database, 3_000).await;
    let before = as_it_is(&database).await;
    let partitions = files(&database, "^(fixes|raw_messages)_p2").await;
    let rows = rows_seen(&database, "TABLE fixes").await;
    call(&format!("plan {SOAR_TABLES}"), &database)
        .run()
        .await
        .expect_code(0)
        .expect_printed(&[
            "attach: the quickest way",
            "not attach: the default partition has no bounds",
            "readers of public.fixes miss the rows",
        ]);
    call("migrate", &database)
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["7 partitions became chunks, same files"]);
    assert_eq!(
        files(&database, "^(fixes|raw_messages)_p2").await,
        partitions
    );
    assert_eq!(rows_seen(&database, "TABLE fixes").await, rows);
    let chunks = "SELECT count(*) FROM timescaledb_information.chunks WHERE chunk_name ~ '_p2'";
    assert_eq!(database.value::<i64>(chunks).await.unwrap(), 14);

    // Writers are back, in attached chunks too; foreign keys hold both ways.
    let insert = "INSERT INTO raw_messages SELECT (jsonb_populate_record(r, to_jsonb(r) || \
        jsonb_build_object('id', gen_random_uuid()))).* FROM raw_messages r WHERE received_at >= '2025-12-13' LIMIT 1";
    database.exec(insert).await.unwrap();
    let refused = "DELETE FROM raw_messages WHERE (id, received_at) IN (SELECT raw_message_id, received_at FROM receiver_statuses)";
    assert!(database.exec(refused).await.is_err());
    call("verify", &database).run().await.expect_code(0);

    // The row in an attached chunk goes back with its partition.
    let messages = rows_seen(&database, "TABLE raw_messages").await;
    call("rollback", &database).run().await.expect_code(0);
    assert_eq!(rows_seen(&database, "TABLE raw_messages").await, messages);
    assert_eq!(as_it_is(&database).await, before);
    call(&format!("migrate {SOAR_TABLES}"), &database)
        .run()
        .await
        .expect_code(0);
    call("cleanup --yes", &database).run().await.expect_code(0);
    assert_eq!(rows_seen(&database, "TABLE fixes").await, rows);
}

#[tokio::test]
async fn odd_bounds_dropped_and_reordered_columns_and_the_default_partition() {
    let Some(database) = community_database("attach_shapes").await else {
        return;
    };
    let create = "SET timezone = 'Europe/Berlin';
        CREATE TABLE readings (gone text, id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL, value float8,
            twice float8 GENERATED ALWAYS AS (value * 2) STORED, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
        CREATE TABLE readings_oct25 PARTITION OF readings FOR VALUES FROM ('2025-10-25') TO ('2025-10-26');
        CREATE TABLE readings_oct26 PARTITION OF readings FOR VALUES FROM ('2025-10-26') TO ('2025-10-27');
        CREATE TABLE readings_default PARTITION OF readings DEFAULT;
        ALTER TABLE readings DROP COLUMN gone;
        CREATE TABLE readings_oct27 (value float8, twice float8 GENERATED ALWAYS AS (value * 2) STORED, junk int,
            at timestamptz NOT NULL, id bigint NOT NULL);
        ALTER TABLE readings_oct27 DROP COLUMN junk;
        ALTER TABLE readings ATTACH PARTITION readings_oct27 FOR VALUES FROM ('2025-10-27') TO ('2025-10-28');
        CREATE INDEX readings_value ON readings (value);
        INSERT INTO readings (at, value) SELECT timestamptz '2025-10-24 12:00' + n * interval '97 seconds', n
        FROM generate_series(0, 4000) AS n;";
    database.exec(create).await.unwrap();
    let rows = rows_seen(&database, "SELECT id, at, value, twice FROM readings").await;
    let before = as_it_is(&database).await;
    call("migrate", &database)
        .table("readings")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["3 partitions became chunks"]);
    let moved = rows_seen(&database, "SELECT id, at, value, twice FROM readings").await;
    assert_eq!(moved, rows);
    let insert =
        "INSERT INTO readings (at, value) SELECT at, value FROM readings WHERE id % 500 = 0";
    database.exec(insert).await.unwrap();
    // Rows beside attached chunks would be lost by a rollback, those in them would not.
    call("rollback", &database)
        .run()
        .await
        .expect_code(3)
        .expect_printed(&["written to since the cutover"]);
    call("verify", &database).run().await.expect_code(0);
    call("rollback --discard-new-rows", &database)
        .run()
        .await
        .expect_code(0);
    let old = "SELECT id, at, value, twice FROM readings WHERE id <= 4001";
    assert_eq!(rows_seen(&database, old).await, rows);
    assert_eq!(as_it_is(&database).await, before);
}

#[tokio::test]
async fn triggers_of_the_table_come_and_go_and_what_cannot_be_attached_is_moved() {
    let Some(database) = community_database("attach_triggers").await else {
        return;
    };
    Positions::default().create(&database).await;
    let odd = "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.altitude_feet := 7; RETURN NEW; END $$;
        CREATE TRIGGER stamp BEFORE UPDATE ON positions FOR EACH ROW EXECUTE FUNCTION stamp();
        CREATE TRIGGER own BEFORE UPDATE ON positions_p20251212 FOR EACH ROW EXECUTE FUNCTION stamp();
        ALTER TABLE positions_p20251213 SET UNLOGGED;";
    database.exec(odd).await.unwrap();
    let before = as_it_is(&database).await;
    let rows = rows_seen(&database, Positions::ROWS).await;
    call("plan", &database)
        .table("positions")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&[
            "not attach: it has triggers of its own",
            "not attach: it is unlogged",
        ]);
    call("migrate", &database).run().await.expect_code(0);
    assert_eq!(rows_seen(&database, Positions::ROWS).await, rows);
    let update = "UPDATE positions SET packet = packet WHERE id = 1 RETURNING altitude_feet";
    assert_eq!(database.value::<i32>(update).await.unwrap(), 7);
    call("rollback", &database).run().await.expect_code(0);
    assert_eq!(as_it_is(&database).await, before);
}

#[tokio::test]
async fn a_partition_that_is_gone_or_was_tampered_with_stops_what_would_build_on_it() {
    let Some(database) = community_database("attach_gone").await else {
        return;
    };
    Positions::default().create(&database).await;
    let killed = call("migrate", &database)
        .table("positions")
        .failpoint("copy.before_mark")
        .run()
        .await;
    killed.expect_killed();
    // Rows may have gone behind the fence's back.
    let tamper = "DROP TRIGGER hyperhaul_fence ON positions_p20251212; DROP TRIGGER hyperhaul_fence_row ON positions_p20251212;
        DELETE FROM positions_p20251212 WHERE id = 600";
    database.exec(tamper).await.unwrap();
    call("migrate", &database)
        .run()
        .await
        .expect_code(3)
        .expect_printed(&["did not stand all the time"]);
    call("rollback", &database).run().await.expect_code(0);
    call("migrate", &database)
        .table("positions")
        .run()
        .await
        .expect_code(0);
    let drop = "SELECT drop_chunks('positions', older_than => timestamptz '2025-12-12')";
    database.exec(drop).await.unwrap();
    call("rollback", &database)
        .run()
        .await
        .expect_code(3)
        .expect_printed(&["positions_p20251211 is no chunk", "--discard-new-rows"]);
    call("rollback --discard-new-rows", &database)
        .run()
        .await
        .expect_code(0);
    assert_eq!(rows_seen(&database, Positions::ROWS).await.count, 1_499);
}

#[tokio::test]
async fn a_process_killed_around_every_step_goes_on_there_and_back() {
    let Some(database) = community_database("attach_kill").await else {
        return;
    };
    Positions::default().create(&database).await;
    let before = as_it_is(&database).await;
    let rows = rows_seen(&database, Positions::ROWS).await;
    call("plan --hash-attached", &database)
        .table("positions")
        .run()
        .await
        .expect_code(0);
    let steps = step_count(&database).await;
    let there = || call("migrate", &database);
    killed_around_every_step(&database, steps, Direction::There, there).await;
    call("migrate", &database).run().await.expect_code(0);
    assert_eq!(rows_seen(&database, Positions::ROWS).await, rows);
    let back = || call("rollback", &database);
    killed_around_every_step(&database, steps, Direction::Back, back).await;
    call("rollback", &database).run().await.expect_code(0);
    assert_eq!(as_it_is(&database).await, before);
    assert_eq!(rows_seen(&database, Positions::ROWS).await, rows);
}

#[tokio::test]
async fn a_partition_rewritten_after_it_was_attached_is_noticed() {
    let Some(database) = community_database("attach_rewritten").await else {
        return;
    };
    Positions::default().create(&database).await;
    call("migrate", &database)
        .table("positions")
        .failpoint("copy.before_mark")
        .run()
        .await
        .expect_killed();
    let rewrite = "VACUUM FULL positions_p20251212";
    database.exec(rewrite).await.unwrap();
    call("migrate", &database)
        .run()
        .await
        .expect_code(4)
        .expect_printed(&["chunk public.positions_p20251212 is another file"]);
}

#[tokio::test]
async fn a_partition_is_given_back_only_while_nobody_is_about_to_read_the_hypertable() {
    let Some(database) = community_database("attach_readers").await else {
        return;
    };
    Positions::default().create(&database).await;
    let rows = rows_seen(&database, Positions::ROWS).await;
    call("migrate --lock-timeout 200ms --lock-attempts 1", &database)
        .table("positions")
        .failpoint("copy.before_mark")
        .run()
        .await
        .expect_killed();
    // As a reader that has not got to the chunks yet: one that met `detach_chunk` took the server down.
    let reader = database.connect().await.unwrap();
    let begin = "BEGIN; LOCK TABLE ONLY hyperhaul_new_public.positions IN ACCESS SHARE MODE";
    reader.batch_execute(begin).await.unwrap();
    call("rollback", &database)
        .run()
        .await
        .expect_code(3)
        .expect_printed(&["could not undo \"attach public.positions_p"]);
    reader.batch_execute("COMMIT").await.unwrap();
    call("rollback", &database).run().await.expect_code(0);
    assert_eq!(rows_seen(&database, Positions::ROWS).await, rows);
}

#[tokio::test]
async fn hashes_of_rows_see_what_neither_files_nor_the_fence_do() {
    let Some(database) = community_database("attach_hashed").await else {
        return;
    };
    Positions::default().create(&database).await;
    for point in ["attach.hashed", "copy.before_mark"] {
        let killed = call("migrate --hash-attached", &database)
            .table("positions")
            .failpoint(point)
            .run()
            .await;
        killed.expect_killed();
    }
    // Whoever edits the catalog gets past every trigger.
    let tamper = "UPDATE pg_class SET relhastriggers = false WHERE relname = 'positions_p20251212';
        UPDATE positions_p20251212 SET packet = packet || '!' WHERE id = 600;
        UPDATE pg_class SET relhastriggers = true WHERE relname = 'positions_p20251212'";
    for statement in tamper.split(';') {
        database.exec(statement).await.unwrap();
    }
    call("migrate", &database)
        .run()
        .await
        .expect_code(4)
        .expect_printed(&[
            "chunk public.positions_p20251212 has other rows than the partition had",
        ]);
    call("rollback", &database).run().await.expect_code(0);
    call("migrate --hash-attached", &database)
        .table("positions")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["same files and hashes of rows"]);
}

#[tokio::test]
async fn the_server_that_partitions_are_attached_on_counts_as_tested() {
    let Some(database) = community_database("attach_tested").await else {
        return;
    };
    Positions::default().create(&database).await;
    let check = call("check --table positions", &database).run().await;
    let check = check.expect_code(0);
    assert!(!check.stdout.contains("not tested"), "{}", check.stdout);
}
