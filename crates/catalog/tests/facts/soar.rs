//! SOAR's schema under pg_partman 5.x on PostgreSQL 17 and 4.7 on 15.

use hyperhaul_plan::facts::{BinaryTravel, Grant, KeyKind, LeafBound, RelationKind};
use hyperhaul_plan::{Relation, TimeType};
use hyperhaul_testkit::TestDatabase;

use crate::{databases, facts, names};

const SCHEMA: &str = include_str!("../../../../fixtures/soar/schema.sql");
const INDEXES: &str = include_str!("../../../../fixtures/soar/indexes.sql");

async fn load(database: &TestDatabase) {
    database.exec(SCHEMA).await.unwrap();
    database.exec(INDEXES).await.unwrap();
}

#[tokio::test]
async fn fixes_show_everything_that_has_to_be_carried_over() {
    for database in databases("soar").await {
        load(&database).await;
        let fixes = facts(&database, "public.fixes").await;
        assert_eq!(fixes.kind, RelationKind::Partitioned);
        assert_eq!(fixes.time_column.as_deref(), Some("received_at"));
        assert_eq!(fixes.time_type, Some(TimeType::Timestamptz));
        assert_eq!(fixes.columns.len(), 26);
        assert_eq!(
            fixes.comment.as_deref().unwrap().split('.').next(),
            Some("Aircraft positions")
        );
        let generated: Vec<_> = fixes
            .columns
            .iter()
            .filter_map(|column| Some((column.name.as_str(), column.generation.as_ref()?)))
            .collect();
        assert_eq!(generated.len(), 2);
        assert_eq!(generated[0].0, "location");
        assert!(generated[0].1.stored);
        assert!(
            generated[0]
                .1
                .expression_sql
                .contains("public.st_point(longitude, latitude)")
        );
        let aircraft = fixes
            .columns
            .iter()
            .find(|column| column.name == "aircraft_id")
            .unwrap();
        assert_eq!(aircraft.statistics_target, Some(500));
        let location = fixes
            .columns
            .iter()
            .find(|column| column.name == "location")
            .unwrap();
        assert_eq!(location.type_sql, "public.geography(Point,4326)");
        assert!(
            fixes
                .columns
                .iter()
                .all(|column| column.travel == BinaryTravel::Free)
        );

        assert_eq!(names(&fixes.unique_keys, |key| &key.name), ["fixes_pkey"]);
        assert_eq!(fixes.unique_keys[0].kind, KeyKind::Primary);
        assert_eq!(
            fixes.unique_keys[0].definition,
            "PRIMARY KEY (id, received_at)"
        );
        assert_eq!(fixes.indexes.len(), 8);
        let protocol = fixes
            .indexes
            .iter()
            .find(|index| index.name == "idx_fixes_protocol")
            .unwrap();
        assert_eq!(
            protocol.tail_sql,
            "USING btree (((source_metadata ->> 'protocol'::text))) WHERE (source_metadata IS NOT NULL)"
        );
        assert_eq!(protocol.columns, [None]);
        let methods = names(&fixes.indexes, |index| &index.method);
        assert_eq!(methods.iter().filter(|method| *method == "gist").count(), 2);
        assert!(
            fixes
                .indexes
                .iter()
                .all(|index| index.valid && index.size_bytes > 0)
        );
        assert_eq!(
            names(&fixes.checks, |check| &check.name),
            ["fixes_track_degrees_check"]
        );
        assert_eq!(
            fixes.checks[0].comment.as_deref(),
            Some("360 is written as 0")
        );
        assert_eq!(fixes.foreign_keys.len(), 4);
        let raw = &fixes.foreign_keys[2];
        assert_eq!(raw.name, "fixes_raw_message_id_fkey");
        assert_eq!(raw.references, Relation::new("public", "raw_messages"));
        assert_eq!(raw.columns, ["raw_message_id", "received_at"]);
        assert_eq!(raw.referenced_columns, ["id", "received_at"]);
        assert!(
            raw.definition
                .contains("REFERENCES public.raw_messages(id, received_at)")
        );
        assert_eq!(
            names(&fixes.views, |view| &view.relation.name),
            ["latest_fixes"]
        );
        assert!(!fixes.views[0].definition.ends_with(';'));
        assert_eq!(fixes.views[0].columns[1], "fix_id");
        let select = Grant {
            grantee: Some("soar_readonly".to_owned()),
            privilege: "SELECT".to_owned(),
            grantable: false,
        };
        assert_eq!(fixes.grants.len(), 5);
        assert!(fixes.grants.contains(&select));
    }
}

#[tokio::test]
async fn leaves_are_the_days_in_order_and_the_default_comes_last() {
    const DAY_US: i64 = 86_400_000_000;
    for database in databases("soar leaves").await {
        load(&database).await;
        database
            .exec(
                "INSERT INTO raw_messages SELECT gen_random_uuid(), t, gen_random_uuid(), NULL, '', '' \
                 FROM (VALUES ('2025-12-13 10:00+00'::timestamptz), ('2025-12-20 10:00+00'), \
                 ('2025-12-20 11:00+00'), ('infinity'), ('0044-03-15 00:00+00 BC'), ('20000-01-01')) AS v (t)",
            )
            .await
            .unwrap_err();
        database
            .exec(
                "ALTER TABLE raw_messages DROP CONSTRAINT raw_messages_receiver_id_fkey; \
                 INSERT INTO raw_messages SELECT gen_random_uuid(), t, gen_random_uuid(), NULL, '', '' \
                 FROM (VALUES ('2025-12-13 10:00+00'::timestamptz), ('2025-12-20 10:00+00'), \
                 ('2025-12-20 11:00+00'), ('infinity'), ('0044-03-15 00:00+00 BC'), ('20000-01-01')) AS v (t); \
                 ANALYZE raw_messages",
            )
            .await
            .unwrap();
        let raw = facts(&database, "public.raw_messages").await;
        assert_eq!(raw.leaves.len(), 8);
        let first = 1_765_411_200_000_000;
        for (day, leaf) in (0..7).zip(&raw.leaves) {
            let from_us = first + day * DAY_US;
            let bound = LeafBound::Range {
                from_us: Some(from_us),
                to_us: Some(from_us + DAY_US),
            };
            assert_eq!(leaf.bound, bound);
            assert!(leaf.observed.is_none() && leaf.chunk_rows.is_empty());
            assert_eq!(
                (leaf.rows_estimate, leaf.blocks),
                if day == 2 { (1, 1) } else { (0, 0) }
            );
            assert!(leaf.relfilenode > 0 && leaf.index_bytes > 0);
        }
        let default = &raw.leaves[7];
        assert_eq!(default.bound, LeafBound::Default);
        assert_eq!(
            (
                default.infinite_times,
                default.null_times,
                default.rows_estimate
            ),
            (1, 0, 5)
        );
        let days: Vec<_> = default
            .chunk_rows
            .iter()
            .map(|chunk| (chunk.start_us / DAY_US, chunk.rows))
            .collect();
        assert_eq!(days, [(-735_160, 1), (20_442, 2), (6_585_322, 1)]);
        let observed = default.observed.unwrap();
        assert_eq!(observed.min_us, -735_160 * DAY_US);
        assert_eq!(observed.max_us, 6_585_322 * DAY_US);
        assert_eq!(
            names(&raw.referenced_by, |key| &key.name),
            [
                "fixes_raw_message_id_fkey",
                "receiver_statuses_raw_message_id_fkey"
            ]
        );
        assert!(
            raw.referenced_by
                .iter()
                .all(|key| key.can_change && !key.from_hypertable)
        );
    }
}

#[tokio::test]
async fn pg_partman_s_configuration_is_read_in_both_versions() {
    for database in databases("soar partman").await {
        load(&database).await;
        let fixes = facts(&database, "public.fixes").await;
        let partman = fixes.partman.unwrap();
        let version: String = database
            .value("SELECT extversion FROM pg_extension WHERE extname = 'pg_partman'")
            .await
            .unwrap();
        assert_eq!(partman.version, version);
        assert_eq!(partman.schema, "partman");
        assert_eq!(partman.parent_table, "public.fixes");
        assert_eq!(partman.control, "received_at");
        assert_eq!(partman.interval, "1 day");
        assert_eq!(partman.retention.as_deref(), Some("30 days"));
        assert!(partman.retention_keep_table && partman.can_change);
        assert_eq!(partman.automatic_maintenance, "on");
        assert_eq!(partman.config["premake"], 3);
        assert!(partman.sub_config.is_empty());
        // The row can be put back from the JSON as it was.
        let same: bool = database
            .value(&format!(
                "SELECT p = jsonb_populate_record(NULL::partman.part_config, '{}') \
                 FROM partman.part_config p WHERE parent_table = 'public.fixes'",
                partman.config
            ))
            .await
            .unwrap();
        assert!(same);
        assert_eq!(facts(&database, "public.receivers").await.partman, None);
    }
}
