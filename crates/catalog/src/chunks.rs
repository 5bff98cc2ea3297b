//! A hypertable's chunks, and the files of leaves.

use crate::Error;
use hyperhaul_pg::Session;
use hyperhaul_plan::{ChunkRange, Relation};

/// A chunk of a hypertable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its name.
    pub relation: Relation,
    /// Its interval of the time dimension.
    pub range: ChunkRange,
}

// The view knows ranges as timestamptz whatever the column's type; extract() is exact to the microsecond.
const CHUNKS: &str = "
    SELECT chunk_schema::text, chunk_name::text,
           (extract(epoch FROM range_start) * 1000000)::bigint,
           (extract(epoch FROM range_end) * 1000000)::bigint
    FROM timescaledb_information.chunks
    WHERE hypertable_schema = $1 AND hypertable_name = $2
    ORDER BY 3";

/// The chunks of `hypertable`, ascending by time; none if it is no hypertable.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn chunks(session: &Session, hypertable: &Relation) -> Result<Vec<Chunk>, Error> {
    let rows = session
        .query(CHUNKS, &[&hypertable.schema, &hypertable.name])
        .await?;
    let chunk = |row: &hyperhaul_pg::Row| Chunk {
        relation: Relation {
            schema: row.get(0),
            name: row.get(1),
        },
        range: ChunkRange {
            start_us: row.get(2),
            end_us: row.get(3),
        },
    };
    Ok(rows.iter().map(chunk).collect())
}

/// Where the rows of a chunk are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkForm {
    /// Whether the server takes it to be in the columnstore.
    pub in_columnstore: bool,
    /// Whether rows are in the chunk's own heap: all of them before it goes to the columnstore, none afterwards.
    pub has_heap_rows: bool,
}

impl ChunkForm {
    /// Whether all of its rows are in the columnstore.
    pub fn is_turned(self) -> bool {
        self.in_columnstore && !self.has_heap_rows
    }
}

/// Asks the catalog where a chunk's rows are, and its heap whether it has any: one does not prove the other. `None`: there is no
/// such chunk.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn chunk_form(session: &Session, chunk: &Relation) -> Result<Option<ChunkForm>, Error> {
    let sql = format!(
        "SELECT is_compressed, EXISTS (SELECT FROM ONLY {chunk}) FROM timescaledb_information.chunks \
         WHERE chunk_schema = $1 AND chunk_name = $2"
    );
    let found = session
        .query_opt(&sql, &[&chunk.schema, &chunk.name])
        .await?;
    Ok(found.map(|row| ChunkForm {
        in_columnstore: row.get(0),
        has_heap_rows: row.get(1),
    }))
}

/// Bytes of heap and TOAST of all chunks; what is in the columnstore is not among them.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn hypertable_heap_bytes(session: &Session, hypertable: &Relation) -> Result<u64, Error> {
    let sql = "SELECT coalesce(sum(pg_catalog.pg_table_size(pg_catalog.format('%I.%I', chunk_schema, chunk_name)::regclass)), 0)::bigint \
               FROM timescaledb_information.chunks WHERE hypertable_schema = $1 AND hypertable_name = $2";
    let row = session
        .query_one(sql, &[&hypertable.schema, &hypertable.name])
        .await?;
    Ok(row.get::<_, i64>(0).unsigned_abs())
}

/// Bytes that all chunks take in the columnstore, indexes among them: what the server counts for the hypertable and is not in
/// relations of its own.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn columnstore_bytes(session: &Session, hypertable: &Relation) -> Result<u64, Error> {
    let schema = "SELECT pg_catalog.quote_ident(nspname) FROM pg_catalog.pg_extension e \
                  JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'timescaledb'";
    let schema: String = session.query_one(schema, &[]).await?.get(0);
    let sql = format!(
        "SELECT ({schema}.hypertable_size($3::text::regclass) - pg_catalog.pg_total_relation_size($3::text::regclass) \
         - coalesce(sum(pg_catalog.pg_total_relation_size(pg_catalog.format('%I.%I', chunk_schema, chunk_name)::regclass)), 0))::bigint \
         FROM timescaledb_information.chunks WHERE hypertable_schema = $1 AND hypertable_name = $2"
    );
    let name = hypertable.to_string();
    let row = session
        .query_one(&sql, &[&hypertable.schema, &hypertable.name, &name])
        .await?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}

/// The file number (`pg_relation_filenode`) of each relation by oid; `None` for one that is gone.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn file_numbers(session: &Session, oids: &[u32]) -> Result<Vec<Option<u32>>, Error> {
    let sql = "SELECT pg_relation_filenode(wanted.oid::regclass) FROM unnest($1::oid[]) WITH ORDINALITY AS wanted(oid, n) ORDER BY n";
    Ok(session
        .query(sql, &[&oids])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect())
}

/// How many blocks a relation has now.
///
/// # Errors
///
/// If the server refuses or is lost, or there is no such relation.
pub async fn block_count(session: &Session, relation: &Relation) -> Result<u32, Error> {
    let sql = "SELECT pg_relation_size($1::text::regclass) / current_setting('block_size')::bigint";
    let row = session.query_one(sql, &[&relation.to_string()]).await?;
    Ok(u32::try_from(row.get::<_, i64>(0)).unwrap_or(u32::MAX))
}

/// The oid of a type by name; `None` if the database has no such type.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn type_oid(session: &Session, schema: &str, name: &str) -> Result<Option<u32>, Error> {
    let sql = "SELECT t.oid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
               WHERE n.nspname = $1 AND t.typname = $2";
    Ok(session
        .query_opt(sql, &[&schema, &name])
        .await?
        .map(|row| row.get(0)))
}
