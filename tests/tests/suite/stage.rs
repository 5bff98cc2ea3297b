//! Partitions that are loaded into tables of their own, which become chunks. Needs the Community edition:
//! `HYPERHAUL_COMMUNITY_URL`.

use crate::faults::Moved;
use crate::support::{
    Direction, Hyperhaul, Positions, SOAR_TABLES, assert_each_slice_done_once, community_database,
    killed_around_every_step, load_soar, rows_seen, source_database, step_count,
};
use std::ops::Deref;

/// What hyperhaul makes and a rollback takes away again.
const LEFT_OVER: &str =
    "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^hyperhaul_(new|chunks)_'";

/// Tables in the schema of staged chunks, with whether they are chunks, and how many indexes and foreign keys they have.
const STAGED: &str = "SELECT c.relname, i.inhparent IS NOT NULL AS is_chunk, \
    (SELECT count(*) FROM pg_index x WHERE x.indrelid = c.oid) AS indexes, \
    (SELECT count(*) FROM pg_constraint f WHERE f.conrelid = c.oid AND f.contype = 'f' AND f.convalidated) AS keys \
    FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid \
    WHERE c.relnamespace = to_regnamespace('hyperhaul_chunks_public') AND c.relkind = 'r'";

/// `positions`, whose partitions are staged.
struct Staged(Moved);

impl Deref for Staged {
    type Target = Moved;

    fn deref(&self) -> &Moved {
        &self.0
    }
}

impl Staged {
    async fn within_one_database(name: &str) -> Option<Staged> {
        let source = community_database(name).await?;
        Some(Staged(Moved::new(source, None, Positions::default()).await))
    }

    /// One worker, so that steps and slices come one after another.
    async fn plan(&self) {
        self.call("plan --strategy stage --workers 1")
            .table("positions")
            .run()
            .await
            .expect_code(0);
    }

    /// The run cannot go on before somebody acts, and says why.
    async fn assert_stops(&self, says: &[&str]) {
        let ended = self.call("migrate").run().await;
        ended.expect_code(3).expect_printed(says);
    }

    /// Every partition is a chunk with its keys; every row is there once; each slice was done once.
    async fn assert_moved(&self, chunks: i64) {
        let target = self.target();
        assert_eq!(rows_seen(target, Positions::ROWS).await, self.before);
        assert_each_slice_done_once(target).await;
        let sql = format!(
            "SELECT count(*) FROM ({STAGED}) s WHERE is_chunk AND indexes = 2 AND keys = 1"
        );
        assert_eq!(target.value::<i64>(&sql).await.unwrap(), chunks);
        let all = "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'positions'";
        assert_eq!(target.value::<i64>(all).await.unwrap(), chunks);
        self.call("verify").run().await.expect_code(0);
    }

    /// The table is what it was, takes writes, and nothing is left of the run.
    async fn assert_back(&self) {
        assert_eq!(rows_seen(&self.source, Positions::ROWS).await, self.before);
        let target = self.target();
        assert_eq!(target.value::<i64>(LEFT_OVER).await.unwrap(), 0);
        let insert = "INSERT INTO positions (received_at, aircraft_id, packet) VALUES ('2025-12-11 12:00+00', 1, 'new')";
        self.source.exec(insert).await.unwrap();
        let delete = "DELETE FROM positions WHERE packet = 'new'";
        self.source.exec(delete).await.unwrap();
    }

    /// Rows of a slice are in its table if and only if the slice is marked.
    async fn assert_wholly_in_or_out(&self) {
        let sql = "SELECT coalesce(sum(rows), 0)::bigint = \
            (SELECT coalesce(sum(row_count), 0)::bigint FROM hyperhaul.slice WHERE done) \
            FROM (SELECT (xpath('/row/n/text()', query_to_xml('SELECT count(*) AS n FROM ' || c.oid::regclass, true, true, '')))[1]::text::bigint AS rows \
            FROM pg_class c WHERE c.relnamespace = to_regnamespace('hyperhaul_chunks_public') AND c.relkind = 'r') AS staged";
        assert!(self.target().value::<bool>(sql).await.unwrap());
    }
}

#[tokio::test]
async fn soar_is_staged_proved_written_to_and_taken_back() {
    let Some(database) = community_database("stage_soar").await else {
        return;
    };
    load_soar(&database, 3_000).await;
    let rows = rows_seen(&database, "TABLE fixes").await;
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    call(&format!("plan --strategy stage {SOAR_TABLES}"))
        .run()
        .await
        .expect_code(0)
        .expect_printed(&[
            "stage: as asked for; rows are loaded into a table of their own",
            "not stage: the default partition has no bounds",
            "7 partitions are loaded into tables of their own",
            "begins with that one again",
        ]);
    call("plan --sql --strategy stage")
        .table("public.raw_messages")
        .arg("--accept")
        .arg("hypertable_foreign_key")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&[
            "FREEZE",
            "attach_chunk",
            "CREATE TABLE \"hyperhaul_chunks_public\"",
        ]);
    call(&format!("migrate --strategy stage {SOAR_TABLES}"))
        .run()
        .await
        .expect_code(0);
    assert_eq!(rows_seen(&database, "TABLE fixes").await, rows);
    // The default partition's rows are in chunks that the server made.
    let chunks = "SELECT count(*) FILTER (WHERE chunk_schema = 'hyperhaul_chunks_public') = 14 AND count(*) > 14 \
                  FROM timescaledb_information.chunks";
    assert!(database.value::<bool>(chunks).await.unwrap());
    // Writers are back, in staged chunks too; foreign keys hold both ways.
    let insert = "INSERT INTO raw_messages SELECT (jsonb_populate_record(r, to_jsonb(r) || \
        jsonb_build_object('id', gen_random_uuid()))).* FROM raw_messages r WHERE received_at >= '2025-12-13' LIMIT 1";
    database.exec(insert).await.unwrap();
    let refused = "DELETE FROM raw_messages WHERE (id, received_at) IN (SELECT raw_message_id, received_at FROM receiver_statuses)";
    assert!(database.exec(refused).await.is_err());
    call("verify").run().await.expect_code(0);
    call("rollback --discard-new-rows")
        .run()
        .await
        .expect_code(0);
    assert_eq!(rows_seen(&database, "TABLE fixes").await, rows);
    assert_eq!(database.value::<i64>(LEFT_OVER).await.unwrap(), 0);
    call(&format!("migrate --strategy stage {SOAR_TABLES}"))
        .run()
        .await
        .expect_code(0);
    call("cleanup --yes").run().await.expect_code(0);
    assert_eq!(rows_seen(&database, "TABLE fixes").await, rows);
}

#[tokio::test]
async fn odd_bounds_hard_columns_and_rows_that_a_late_check_refuses() {
    let Some(database) = community_database("stage_shapes").await else {
        return;
    };
    let create = "SET timezone = 'Europe/Berlin';
        CREATE TABLE readings (gone text, id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL, value float8 DEFAULT 3,
            twice float8 GENERATED ALWAYS AS (value * 2) STORED, note text COLLATE \"C\", PRIMARY KEY (id, at),
            CONSTRAINT readings_positive CHECK (value >= 0),
            CONSTRAINT readings_unique UNIQUE NULLS NOT DISTINCT (note, at, id) INCLUDE (value)) PARTITION BY RANGE (at);
        ALTER TABLE readings ALTER COLUMN note SET STORAGE EXTERNAL, ALTER COLUMN value SET STATISTICS 7;
        CREATE TABLE readings_oct25 PARTITION OF readings FOR VALUES FROM ('2025-10-25') TO ('2025-10-26');
        CREATE TABLE readings_oct26 PARTITION OF readings FOR VALUES FROM ('2025-10-26') TO ('2025-10-27');
        CREATE TABLE \"Readings of \"\"oct27\"\", whose name is as long as names may ever be 63\" PARTITION OF readings
            FOR VALUES FROM ('2025-10-27') TO ('2025-10-28');
        CREATE TABLE readings_later PARTITION OF readings FOR VALUES FROM ('2025-10-30') TO (MAXVALUE);
        CREATE TABLE readings_default PARTITION OF readings DEFAULT;
        ALTER TABLE readings DROP COLUMN gone;
        CREATE INDEX readings_value ON readings (value DESC NULLS LAST) WHERE value > 5;
        CREATE INDEX readings_note ON readings (lower(note));
        CREATE INDEX readings_at ON readings USING brin (at);
        INSERT INTO readings (at, value, note) SELECT timestamptz '2025-10-24 12:00' + n * interval '97 seconds', n, md5(n::text)
        FROM generate_series(0, 6000) AS n;
        ALTER TABLE readings ADD CONSTRAINT readings_small CHECK (value < 1000) NOT VALID;";
    database.exec(create).await.unwrap();
    let columns = "SELECT id, at, value, twice, note FROM readings";
    let rows = rows_seen(&database, columns).await;
    let call = |arguments: &str| Hyperhaul::new(arguments).source(database.url());
    call("plan --strategy stage")
        .table("readings")
        .run()
        .await
        .expect_code(0)
        .expect_printed(&["not stage: its bounds are open"]);
    call("migrate").run().await.expect_code(0);
    assert_eq!(rows_seen(&database, columns).await, rows);
    let chunks = "SELECT count(*) FILTER (WHERE chunk_schema = 'hyperhaul_chunks_public') FROM timescaledb_information.chunks";
    assert_eq!(database.value::<i64>(chunks).await.unwrap(), 3);
    // Keys and indexes of a chunk are those of the hypertable, and none of them is there twice.
    let definitions = |table: &str| {
        format!(
            "SELECT regexp_replace(pg_get_indexdef(indexrelid), ' INDEX .* USING ', ' USING ') FROM pg_index WHERE indrelid = {table}"
        )
    };
    let of_hypertable = rows_seen(&database, &definitions("'readings'::regclass")).await;
    assert_eq!(of_hypertable.count, 5);
    let staged = "SELECT array_agg(oid) FROM pg_class WHERE relnamespace = 'hyperhaul_chunks_public'::regnamespace AND relkind = 'r'";
    for oid in database.value::<Vec<u32>>(staged).await.unwrap() {
        let own = rows_seen(&database, &definitions(&oid.to_string())).await;
        assert_eq!(own, of_hypertable);
        let settings = "SELECT attname, attstorage, attstattarget FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped AND attrelid = ";
        assert_eq!(
            rows_seen(&database, &format!("{settings}{oid}")).await,
            rows_seen(&database, &format!("{settings}'readings'::regclass")).await
        );
    }
    // Frozen while it was loaded: VACUUM would have nothing to do.
    let visible = "SELECT bool_and(relallvisible > 0) FROM pg_class WHERE relnamespace = 'hyperhaul_chunks_public'::regnamespace AND relkind = 'r'";
    database.exec("VACUUM readings").await.unwrap();
    assert!(database.value::<bool>(visible).await.unwrap());
    let insert = "INSERT INTO readings (at, value) SELECT at, value FROM readings WHERE value::int % 500 = 0 AND value < 1000";
    database.exec(insert).await.unwrap();
    assert!(
        database
            .exec("INSERT INTO readings (at, value) VALUES ('2025-10-26', 1000)")
            .await
            .is_err()
    );
    call("verify").run().await.expect_code(0);
    // Lost from a chunk whose bounds are no interval's, and behind the first midnight in it.
    let lose = "DELETE FROM readings WHERE id = (SELECT max(id) FROM readings WHERE at < '2025-10-26 21:00+00' AND note IS NOT NULL)";
    database.exec(lose).await.unwrap();
    call("verify")
        .run()
        .await
        .expect_code(4)
        .expect_printed(&["2025-10-26 20:"]);
    call("rollback --discard-new-rows")
        .run()
        .await
        .expect_code(0);
    assert_eq!(rows_seen(&database, columns).await, rows);
    assert_eq!(database.value::<i64>(LEFT_OVER).await.unwrap(), 0);
}

/// Rows that refer to nothing are loaded and copied like others: the key's validation finds them all, and tells how.
#[tokio::test]
async fn rows_that_refer_to_nothing_are_told_when_all_rows_are_in() {
    let Some(moved) = Staged::within_one_database("stage_orphans").await else {
        return;
    };
    let orphans = "CREATE TABLE positions_default PARTITION OF positions DEFAULT;
        SET session_replication_role = replica;
        INSERT INTO positions (received_at, aircraft_id, packet)
            VALUES ('2025-12-11 12:00+00', 99, 'staged'), ('2026-03-01 12:00+00', 99, 'copied');
        RESET session_replication_role";
    moved.source.exec(orphans).await.unwrap();
    let moved = Staged(Moved::of(moved.0.source, None).await);
    moved.plan().await;
    moved
        .assert_stops(&[
            "validate foreign key",
            "Rows refer to others that are not there",
        ])
        .await;
    let staging = "SELECT count(*) FROM hyperhaul_new_public.positions WHERE aircraft_id = 99";
    assert_eq!(moved.source.value::<i64>(staging).await.unwrap(), 2);
    let aircraft = "INSERT INTO aircraft VALUES (99, 'D-99')";
    moved.source.exec(aircraft).await.unwrap();
    moved.call("migrate").run().await.expect_code(0);
    moved.call("rollback").run().await.expect_code(0);
    moved.assert_back().await;
}

#[tokio::test]
async fn partitions_of_another_server_are_staged_and_the_run_is_given_up_or_kept() {
    let Some(target) = community_database("stage_elsewhere").await else {
        return;
    };
    let source = source_database("stage_from").await;
    let moved = Staged(Moved::new(source, Some(target), Positions::default()).await);
    moved.plan().await;
    moved
        .call("migrate")
        .failpoint("slice.after_commit:3")
        .run()
        .await
        .expect_killed();
    moved.assert_wholly_in_or_out().await;
    moved.call("rollback").run().await.expect_code(0);
    moved.assert_back().await;
    moved
        .call("migrate --strategy stage --workers 2")
        .table("positions")
        .run()
        .await
        .expect_code(0);
    moved.assert_moved(4).await;
    moved.call("rollback").run().await.expect_code(0);
    moved.assert_back().await;
}

#[tokio::test]
async fn a_process_killed_around_slices_builds_and_attaches_does_each_once() {
    let Some(moved) = Staged::within_one_database("stage_kill_slices").await else {
        return;
    };
    moved.plan().await;
    // Each call goes on where the one before was killed: loaded, built, attached, one partition after another.
    let points = [
        "slice.claimed",
        "slice.copied",
        "slice.before_commit",
        "slice.after_commit",
        "slice.after_commit",
        "slice.copied",
        "slice.after_commit",
        "stage.before_mark",
        "copy.before_mark",
    ];
    for point in points {
        moved
            .call("migrate")
            .failpoint(point)
            .run()
            .await
            .expect_killed();
        moved.assert_wholly_in_or_out().await;
    }
    moved.call("migrate").run().await.expect_code(0);
    moved.assert_moved(4).await;
}

#[tokio::test]
async fn a_process_killed_around_every_step_goes_on_there_and_back() {
    let Some(moved) = Staged::within_one_database("stage_kill_steps").await else {
        return;
    };
    moved.plan().await;
    let steps = step_count(&moved.source).await;
    let there = || moved.call("migrate");
    killed_around_every_step(&moved.source, steps, Direction::There, there).await;
    moved.call("migrate").run().await.expect_code(0);
    moved.assert_moved(4).await;
    let back = || moved.call("rollback");
    killed_around_every_step(&moved.source, steps, Direction::Back, back).await;
    moved.call("rollback").run().await.expect_code(0);
    moved.assert_back().await;
}

#[tokio::test]
async fn the_way_back_is_open_from_a_table_that_is_loaded_built_or_attached() {
    let Some(moved) = Staged::within_one_database("stage_back").await else {
        return;
    };
    // Six steps come before a partition's build and its attaching: two for the fence, and those that make the empty hypertable.
    let points = [
        ("slice.before_commit", 0, 0, 0),
        ("slice.after_commit", 1, 0, 0),
        ("step.after_commit:7", 1, 1, 0),
        ("step.before_commit:8", 1, 1, 0),
        ("step.after_commit:8", 1, 1, 1),
        ("slice.after_commit:2", 2, 1, 1),
    ];
    for (point, loaded, built, attached) in points {
        moved.plan().await;
        moved
            .call("migrate")
            .failpoint(point)
            .run()
            .await
            .expect_killed();
        let sql = format!(
            "SELECT ARRAY[count(*), count(*) FILTER (WHERE indexes > 0), count(*) FILTER (WHERE is_chunk)] FROM ({STAGED}) s"
        );
        let found: Vec<i64> = moved.source.value(&sql).await.unwrap();
        assert_eq!(found, [loaded, built, attached], "{point}");
        moved.call("rollback").run().await.expect_code(0);
        moved.assert_back().await;
    }
}

#[tokio::test]
async fn a_name_that_is_taken_is_left_alone() {
    let Some(moved) = Staged::within_one_database("stage_taken").await else {
        return;
    };
    let taken = "CREATE SCHEMA hyperhaul_chunks_public; DO $$ BEGIN \
        EXECUTE format('CREATE TABLE hyperhaul_chunks_public.%I (kept int)', \
        'chunk_' || 'positions_p20251212'::regclass::oid || '_positions_p20251212'); END $$";
    moved.source.exec(taken).await.unwrap();
    moved.plan().await;
    moved
        .assert_stops(&["_positions_p20251212 exists already on the target"])
        .await;
    moved.call("rollback").run().await.expect_code(0);
    let kept = "SELECT count(*) FROM pg_attribute WHERE attname = 'kept'";
    assert_eq!(moved.source.value::<i64>(kept).await.unwrap(), 1);
}

#[tokio::test]
async fn a_leaf_that_is_rewritten_between_two_processes_is_loaded_from_its_new_file() {
    let Some(moved) = Staged::within_one_database("stage_rewritten").await else {
        return;
    };
    moved.plan().await;
    moved
        .call("migrate")
        .failpoint("slice.after_commit")
        .run()
        .await
        .expect_killed();
    let rewrite = "VACUUM FULL positions_p20251211; VACUUM FULL positions_p20251212; VACUUM FULL positions_p20251213";
    for statement in rewrite.split("; ") {
        moved.source.exec(statement).await.unwrap();
    }
    moved.call("migrate").run().await.expect_code(0);
    moved.assert_moved(4).await;
}
