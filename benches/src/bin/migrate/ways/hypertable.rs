//! The hypertable that ways other than hyperhaul fill.

use anyhow::{Result, ensure};
use hyperhaul_pg::Session;

use crate::database::{Database, Leaf, SCHEMA};
use crate::fixes::{COLUMNS, DEFINITION};

/// A partition and the chunk of the same day.
#[derive(Clone, Debug)]
pub(super) struct LeafToChunk {
    pub(super) leaf: Leaf,
    /// The chunk's name, with its schema, quoted.
    pub(super) chunk: String,
}

impl LeafToChunk {
    /// The rows, to where `to` says.
    pub(super) fn copy_to(&self, to: &str) -> String {
        format!("COPY ({}) TO {to} (FORMAT binary)", self.leaf.select())
    }

    /// The rows, from where `from` says.
    pub(super) fn copy_from(&self, from: &str) -> String {
        format!(
            "COPY {} ({COLUMNS}) FROM {from} (FORMAT binary)",
            self.chunk
        )
    }
}

/// Makes the table; `default_index` as create_hypertable's own default has it, on the time.
pub(super) async fn create(session: &Session, default_index: bool) -> Result<()> {
    session.batch(&format!("CREATE SCHEMA {SCHEMA}")).await?;
    session
        .batch(&format!("CREATE TABLE {SCHEMA}.fixes ({DEFINITION})"))
        .await?;
    session
        .batch(&format!(
            "SELECT public.create_hypertable('{SCHEMA}.fixes', 'received_at', chunk_time_interval => INTERVAL '1 day', \
             create_default_indexes => {default_index})"
        ))
        .await?;
    Ok(())
}

/// Makes a chunk for every partition, by a row of each that is taken out again: what the Apache edition allows.
pub(super) async fn create_chunks(
    session: &Session,
    database: &Database,
) -> Result<Vec<LeafToChunk>> {
    for leaf in &database.leaves {
        session
            .batch(&format!(
                "INSERT INTO {SCHEMA}.fixes ({COLUMNS}) {} LIMIT 1",
                leaf.select()
            ))
            .await?;
    }
    let mut pairs = Vec::new();
    for leaf in &database.leaves {
        let sql = format!(
            "SELECT DISTINCT tableoid::regclass::text FROM {SCHEMA}.fixes \
             WHERE (id, received_at) IN (SELECT id, received_at FROM ONLY public.{} LIMIT 1)",
            leaf.name
        );
        pairs.push(LeafToChunk {
            leaf: leaf.clone(),
            chunk: session.query_one(&sql, &[]).await?.get(0),
        });
    }
    for pair in &pairs {
        session
            .batch(&format!("TRUNCATE ONLY {}", pair.chunk))
            .await?;
    }
    Ok(pairs)
}

/// Whether all rows are there: a way that loses some is not fast.
pub(super) async fn count(session: &Session, table: &str, database: &Database) -> Result<()> {
    let count: i64 = session
        .query_one(&format!("SELECT count(*) FROM {table}"), &[])
        .await?
        .get(0);
    let expected = database.rows;
    ensure!(
        u64::try_from(count)? == expected,
        "{table} has {count} rows where {expected} were to be copied"
    );
    Ok(())
}
