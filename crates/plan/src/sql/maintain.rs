//! Statements of `hyperhaul maintain`: retention and roll-ups where the server does not do them by itself, and the same as
//! commands that pg_cron can run.

use super::copy::time_literal;
use super::create::interval_sql;
use super::policies::{Source, aggregate_query, regclass};
use super::{LEDGER_SCHEMA, do_block};
use crate::policies::{Aggregate, BUCKET_COLUMN, Declaration};
use crate::{ChunkRange, Relation, TimeType, quote_ident, quote_literal};

/// Drops the chunks whose rows are all older than `cutoff_us`. `schema` is that of TimescaleDB's functions.
pub fn drop_expired(declared: &Declaration, schema: &str, cutoff_us: i64) -> String {
    format!(
        "SELECT {}.drop_chunks({}, older_than => {})",
        quote_ident(schema),
        regclass(&declared.relation),
        time_literal(cutoff_us, declared.time_type)
    )
}

/// Deletes the rows of one chunk through the hypertable, so that foreign keys are looked at row by row.
pub fn delete_expired(declared: &Declaration, chunk: ChunkRange) -> String {
    let time = quote_ident(&declared.time_column);
    format!(
        "DELETE FROM {} WHERE {}",
        declared.relation,
        in_range(&time, chunk, declared.time_type)
    )
}

/// Gives the space of a chunk without rows back. Not within a transaction block.
pub fn vacuum(chunk: &Relation) -> String {
    format!("VACUUM {chunk}")
}

/// Computes the buckets of `range` anew: two statements for one transaction.
pub fn roll_up(
    declared: &Declaration,
    aggregate: &Aggregate,
    schema: &str,
    range: ChunkRange,
) -> [String; 2] {
    let bucket = in_range(&quote_ident(BUCKET_COLUMN), range, declared.time_type);
    let time = in_range(
        &quote_ident(&declared.time_column),
        range,
        declared.time_type,
    );
    roll_up_where(declared, aggregate, schema, &bucket, &time)
}

fn roll_up_where(
    declared: &Declaration,
    aggregate: &Aggregate,
    schema: &str,
    bucket: &str,
    time: &str,
) -> [String; 2] {
    let source = Source {
        relation: &declared.relation,
        time_column: &declared.time_column,
    };
    let schema = format!("{}.", quote_ident(schema));
    let query = aggregate_query(&source, aggregate, &schema, &format!(" WHERE {time}"));
    let name = &aggregate.relation;
    [
        format!("DELETE FROM {name} WHERE {bucket}"),
        format!("INSERT INTO {name} {query}"),
    ]
}

fn in_range(column: &str, range: ChunkRange, time_type: TimeType) -> String {
    format!(
        "{column} >= {} AND {column} < {}",
        time_literal(range.start_us, time_type),
        time_literal(range.end_us, time_type)
    )
}

/// Now, as a value of the time column.
fn now_sql(time_type: TimeType) -> &'static str {
    match time_type {
        TimeType::Timestamptz => "now()",
        TimeType::Timestamp => "(now() AT TIME ZONE 'UTC')",
        TimeType::Date => "(now() AT TIME ZONE 'UTC')::date",
    }
}

/// Has pg_cron run a command in a database.
pub fn schedule_command(title: &str, times: &str, command: &str, database: &str) -> String {
    let arguments = [title, times, command, database].map(quote_literal);
    format!("SELECT cron.schedule_in_database({})", arguments.join(", "))
}

/// Retention as one command for pg_cron. It does nothing while the declaration is not in force, or an aggregate has not seen
/// all that would be dropped.
pub fn scheduled_retention(
    declared: &Declaration,
    schema: &str,
    retention_us: i64,
    key: (i64, &str),
) -> String {
    let age = interval_sql(retention_us);
    let (step, own) = (in_force(key), of_declaration(key));
    do_block(&format!(
        "BEGIN IF {step} AND NOT EXISTS (SELECT FROM {}.rollup WHERE {own} \
         AND coalesce(watermark_us, 0) < (extract(epoch FROM now() - {age}) * 1000000)::bigint) THEN \
         PERFORM {}.drop_chunks({}, older_than => ({} - {age})::{}); END IF; END",
        quote_ident(LEDGER_SCHEMA),
        quote_ident(schema),
        regclass(&declared.relation),
        now_sql(declared.time_type),
        declared.time_type.sql()
    ))
}

/// Whether the step's mark stands that a declaration is in force with.
fn in_force(key: (i64, &str)) -> String {
    let schema = quote_ident(LEDGER_SCHEMA);
    format!(
        "EXISTS (SELECT FROM {schema}.step WHERE {})",
        of_declaration(key)
    )
}

fn of_declaration((run, step): (i64, &str)) -> String {
    format!("run_id = {run} AND step_id = {}", quote_literal(step))
}

/// A roll-up as one command for pg_cron, in one transaction: from the watermark or `start_offset`, whichever is earlier, to
/// `end_offset`. It does nothing before `hyperhaul maintain` has rolled up history once.
pub fn scheduled_roll_up(
    declared: &Declaration,
    aggregate: &Aggregate,
    schema: &str,
    key: (i64, &str),
) -> String {
    let functions = quote_ident(schema);
    let kind = declared.time_type.sql();
    let bound = |offset_us: i64| {
        format!(
            "{functions}.time_bucket({}, ({} - {})::{kind})",
            interval_sql(aggregate.bucket_us),
            now_sql(declared.time_type),
            interval_sql(offset_us)
        )
    };
    let rollup = format!("{}.rollup", quote_ident(LEDGER_SCHEMA));
    let row = format!(
        "{} AND aggregate = {}",
        of_declaration(key),
        quote_literal(&aggregate.relation.plain())
    );
    let condition = |column: &str| {
        let column = quote_ident(column);
        format!("{column} >= low AND {column} < high")
    };
    let [delete, insert] = roll_up_where(
        declared,
        aggregate,
        schema,
        &condition(BUCKET_COLUMN),
        &condition(&declared.time_column),
    );
    let (from_us, to_us) = match declared.time_type {
        TimeType::Timestamptz => (" AT TIME ZONE 'UTC'", ""),
        TimeType::Timestamp => ("", ""),
        TimeType::Date => ("::date", "::timestamp"),
    };
    do_block(&format!(
        "DECLARE low {kind}; high {kind} := {high}; BEGIN \
         SELECT least({low}, ((timestamp '1970-01-01' + watermark_us * interval '1 microsecond'){from_us})) INTO low \
         FROM {rollup} WHERE {row} AND watermark_us IS NOT NULL AND {step} FOR UPDATE; \
         IF NOT FOUND THEN RETURN; END IF; {delete}; {insert}; \
         UPDATE {rollup} SET rolled_up_at = now(), \
         watermark_us = greatest(watermark_us, (extract(epoch FROM high{to_us}) * 1000000)::bigint) WHERE {row}; END",
        step = in_force(key),
        high = bound(aggregate.end_offset_us),
        low = bound(aggregate.start_offset_us),
    ))
}
