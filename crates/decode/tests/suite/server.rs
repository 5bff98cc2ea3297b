//! A database of a real server, and the way of finished rows into it.

use bytes::Bytes;
use futures_util::SinkExt;
use hyperhaul_decode::Rows;
use hyperhaul_pgcopy::{HEADER, TRAILER};
use hyperhaul_testkit::{Client, Row, Servers, TestDatabase, ToSql};

pub(crate) struct Database {
    client: Client,
    _database: TestDatabase,
}

impl Database {
    /// A new one with what the statements make.
    pub(crate) async fn new(statements: &str) -> Database {
        let servers = Servers::shared().expect("there are servers");
        let database = TestDatabase::create(servers.target.url(), "decode").await;
        let database = database.expect("a database is made");
        let client = database.connect().await.expect("a session begins");
        let database = Database {
            client,
            _database: database,
        };
        database.run(statements).await;
        database
    }

    pub(crate) async fn run(&self, statements: &str) {
        let done = self.client.batch_execute(statements).await;
        done.expect("the statements run");
    }

    pub(crate) async fn query(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Vec<Row> {
        let rows = self.client.query(sql, values).await;
        rows.expect("the query runs")
    }

    /// Copies all rows into a table and its columns: `table (columns)`.
    pub(crate) async fn copy(&self, into: &str, rows: &mut Rows) {
        let count = rows.len();
        let sql = format!("COPY {into} FROM STDIN (FORMAT binary)");
        let sink = self.client.copy_in::<_, Bytes>(&sql).await;
        let mut sink = Box::pin(sink.expect("COPY begins"));
        let tuples = rows.take().expect("all ids are filled in");
        let header = Bytes::from_static(&HEADER);
        let trailer = Bytes::from_static(&TRAILER);
        for bytes in [header, tuples, trailer] {
            sink.send(bytes).await.expect("the server takes bytes");
        }
        let copied = sink.as_mut().finish().await;
        let copied = copied.expect("the server takes the tuples");
        assert_eq!(usize::try_from(copied).ok(), Some(count));
    }
}
