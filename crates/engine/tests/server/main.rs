//! Copies, digests and comparisons between real sessions, also while these are being broken.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod comparing;
mod faults;
mod one_chunk;
mod routing;

use std::time::Duration;

use hyperhaul_engine::{
    ChunkKey, Copied, CopyRequest, Destination, Error, Pool, Progress, SourceReader, copy, digest,
};
use hyperhaul_pg::{Server, Session};
use hyperhaul_testkit::{Servers, TestDatabase, eventually};

/// The interval of a test's only chunk, where its bounds do not matter.
const ANY_CHUNK: ChunkKey = ChunkKey {
    start_us: 0,
    end_us: 1,
};

/// How long a test waits for what must happen. A bound for failing, not a claim.
const LIMIT: Duration = Duration::from_secs(60);

/// A worker between tables of one database.
struct Worker {
    database: TestDatabase,
    server: Server,
    reader: SourceReader,
    target: Session,
    pool: Pool,
    progress: Progress,
}

impl Worker {
    /// In a new database, after running `setup_sql` there.
    async fn new(name: &str, setup_sql: &str) -> Worker {
        let servers = Servers::shared().expect("servers");
        let database = TestDatabase::create(servers.target.url(), name)
            .await
            .expect("database");
        database.exec(setup_sql).await.expect("setup");
        Worker::in_database(database).await
    }

    async fn in_database(database: TestDatabase) -> Worker {
        let server = Server::parse(database.url()).unwrap();
        Worker {
            reader: SourceReader::start(&server, None).unwrap(),
            target: server.connect("writer").await.unwrap(),
            pool: Pool::new(1).unwrap(),
            progress: Progress::new(),
            database,
            server,
        }
    }

    /// Copies in a transaction that stays open.
    async fn begin_and_copy(&self, request: CopyRequest) -> Result<Copied, Error> {
        self.target.batch("BEGIN").await.unwrap();
        copy(
            &self.reader,
            &self.target,
            &self.pool,
            request,
            &self.progress,
        )
        .await
    }

    /// Copies and commits.
    async fn copy(&self, request: CopyRequest) -> Copied {
        let copied = self.begin_and_copy(request).await.expect("copy");
        self.target.batch("COMMIT").await.unwrap();
        copied
    }

    /// The digest of a query, over a session of its own.
    async fn digest(&self, query: &str) -> hyperhaul_pgcopy::Digest {
        let reader = SourceReader::start(&self.server, None).unwrap();
        digest(
            &reader,
            &self.pool,
            copy_out(query),
            vec![],
            &Progress::new(),
        )
        .await
        .unwrap()
    }

    /// What a statement that counts or tells something returns.
    async fn number(&self, sql: &str) -> i64 {
        self.database.value(sql).await.unwrap()
    }

    /// Waits until the reader's backend does not exist any more.
    async fn until_reader_is_gone(&self) {
        let pid = self.reader.backend_pid();
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
        let gone = || async { self.number(&sql).await == 0 };
        eventually("the reader's backend is gone", LIMIT, gone)
            .await
            .unwrap();
    }

    /// Ends the target's transaction in the way that would keep what is in it, and asserts that nothing is.
    async fn assert_nothing_finished(&self, table: &str) {
        if !self.target.is_closed() {
            let _ = self.target.batch("COMMIT").await;
        }
        assert_eq!(
            self.number(&format!("SELECT count(*) FROM {table}")).await,
            0
        );
        assert_eq!((self.progress.rows(), self.progress.bytes()), (0, 0));
    }
}

fn copy_out(query: &str) -> String {
    format!("COPY ({query}) TO STDOUT (FORMAT binary)")
}

fn copy_in(table: &str) -> String {
    format!("COPY {table} FROM STDIN (FORMAT binary)")
}

/// A query's rows into one table.
fn into_one(query: &str, table: &str) -> CopyRequest {
    CopyRequest {
        source_sql: copy_out(query),
        destination: Destination::OneChunk {
            copy_sql: copy_in(table),
            chunk: ANY_CHUNK,
        },
        rewrites: vec![],
    }
}
