//! Facts of real databases: what the servers themselves say is the oracle.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod columns;
mod dependents;
mod hashing;
mod keys;
mod locks;
mod partitions;
mod servers;
mod soar;

use hyperhaul_catalog::{Depth, Error, table_facts};
use hyperhaul_pg::{Server, Session};
use hyperhaul_plan::facts::TableFacts;
use hyperhaul_plan::{Relation, TableOptions};
use hyperhaul_testkit::{Servers, TestDatabase};

/// A database of the test's own on the target server (PostgreSQL 17).
async fn database(name: &str) -> TestDatabase {
    let servers = Servers::shared().expect("servers");
    TestDatabase::create(servers.target.url(), name)
        .await
        .expect("database")
}

/// A database of the test's own on each of the two servers: 17, and 15 or what the distribution has.
async fn databases(name: &str) -> [TestDatabase; 2] {
    let servers = Servers::shared().expect("servers");
    let source = TestDatabase::create(servers.source.url(), name)
        .await
        .expect("database");
    [database(name).await, source]
}

async fn session(url: &str) -> Session {
    let server = Server::parse(url).expect("url");
    server.connect("test").await.expect("session")
}

/// Options for a table with day chunks; `name` as `Relation::parse` reads it.
fn wanted(name: &str, time_column: Option<&str>) -> TableOptions {
    TableOptions {
        relation: Relation::parse(name).expect("a name"),
        time_column: time_column.map(str::to_owned),
        chunk_interval_us: TableOptions::CHUNK_INTERVAL_US_DEFAULT,
        strategy: None,
        policies: Default::default(),
    }
}

async fn look(
    database: &TestDatabase,
    name: &str,
    time_column: Option<&str>,
) -> Result<TableFacts, Error> {
    let session = session(database.url()).await;
    table_facts(&session, &wanted(name, time_column), Depth::Rows).await
}

async fn facts(database: &TestDatabase, name: &str) -> TableFacts {
    look(database, name, None).await.expect(name)
}

fn names<T>(items: &[T], name: impl Fn(&T) -> &str) -> Vec<String> {
    items.iter().map(|item| name(item).to_owned()).collect()
}
