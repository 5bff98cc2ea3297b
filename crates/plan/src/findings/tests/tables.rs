//! Findings, one deviation per case: the table as a relation, its keys, times and foreign keys.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::{acceptable, block, info, run, sound, warn};
use crate::facts::*;
use crate::testing::*;
use crate::{Code, Relation, TimeRange};

#[test]
fn relations() {
    run(
        sound,
        vec![
            block(
                "already a hypertable",
                Code::TableKind,
                &["hypertable already"],
                |facts, _| fixes(facts).kind = RelationKind::Hypertable,
            ),
            block(
                "a partition",
                Code::TableKind,
                &["pg_inherits", r#"'"public"."fixes"'::regclass"#],
                |facts, _| fixes(facts).kind = RelationKind::Partition,
            ),
            block("a view", Code::TableKind, &["neither"], |facts, _| {
                fixes(facts).kind = RelationKind::Other;
            }),
            info(
                "two partition columns",
                Code::PartitionKey,
                &["RANGE (received_at, id)", "routed"],
                |facts, _| {
                    fixes(facts).partition_key = Some(PartitionKey {
                        strategy: PartitionStrategy::Range,
                        columns: vec![Some("received_at".into()), Some("id".into())],
                        definition: "RANGE (received_at, id)".into(),
                    });
                },
            ),
            info("no row", Code::EmptyTable, &["no row"], |facts, _| {
                fixes(facts).leaves = vec![leaf("fixes_p1", 1, 0, 0)];
            }),
            warn(
                "fillfactor and tablespace",
                Code::StorageOption,
                &[
                    "fillfactor=70",
                    "SET (fillfactor=70);",
                    "attach_tablespace('fast'",
                ],
                |facts, _| {
                    fixes(facts).options = vec!["fillfactor=70".into()];
                    fixes(facts).tablespace = Some("fast".into());
                },
            ),
            block(
                "has a parent",
                Code::Inheritance,
                &[r#"ALTER TABLE "public"."fixes" NO INHERIT "public"."positions";"#],
                |facts, _| fixes(facts).inherits = vec![public("positions")],
            ),
            block(
                "has a child",
                Code::Inheritance,
                &[r#"ALTER TABLE "public"."fixes_old" NO INHERIT "public"."fixes";"#],
                |facts, _| fixes(facts).inherited_by = vec![public("fixes_old")],
            ),
            block(
                "foreign partition",
                Code::ForeignLeaf,
                &[
                    "\"archive\"",
                    "DETACH PARTITION \"public\".\"fixes_p20251211\"",
                ],
                |facts, _| fixes(facts).leaves[0].foreign_server = Some("archive".into()),
            ),
            block(
                "name taken",
                Code::NameTaken,
                &["hyperhaul_new_public.fixes", "RENAME TO \"before_fixes\""],
                |facts, _| {
                    facts.occupied = vec![Relation::new("hyperhaul_new_public", "fixes")];
                },
            ),
        ],
    );
}

#[test]
fn keys_and_indexes() {
    run(
        sound,
        vec![
            acceptable(
                "primary key without time",
                Code::UniqueWithoutTime,
                &["primary key \"fixes_pkey\" (id)", "(id, received_at)"],
                |facts, _| {
                    let narrow = key("fixes_pkey", KeyKind::Primary, &["id"], "PRIMARY KEY (id)");
                    fixes(facts).unique_keys = vec![narrow];
                },
            ),
            acceptable(
                "unique index without time",
                Code::UniqueWithoutTime,
                &["unique index \"fixes_hash\"", "without UNIQUE"],
                |facts, _| {
                    fixes(facts).indexes.push(Index {
                        unique: true,
                        ..index("fixes_hash", "btree", "hash")
                    });
                },
            ),
            acceptable(
                "exclusion",
                Code::ExclusionConstraint,
                &["EXCLUDE USING gist"],
                |facts, _| {
                    fixes(facts).unique_keys.push(key(
                        "fixes_excl",
                        KeyKind::Exclusion,
                        &["location", "received_at"],
                        "EXCLUDE USING gist (location WITH &&, received_at WITH =)",
                    ));
                },
            ),
            warn(
                "invalid index",
                Code::InvalidIndex,
                &["\"idx_fixes_aircraft_received_at\"", "DROP INDEX"],
                |facts, _| fixes(facts).indexes[0].valid = false,
            ),
            warn(
                "leaf index",
                Code::LeafIndex,
                &["2 indexes on 1 partition only", "a, b"],
                |facts, _| {
                    fixes(facts).leaves[0].own_indexes = vec!["a".into(), "b".into()];
                },
            ),
            info("no key", Code::NoKey, &["no primary key"], |facts, _| {
                fixes(facts).unique_keys.clear();
            }),
        ],
    );
}

#[test]
fn times() {
    run(
        sound,
        vec![
            block(
                "NULL",
                Code::NullTime,
                &["12 rows in 2 leaves", r#"WHERE "received_at" IS NULL"#],
                |facts, _| {
                    fixes(facts).leaves[0].null_times = 5;
                    fixes(facts).leaves[1].null_times = 7;
                },
            ),
            block(
                "infinite",
                Code::InfiniteTime,
                &["1 row in 1 leaf", r#"NOT isfinite("received_at")"#],
                |facts, _| fixes(facts).leaves[0].infinite_times = 1,
            ),
            warn(
                "clock not set",
                Code::AbsurdTime,
                &["3 rows outside", "1970-01-01T00:00:01Z", "< '1990-01-01'"],
                |facts, _| {
                    let leaf = &mut fixes(facts).leaves[0];
                    leaf.observed = Some(TimeRange {
                        min_us: 1_000_000,
                        max_us: FIRST_DAY_US,
                    });
                    leaf.chunk_rows = vec![
                        ChunkRows {
                            start_us: 0,
                            rows: 3,
                        },
                        ChunkRows {
                            start_us: FIRST_DAY_US,
                            rows: 1_000,
                        },
                    ];
                },
            ),
            warn(
                "nullable",
                Code::NullableTime,
                &["ALTER COLUMN \"received_at\" SET NOT NULL;"],
                |facts, _| fixes(facts).columns[1].not_null = false,
            ),
            info(
                "default partition, not read",
                Code::DefaultPartition,
                &["about 1,200 rows"],
                |facts, _| {
                    fixes(facts).leaves.push(Leaf {
                        bound: LeafBound::Default,
                        ..leaf("fixes_default", 9, 1_200, 434)
                    });
                },
            ),
            info(
                "other time zone",
                Code::MisalignedBounds,
                &["10 of 10 partitions", "2025-12-10T23:00:00Z", "time zone"],
                |facts, _| {
                    for leaf in &mut fixes(facts).leaves {
                        if let LeafBound::Range {
                            from_us: Some(from_us),
                            to_us: Some(to_us),
                        } = &mut leaf.bound
                        {
                            *from_us -= 3_600_000_000;
                            *to_us -= 3_600_000_000;
                        }
                    }
                },
            ),
            info(
                "longer than a chunk",
                Code::MisalignedBounds,
                &["10 of 10 partitions", "1 hour", "longer than a chunk"],
                |_, options| options.tables[0].chunk_interval_us = 3_600_000_000,
            ),
            warn(
                "many chunks",
                Code::ManyChunks,
                &[
                    "3,600 chunks",
                    "1 hour",
                    "--chunk-interval '6 hours'",
                    "600 chunks",
                ],
                |facts, options| {
                    options.tables[0].chunk_interval_us = 3_600_000_000;
                    facts.target.settings.max_locks_per_transaction = 4_096;
                    let leaf = &mut fixes(facts).leaves[0];
                    leaf.chunk_rows = (0..3_600)
                        .map(|hour| ChunkRows {
                            start_us: FIRST_DAY_US + hour * 3_600_000_000,
                            rows: 1,
                        })
                        .collect();
                },
            ),
        ],
    );
}

#[test]
fn foreign_keys() {
    run(
        sound,
        vec![
            acceptable(
                "to a hypertable",
                Code::HypertableForeignKey,
                &["is a hypertable already", "NOT EXISTS"],
                |facts, _| {
                    facts.target.hypertables = vec![public("flights")];
                    fixes(facts).foreign_keys = vec![foreign_key("fixes", "flight_id", "flights")];
                },
            ),
            acceptable(
                "to itself",
                Code::HypertableForeignKey,
                &["refers to the hypertable itself"],
                |facts, _| {
                    fixes(facts).foreign_keys = vec![foreign_key("fixes", "previous", "fixes")];
                },
            ),
            block(
                "from a hypertable",
                Code::HypertableForeignKey,
                &["DROP CONSTRAINT \"notes_fkey\";"],
                |facts, _| {
                    fixes(facts).referenced_by = vec![ReferencedBy {
                        from_hypertable: true,
                        ..referenced_by("notes_fkey", "notes", 10)
                    }];
                },
            ),
            block(
                "without time",
                Code::ReferencedBy,
                &[
                    "12,345 rows",
                    "without the time column",
                    "DROP CONSTRAINT \"notes_fkey\";",
                ],
                |facts, _| {
                    fixes(facts).referenced_by = vec![ReferencedBy {
                        referenced_columns: vec!["id".into()],
                        ..referenced_by("notes_fkey", "notes", 12_345)
                    }];
                },
            ),
            warn(
                "re-pointed",
                Code::ReferencedBy,
                &[
                    "12,345 rows",
                    "validated right after",
                    "drop_chunks",
                    "NOT VALID",
                ],
                |facts, _| {
                    fixes(facts).referenced_by = vec![referenced_by("notes_fkey", "notes", 12_345)];
                },
            ),
            warn(
                "re-pointed from a partitioned table",
                Code::ReferencedBy,
                &["no NOT VALID for a partitioned table", "stay locked"],
                |facts, _| {
                    fixes(facts).referenced_by = vec![ReferencedBy {
                        partitioned: true,
                        ..referenced_by("notes_fkey", "notes", 12_345)
                    }];
                },
            ),
            warn(
                "two of one table",
                Code::ReferencedBy,
                &[
                    "2 foreign keys: first_fkey, second_fkey",
                    "timescaledb#10055",
                ],
                |facts, _| {
                    fixes(facts).referenced_by = vec![
                        referenced_by("first_fkey", "notes", 10),
                        referenced_by("second_fkey", "notes", 10),
                    ];
                },
            ),
        ],
    );
}
