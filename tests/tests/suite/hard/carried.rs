//! Small things that hang on a table and are carried over, and things on single partitions that cannot be.

use super::{BLOCKED, DONE, call, moves_equal};
use crate::support::target_database;

/// Whatever has a comment or a property of its own, as lines that name neither schema nor oid.
const SEEN: &str = "
    SELECT 'trigger ' || tgname || ' ' || obj_description(oid, 'pg_trigger') AS line FROM pg_trigger WHERE tgrelid = 'fixes'::regclass AND tgname = 'noted'
    UNION ALL SELECT 'policy ' || polname || ' ' || obj_description(oid, 'pg_policy') FROM pg_policy WHERE polrelid = 'fixes'::regclass
    UNION ALL SELECT 'statistics ' || stxname || ' ' || obj_description(oid, 'pg_statistic_ext') FROM pg_statistic_ext WHERE stxrelid = 'fixes'::regclass
    UNION ALL SELECT 'index ' || c.relname || ' ' || array_to_string(c.reloptions, ',') || ' ' || x.indisclustered
        FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid WHERE x.indrelid = 'fixes'::regclass
    UNION ALL SELECT 'constraint ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'fixes'::regclass AND contype IN ('u', 'c')
    ORDER BY 1";

#[tokio::test]
async fn comments_cluster_and_parameters_of_keys_are_carried_over() {
    let database = target_database("carried").await;
    database
        .exec(
            "CREATE TABLE fixes (id integer, at timestamptz NOT NULL, note text);
            INSERT INTO fixes SELECT n, timestamptz '2025-12-11 00:00+00' + n * interval '1 hour' FROM generate_series(0, 47) AS n;
            ALTER TABLE fixes ADD CONSTRAINT once UNIQUE NULLS NOT DISTINCT (id, at) WITH (fillfactor = 70) DEFERRABLE INITIALLY DEFERRED;
            ALTER TABLE fixes ADD CONSTRAINT \"no other\" CHECK (note <> ' NO INHERIT') NO INHERIT;
            CREATE INDEX by_time ON fixes (at) WITH (fillfactor = 80); ALTER TABLE fixes CLUSTER ON by_time;
            CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
            CREATE TRIGGER noted BEFORE INSERT ON fixes FOR EACH ROW EXECUTE FUNCTION note(); COMMENT ON TRIGGER noted ON fixes IS 'it''s noted';
            CREATE POLICY own ON fixes USING (true); COMMENT ON POLICY own ON fixes IS 'all of it';
            CREATE STATISTICS together ON id, note FROM fixes; COMMENT ON STATISTICS together IS 'both';
            ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
        )
        .await
        .unwrap();
    let inherited = |lines: Vec<String>| -> Vec<String> {
        let lines = lines.iter();
        lines
            .map(|line| line.strip_suffix(" NO INHERIT").unwrap_or(line).to_owned())
            .collect()
    };
    let before = inherited(database.values(SEEN).await.unwrap());
    assert_eq!(before.len(), 7, "{before:#?}");
    moves_equal(&database, "fixes", "--time-column at").await;
    assert_eq!(inherited(database.values(SEEN).await.unwrap()), before);
    let public = "SELECT has_table_privilege('public', 'fixes', 'SELECT')";
    assert!(!database.value::<bool>(public).await.unwrap());
    call("rollback", &database).run().await.expect_code(DONE);
    assert_eq!(inherited(database.values(SEEN).await.unwrap()), before);
}

#[tokio::test]
async fn what_hangs_on_single_partitions_blocks_until_it_is_accepted_or_gone() {
    let database = target_database("on_partitions").await;
    database
        .exec(
            "CREATE TABLE clubs (id integer PRIMARY KEY); INSERT INTO clubs VALUES (0);
            CREATE TABLE fixes (id integer, at timestamptz NOT NULL, club integer, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
            CREATE TABLE fixes_1 PARTITION OF fixes FOR VALUES FROM ('2025-12-11 00:00+00') TO ('2025-12-12 00:00+00');
            INSERT INTO fixes SELECT n, timestamptz '2025-12-11 00:00+00' + n * interval '1 hour', 0 FROM generate_series(0, 23) AS n;
            CREATE VIEW first_day AS SELECT * FROM fixes_1;
            CREATE FUNCTION taken(fixes_1) RETURNS integer LANGUAGE sql AS 'SELECT 1';
            ALTER TABLE fixes_1 ADD CONSTRAINT positive CHECK (id >= 0);
            ALTER TABLE fixes_1 ADD CONSTRAINT of_club FOREIGN KEY (club) REFERENCES clubs;
            ALTER TABLE fixes_1 SET (fillfactor = 90);
            CREATE TABLE notes (id integer, at timestamptz, CONSTRAINT on_day FOREIGN KEY (id, at) REFERENCES fixes_1)",
        )
        .await
        .unwrap();
    let accept = "--table fixes --accept leaf_object";
    call(&format!("check {accept}"), &database)
        .run()
        .await
        .expect_code(BLOCKED)
        .expect_printed(&[
            "1 view over single partitions: public.first_day",
            "1 function tied to single partitions",
            "1 check on single partitions: \"positive\"",
            "fillfactor=90",
            "ALTER TABLE \"public\".\"fixes_1\" DROP CONSTRAINT \"of_club\";",
            "ALTER TABLE \"public\".\"notes\" DROP CONSTRAINT \"on_day\";",
        ]);
    database
        .exec(
            "ALTER TABLE fixes_1 DROP CONSTRAINT of_club; ALTER TABLE notes DROP CONSTRAINT on_day",
        )
        .await
        .unwrap();
    call("check --table fixes", &database)
        .run()
        .await
        .expect_code(BLOCKED)
        .expect_printed(&["--accept leaf_object"]);
    moves_equal(&database, "fixes", "--accept leaf_object").await;
}
