//! Facts about leaves: the relations that hold the source's rows.

use crate::{Relation, TimeRange};
use serde::{Deserialize, Serialize};

/// A relation that holds source rows: a partition without partitions of its own, or an ordinary table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Leaf {
    /// Its name.
    pub relation: Relation,
    /// Its oid.
    pub oid: u32,
    /// Its file number (`pg_relation_filenode`): changes when the leaf is rewritten.
    pub relfilenode: u32,
    /// Where its rows may lie by its partition bound.
    pub bound: LeafBound,
    /// Blocks of its heap (`pg_relation_size / block_size`).
    pub blocks: u32,
    /// Bytes of its heap.
    pub heap_bytes: u64,
    /// Bytes of its TOAST table.
    pub toast_bytes: u64,
    /// Bytes of its indexes.
    pub index_bytes: u64,
    /// Estimate of its rows (`reltuples`, or scaled from pages where never analysed); exact where `observed` is there.
    pub rows_estimate: u64,
    /// Smallest and largest finite time in it; read where the bound alone does not prove one chunk.
    /// `None` where not read, or the leaf has no row.
    pub observed: Option<TimeRange>,
    /// Exact rows per chunk interval, ascending by start; read together with `observed`, else empty.
    pub chunk_rows: Vec<ChunkRows>,
    /// Rows whose time is NULL; 0 where the column is NOT NULL.
    pub null_times: u64,
    /// Rows whose time is `infinity` or `-infinity`; counted together with `observed`.
    pub infinite_times: u64,
    /// Indexes that are on the leaf only, not inherited from the table.
    pub own_indexes: Vec<String>,
    /// Its storage parameters as `name=value`.
    pub options: Vec<String>,
    /// Tablespace other than the database's default.
    pub tablespace: Option<String>,
    /// Whether it is UNLOGGED: a crash empties it.
    pub unlogged: bool,
    /// Foreign server's name where the leaf is a foreign table.
    pub foreign_server: Option<String>,
    /// The largest statistics target of its columns; `None`: all have the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics_target: Option<i32>,
}

/// A leaf's partition bound on the time column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeafBound {
    /// `[from, to)`, microseconds since 1970 UTC; `None` for MINVALUE and MAXVALUE. Only for a partition key that is
    /// the time column alone: then the bound proves where the rows are.
    Range {
        /// Inclusive lower bound.
        from_us: Option<i64>,
        /// Exclusive upper bound.
        to_us: Option<i64>,
    },
    /// The default partition.
    Default,
    /// No bound on the time column proves anything: an ordinary table, or another partition key.
    Unbounded,
}

/// Rows of a leaf that belong into one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRows {
    /// Start of the chunk's interval, microseconds since 1970 UTC.
    pub start_us: i64,
    /// Exact count at the time of the look.
    pub rows: u64,
}
