//! Where the rows of a slice go.

use hyperhaul_catalog::Chunk;
use hyperhaul_engine::{ChunkKey, ChunkTarget, Destination};
use hyperhaul_plan::{ChunkRange, Routing, Slice, TablePlan, TimeType, sql};

/// The chunk interval that all rows of a slice lie in, if its leaf's bound proves that.
pub(super) fn one_chunk(routing: Routing) -> Option<ChunkRange> {
    match routing {
        Routing::OneChunk(range) => Some(range),
        Routing::ByTime => None,
    }
}

/// Where a slice's rows go, and the chunk that is to be truncated first.
///
/// A chunk that does not exist (rows came after the chunks were made) is no error: its rows go through the
/// hypertable, which makes it.
pub(super) fn destination(
    slice: &Slice,
    table: &TablePlan,
    chunks: &[Chunk],
) -> (Destination, Option<String>) {
    match slice.routing {
        Routing::OneChunk(range) => {
            let chunk = chunks.iter().find(|chunk| chunk.range == range);
            let frozen = chunk.filter(|_| slice.sole_writer);
            let into = chunk.map_or(table.copied_into(), |chunk| &chunk.relation);
            let copy_sql = sql::chunk_copy_sql(table, into, frozen.is_some());
            let truncate = frozen.map(|chunk| chunk.relation.to_string());
            (
                Destination::OneChunk {
                    copy_sql,
                    chunk: key(range),
                },
                truncate,
            )
        }
        Routing::ByTime => {
            let target = |chunk: &Chunk| ChunkTarget {
                chunk: key(chunk.range),
                copy_sql: sql::chunk_copy_sql(table, &chunk.relation, false),
            };
            let by_time = Destination::ByTime {
                time_position: table.time_position,
                time_type: time_type(table.time_type),
                chunks: chunks.iter().map(target).collect(),
                interval_us: table.chunk_interval_us,
                fallback_copy_sql: sql::chunk_copy_sql(table, table.copied_into(), false),
            };
            (by_time, None)
        }
    }
}

pub(super) fn key(range: ChunkRange) -> ChunkKey {
    ChunkKey {
        start_us: range.start_us,
        end_us: range.end_us,
    }
}

fn time_type(time_type: TimeType) -> hyperhaul_pgcopy::TimeType {
    match time_type {
        TimeType::Timestamptz => hyperhaul_pgcopy::TimeType::Timestamptz,
        TimeType::Timestamp => hyperhaul_pgcopy::TimeType::Timestamp,
        TimeType::Date => hyperhaul_pgcopy::TimeType::Date,
    }
}
