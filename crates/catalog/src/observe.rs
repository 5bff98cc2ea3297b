//! Reading the times of a leaf's rows, where its bounds do not prove into which chunk they belong.

use hyperhaul_pg::Session;
use hyperhaul_plan::facts::{ChunkRows, Leaf, LeafBound};
use hyperhaul_plan::{ChunkRange, TimeRange, TimeType, quote_ident};
use serde::Deserialize;

use crate::Error;
use crate::fetch::fetch;

/// Leaves that one query looks at: bounds its length, not the work.
const LEAVES_PER_QUERY_MAX: usize = 50;

/// What one leaf's rows showed.
#[derive(Deserialize)]
struct Seen {
    oid: u32,
    null_times: u64,
    infinite_times: u64,
    min_us: Option<i64>,
    max_us: Option<i64>,
    chunk_rows: Vec<ChunkRows>,
}

/// Reads the times of those leaves whose bounds do not place all their rows in one chunk.
pub(crate) async fn observe(
    session: &Session,
    leaves: &mut [Leaf],
    time_column: &str,
    time_type: TimeType,
    chunk_interval_us: i64,
) -> Result<(), Error> {
    let mut open: Vec<&mut Leaf> = leaves
        .iter_mut()
        .filter(|leaf| !is_placed(leaf, chunk_interval_us))
        .collect();
    for some in open.chunks_mut(LEAVES_PER_QUERY_MAX) {
        let queries: Vec<String> = some
            .iter()
            .map(|leaf| leaf_sql(leaf, time_column, time_type, chunk_interval_us))
            .collect();
        let sql = format!(
            "SELECT coalesce(json_agg(l), '[]')::text FROM ({}) AS l",
            queries.join(" UNION ALL ")
        );
        let seen: Vec<Seen> = fetch(session, "times", &sql, &[]).await?;
        for leaf in some {
            let Some(seen) = seen.iter().find(|seen| seen.oid == leaf.oid) else {
                continue;
            };
            leaf.null_times = seen.null_times;
            leaf.infinite_times = seen.infinite_times;
            leaf.observed = match (seen.min_us, seen.max_us) {
                (Some(min_us), Some(max_us)) => Some(TimeRange { min_us, max_us }),
                _ => None,
            };
            leaf.chunk_rows.clone_from(&seen.chunk_rows);
            let finite: u64 = seen.chunk_rows.iter().map(|chunk| chunk.rows).sum();
            leaf.rows_estimate = finite + seen.null_times + seen.infinite_times;
        }
    }
    Ok(())
}

/// Nothing has to be read: there are no rows, none that we could read, or all in one chunk.
fn is_placed(leaf: &Leaf, chunk_interval_us: i64) -> bool {
    let in_one_chunk = match leaf.bound {
        LeafBound::Range {
            from_us: Some(from_us),
            to_us: Some(to_us),
        } => to_us <= ChunkRange::containing(from_us, chunk_interval_us).end_us,
        LeafBound::Range { .. } | LeafBound::Default | LeafBound::Unbounded => false,
    };
    in_one_chunk || leaf.blocks == 0 || leaf.foreign_server.is_some()
}

/// One row about one leaf. `date_bin` counts in integers; times outside of its comfortable range
/// go through numeric, and what does not fit into 64 bits becomes the nearest number.
fn leaf_sql(leaf: &Leaf, time_column: &str, time_type: TimeType, interval_us: i64) -> String {
    let (time, leaf_name, oid) = (quote_ident(time_column), &leaf.relation, leaf.oid);
    let (type_sql, stamp) = match time_type {
        TimeType::Timestamptz => ("timestamptz", "t"),
        TimeType::Timestamp => ("timestamp", "t"),
        TimeType::Date => ("date", "t::timestamp"),
    };
    let epoch = match time_type {
        TimeType::Timestamptz => "timestamptz 'epoch'",
        TimeType::Timestamp | TimeType::Date => "timestamp 'epoch'",
    };
    let us = |time: &str| fitting(&format!("extract(epoch FROM {time})::numeric * 1000000"));
    let start = fitting(&format!(
        "CASE WHEN far THEN floor(extract(epoch FROM first)::numeric * 1000000 / {interval_us}) * {interval_us} \
         ELSE extract(epoch FROM bin)::numeric * 1000000 END"
    ));
    format!(
        "(WITH rows AS MATERIALIZED (\
           SELECT kind, far, bin, CASE WHEN far THEN t END AS far_time, \
             count(*) AS rows, min(t) AS first, max(t) AS last \
           FROM (SELECT t, kind, far, CASE WHEN kind = 0 AND NOT far \
               THEN date_bin('{interval_us} microseconds', {stamp}, {epoch}) END AS bin \
             FROM (SELECT {time} AS t, \
                 CASE WHEN {time} IS NULL THEN 1 WHEN NOT isfinite({time}) THEN 2 ELSE 0 END AS kind, \
                 coalesce(isfinite({time}) AND ({time} < {type_sql} '0001-01-01' OR {time} > {type_sql} '9999-12-31'), \
                   false) AS far \
               FROM ONLY {leaf_name}) AS a) AS b \
           GROUP BY 1, 2, 3, 4), \
         chunks AS (SELECT {start} AS start_us, sum(rows) AS rows FROM rows WHERE kind = 0 GROUP BY 1) \
         SELECT {oid}::bigint AS oid, \
           coalesce(sum(rows) FILTER (WHERE kind = 1), 0) AS null_times, \
           coalesce(sum(rows) FILTER (WHERE kind = 2), 0) AS infinite_times, \
           {} AS min_us, {} AS max_us, \
           (SELECT coalesce(json_agg(c ORDER BY start_us), '[]') FROM chunks AS c) AS chunk_rows \
         FROM rows)",
        us("min(first) FILTER (WHERE kind = 0)"),
        us("max(last) FILTER (WHERE kind = 0)"),
    )
}

/// A numeric expression as bigint, cut to what a bigint holds; NULL stays NULL, which `least` would swallow.
fn fitting(numeric: &str) -> String {
    format!(
        "(CASE WHEN {numeric} IS NOT NULL THEN greatest(least({numeric}, {}), {}) END)::bigint",
        i64::MAX,
        i64::MIN
    )
}
