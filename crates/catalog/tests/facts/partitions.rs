//! Leaves, bounds, time zones, sizes.

use hyperhaul_catalog::{Depth, table_facts};
use hyperhaul_plan::facts::{ChunkRows, LeafBound, PartitionStrategy, RelationKind};
use hyperhaul_plan::{Relation, TimeType};

use crate::{database, databases, facts, look, names, session, wanted};

const DAY_US: i64 = 86_400_000_000;
const HOUR_US: i64 = DAY_US / 24;

#[tokio::test]
async fn bounds_of_every_level_are_taken_together() {
    let database = database("levels").await;
    database
        .exec(
            "CREATE TABLE t (region text, t timestamptz, n int) PARTITION BY RANGE (t); \
             CREATE TABLE jan PARTITION OF t FOR VALUES FROM ('1970-01-01Z') TO ('1970-02-01Z') PARTITION BY LIST (region); \
             CREATE TABLE jan_a PARTITION OF jan FOR VALUES IN ('a') PARTITION BY RANGE (t); \
             CREATE TABLE jan_a1 PARTITION OF jan_a FOR VALUES FROM ('1970-01-02Z') TO ('1970-01-03Z'); \
             CREATE TABLE jan_a_default PARTITION OF jan_a DEFAULT; \
             CREATE TABLE jan_b PARTITION OF jan FOR VALUES IN ('b') PARTITION BY RANGE (t, n); \
             CREATE TABLE jan_b1 PARTITION OF jan_b FOR VALUES FROM ('1970-01-05Z', 1) TO ('1970-01-06Z', MAXVALUE); \
             CREATE TABLE late PARTITION OF t FOR VALUES FROM ('1971-01-01Z') TO (MAXVALUE); \
             CREATE TABLE rest PARTITION OF t DEFAULT PARTITION BY HASH (n); \
             CREATE TABLE rest0 PARTITION OF rest FOR VALUES WITH (MODULUS 1, REMAINDER 0); \
             INSERT INTO t VALUES ('a', '1970-01-02 01:00Z', 1), ('a', '1970-01-09 01:00Z', 1), ('a', '1970-01-09 02:00Z', 1), \
               ('b', '1970-01-05 01:00Z', 1), (NULL, NULL, NULL), (NULL, '-infinity', 1)",
        )
        .await
        .unwrap();
    let found = facts(&database, "t").await;
    assert_eq!(
        found.partition_key.as_ref().unwrap().strategy,
        PartitionStrategy::Range
    );
    assert_eq!(
        names(&found.branches, |branch| &branch.name),
        ["jan", "rest", "jan_a", "jan_b"]
    );
    let bounds: Vec<_> = found
        .leaves
        .iter()
        .map(|leaf| (leaf.relation.name.as_str(), leaf.bound))
        .collect();
    let january = LeafBound::Range {
        from_us: Some(0),
        to_us: Some(31 * DAY_US),
    };
    let a1 = LeafBound::Range {
        from_us: Some(DAY_US),
        to_us: Some(2 * DAY_US),
    };
    let late = LeafBound::Range {
        from_us: Some(365 * DAY_US),
        to_us: None,
    };
    assert_eq!(
        bounds,
        [
            ("jan_a_default", january),
            ("jan_b1", january),
            ("jan_a1", a1),
            ("late", late),
            ("rest0", LeafBound::Default)
        ]
    );
    let in_default = &found.leaves[0];
    assert_eq!(
        in_default.chunk_rows,
        [ChunkRows {
            start_us: 8 * DAY_US,
            rows: 2
        }]
    );
    let observed = in_default.observed.unwrap();
    assert_eq!(
        (observed.min_us, observed.max_us),
        (8 * DAY_US + HOUR_US, 8 * DAY_US + 2 * HOUR_US)
    );
    assert!(found.leaves[2].observed.is_none());
    let rest = &found.leaves[4];
    assert_eq!(
        (rest.null_times, rest.infinite_times, rest.rows_estimate),
        (1, 1, 2)
    );
    assert!(rest.observed.is_none() && rest.chunk_rows.is_empty());

    let branch = look(&database, "jan_a", None).await.unwrap();
    assert_eq!(
        (branch.kind, branch.leaves.len()),
        (RelationKind::Partition, 2)
    );
    let leaf = look(&database, "jan_a1", Some("t")).await.unwrap();
    assert_eq!((leaf.kind, leaf.leaves.len()), (RelationKind::Partition, 1));
    let by_region = look(&database, "jan", Some("t")).await.unwrap();
    assert_eq!(
        by_region.partition_key.unwrap().columns,
        [Some("region".to_owned())]
    );
}

#[tokio::test]
async fn berlin_s_days_are_23_and_25_hours_long_twice_a_year() {
    for database in databases("berlin").await {
        database
            .exec(
                "SET timezone = 'Europe/Berlin'; \
                 CREATE TABLE t (t timestamptz NOT NULL) PARTITION BY RANGE (t); \
                 CREATE TABLE march PARTITION OF t FOR VALUES FROM ('2025-03-30') TO ('2025-03-31'); \
                 CREATE TABLE october PARTITION OF t FOR VALUES FROM ('2025-10-26') TO ('2025-10-27'); \
                 INSERT INTO t SELECT generate_series('2025-03-30'::timestamptz, '2025-03-30 23:30', '30 minutes'); \
                 INSERT INTO t SELECT generate_series('2025-10-26'::timestamptz, '2025-10-26 23:30', '30 minutes')",
            )
            .await
            .unwrap();
        let found = facts(&database, "t").await;
        let midnight_us = 1_743_292_800_000_000; // 2025-03-30 00:00 UTC
        let lengths: Vec<_> = found
            .leaves
            .iter()
            .map(|leaf| match leaf.bound {
                LeafBound::Range {
                    from_us: Some(from_us),
                    to_us: Some(to_us),
                } => (to_us - from_us) / HOUR_US,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(lengths, [23, 25]);
        assert_eq!(
            found.leaves[0].bound,
            LeafBound::Range {
                from_us: Some(midnight_us - HOUR_US),
                to_us: Some(midnight_us + 22 * HOUR_US)
            }
        );
        assert_eq!(
            found.leaves[0].chunk_rows,
            [
                ChunkRows {
                    start_us: midnight_us - DAY_US,
                    rows: 2
                },
                ChunkRows {
                    start_us: midnight_us,
                    rows: 44
                }
            ]
        );
        assert_eq!(found.leaves[1].rows_estimate, 50);
    }
}

#[tokio::test]
async fn ordinary_tables_of_every_time_type_are_read_exactly() {
    let database = database("ordinary").await;
    for (type_sql, time_type, min_us) in [
        ("timestamptz", TimeType::Timestamptz, -HOUR_US),
        ("timestamp", TimeType::Timestamp, -HOUR_US),
        ("date", TimeType::Date, -DAY_US),
    ] {
        database
            .exec(&format!(
                "DROP TABLE IF EXISTS t; CREATE TABLE t (t {type_sql}, x text); \
                 INSERT INTO t SELECT v::timestamp AT TIME ZONE 'UTC', 'x' FROM (VALUES ('1969-12-31 23:00'), ('1970-01-01 05:00'), \
                   ('1970-01-01 06:00'), (NULL), ('infinity')) AS v (v)"
            ))
            .await
            .unwrap();
        let found = look(&database, "t", Some("t")).await.unwrap();
        assert_eq!(
            (found.kind, found.time_type),
            (RelationKind::Ordinary, Some(time_type))
        );
        let [leaf] = found.leaves.as_slice() else {
            panic!("{:?}", found.leaves)
        };
        assert_eq!(leaf.bound, LeafBound::Unbounded);
        assert_eq!(
            (leaf.null_times, leaf.infinite_times, leaf.rows_estimate),
            (1, 1, 5)
        );
        assert_eq!(leaf.observed.unwrap().min_us, min_us);
        assert_eq!(
            leaf.chunk_rows,
            [
                ChunkRows {
                    start_us: -DAY_US,
                    rows: 1
                },
                ChunkRows {
                    start_us: 0,
                    rows: 2
                }
            ]
        );
        assert!(leaf.own_indexes.is_empty());
    }
    database
        .exec("DROP TABLE t; CREATE TABLE t (t date); INSERT INTO t VALUES ('5874897-12-31'), ('4714-11-24 BC')")
        .await
        .unwrap();
    let found = look(&database, "t", Some("t")).await.unwrap();
    let observed = found.leaves[0].observed.unwrap();
    assert_eq!(
        (observed.min_us / DAY_US, observed.max_us),
        (-2_440_588, i64::MAX)
    );
    let unknown = look(&database, "t", Some("nowhere")).await.unwrap();
    assert_eq!((unknown.time_column, unknown.time_type), (None, None));
}

#[tokio::test]
async fn sizes_and_estimates_are_the_server_s() {
    let database = database("sizes").await;
    database
        .exec(
            "CREATE TABLE t (id int, t timestamptz NOT NULL, big text STORAGE EXTERNAL, PRIMARY KEY (id, t)) PARTITION BY RANGE (t); \
             CREATE INDEX by_t ON t (t); \
             CREATE TABLE p1 PARTITION OF t FOR VALUES FROM ('2025-01-01') TO ('2025-01-02'); \
             CREATE TABLE p2 PARTITION OF t FOR VALUES FROM ('2025-01-02') TO ('2025-01-03'); \
             CREATE INDEX own ON p1 (id); \
             INSERT INTO t SELECT g, '2025-01-01 01:00Z', repeat('x', 5000) FROM generate_series(1, 500) g; \
             INSERT INTO t SELECT g, '2025-01-02 01:00Z', 'x' FROM generate_series(1, 20000) g",
        )
        .await
        .unwrap();
    let found = facts(&database, "t").await;
    for leaf in &found.leaves {
        let name = leaf.relation.to_string();
        let sizes = database
            .query_one(
                &format!(
                    "SELECT pg_relation_size(c.oid), pg_relation_size(c.reltoastrelid), c.oid, pg_relation_filenode(c.oid), \
                     (SELECT sum(pg_relation_size(indexrelid))::bigint FROM pg_index WHERE indrelid = c.oid), \
                     (SELECT count(*) FROM {name}) FROM pg_class c WHERE c.oid = '{name}'::regclass"
                ),
                &[],
            )
            .await
            .unwrap();
        let bytes = |at: usize| u64::try_from(sizes.get::<_, i64>(at)).unwrap();
        assert_eq!(
            (leaf.heap_bytes, leaf.toast_bytes),
            (bytes(0), bytes(1)),
            "{name}"
        );
        assert_eq!(
            (leaf.oid, leaf.relfilenode),
            (sizes.get(2), sizes.get(3)),
            "{name}"
        );
        assert_eq!(
            (leaf.index_bytes, u64::from(leaf.blocks)),
            (bytes(4), bytes(0) / 8192),
            "{name}"
        );
        // Never analysed: by the width of the types, within a factor of two.
        let rows = bytes(5);
        assert!(
            (rows / 2..=rows * 2).contains(&leaf.rows_estimate),
            "{} {rows}",
            leaf.rows_estimate
        );
    }
    assert!(found.leaves[0].toast_bytes > found.leaves[0].heap_bytes);
    assert_eq!(found.leaves[0].own_indexes, ["own"]);
    assert!(found.leaves[1].own_indexes.is_empty());
    let of_table = found.unique_keys[0].size_bytes + found.indexes[0].size_bytes;
    let of_leaves: u64 = found.leaves.iter().map(|leaf| leaf.index_bytes).sum();
    let own: i64 = database
        .value("SELECT pg_relation_size('own')")
        .await
        .unwrap();
    assert_eq!(of_table, of_leaves - u64::try_from(own).unwrap());
    database.exec("VACUUM ANALYZE t").await.unwrap();
    let found = facts(&database, "t").await;
    assert_eq!(found.leaves[1].rows_estimate, 20_000);
}

#[tokio::test]
async fn fifteen_hundred_partitions_take_no_locks_and_a_dozen_round_trips() {
    let database = database("many").await;
    database
        .exec(
            "CREATE TABLE t (id int, t timestamptz NOT NULL, a int, b int, PRIMARY KEY (id, t)) PARTITION BY RANGE (t); \
             CREATE INDEX ON t (a); CREATE INDEX ON t (b); CREATE INDEX ON t (t)",
        )
        .await
        .unwrap();
    // Several transactions: the lock table would not hold one.
    for start in (0..1500).step_by(300) {
        database
            .exec(&format!(
                "DO $$ BEGIN FOR i IN {start}..{} LOOP EXECUTE format('CREATE TABLE p%s PARTITION OF t \
                 FOR VALUES FROM (%L) TO (%L)', i, '2020-01-01Z'::timestamptz + i * '1 day'::interval, \
                 '2020-01-02Z'::timestamptz + i * '1 day'::interval); END LOOP; END $$",
                start + 299
            ))
            .await
            .unwrap();
    }
    let session = session(database.url()).await;
    let began = std::time::Instant::now();
    let found = table_facts(&session, &wanted("t", None), Depth::Rows)
        .await
        .unwrap();
    eprintln!("1,500 partitions took {} ms", began.elapsed().as_millis());
    assert_eq!(found.leaves.len(), 1500);
    assert_eq!(
        found.leaves[1499].relation,
        Relation::new("public", "p1499")
    );
    assert!(found.unique_keys[0].size_bytes >= 1500 * 8192);
}
