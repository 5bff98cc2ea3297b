//! Keys, indexes, foreign keys and statistics.

use hyperhaul_plan::facts::{KeyKind, ReplicaIdentity};

use crate::{database, facts, look, names};

#[tokio::test]
async fn keys_indexes_and_constraints_are_sorted_into_their_kinds() {
    let database = database("keys").await;
    database
        .exec(
            "CREATE EXTENSION btree_gist; \
             CREATE TABLE other (id int PRIMARY KEY); \
             CREATE TABLE t (id int, t timestamptz NOT NULL, a int REFERENCES other ON DELETE CASCADE, b text, \
               CONSTRAINT pk PRIMARY KEY (id, t) INCLUDE (b), CONSTRAINT u UNIQUE NULLS NOT DISTINCT (b, t), \
               CONSTRAINT x EXCLUDE USING gist (a WITH =)); ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID; \
             ALTER TABLE t ADD CONSTRAINT late FOREIGN KEY (a) REFERENCES other NOT VALID; \
             CREATE UNIQUE INDEX ui ON t (t, lower(b)) INCLUDE (a) WITH (fillfactor = 70) WHERE a > 1; \
             ALTER INDEX ui ALTER COLUMN 2 SET STATISTICS 321; COMMENT ON INDEX ui IS 'ui!'; \
             COMMENT ON CONSTRAINT pk ON t IS 'pk!'; \
             CREATE INDEX broken ON t (a); \
             UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass; \
             CREATE STATISTICS st (mcv, dependencies) ON a, b FROM t; ALTER STATISTICS st SET STATISTICS 42; \
             CREATE STATISTICS se ON (a + 1), (lower(b)) FROM t; \
             ALTER TABLE t REPLICA IDENTITY USING INDEX pk; ALTER TABLE t CLUSTER ON pk; \
             ALTER TABLE t SET (fillfactor = 90, autovacuum_enabled = off)",
        )
        .await
        .unwrap();
    let found = look(&database, "t", Some("t")).await.unwrap();
    let kinds: Vec<_> = found
        .unique_keys
        .iter()
        .map(|key| (key.name.as_str(), key.kind))
        .collect();
    assert_eq!(
        kinds,
        [
            ("pk", KeyKind::Primary),
            ("u", KeyKind::Unique),
            ("x", KeyKind::Exclusion)
        ]
    );
    let pk = &found.unique_keys[0];
    assert_eq!(pk.columns, [Some("id".to_owned()), Some("t".to_owned())]);
    assert_eq!(pk.include, ["b"]);
    assert!(pk.clustered && pk.comment.as_deref() == Some("pk!") && pk.size_bytes > 0);
    assert_eq!(
        found.unique_keys[1].definition,
        "UNIQUE NULLS NOT DISTINCT (b, t)"
    );
    assert_eq!(found.checks[0].definition, "CHECK ((a > 0)) NOT VALID");
    assert_eq!(names(&found.indexes, |index| &index.name), ["broken", "ui"]);
    assert!(!found.indexes[0].valid && !found.indexes[0].unique);
    let ui = &found.indexes[1];
    assert_eq!(
        ui.tail_sql,
        "USING btree (t, lower(b)) INCLUDE (a) WITH (fillfactor='70') WHERE (a > 1)"
    );
    assert_eq!(ui.columns, [Some("t".to_owned()), None]);
    assert_eq!(
        (ui.unique, ui.valid, ui.comment.as_deref()),
        (true, true, Some("ui!"))
    );
    assert_eq!(ui.statistics_targets, [(2, 321)]);
    let foreign: Vec<_> = found
        .foreign_keys
        .iter()
        .map(|key| (key.name.as_str(), key.validated))
        .collect();
    assert_eq!(foreign, [("late", false), ("t_a_fkey", true)]);
    assert_eq!(
        found.foreign_keys[1].definition,
        "FOREIGN KEY (a) REFERENCES public.other(id) ON DELETE CASCADE"
    );
    let statistics: Vec<_> = found
        .statistics
        .iter()
        .map(|statistics| (statistics.body_sql.as_str(), statistics.target))
        .collect();
    assert_eq!(
        statistics,
        [
            ("ON (a + 1), lower(b)", None),
            ("(dependencies, mcv) ON a, b", Some(42))
        ]
    );
    assert_eq!(
        found.replica_identity,
        ReplicaIdentity::Index("pk".to_owned())
    );
    assert_eq!(found.options, ["fillfactor=90", "autovacuum_enabled=off"]);
    // Statements made of the facts rebuild what was there.
    database
        .exec(&format!(
            "CREATE TABLE copy (LIKE t); CREATE UNIQUE INDEX ui2 ON copy {}; \
             CREATE STATISTICS st2 {} FROM copy; CREATE STATISTICS se2 {} FROM copy; \
             ALTER TABLE copy ADD CONSTRAINT pk2 {}; ALTER TABLE copy ADD CONSTRAINT u2 {}; \
             ALTER TABLE copy ADD CONSTRAINT x2 {}; ALTER TABLE copy ADD CONSTRAINT f2 {}",
            ui.tail_sql,
            found.statistics[1].body_sql,
            found.statistics[0].body_sql,
            pk.definition,
            found.unique_keys[1].definition,
            found.unique_keys[2].definition,
            found.foreign_keys[0].definition,
        ))
        .await
        .unwrap();
}

#[tokio::test]
async fn foreign_keys_of_partitions_are_not_doubled() {
    let database = database("foreign").await;
    database
        .exec(
            "CREATE TABLE r (id int, t timestamptz, PRIMARY KEY (id, t)) PARTITION BY RANGE (t); \
             CREATE TABLE r1 PARTITION OF r FOR VALUES FROM ('2025-01-01') TO ('2025-01-02'); \
             CREATE TABLE r2 PARTITION OF r FOR VALUES FROM ('2025-01-02') TO ('2025-01-03'); \
             CREATE TABLE f (id int, t timestamptz, CONSTRAINT f_r FOREIGN KEY (id, t) REFERENCES r) PARTITION BY RANGE (t); \
             CREATE TABLE f1 PARTITION OF f FOR VALUES FROM ('2025-01-01') TO ('2025-01-02'); \
             COMMENT ON CONSTRAINT f_r ON f IS 'of f'; \
             INSERT INTO r VALUES (1, '2025-01-01 12:00Z'); INSERT INTO f VALUES (1, '2025-01-01 12:00Z'); ANALYZE",
        )
        .await
        .unwrap();
    let referenced = facts(&database, "r").await;
    assert_eq!(referenced.referenced_by.len(), 1);
    let by = &referenced.referenced_by[0];
    assert_eq!((by.relation.name.as_str(), by.rows_estimate), ("f", 1));
    assert_eq!(
        (by.columns.join(","), by.referenced_columns.join(",")),
        ("id,t".into(), "id,t".into())
    );
    assert_eq!(by.comment.as_deref(), Some("of f"));
    let referencing = facts(&database, "f").await;
    assert_eq!(names(&referencing.foreign_keys, |key| &key.name), ["f_r"]);
}
