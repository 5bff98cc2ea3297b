//! Servers, roles, and everything together.

use hyperhaul_catalog::{Depth, server_facts, survey, table_facts};
use hyperhaul_pg::Server;
use hyperhaul_plan::facts::License;
use hyperhaul_plan::{Options, Relation};
use hyperhaul_testkit::Servers;

use crate::{database, databases, look, names, session, wanted};

#[tokio::test]
async fn a_server_shows_its_settings_as_role_and_database_have_them() {
    for database in databases("server").await {
        let role = database.owner_role().await.unwrap();
        database
            .exec(&format!(
                "ALTER ROLE \"{}\" SET statement_timeout = '5s'; ALTER DATABASE \"{}\" SET \"TimeZone\" = 'Europe/Berlin'",
                role.name(),
                database.name()
            ))
            .await
            .unwrap();
        let server = Server::parse(&database.url_as(&role).unwrap()).unwrap();
        let session = server.connect("test").await.unwrap();
        let found = server_facts(&session, &server).await.unwrap();
        assert_eq!(found.version_num, session.server_version_num());
        assert_eq!(
            (found.database.as_str(), found.role.as_str()),
            (database.name(), role.name())
        );
        assert!(!found.superuser && !found.can_create_schema && !found.in_recovery);
        assert_eq!(found.encoding, "UTF8");
        assert_eq!(found.settings.statement_timeout_ms, 5_000);
        assert_eq!(found.settings.lock_timeout_ms, 0);
        assert_eq!(found.settings.time_zone, "Europe/Berlin");
        assert!(found.settings.max_wal_size_bytes >= 1 << 20);
        assert!(found.settings.maintenance_work_mem_bytes >= 1 << 20);
        let connections: i32 = database
            .value("SELECT current_setting('max_connections')::int")
            .await
            .unwrap();
        assert_eq!(
            i64::from(found.settings.max_connections),
            i64::from(connections)
        );
        let identifier: i64 = database
            .value("SELECT system_identifier FROM pg_control_system()")
            .await
            .unwrap();
        assert_eq!(found.system_identifier, Some(identifier));
        assert_eq!((found.timescale, found.pooler), (None, None));
        assert!(found.extensions.contains_key("plpgsql"));

        database.grant_create(&role).await.unwrap();
        let session = server.connect("test").await.unwrap();
        assert!(
            server_facts(&session, &server)
                .await
                .unwrap()
                .can_create_schema
        );
    }
}

#[tokio::test]
async fn timescaledb_shows_its_version_edition_and_hypertables() {
    let database = database("timescale").await;
    let before = {
        let server = Server::parse(database.url()).unwrap();
        server_facts(&session(database.url()).await, &server)
            .await
            .unwrap()
    };
    let available = before.timescale_available.unwrap();
    database
        .exec(
            "CREATE EXTENSION timescaledb; CREATE TABLE \"Hyper T\" (t timestamptz NOT NULL, a int); \
             SELECT create_hypertable('\"Hyper T\"', by_range('t')); \
             INSERT INTO \"Hyper T\" VALUES ('2025-01-01', 1); CREATE TABLE plain (a int PRIMARY KEY)",
        )
        .await
        .unwrap();
    let role = database.owner_role().await.unwrap();
    for (url, sees_preload) in [
        (database.url().to_owned(), true),
        (database.url_as(&role).unwrap(), false),
    ] {
        let server = Server::parse(&url).unwrap();
        let found = server_facts(&session(&url).await, &server).await.unwrap();
        let timescale = found.timescale.unwrap();
        let (major, minor, patch) = timescale.version;
        assert_eq!(format!("{major}.{minor}.{patch}"), available);
        let license: String = database.value("SHOW timescaledb.license").await.unwrap();
        assert_eq!(
            timescale.license == License::Community,
            license == "timescale"
        );
        assert_eq!(timescale.preloaded, sees_preload.then_some(true));
        assert_eq!(found.hypertables, [Relation::new("public", "Hyper T")]);
    }
    let hypertable = look(&database, "\"Hyper T\"", Some("t")).await.unwrap();
    assert_eq!(
        hypertable.kind,
        hyperhaul_plan::facts::RelationKind::Hypertable
    );
}

#[tokio::test]
async fn the_machine_is_looked_at_only_where_the_server_runs_on_it() {
    let database = database("machine").await;
    let server = Server::parse(database.url()).unwrap();
    let session = session(database.url()).await;
    let found = server_facts(&session, &server).await.unwrap();
    let title = std::fs::read(format!("/proc/{}/cmdline", session.backend_pid()));
    let is_here = title.is_ok_and(|title| title.starts_with(b"postgres:"));
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(found.cores, is_here.then(|| u32::try_from(cores).unwrap()));
    let may_follow = std::fs::read_link(format!("/proc/{}/cwd", session.backend_pid())).is_ok();
    assert_eq!(found.free_disk_bytes.is_some(), is_here && may_follow);
    assert!(found.free_disk_bytes.is_none_or(|bytes| bytes > 0));
}

#[tokio::test]
async fn a_plain_owner_sees_all_of_its_table() {
    for database in databases("owner").await {
        let role = database.owner_role().await.unwrap();
        database.give_schema(&role, "public").await.unwrap();
        database
            .exec(&format!(
                "CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman; SET ROLE \"{}\"; \
                 CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY, t timestamptz NOT NULL, PRIMARY KEY (id, t)) \
                   PARTITION BY RANGE (t); \
                 CREATE TABLE p1 PARTITION OF t FOR VALUES FROM ('2025-01-01') TO ('2025-01-02'); \
                 CREATE TABLE pd PARTITION OF t DEFAULT; INSERT INTO t (t) VALUES ('2026-01-01'); \
                 RESET ROLE; CREATE VIEW v AS SELECT * FROM t",
                role.name()
            ))
            .await
            .unwrap();
        let session = session(&database.url_as(&role).unwrap()).await;
        let found = table_facts(&session, &wanted("t", None), Depth::Rows)
            .await
            .unwrap();
        assert_eq!(found.owner, role.name());
        let privileges = found.privileges;
        assert!(privileges.owner && privileges.select && privileges.create_in_schema);
        assert!(!privileges.hidden_by_row_security);
        assert_eq!(found.leaves[1].chunk_rows.len(), 1);
        assert_eq!(
            found.columns[0]
                .identity
                .as_ref()
                .unwrap()
                .sequence
                .last_value,
            Some(1)
        );
        assert!(!found.views[0].can_replace);
        assert_eq!(found.partman, None);

        database
            .exec(
                "ALTER TABLE pd ENABLE ROW LEVEL SECURITY; ALTER TABLE pd FORCE ROW LEVEL SECURITY",
            )
            .await
            .unwrap();
        let found = table_facts(&session, &wanted("t", None), Depth::Catalog)
            .await
            .unwrap();
        assert!(found.privileges.hidden_by_row_security);
        let stranger = database.owner_role().await.unwrap();
        let session = crate::session(&database.url_as(&stranger).unwrap()).await;
        let found = table_facts(&session, &wanted("t", None), Depth::Rows)
            .await
            .unwrap();
        assert!(!found.privileges.owner && !found.privileges.select);
        assert_eq!(
            found.columns[0]
                .identity
                .as_ref()
                .unwrap()
                .sequence
                .last_value,
            None
        );
        assert!(found.leaves[1].observed.is_none());
    }
}

#[tokio::test]
async fn a_missing_table_is_told_with_what_it_may_be() {
    let database = database("missing").await;
    database
        .exec("CREATE SCHEMA s; CREATE TABLE s.\"Fixes\" (a int)")
        .await
        .unwrap();
    let error = look(&database, "public.fixes", None).await.unwrap_err();
    assert!(error.is_missing());
    assert_eq!(error.to_string(), "table public.fixes does not exist");
    assert_eq!(error.hint().as_deref(), Some("Did you mean s.\"Fixes\"?"));
}

#[tokio::test]
async fn a_survey_knows_one_database_from_two() {
    let [target, source] = databases("survey").await;
    let servers = Servers::shared().unwrap();
    assert_ne!(servers.target.url(), servers.source.url());
    let tables = "CREATE TYPE public.e AS ENUM ('a'); CREATE TABLE other (id int PRIMARY KEY); \
        CREATE TABLE t (id serial, t timestamptz NOT NULL, e e, o int REFERENCES other, PRIMARY KEY (id, t)) \
        PARTITION BY RANGE (t); CREATE TABLE pd PARTITION OF t DEFAULT; CREATE INDEX taken ON t (t)";
    source.exec(tables).await.unwrap();
    target
        .exec(
            "CREATE TABLE taken (); CREATE SCHEMA hyperhaul_new_public; CREATE TABLE hyperhaul_new_public.t (); \
             CREATE TABLE hyperhaul_new_public.of_another_run (); CREATE SCHEMA hyperhaul_old_public; \
             CREATE TABLE hyperhaul_old_public.t (); CREATE TABLE elsewhere ()",
        )
        .await
        .unwrap();
    let options = Options::new(vec![wanted("t", None)]);
    let from = Server::parse(source.url()).unwrap();
    let to = Server::parse(target.url()).unwrap();
    let (reading, writing) = (session(source.url()).await, session(target.url()).await);
    let facts = survey((&from, &reading), (&to, &writing), &options, Depth::Rows)
        .await
        .unwrap();
    assert!(!facts.same_database);
    assert_ne!(facts.source.version_num, facts.target.version_num);
    assert_eq!(facts.missing_types, ["public.e"]);
    assert_eq!(facts.missing_relations, [Relation::new("public", "other")]);
    let occupied: Vec<_> = facts.occupied.iter().map(Relation::plain).collect();
    assert_eq!(occupied, ["hyperhaul_new_public.t", "public.taken"]);
    assert!(facts.target_roles.contains(&"postgres".to_owned()));
    assert_eq!(names(&facts.tables, |table| &table.relation.name), ["t"]);

    let second = session(source.url()).await;
    let facts = survey((&from, &reading), (&from, &second), &options, Depth::Rows)
        .await
        .unwrap();
    assert!(facts.same_database);
    assert!(facts.missing_types.is_empty() && facts.occupied.is_empty());
    let sibling = from.with_database("postgres");
    let session = sibling.connect("test").await.unwrap();
    let facts = survey(
        (&from, &reading),
        (&sibling, &session),
        &options,
        Depth::Catalog,
    )
    .await
    .unwrap();
    assert!(!facts.same_database);
}

#[tokio::test]
async fn a_plain_owner_sees_how_the_server_bears_a_run() {
    let database = database("vitals").await;
    let role = database.owner_role().await.unwrap();
    let url = database.url_as(&role).unwrap();
    let (server, session) = (Server::parse(&url).unwrap(), session(&url).await);
    let seen = hyperhaul_catalog::vitals_seen(&session).await.unwrap();
    let client = database.connect().await.unwrap();
    let slot = database.name().to_owned();
    client
        .batch_execute(&format!(
            "SELECT pg_create_physical_replication_slot('{slot}', true, true);
             SELECT pg_logical_emit_message(false, 'ballast', repeat('x', 2097152))"
        ))
        .await
        .unwrap();
    let look = async |size| hyperhaul_catalog::vitals(&session, &server, seen, size).await;
    let found = look(true).await.unwrap();
    let who = format!("slot \"{slot}\"");
    let lag = found.lags.iter().find(|lag| lag.who == who).unwrap().bytes;
    assert!((2 << 20..found.wal_bytes).contains(&lag), "{found:?}");
    assert!(found.wal_kept_bytes >= lag, "{found:?}");
    assert!(found.database_bytes.unwrap() > 1 << 20, "{found:?}");
    assert!(!found.archiver_fails, "{found:?}");
    assert_eq!(look(false).await.unwrap().database_bytes, None);
    for disk in &found.disks {
        assert!(
            (1..=disk.total_bytes).contains(&disk.free_bytes),
            "{disk:?}"
        );
    }
}
