//! Sessions against real servers: what they set up, what their failures ask for, TLS, poolers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bulk;
mod connecting;
mod failures;
mod pooling;
mod streams;

use hyperhaul_pg::{Server, Session};
use hyperhaul_testkit::{Servers, TestDatabase};

/// A database of the test's own on the shared target server.
async fn database(name: &str) -> TestDatabase {
    let servers = Servers::shared().expect("servers");
    TestDatabase::create(servers.target.url(), name)
        .await
        .expect("database")
}

/// A session with it.
async fn session(database: &TestDatabase) -> Session {
    let server = Server::parse(database.url()).expect("url");
    server.connect("test").await.expect("session")
}

async fn text(session: &Session, sql: &str) -> String {
    session.query_one(sql, &[]).await.expect(sql).get(0)
}
