//! What to copy, and what came of it. Plain data: SQL text comes from the caller, who also knows what it means.

use hyperhaul_pgcopy::{Digest, TimeType};

/// One slice's rows and where they belong.
#[derive(Debug, Clone)]
pub struct CopyRequest {
    /// `COPY (SELECT ...) TO STDOUT (FORMAT binary)`.
    pub source_sql: String,
    /// Where the rows go.
    pub destination: Destination,
    /// Array columns whose element type has another OID on the target.
    pub rewrites: Vec<ArrayRewrite>,
}

/// An array column whose element type has another OID on the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrayRewrite {
    /// The column's position in the query's columns, from 0.
    pub position: usize,
    /// The element type's OID on the source.
    pub from_oid: u32,
    /// The element type's OID on the target.
    pub to_oid: u32,
}

/// Where the rows of a slice go.
#[derive(Debug, Clone)]
pub enum Destination {
    /// All into one chunk: tuples pass through unrouted. That they belong there is for the caller to know; the
    /// chunk's CHECK constraint refuses those that do not.
    OneChunk {
        /// `COPY chunk (columns) FROM STDIN (FORMAT binary)`, with FREEZE where the caller has truncated the chunk in this transaction.
        copy_sql: String,
        /// The chunk's interval, under which the digest is returned.
        chunk: ChunkKey,
    },
    /// Each into the chunk in whose interval its time lies.
    ByTime {
        /// The time column's position in the query's columns, from 0.
        time_position: usize,
        /// The time column's type.
        time_type: TimeType,
        /// The chunks that exist, ascending by time, without overlap.
        chunks: Vec<ChunkTarget>,
        /// The chunk interval in microseconds: under which keys the digests of rows are returned whose chunk is not listed.
        interval_us: i64,
        /// COPY into the hypertable itself, for rows whose chunk is not listed.
        fallback_copy_sql: String,
    },
}

/// A chunk and the way into it.
#[derive(Debug, Clone)]
pub struct ChunkTarget {
    /// Its interval.
    pub chunk: ChunkKey,
    /// `COPY chunk (columns) FROM STDIN (FORMAT binary)`.
    pub copy_sql: String,
}

/// The interval `[start_us, end_us)` of a chunk in microseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkKey {
    /// The first microsecond that belongs to the chunk.
    pub start_us: i64,
    /// The first microsecond after it that does not.
    pub end_us: i64,
}

impl ChunkKey {
    /// The interval of this length that a time lies in, counted from 1970 UTC as TimescaleDB does. At the ends of time it is
    /// cut short.
    pub(crate) fn aligned(time_us: i64, interval_us: i64) -> ChunkKey {
        let number = time_us.div_euclid(interval_us);
        let start_us = number.saturating_mul(interval_us);
        ChunkKey {
            start_us,
            end_us: start_us.saturating_add(interval_us),
        }
    }
}

/// A finished copy: on the server, and not yet committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Rows, as framed here and as confirmed by the target.
    pub rows: u64,
    /// Bytes of COPY data sent.
    pub bytes: u64,
    /// A digest for each chunk that got rows, ascending by time; with [`Destination::OneChunk`] exactly one.
    pub digests: Vec<(ChunkKey, Digest)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_aligned_downwards_on_both_sides_of_1970() {
        let table = [(0, 0), (9, 0), (10, 10), (-1, -10), (-10, -10), (-11, -20)];
        for (time_us, start_us) in table {
            let expected = ChunkKey {
                start_us,
                end_us: start_us + 10,
            };
            assert_eq!(ChunkKey::aligned(time_us, 10), expected, "{time_us}");
        }
        assert_eq!(ChunkKey::aligned(i64::MAX, 10).end_us, i64::MAX);
        assert_eq!(ChunkKey::aligned(i64::MIN, 10).start_us, i64::MIN);
    }
}
