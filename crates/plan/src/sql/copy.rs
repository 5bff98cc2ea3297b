//! Queries on the rows' path: COPY statements of slices, chunks and verification.

use super::column_list;
use crate::{ChunkRange, Relation, Slice, TablePlan, TimeType, quote_ident};

/// `COPY (...) TO STDOUT` of a slice's rows, copied columns in the order of the plan.
pub fn slice_copy_sql(table: &TablePlan, slice: &Slice) -> String {
    let from = format!("'({},0)'::tid", slice.first_block);
    let to = slice
        .end_block
        .map(|end| format!(" AND ctid < '({end},0)'::tid"));
    // A whole leaf is read by a plain scan: no condition to check for each row.
    let condition = match (slice.first_block, &to) {
        (0, None) => String::new(),
        (_, to) => format!(" WHERE ctid >= {from}{}", to.as_deref().unwrap_or("")),
    };
    format!(
        "COPY (SELECT {} FROM ONLY {}{condition}) TO STDOUT (FORMAT binary)",
        column_list(&table.copy_columns),
        slice.leaf
    )
}

/// `COPY ... FROM STDIN` into a chunk, or into the hypertable itself. `freeze`: only for a chunk that the same
/// transaction truncated.
pub fn chunk_copy_sql(table: &TablePlan, chunk: &Relation, freeze: bool) -> String {
    let freeze = if freeze { ", FREEZE" } else { "" };
    format!(
        "COPY {chunk} ({}) FROM STDIN (FORMAT binary{freeze})",
        column_list(&table.copy_columns)
    )
}

/// One row for each of `samples`, for making chunks: any row of the leaf, or the row at a ctid. A leaf without rows
/// gives none.
pub fn sample_rows_sql(table: &TablePlan, samples: &[(&Relation, Option<&str>)]) -> String {
    let columns = column_list(&table.copy_columns);
    let sample = |(leaf, ctid): &(&Relation, Option<&str>)| {
        let condition = ctid.map_or(String::new(), |ctid| format!(" WHERE ctid = '{ctid}'::tid"));
        format!("(SELECT {columns} FROM ONLY {leaf}{condition} LIMIT 1)")
    };
    let rows: Vec<String> = samples.iter().map(sample).collect();
    format!(
        "COPY ({}) TO STDOUT (FORMAT binary)",
        rows.join(" UNION ALL ")
    )
}

/// Start of the chunk interval (microseconds since 1970 UTC), one row's ctid as text, and the count of rows, for each
/// interval that has rows in `leaf`.
pub fn chunk_rows_sql(table: &TablePlan, leaf: &Relation) -> String {
    let time = quote_ident(&table.time_column);
    let us = time_us_sql(&time, table.time_type);
    let interval = table.chunk_interval_us;
    // floor() towards minus infinity, which integer division does not do before 1970.
    format!(
        "SELECT (floor({us}::numeric / {interval}) * {interval})::bigint, min(ctid)::text, count(*) \
         FROM ONLY {leaf} WHERE isfinite({time}) GROUP BY 1 ORDER BY 1"
    )
}

/// `COPY (...) TO STDOUT` of the rows of `relation` in `range` (all, if `None`), with the key as text behind the copied
/// columns where `with_key`.
pub fn verify_rows_sql(
    table: &TablePlan,
    relation: &Relation,
    range: Option<ChunkRange>,
    with_key: bool,
) -> String {
    let time = quote_ident(&table.time_column);
    let key = if with_key {
        format!(", ROW({})::text", column_list(&table.key_columns))
    } else {
        String::new()
    };
    let condition = range.map_or(String::new(), |range| {
        format!(
            " WHERE {time} >= {} AND {time} < {}",
            time_literal(range.start_us, table.time_type),
            time_literal(range.end_us, table.time_type)
        )
    });
    format!(
        "COPY (SELECT {}{key} FROM {relation}{condition}) TO STDOUT (FORMAT binary)",
        column_list(&table.copy_columns)
    )
}

/// Microseconds since 1970 UTC of a time expression, exact.
fn time_us_sql(time: &str, time_type: TimeType) -> String {
    match time_type {
        TimeType::Timestamptz => format!("(extract(epoch FROM {time}) * 1000000)"),
        TimeType::Timestamp | TimeType::Date => {
            format!("(extract(epoch FROM {time}::timestamp) * 1000000)")
        }
    }
}

/// A point in time as a literal that keeps microseconds.
pub(super) fn time_literal(time_us: i64, time_type: TimeType) -> String {
    let seconds = time_us.div_euclid(1_000_000);
    let us = time_us.rem_euclid(1_000_000);
    let at = format!(
        "(timestamp '1970-01-01' + interval '{seconds} seconds' + interval '{us} microseconds')"
    );
    match time_type {
        TimeType::Timestamptz => format!("({at} AT TIME ZONE 'UTC')"),
        TimeType::Timestamp => at,
        TimeType::Date => format!("{at}::date"),
    }
}
