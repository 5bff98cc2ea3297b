//! Poolers in transaction mode, with a real PgBouncer where one is installed.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hyperhaul_pg::{Server, pooler};
use hyperhaul_testkit::{ServerUrl, TestDatabase, eventually};

use crate::database;

#[tokio::test]
async fn a_direct_connection_is_never_taken_for_a_pooler() {
    let database = database("direct").await;
    let server = Server::parse(database.url()).unwrap();
    for _ in 0..5 {
        assert_eq!(pooler::detect(&server).await.unwrap(), None);
    }
}

#[tokio::test]
async fn pgbouncer_shows_itself_in_transaction_mode_only() {
    if Command::new("pgbouncer")
        .arg("-V")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        eprintln!(
            "skipped: pgbouncer_shows_itself_in_transaction_mode_only: no pgbouncer is installed"
        );
        return;
    }
    let database = database("pgbouncer").await;
    for (mode, pool_size, is_found) in [
        ("transaction", 5, true),
        ("transaction", 1, true),
        ("session", 5, false),
    ] {
        let pooler = PgBouncer::start(&database, mode, pool_size).await;
        let found = pooler::detect(&pooler.server).await.unwrap();
        assert_eq!(found.is_some(), is_found, "{mode} {pool_size}: {found:?}");
    }
}

/// A PgBouncer in front of a test's database, gone when dropped.
struct PgBouncer {
    process: Child,
    folder: std::path::PathBuf,
    server: Server,
}

impl PgBouncer {
    async fn start(database: &TestDatabase, mode: &str, pool_size: u32) -> PgBouncer {
        let url = ServerUrl::parse(database.url()).unwrap();
        let password = database.url().split(['@', ':']).nth(2).unwrap().to_owned();
        let (host, port) = url.address();
        let own_port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let folder = std::env::temp_dir().join(format!("hyperhaul_pgbouncer_{own_port}"));
        std::fs::create_dir_all(&folder).unwrap();
        let users = folder.join("users.txt");
        std::fs::write(&users, format!("\"postgres\" \"{password}\"\n")).unwrap();
        let configuration = folder.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={host} port={port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {own_port}\nunix_socket_dir =\nauth_type = plain\nauth_file = {}\n\
             pool_mode = {mode}\ndefault_pool_size = {pool_size}\n",
            users.display()
        );
        std::fs::write(&configuration, text).unwrap();
        let mut command = Command::new("pgbouncer");
        if std::fs::metadata("/proc/self")
            .map(|own| std::os::unix::fs::MetadataExt::uid(&own))
            .unwrap()
            == 0
        {
            // It refuses to run as root.
            Command::new("chown")
                .args(["-R", "nobody"])
                .arg(&folder)
                .status()
                .unwrap();
            command.args(["-u", "nobody"]);
        }
        let process = command
            .arg("-q")
            .arg(&configuration)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let through = url.with_address("127.0.0.1", own_port).to_string();
        let server = Server::parse(&through).unwrap();
        let pooler = PgBouncer {
            process,
            folder,
            server,
        };
        eventually("pgbouncer answers", Duration::from_secs(20), || async {
            pooler.server.connect("test").await.is_ok()
        })
        .await
        .unwrap();
        pooler
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.process.kill().expect("a process of our own");
        self.process.wait().expect("its end");
        std::fs::remove_dir_all(&self.folder).expect("a folder of our own");
    }
}
