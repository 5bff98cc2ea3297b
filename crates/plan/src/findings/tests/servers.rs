//! Findings, one deviation per case: servers, privileges, and what has to be the same in another database.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::{acceptable, block, info, run, sound, sound_elsewhere, warn};
use crate::Code;
use crate::facts::*;
use crate::testing::*;

#[test]
fn servers() {
    run(
        sound,
        vec![
            block(
                "not created",
                Code::ExtensionMissing,
                &["2.19.3", "CREATE EXTENSION timescaledb;"],
                |facts, _| facts.target.timescale = None,
            ),
            block(
                "not on the server",
                Code::ExtensionMissing,
                &["postgresql-17-timescaledb", "shared_preload_libraries"],
                |facts, _| {
                    facts.target.timescale = None;
                    facts.target.timescale_available = None;
                },
            ),
            block(
                "too old",
                Code::ExtensionVersion,
                &["2.12.0", "2.13.0"],
                |facts, _| facts.target.timescale.as_mut().unwrap().version = (2, 12, 0),
            ),
            block(
                "too old to be referred to",
                Code::ExtensionVersion,
                &["2.15.3", "1 refers", "2.16.0"],
                |facts, _| {
                    facts.target.timescale.as_mut().unwrap().version = (2, 15, 3);
                    fixes(facts).referenced_by = vec![referenced_by("notes_fkey", "notes", 10)];
                },
            ),
            warn(
                "older than tested",
                Code::ExtensionVersion,
                &["2.17.0", "2.19"],
                |facts, _| facts.target.timescale.as_mut().unwrap().version = (2, 17, 0),
            ),
            warn(
                "newer than tested",
                Code::ExtensionVersion,
                &[
                    "2.31.0",
                    "expected to work, but not tested",
                    "2.19.3 and 2.29.2",
                ],
                |facts, _| facts.target.timescale.as_mut().unwrap().version = (2, 31, 0),
            ),
            block(
                "not preloaded",
                Code::NotPreloaded,
                &["ALTER SYSTEM SET shared_preload_libraries"],
                |facts, _| facts.target.timescale.as_mut().unwrap().preloaded = Some(false),
            ),
            info(
                "community edition",
                Code::Edition,
                &["Community edition"],
                |facts, _| {
                    facts.target.timescale.as_mut().unwrap().license = License::Community;
                },
            ),
            block(
                "PostgreSQL 12",
                Code::ServerVersion,
                &["12.22"],
                |facts, _| {
                    facts.target.version_num = 120_022;
                    facts.target.version = "12.22".into();
                },
            ),
            warn(
                "PostgreSQL 18",
                Code::ServerVersion,
                &["18.1", "not tested: tests run on 17"],
                |facts, _| {
                    facts.target.version_num = 180_001;
                    facts.target.version = "18.1".into();
                },
            ),
            block(
                "standby",
                Code::Standby,
                &["pg_stat_wal_receiver"],
                |facts, _| {
                    facts.target.in_recovery = true;
                },
            ),
            block("pooler", Code::Pooler, &["PgBouncer 1.21"], |facts, _| {
                facts.target.pooler = Some("PgBouncer 1.21".into())
            }),
            info(
                "timeouts",
                Code::Timeouts,
                &["statement_timeout = 5 s", "lock_timeout = 1,500 ms"],
                |facts, _| {
                    facts.target.settings.statement_timeout_ms = 5_000;
                    facts.target.settings.lock_timeout_ms = 1_500;
                },
            ),
        ],
    );
}

#[test]
fn two_servers() {
    run(
        sound_elsewhere,
        vec![
            warn(
                "target older",
                Code::ServerVersion,
                &["PostgreSQL 16", "PostgreSQL 17"],
                |facts, _| {
                    facts.source.version_num = 170_011;
                    facts.target.version_num = 160_004;
                },
            ),
            block(
                "source is a standby",
                Code::Standby,
                &["the source is a standby", "primary"],
                |facts, _| facts.source.in_recovery = true,
            ),
            info("latin1", Code::Encoding, &["LATIN1", "UTF8"], |facts, _| {
                facts.source.encoding = "LATIN1".into()
            }),
            warn(
                "unchecked text",
                Code::Encoding,
                &["SQL_ASCII"],
                |facts, _| facts.source.encoding = "SQL_ASCII".into(),
            ),
            block(
                "no fence function",
                Code::Privilege,
                &[r#"GRANT CREATE ON DATABASE "soar" TO "soar";"#, "fence"],
                |facts, _| facts.source.can_create_schema = false,
            ),
            warn(
                "extension",
                Code::SourceExtension,
                &["pg_trgm", r#"CREATE EXTENSION "pg_trgm";"#],
                |facts, _| {
                    let extension = facts.source.extensions["postgis"].clone();
                    facts.source.extensions.insert("pg_trgm".into(), extension);
                },
            ),
            block(
                "type of an extension missing",
                Code::TypeMissing,
                &[r#"CREATE EXTENSION IF NOT EXISTS "postgis" SCHEMA "public";"#],
                |facts, _| {
                    let point = "public.geometry(Point,4326)".to_owned();
                    facts.missing_types = vec![point.clone()];
                    facts.type_extensions.insert(point, "postgis".into());
                },
            ),
            block(
                "enum missing",
                Code::TypeMissing,
                &[
                    "public.message_source",
                    r#"public.fixes."kind""#,
                    "CREATE TYPE",
                ],
                |facts, _| {
                    facts.missing_types = vec!["public.message_source".into()];
                    let kind = column("kind", 9, "public.message_source[]");
                    fixes(facts).columns.push(kind);
                },
            ),
            block(
                "composite",
                Code::BinaryTravel,
                &[r#""track""#, "a composite", "to_jsonb"],
                |facts, _| {
                    fixes(facts).columns.push(Column {
                        travel: BinaryTravel::Bound("a composite holds type oids".into()),
                        ..column("track", 9, "public.track")
                    });
                },
            ),
            info(
                "enum array",
                Code::BinaryTravel,
                &["message_source", "replaced"],
                |facts, _| {
                    fixes(facts).columns.push(Column {
                        travel: BinaryTravel::ArrayOf {
                            schema: "public".into(),
                            name: "message_source".into(),
                            oid: 5,
                        },
                        ..column("kinds", 9, "public.message_source[]")
                    });
                },
            ),
            block(
                "owner missing",
                Code::RoleMissing,
                &[r#"CREATE ROLE "soar" NOLOGIN;"#],
                |facts, _| facts.target_roles.retain(|role| role != "soar"),
            ),
            warn(
                "grantee missing",
                Code::RoleMissing,
                &[r#"CREATE ROLE "soar_readonly" NOLOGIN;"#, "left out"],
                |facts, _| facts.target_roles.retain(|role| role != "soar_readonly"),
            ),
            acceptable(
                "referenced table missing",
                Code::ReferencedTableMissing,
                &["public.flights", "ADD CONSTRAINT \"fixes_flight_id_fkey\""],
                |facts, _| {
                    facts.missing_relations = vec![public("flights")];
                    fixes(facts).foreign_keys = vec![foreign_key("fixes", "flight_id", "flights")];
                },
            ),
            warn(
                "referenced rows",
                Code::ReferencedRows,
                &["public.aircraft"],
                |facts, _| {
                    fixes(facts).foreign_keys =
                        vec![foreign_key("fixes", "aircraft_id", "aircraft")];
                },
            ),
            info(
                "referencing table stays",
                Code::ReferencedBy,
                &["public.notes", "12,345 rows", "stays on the source"],
                |facts, _| {
                    fixes(facts).referenced_by = vec![referenced_by("notes_fkey", "notes", 12_345)];
                },
            ),
            warn(
                "view stays",
                Code::View,
                &["CREATE VIEW \"public\".\"latest_fixes\" AS SELECT DISTINCT"],
                |facts, _| {
                    let (soar, _) = soar();
                    fixes(facts).views = soar.tables[1].views.clone();
                },
            ),
            warn(
                "sequence is shared",
                Code::Sequence,
                &["4711", "same numbers"],
                |facts, _| {
                    fixes(facts).sequences = vec![OwnedSequence {
                        owned: false,
                        ..sequence("all_ids", "id")
                    }];
                },
            ),
        ],
    );
}

#[test]
fn privileges() {
    run(
        sound,
        vec![
            block(
                "no schemas",
                Code::Privilege,
                &[r#"GRANT CREATE ON DATABASE "soar" TO "soar";"#],
                |facts, _| facts.target.can_create_schema = false,
            ),
            block(
                "not the owner",
                Code::Privilege,
                &[r#"GRANT "pilot" TO "soar";"#],
                |facts, _| {
                    fixes(facts).owner = "pilot".into();
                    fixes(facts).privileges.owner = false;
                },
            ),
            block(
                "a superuser's table",
                Code::Privilege,
                &[r#"ALTER TABLE "public"."fixes" OWNER TO "soar";"#],
                |facts, _| {
                    fixes(facts).owner = "postgres".into();
                    fixes(facts).privileges.owner = false;
                },
            ),
            acceptable(
                "pg_partman can't be read",
                Code::Partman,
                &[
                    r#"GRANT USAGE ON SCHEMA "partman" TO "soar";"#,
                    "--accept partman",
                ],
                |facts, _| {
                    fixes(facts).partman = None;
                    fixes(facts).partman_hidden = Some("partman".into());
                },
            ),
            block(
                "may not read",
                Code::Privilege,
                &[r#"GRANT SELECT ON "public"."fixes", "public"."fixes_p20251211""#],
                |facts, _| fixes(facts).privileges.select = false,
            ),
            block(
                "may not create in the schema",
                Code::Privilege,
                &[r#"GRANT CREATE ON SCHEMA "public" TO "soar";"#],
                |facts, _| fixes(facts).privileges.create_in_schema = false,
            ),
            block(
                "hidden rows",
                Code::RowSecurity,
                &[r#"ALTER ROLE "soar" BYPASSRLS;"#],
                |facts, _| fixes(facts).privileges.hidden_by_row_security = true,
            ),
            block(
                "part_config",
                Code::Privilege,
                &[
                    "partman.part_config",
                    "GRANT SELECT, INSERT, UPDATE, DELETE",
                ],
                |facts, _| fixes(facts).partman.as_mut().unwrap().can_change = false,
            ),
            block(
                "foreign view",
                Code::Privilege,
                &["public.latest_fixes", r#"GRANT "reports" TO "soar";"#],
                |facts, _| {
                    let (soar, _) = soar();
                    fixes(facts).views = soar.tables[1].views.clone();
                    fixes(facts).views[0].owner = "reports".into();
                    fixes(facts).views[0].can_replace = false;
                },
            ),
            block(
                "foreign referencing table",
                Code::Privilege,
                &["public.notes", "notes_fkey"],
                |facts, _| {
                    fixes(facts).referenced_by = vec![ReferencedBy {
                        can_change: false,
                        ..referenced_by("notes_fkey", "notes", 10)
                    }];
                },
            ),
        ],
    );
}
