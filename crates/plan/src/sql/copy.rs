//! Queries on the rows' path: COPY statements of slices, chunks and verification.

use super::beside::where_keys_are_free;
use super::column_list;
use super::row_hash::{RowHash, row_hash};
use crate::{ChunkRange, MeetingKey, Relation, Routing, Slice, TablePlan, TimeType, quote_ident};

/// `COPY (...) TO STDOUT` of a slice's rows, copied columns in the order of the plan.
pub fn slice_copy_sql(table: &TablePlan, slice: &Slice) -> String {
    format!(
        "COPY (SELECT {} FROM ONLY {}{}) TO STDOUT (FORMAT binary)",
        column_list(&table.copy_columns),
        slice.leaf,
        rows_condition(table, slice)
    )
}

/// `INSERT ... SELECT` of a slice's rows into a chunk, or into the hypertable itself. Where live rows are, those stay whose keys
/// are there.
pub fn slice_insert_sql(table: &TablePlan, slice: &Slice, chunk: &Relation) -> String {
    let columns = column_list(&table.copy_columns);
    // Identity columns keep their values, as COPY keeps them.
    let conflict = if table.backfilled {
        where_keys_are_free()
    } else {
        ""
    };
    format!(
        "INSERT INTO {chunk} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM ONLY {}{}{conflict}",
        slice.leaf,
        rows_condition(table, slice)
    )
}

/// How many rows a table has.
pub fn row_count_sql(relation: &Relation) -> String {
    format!("SELECT count(*) FROM {relation}")
}

/// How many rows a slice has.
pub fn slice_rows_sql(table: &TablePlan, slice: &Slice) -> String {
    format!(
        "SELECT count(*) FROM ONLY {}{}",
        slice.leaf,
        rows_condition(table, slice)
    )
}

/// Start of the chunk interval (microseconds since 1970 UTC), count and sum of the server's hash of each row as text, for
/// each interval that has rows in a slice. `leaf`: where the slice's leaf is now.
pub fn slice_hash_sql(table: &TablePlan, slice: &Slice, leaf: &Relation, hash: RowHash) -> String {
    let start = match slice.routing {
        Routing::OneChunk(range) => range.start_us.to_string(),
        Routing::ByTime => interval_start_sql(table),
    };
    let from = format!("ONLY {leaf}{}", rows_condition(table, slice));
    hash_sql(table, &start, &from, hash)
}

/// The same of a whole chunk, whose interval is known: its start is 0 here. Without ONLY, which sees no row of a chunk that is in
/// the columnstore.
pub fn chunk_hash_sql(table: &TablePlan, chunk: &Relation, hash: RowHash) -> String {
    hash_sql(table, "0", &chunk.to_string(), hash)
}

/// The server's sum of bigint is exact, a numeric of any length: it adds up, does not depend on order, and duplicates do not
/// cancel.
fn hash_sql(table: &TablePlan, start: &str, from: &str, hash: RowHash) -> String {
    let hash = row_hash(table, hash);
    format!("SELECT ({start})::bigint, count(*), sum({hash})::text FROM {from} GROUP BY 1")
}

/// ` WHERE ...`, by blocks and, where rows are left out and a leaf's bounds do not tell them apart, by time. Empty for a
/// whole leaf, which is read by a plain scan: no condition to check for each row.
fn rows_condition(table: &TablePlan, slice: &Slice) -> String {
    let mut conditions = of_blocks(slice.first_block, slice.end_block);
    conditions.extend(copied_condition(table, slice.routing));
    if conditions.is_empty() {
        return String::new();
    }
    format!(" WHERE {}", conditions.join(" AND "))
}

/// Conditions of the rows in these blocks; none for all of them.
pub(super) fn of_blocks(first: u32, end: Option<u32>) -> Vec<String> {
    let mut conditions = Vec::new();
    if first > 0 || end.is_some() {
        conditions.push(format!("ctid >= '({first},0)'::tid"));
    }
    conditions.extend(end.map(|end| format!("ctid < '({end},0)'::tid")));
    conditions
}

/// Tells the rows of a leaf that are copied from those that are left out by time. `None`: all of them are copied.
pub fn copied_condition(table: &TablePlan, routing: Routing) -> Option<String> {
    match routing {
        // Its bounds have told already.
        Routing::OneChunk(_) => None,
        Routing::ByTime => kept_condition(table),
    }
}

/// Of the rows that are not left out.
fn kept_condition(table: &TablePlan) -> Option<String> {
    let time = quote_ident(&table.time_column);
    let before = time_literal(table.skip_before_us?, table.time_type);
    Some(format!("{time} >= {before}"))
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
    let start = interval_start_sql(table);
    let kept = kept_condition(table).map_or(String::new(), |kept| format!(" AND {kept}"));
    format!(
        "SELECT ({start})::bigint, min(ctid)::text, count(*) \
         FROM ONLY {leaf} WHERE isfinite({time}){kept} GROUP BY 1 ORDER BY 1"
    )
}

/// Start of the chunk interval that a row's time lies in.
fn interval_start_sql(table: &TablePlan) -> String {
    let us = time_us_sql(&quote_ident(&table.time_column), table.time_type);
    let interval = table.chunk_interval_us;
    // floor() towards minus infinity, which integer division does not do before 1970.
    format!("floor({us}::numeric / {interval}) * {interval}")
}

/// What is the same for two rows if and only if one of them keeps the other out by this key; NULL if it keeps none out.
fn identity(key: &MeetingKey) -> String {
    let columns = column_list(&key.columns);
    let value = if key.hashable {
        format!("pg_catalog.hash_record_extended(ROW({columns}), 0)::text")
    } else {
        format!("ROW({columns})::text")
    };
    if !key.nulls_distinct {
        // A record's hash takes NULL for a value whose hash is 0.
        let nulls: Vec<String> = key
            .columns
            .iter()
            .map(|name| format!("{} IS NULL", quote_ident(name)))
            .collect();
        return format!(", pg_catalog.concat_ws(' ', {value}, {})", nulls.join(", "));
    }
    let count = key.columns.len();
    format!(", CASE WHEN pg_catalog.num_nonnulls({columns}) = {count} THEN {value} END")
}

/// `COPY (...) TO STDOUT` of the rows of `relation` in `range` but not in other chunks that were attached (all, if `None`). Behind the
/// copied columns, where `with_key`: what identifies the row by each key of [`TablePlan::meeting_keys`], and its key as text.
pub fn verify_rows_sql(
    table: &TablePlan,
    relation: &Relation,
    range: Option<ChunkRange>,
    with_key: bool,
) -> String {
    let key = if with_key {
        let identities: String = table.meeting_keys.iter().map(identity).collect();
        format!(
            "{identities}, ROW({})::text",
            column_list(&table.key_columns)
        )
    } else {
        String::new()
    };
    let condition = range.map_or(String::new(), |range| {
        format!(" WHERE {}", within(table, range))
    });
    format!(
        "COPY (SELECT {}{key} FROM {relation}{condition}) TO STDOUT (FORMAT binary)",
        column_list(&table.copy_columns)
    )
}

/// Of the rows in `range` but not in other chunks that were attached.
fn within(table: &TablePlan, range: ChunkRange) -> String {
    let time = quote_ident(&table.time_column);
    let bounds = |range: ChunkRange| {
        format!(
            "{time} >= {} AND {time} < {}",
            time_literal(range.start_us, table.time_type),
            time_literal(range.end_us, table.time_type)
        )
    };
    let attached = table.attached.iter().map(|leaf| leaf.range);
    let staged = table.staged.iter().map(|leaf| leaf.range);
    let elsewhere: String = attached
        .chain(staged.filter(|staged| *staged != range))
        .filter(|other| other.overlaps(range))
        .map(|other| format!(" AND NOT ({})", bounds(other)))
        .collect();
    format!("{}{elsewhere}", bounds(range))
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
