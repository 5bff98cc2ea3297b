//! Opening sessions: their settings, TLS, servers that are away.

use std::time::Duration;

use hyperhaul_pg::retry::Limits;
use hyperhaul_pg::{Disposition, Server};
use hyperhaul_testkit::{Instance, Role, ServerUrl, skip};

use crate::{database, session, text};

#[tokio::test]
async fn settings_of_role_and_database_change_nothing() {
    let database = database("settings").await;
    let role = database.owner_role().await.unwrap();
    database.grant_create(&role).await.unwrap();
    for (name, value) in [
        ("statement_timeout", "'1ms'"),
        ("lock_timeout", "'1ms'"),
        ("idle_in_transaction_session_timeout", "'1ms'"),
        ("transaction_timeout", "'20ms'"),
        ("\"TimeZone\"", "'America/New_York'"),
        ("\"DateStyle\"", "'SQL, DMY'"),
        ("extra_float_digits", "0"),
        ("bytea_output", "'escape'"),
        ("default_transaction_read_only", "on"),
        ("default_transaction_isolation", "'serializable'"),
        ("search_path", "public"),
    ] {
        let sql = format!("ALTER ROLE \"{}\" SET {name} = {value}", role.name());
        database.exec(&sql).await.unwrap();
    }
    let server = Server::parse(&database.url_as(&role).unwrap()).unwrap();
    let session = server.connect("test").await.unwrap();
    for (name, expected) in [
        ("application_name", "hyperhaul test"),
        ("client_encoding", "UTF8"),
        ("statement_timeout", "0"),
        ("lock_timeout", "0"),
        ("idle_in_transaction_session_timeout", "0"),
        ("transaction_timeout", "0"),
        ("TimeZone", "UTC"),
        ("DateStyle", "ISO, YMD"),
        ("IntervalStyle", "postgres"),
        ("extra_float_digits", "1"),
        ("bytea_output", "hex"),
        ("search_path", "\"\""),
        ("default_transaction_read_only", "off"),
        ("default_transaction_isolation", "read committed"),
        ("row_security", "off"),
        ("session_replication_role", "origin"),
    ] {
        let sql = format!("SELECT current_setting('{name}')");
        assert_eq!(text(&session, &sql).await, expected, "{name}");
    }
    session
        .batch("CREATE SCHEMA s; CREATE TABLE s.t (a int); SELECT pg_sleep(0.05)")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_knows_its_backend_and_closes_it() {
    let database = database("backend").await;
    let first = session(&database).await;
    let second = session(&database).await;
    let pid: i32 = first
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(first.backend_pid(), pid);
    let version: i32 = text(&first, "SHOW server_version_num")
        .await
        .parse()
        .expect("a number");
    assert_eq!(first.server_version_num(), version);
    first.close().await;
    hyperhaul_testkit::eventually("the backend is gone", Duration::from_secs(20), || async {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1";
        second
            .query_one(sql, &[&pid])
            .await
            .unwrap()
            .get::<_, i64>(0)
            == 0
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_a_connection_string_is_said_without_the_password() {
    let database = database("wrong").await;
    let url = ServerUrl::parse(database.url()).unwrap();
    let (host, port) = url.address();
    let wrong_password = url
        .clone()
        .with_login("postgres", "wrong secret")
        .to_string();
    let wrong_database = url.clone().with_database("no such database").to_string();
    let closed_port = url.clone().with_address(host, 1).to_string();
    for (text, sqlstate, disposition) in [
        (wrong_password, Some("28P01"), Disposition::Fix),
        (wrong_database, Some("3D000"), Disposition::Fix),
        (closed_port, None, Disposition::Reconnect),
    ] {
        let error = Server::parse(&text)
            .unwrap()
            .connect("test")
            .await
            .unwrap_err();
        assert_eq!(error.sqlstate(), sqlstate, "{error:?}");
        assert_eq!(error.disposition(), disposition, "{error:?}");
        assert!(
            !format!("{error:?} {error}").contains("secret"),
            "{error:?}"
        );
    }
    let shown = Server::parse(database.url()).unwrap();
    assert_eq!(
        format!("{shown:?}"),
        format!(
            "Server(postgresql://postgres@{host}:{port}/{})",
            database.name()
        )
    );
    assert!(shown.host_is_local());
}

#[tokio::test]
async fn a_standby_that_is_asked_for_is_not_taken_from_a_primary() {
    let database = database("attributes").await;
    for (attributes, accepted) in [
        ("read-write", true),
        ("primary", true),
        ("prefer-standby", true),
        ("standby", false),
    ] {
        let url = format!("{}?target_session_attrs={attributes}", database.url());
        let connected = Server::parse(&url).unwrap().connect("test").await;
        assert_eq!(connected.is_ok(), accepted, "{attributes}");
    }
}

#[tokio::test]
async fn the_next_host_is_tried_when_one_does_not_answer() {
    let database = database("hosts").await;
    let url = ServerUrl::parse(database.url()).unwrap();
    let (host, port) = url.address();
    let two = database.url().replace(
        &format!("@{host}:{port}/"),
        &format!("@{host}:1,{host}:{port}/"),
    );
    assert!(Server::parse(&two).unwrap().connect("test").await.is_ok());
}

#[tokio::test]
async fn a_server_that_restarts_is_waited_for() {
    let instance = match Instance::private("pg-restart", &[Role::Source]) {
        Ok(instance) => instance,
        Err(error) if error.is_unavailable() => {
            return skip("a_server_that_restarts_is_waited_for", &error);
        }
        Err(error) => panic!("{error}"),
    };
    let server = Server::parse(instance.url(Role::Source)).unwrap();
    let session = server.connect("test").await.unwrap();
    instance.crash(Role::Source).unwrap();
    let lost = session.batch("SELECT 1").await.unwrap_err();
    assert_eq!(lost.disposition(), Disposition::Reconnect, "{lost:?}");
    let away = server.connect("test").await.unwrap_err();
    assert_eq!(away.disposition(), Disposition::Reconnect, "{away:?}");
    let starting = tokio::task::spawn_blocking(move || {
        instance.start(Role::Source).unwrap();
        instance
    });
    let session = server
        .connect_patiently("test", Limits::RECONNECT)
        .await
        .unwrap();
    assert_eq!(text(&session, "SELECT 'back'").await, "back");
    drop(starting.await.unwrap());
}

#[tokio::test]
async fn every_sslmode_does_what_libpq_says() {
    let instance = match Instance::private("pg-tls", &[Role::Source]) {
        Ok(instance) => instance,
        Err(error) if error.is_unavailable() => {
            return skip("every_sslmode_does_what_libpq_says", &error);
        }
        Err(error) => panic!("{error}"),
    };
    let url = instance.url(Role::Source);
    let plain = Server::parse(&format!("{url}?sslmode=disable")).unwrap();
    let session = plain.connect("test").await.unwrap();
    let refused = Server::parse(&format!("{url}?sslmode=require")).unwrap();
    let error = refused.connect("test").await.unwrap_err();
    assert_eq!(error.message(), "server does not support TLS");
    assert_eq!(error.disposition(), Disposition::Fix);

    let certificate = switch_tls_on(&session).await;
    let folder = std::env::temp_dir().join(format!("hyperhaul_pg_tls_{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let root = folder.join("root.crt");
    std::fs::write(&root, certificate).unwrap();
    let root = root.to_str().unwrap();
    let by_name = url.replace("@127.0.0.1:", "@localhost:");
    let encrypted = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    for (url, expected) in [
        (format!("{url}?sslmode=disable"), Ok("false")),
        (format!("{url}?sslmode=prefer"), Ok("true")),
        (format!("{url}?sslmode=require"), Ok("true")),
        (
            format!("{url}?sslmode=verify-ca&sslrootcert={root}"),
            Ok("true"),
        ),
        (
            format!("{by_name}?sslmode=verify-full&sslrootcert={root}"),
            Ok("true"),
        ),
        (
            format!("{url}?sslmode=verify-full&sslrootcert={root}"),
            Err(Disposition::Fix),
        ),
        (
            format!("{url}?sslmode=verify-full&sslrootcert=system"),
            Err(Disposition::Fix),
        ),
    ] {
        let shown = url.split_once('?').unwrap().1.to_owned();
        let server = Server::parse(&url).unwrap();
        for connected in [
            server.connect("test").await,
            server.connect_for_bulk("test").await,
        ] {
            match (connected, expected) {
                (Ok(session), Ok(expected)) => {
                    assert_eq!(text(&session, encrypted).await, expected, "{shown}");
                    let copied = crate::bulk::in_batches(&session, "COPY (SELECT 7) TO STDOUT");
                    assert_eq!(&copied.await[..], b"7\n", "{shown}");
                    session.canceller().cancel().await.unwrap();
                }
                (Err(error), Err(expected)) => {
                    assert_eq!(error.disposition(), expected, "{error:?}");
                }
                (seen, _) => panic!("{shown}: {seen:?}"),
            }
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// Lets the server make itself a certificate for `localhost`, and returns it.
async fn switch_tls_on(session: &hyperhaul_pg::Session) -> String {
    let make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
                -addext subjectAltName=DNS:localhost -keyout server.key -out server.crt 2>&1";
    session
        .batch(&format!("COPY (SELECT) TO PROGRAM '{make}'"))
        .await
        .unwrap();
    session
        .batch("COPY (SELECT) TO PROGRAM 'chmod 600 server.key'")
        .await
        .unwrap();
    session.batch("ALTER SYSTEM SET ssl = on").await.unwrap();
    session
        .batch("SELECT pg_catalog.pg_reload_conf()")
        .await
        .unwrap();
    hyperhaul_testkit::eventually("TLS is on", Duration::from_secs(20), || async {
        text(session, "SHOW ssl").await == "on"
    })
    .await
    .unwrap();
    text(session, "SELECT pg_catalog.pg_read_file('server.crt')").await
}
