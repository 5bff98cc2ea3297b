//! The test tools themselves, against the real servers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;
use std::time::Duration;

use hyperhaul_testkit::{
    Cut, Instance, OwnerRole, Proxy, Role, Servers, SmallDisk, TestDatabase, eventually, skip,
};

async fn target_database(prefix: &str) -> TestDatabase {
    let servers = Servers::shared().unwrap();
    TestDatabase::create(servers.target.url(), prefix)
        .await
        .unwrap()
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

fn db(arguments: &[&str], environment: &[(&str, &str)]) -> std::process::Output {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/db"))
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

#[tokio::test]
async fn the_target_has_every_extension_and_the_source_has_no_timescaledb() {
    let servers = Servers::shared().unwrap();
    let target = target_database("extensions")
        .await
        .with_extensions(&["timescaledb", "postgis", "pg_partman"])
        .await
        .unwrap();
    let major: i32 = target
        .value("SELECT current_setting('server_version_num')::int / 10000")
        .await
        .unwrap();
    assert_eq!(major, 17);
    let schema: String = target
        .value("SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'pg_partman'")
        .await
        .unwrap();
    assert_eq!(schema, "partman");

    let source = TestDatabase::create(servers.source.url(), "extensions")
        .await
        .unwrap()
        .with_extensions(&["postgis", "pg_partman"])
        .await
        .unwrap();
    let error = source
        .install_extensions(&["timescaledb"])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("timescaledb"), "{error}");
}

#[tokio::test]
async fn a_database_goes_with_its_sessions_and_roles() {
    let servers = Servers::shared().unwrap();
    let database =
        target_database("Ünusual \"Name\" that is much longer than an identifier may be").await;
    let name = database.name().to_owned();
    let role = database.owner_role().await.unwrap();
    let role_name = role.name().to_owned();
    database.give_schema(&role, "public").await.unwrap();
    let _session_that_stays = database.connect_as(&role).await.unwrap();
    drop(role);
    drop(database);

    let client = connect(servers.target.url()).await;
    let left: i64 = client
        .query_one(
            "SELECT (SELECT count(*) FROM pg_database WHERE datname = $1)
                  + (SELECT count(*) FROM pg_roles WHERE rolname = $2)",
            &[&name, &role_name],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_plain_role_may_do_what_it_was_given() {
    async fn run(database: &TestDatabase, role: &OwnerRole, sql: &str) -> Option<String> {
        let client = database.connect_as(role).await.unwrap();
        let error = client.batch_execute(sql).await.err()?;
        Some(error.code()?.code().to_owned())
    }
    let denied = Some("42501".to_owned());
    let database = target_database("plain_role").await;
    let role = database.owner_role().await.unwrap();

    let create = "CREATE TABLE public.t (a int)";
    assert_eq!(run(&database, &role, create).await, denied);
    database.give_schema(&role, "public").await.unwrap();
    assert_eq!(run(&database, &role, create).await, None);

    let create = "CREATE SCHEMA s";
    assert_eq!(run(&database, &role, create).await, denied);
    database.grant_create(&role).await.unwrap();
    assert_eq!(run(&database, &role, create).await, None);

    let alter = format!("ALTER DATABASE {} SET work_mem = '8MB'", database.name());
    assert_eq!(run(&database, &role, &alter).await, denied);
    database.give_database(&role).await.unwrap();
    assert_eq!(run(&database, &role, &alter).await, None);
}

#[tokio::test]
async fn the_proxy_passes_what_it_is_given() {
    let database = target_database("proxy").await;
    let proxy = Proxy::start(database.url()).unwrap();
    let client = connect(proxy.url()).await;
    let length: i32 = client
        .query_one("SELECT length(repeat($1, 1000000))", &[&"x"])
        .await
        .unwrap()
        .get(0);
    assert_eq!(length, 1_000_000);
    let text: String = client
        .query_one("SELECT repeat('y', 3000000)", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(text.len(), 3_000_000);
    assert_eq!((proxy.connections(), proxy.open_connections()), (1, 1));
    drop(client);
    eventually(
        "the connection closes",
        Duration::from_secs(20),
        async || proxy.open_connections() == 0,
    )
    .await
    .unwrap();
    assert_eq!(proxy.fired_count(), 0);
}

/// Runs one transaction through the proxy. Returns whether the client believes in it, and whether
/// it happened.
async fn commit_through(
    database: &TestDatabase,
    proxy: &Proxy,
    extended_protocol: bool,
) -> (bool, bool) {
    database
        .exec("CREATE TABLE IF NOT EXISTS t (a int); TRUNCATE t")
        .await
        .unwrap();
    let client = connect(proxy.url()).await;
    client
        .batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED; INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    let believed = if extended_protocol {
        client.execute("COMMIT", &[]).await.is_ok()
    } else {
        client.batch_execute("COMMIT").await.is_ok()
    };
    let count: i64 = database.value("SELECT count(*) FROM t").await.unwrap();
    (believed, count == 1)
}

#[tokio::test]
async fn a_lost_answer_leaves_a_commit_that_the_client_does_not_know_of() {
    let database = target_database("answer").await;
    let proxy = Proxy::start(database.url()).unwrap();
    for (round, extended_protocol) in [false, true].into_iter().enumerate() {
        proxy.arm(Cut::AnswerTo("commit".into()));
        let outcome = commit_through(&database, &proxy, extended_protocol).await;
        assert_eq!(outcome, (false, true), "extended {extended_protocol}");
        assert_eq!(proxy.fired_count(), round + 1);
    }
    // The cut is spent: the next client gets through.
    assert_eq!(commit_through(&database, &proxy, false).await, (true, true));
}

#[tokio::test]
async fn a_commit_that_is_cut_off_before_the_server_never_happens() {
    let database = target_database("before").await;
    let proxy = Proxy::start(database.url()).unwrap();
    for extended_protocol in [false, true] {
        proxy.arm(Cut::Before("COMMIT".into()));
        let outcome = commit_through(&database, &proxy, extended_protocol).await;
        assert_eq!(outcome, (false, false), "extended {extended_protocol}");
    }
    assert_eq!(proxy.fired_count(), 2);
}

#[tokio::test]
async fn a_stream_is_cut_after_so_many_bytes() {
    let database = target_database("bytes").await;
    let proxy = Proxy::start(database.url()).unwrap();

    let client = connect(proxy.url()).await;
    proxy.arm(Cut::AfterServerBytes(1_000_000));
    let few = "SELECT repeat('y', 900000)";
    client.query_one(few, &[]).await.unwrap();
    client.query_one(few, &[]).await.unwrap_err();
    assert_eq!(proxy.fired_count(), 1);

    let client = connect(proxy.url()).await;
    proxy.arm(Cut::AfterClientBytes(1_000));
    client
        .batch_execute(&format!("SELECT '{}'", "z".repeat(2_000)))
        .await
        .unwrap_err();
    assert_eq!(proxy.fired_count(), 2);
}

#[tokio::test]
async fn open_connections_are_cut_and_new_ones_refused_at_will() {
    let database = target_database("cut_all").await;
    let proxy = Proxy::start(database.url()).unwrap();
    let client = connect(proxy.url()).await;
    proxy.cut_all();
    client.batch_execute("SELECT 1").await.unwrap_err();

    proxy.refuse(true);
    let refused = tokio_postgres::connect(proxy.url(), tokio_postgres::NoTls).await;
    assert!(refused.is_err());
    proxy.refuse(false);
    connect(proxy.url())
        .await
        .batch_execute("SELECT 1")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_private_server_comes_back_from_a_crash_with_its_data() {
    let instance = match Instance::private("crash", &[Role::Target]) {
        Err(error) if error.is_unavailable() => {
            return skip(
                "a_private_server_comes_back_from_a_crash_with_its_data",
                &error,
            );
        }
        other => other.unwrap(),
    };
    let database = TestDatabase::create(instance.url(Role::Target), "crash")
        .await
        .unwrap();
    database
        .exec("CREATE TABLE t (a int); INSERT INTO t VALUES (7)")
        .await
        .unwrap();
    let session = database.connect().await.unwrap();

    instance.crash(Role::Target).unwrap();
    session.batch_execute("SELECT 1").await.unwrap_err();
    assert!(database.connect().await.is_err());

    instance.start(Role::Target).unwrap();
    let kept: i32 = database.value("SELECT a FROM t").await.unwrap();
    assert_eq!(kept, 7);
}

#[tokio::test]
async fn a_small_disk_is_full_and_then_free_again() {
    let server = &Servers::shared().unwrap().target;
    let disk = match SmallDisk::create(server, 32 * 1024 * 1024) {
        Err(error) if error.is_unavailable() => {
            return skip("a_small_disk_is_full_and_then_free_again", &error);
        }
        other => other.unwrap(),
    };
    let database = target_database("disk_full").await;
    let tablespace = disk.tablespace();
    database
        .exec(&format!("CREATE TABLE t (a text) TABLESPACE {tablespace}"))
        .await
        .unwrap();
    disk.fill(512 * 1024).unwrap();
    let insert = "INSERT INTO t SELECT repeat('x', 500) FROM generate_series(1, 10000)";
    let error = database.exec(insert).await.unwrap_err();
    let code = error.database_error().unwrap().code().code().to_owned();
    assert_eq!(code, "53100", "{error}");
    disk.free().unwrap();
    database.exec(insert).await.unwrap();

    let location = disk.tablespace_location().to_owned();
    drop(database);
    drop(disk);
    let client = connect(server.url()).await;
    let left: i64 = client
        .query_one(
            "SELECT count(*) FROM pg_tablespace WHERE pg_tablespace_location(oid) = $1",
            &[&location],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn waiting_ends_with_what_was_waited_for() {
    let mut asked_count = 0;
    eventually("asked three times", Duration::from_secs(20), || {
        asked_count += 1;
        std::future::ready(asked_count == 3)
    })
    .await
    .unwrap();
    let error = eventually("pigs fly", Duration::from_millis(20), async || false)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("pigs fly"), "{error}");
}

#[test]
fn a_server_that_is_not_ours_is_used_and_never_stopped() {
    let servers = Servers::shared().unwrap();
    let theirs = [("HYPERHAUL_TEST_URL", servers.target.url())];
    let output = db(&["url", "target"], &theirs);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim_end(),
        servers.target.url()
    );
    for command in ["crash", "start", "reset", "socket"] {
        let output = db(&[command, "target"], &theirs);
        assert_eq!(output.status.code(), Some(3), "{command}");
    }
    assert!(db(&["down", "target"], &theirs).status.success());
    assert!(db(&["up", "target"], &theirs).status.success());

    let nobody = [("HYPERHAUL_TEST_URL", "postgresql://nobody@127.0.0.1:1/none")];
    let output = db(&["up", "target"], &nobody);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("does not answer"), "{said}");
}

#[test]
fn what_scripts_db_does_not_know_is_a_usage_error() {
    for arguments in [
        &["frobnicate"][..],
        &["--instance", "a b", "status"],
        &["url", "middle"],
        &["crash"],
        &["disk", "target", "x", "many"],
    ] {
        let output = db(arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn an_instance_of_a_process_that_is_gone_is_swept() {
    let instance = match Instance::private("stays", &[Role::Source]) {
        Err(error) if error.is_unavailable() => {
            return skip("an_instance_of_a_process_that_is_gone_is_swept", &error);
        }
        other => other.unwrap(),
    };
    // No process has this id: Linux gives out at most 2^22.
    let left_behind = "swept_9999999_0123abcd";
    let named = |arguments: &[&str]| db(&[&["--instance", left_behind], arguments].concat(), &[]);
    assert!(named(&["--ram", "up", "source"]).status.success());

    assert!(db(&["sweep"], &[]).status.success());

    let status = named(&["status"]);
    let status = String::from_utf8_lossy(&status.stdout);
    assert!(status.contains("source: never started"), "{status}");
    instance.crash(Role::Source).unwrap();
    instance.start(Role::Source).unwrap();
}
