//! SQL text of a batch's transaction, for one table.

use chrono::{DateTime, Utc};
use hyperhaul_plan::{Relation, quote_ident, quote_literal};
use std::ops::Range;

/// The column of a staged row that says which record of the batch it is of.
const SEQ: &str = "\"hyperhaul seq\"";

/// Rows of a batch that lie further apart have late ones among them.
const SPREAD_DAYS: u32 = 2;
/// Ranges of time in which stored rows are looked for: each is a pass over what is staged.
const RANGES_MAX: u32 = 64;

/// Rows that were not inserted: there already, or refused with a SQLSTATE.
const LEFT_OUT: &str = "pg_temp.hyperhaul_left_out";

/// Makes the session's own list of rows that a slow way leaves out; empty at the end of each transaction.
pub(crate) const CREATE_LEFT_OUT: &str = "CREATE TEMPORARY TABLE IF NOT EXISTS hyperhaul_left_out \
    (target integer NOT NULL, seq integer NOT NULL, sqlstate text, column_name text, constraint_name text) ON COMMIT DELETE ROWS";

/// Empties that list.
pub(crate) const CLEAR_LEFT_OUT: &str = "TRUNCATE pg_temp.hyperhaul_left_out";

/// What [`Table::insert_row_by_row`] left out of a target.
pub(crate) const LEFT_OUT_ROWS: &str = "SELECT seq, sqlstate, column_name, constraint_name \
    FROM pg_temp.hyperhaul_left_out WHERE target = $1 ORDER BY seq, sqlstate";

/// Deferred constraints would refuse rows at the COMMIT, when nobody can tell which.
pub(crate) const CONSTRAINTS_AT_ONCE: &str = "SET CONSTRAINTS ALL IMMEDIATE";

/// Lifts TimescaleDB's limit for this transaction: for a single row, which cannot be made less.
pub(crate) const LIFT_DECOMPRESSION_LIMIT: &str =
    "SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0";

/// The session's own table that the rows of a target are put aside in.
fn stage(index: usize) -> String {
    format!("pg_temp.hyperhaul_stage_{index}")
}

/// Empties what the rows of a target were put aside in.
pub(crate) fn clear_stage(index: usize) -> String {
    format!("TRUNCATE {}", stage(index))
}

/// A table as a batch writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) relation: Relation,
    /// See [`hyperhaul_catalog::shape`].
    pub(crate) shape: String,
    /// What tuples hold, in order.
    pub(crate) columns: Vec<Column>,
    /// Names of the columns that tell duplicates; empty: no unique key is written.
    pub(crate) key: Vec<String>,
}

/// A column that tuples hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) type_sql: String,
    /// Its type has no equality: values are compared as text.
    pub(crate) compared_as_text: bool,
    pub(crate) not_null: bool,
}

impl Column {
    /// A time that every row has: chunks beyond those of a batch need not be looked at.
    fn is_time(&self) -> bool {
        self.not_null && (self.type_sql.starts_with("timestamp") || self.type_sql == "date")
    }
}

impl Table {
    /// Keeps columns from being changed until the transaction ends; rows may be written meanwhile.
    pub(crate) fn lock(&self) -> String {
        format!("LOCK TABLE {} IN ROW EXCLUSIVE MODE", self.relation)
    }

    pub(crate) fn copy(&self) -> String {
        format!(
            "COPY {} ({}) FROM STDIN (FORMAT binary)",
            self.relation,
            self.names("")
        )
    }

    /// Makes the session's own table that rows are put aside in, before they are inserted one way or another. It is empty at
    /// the end of each transaction.
    pub(crate) fn create_stage(&self, index: usize) -> String {
        let columns = self
            .columns
            .iter()
            .map(|column| format!(", {} {}", quote_ident(&column.name), column.type_sql));
        format!(
            "DROP TABLE IF EXISTS {stage}; \
             CREATE TEMPORARY TABLE {stage} ({SEQ} integer NOT NULL{}) ON COMMIT DELETE ROWS",
            columns.collect::<String>(),
            stage = stage(index),
        )
    }

    pub(crate) fn copy_stage(&self, index: usize) -> String {
        format!(
            "COPY {} ({SEQ}, {}) FROM STDIN (FORMAT binary)",
            stage(index),
            self.names("")
        )
    }

    /// Inserts what is staged and not there yet, in the key's order: sessions that write the same keys meet in one order.
    pub(crate) fn insert_staged(&self, index: usize) -> String {
        let order: String = self.key.iter().map(|key| quote_ident(key) + ", ").collect();
        format!(
            "INSERT INTO {} ({names}) SELECT {names} FROM {} ORDER BY {order}{SEQ} ON CONFLICT DO NOTHING",
            self.relation,
            stage(index),
            names = self.names(""),
        )
    }

    /// Records with a staged row that the table does not have as it is, by number; behind the insertion. A row that was inserted is
    /// there; of the others those are here whose key, or whose place in another unique index, has a row with other values.
    pub(crate) fn conflicts(&self, index: usize) -> String {
        format!(
            "SELECT staged.{SEQ} FROM {} AS staged WHERE NOT EXISTS ({}{}) ORDER BY 1",
            stage(index),
            self.stored_as_staged(),
            self.time_ranges(index),
        )
    }

    /// Whether one range of time around all that is staged would hold much that none of it touches: late rows among fresh ones. `None`:
    /// rows have no time by which chunks could be left out.
    pub(crate) fn is_spread(&self, index: usize) -> Option<String> {
        let time = quote_ident(&self.key_time()?.name);
        Some(format!(
            "SELECT coalesce(CASE WHEN bool_and(isfinite({time})) THEN \
             max({time})::timestamp - min({time})::timestamp > interval '{SPREAD_DAYS} days' END, false) FROM {}",
            stage(index)
        ))
    }

    /// The same as [`Table::conflicts`], range by range, so that chunks between them are left alone. `None` as there.
    pub(crate) fn conflicts_of_spread(&self, index: usize) -> Option<String> {
        let (time, stage) = (quote_ident(&self.key_time()?.name), stage(index));
        Some(format!(
            "WITH span AS (SELECT extract(epoch FROM min({time})) AS low, extract(epoch FROM max({time})) + 1 AS high FROM {stage}), \
             range AS (SELECT min(staged.{time}) AS first, max(staged.{time}) AS last FROM {stage} AS staged, span \
                 GROUP BY width_bucket(extract(epoch FROM staged.{time}), span.low, span.high, \
                     least({RANGES_MAX}, ceil((span.high - span.low) / 86400))::integer)) \
             SELECT found.{SEQ} FROM range CROSS JOIN LATERAL (SELECT staged.{SEQ} FROM {stage} AS staged \
                 WHERE staged.{time} >= range.first AND staged.{time} <= range.last AND NOT EXISTS ({} \
                 AND stored.{time} >= range.first AND stored.{time} <= range.last)) AS found ORDER BY 1",
            self.stored_as_staged(),
        ))
    }

    /// A time of the key.
    fn key_time(&self) -> Option<&Column> {
        let mut times = self.columns.iter().filter(|column| column.is_time());
        times.find(|column| self.key.contains(&column.name))
    }

    /// The row that a staged one is in the table, where it is as it was staged.
    fn stored_as_staged(&self) -> String {
        let same = self.columns.iter().map(|column| {
            let name = quote_ident(&column.name);
            let cast = if column.compared_as_text {
                "::text"
            } else {
                ""
            };
            // Only an equality can be looked up by an index.
            let is_key = self.key.contains(&column.name);
            let equal = if is_key && column.not_null {
                "="
            } else {
                "IS NOT DISTINCT FROM"
            };
            format!("stored.{name}{cast} {equal} staged.{name}{cast}")
        });
        let same = same.collect::<Vec<_>>().join(" AND ");
        format!("SELECT FROM {} AS stored WHERE {same}", self.relation)
    }

    /// The staged times' range, so that chunks beyond are left out.
    fn time_ranges(&self, index: usize) -> String {
        let times = self.columns.iter().filter(|column| column.is_time());
        let ranges = times.map(|column| {
            let key = quote_ident(&column.name);
            let stage = stage(index);
            format!(
                " AND stored.{key} >= (SELECT min({key}) FROM {stage}) AND stored.{key} <= (SELECT max({key}) FROM {stage})"
            )
        });
        ranges.collect()
    }

    /// Inserts what is staged row by row, each in a subtransaction, and puts down which rows were there and which are refused.
    /// Data exceptions, violated constraints and what triggers raise are rows' faults; anything else ends the transaction.
    pub(crate) fn insert_row_by_row(&self, index: usize) -> String {
        let body = format!(
            "DECLARE staged record; inserted bigint; refused text; of_column text; of_constraint text;
BEGIN
    FOR staged IN SELECT * FROM {stage} ORDER BY {SEQ} LOOP
        BEGIN
            INSERT INTO {relation} ({names}) VALUES ({values}) ON CONFLICT DO NOTHING;
            GET DIAGNOSTICS inserted = ROW_COUNT;
            IF inserted = 0 THEN
                INSERT INTO {LEFT_OUT} VALUES ({index}, staged.{SEQ}, NULL, NULL, NULL);
            END IF;
        EXCEPTION WHEN data_exception OR integrity_constraint_violation OR raise_exception OR with_check_option_violation
            OR program_limit_exceeded THEN
            GET STACKED DIAGNOSTICS refused = RETURNED_SQLSTATE, of_column = COLUMN_NAME, of_constraint = CONSTRAINT_NAME;
            INSERT INTO {LEFT_OUT} VALUES ({index}, staged.{SEQ}, refused, nullif(of_column, ''), nullif(of_constraint, ''));
        END;
    END LOOP;
END",
            stage = stage(index),
            relation = self.relation,
            names = self.names(""),
            values = self.names("staged."),
        );
        format!("DO {}", quote_literal(&body))
    }

    /// Columns of the last `row_count_max` rows that were received in a time, oldest first.
    pub(crate) fn copy_latest(
        &self,
        columns: &[&str],
        received_at: &str,
        time: &Range<DateTime<Utc>>,
        row_count_max: usize,
    ) -> String {
        let names: Vec<String> = columns.iter().map(|name| quote_ident(name)).collect();
        let (names, received_at) = (names.join(", "), quote_ident(received_at));
        let moment = |at: DateTime<Utc>| quote_literal(&at.to_rfc3339());
        let (from, to) = (moment(time.start), moment(time.end));
        format!(
            "COPY (SELECT {names} FROM (SELECT {names}, {received_at} AS \"hyperhaul received\" FROM {} \
             WHERE {received_at} >= {from} AND {received_at} < {to} ORDER BY {received_at} DESC LIMIT {row_count_max}) AS latest \
             ORDER BY \"hyperhaul received\") TO STDOUT (FORMAT binary)",
            self.relation,
        )
    }

    fn names(&self, prefix: &str) -> String {
        let names = self
            .columns
            .iter()
            .map(|column| format!("{prefix}{}", quote_ident(&column.name)));
        names.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let column = |name: &str, type_sql: &str| Column {
            name: name.to_owned(),
            type_sql: type_sql.to_owned(),
            compared_as_text: type_sql == "json",
            not_null: type_sql != "json",
        };
        Table {
            relation: Relation::new("public", "esp"),
            shape: String::new(),
            columns: vec![
                column("well", "text"),
                column("at", "timestamp with time zone"),
                column("actions", "json"),
            ],
            key: vec!["well".to_owned(), "at".to_owned()],
        }
    }

    #[test]
    fn conflicts_are_staged_rows_that_the_table_does_not_have() {
        assert_eq!(
            table().conflicts(0),
            "SELECT staged.\"hyperhaul seq\" FROM pg_temp.hyperhaul_stage_0 AS staged WHERE NOT EXISTS \
             (SELECT FROM \"public\".\"esp\" AS stored WHERE stored.\"well\" = staged.\"well\" AND stored.\"at\" = staged.\"at\" \
             AND stored.\"actions\"::text IS NOT DISTINCT FROM staged.\"actions\"::text \
             AND stored.\"at\" >= (SELECT min(\"at\") FROM pg_temp.hyperhaul_stage_0) \
             AND stored.\"at\" <= (SELECT max(\"at\") FROM pg_temp.hyperhaul_stage_0)) ORDER BY 1"
        );
    }

    #[test]
    fn what_is_spread_over_time_is_looked_for_range_by_range() {
        let sql = table().conflicts_of_spread(0).unwrap_or_default();
        assert!(sql.contains("stored.\"at\" >= range.first AND stored.\"at\" <= range.last"));
        let without_time = Table {
            key: vec!["well".to_owned()],
            ..table()
        };
        assert_eq!(without_time.is_spread(0), None);
        assert_eq!(without_time.conflicts_of_spread(0), None);
    }

    #[test]
    fn staged_rows_are_inserted_in_the_order_of_the_key() {
        let sql = table().insert_staged(0);
        assert!(
            sql.ends_with("ORDER BY \"well\", \"at\", \"hyperhaul seq\" ON CONFLICT DO NOTHING")
        );
    }
}
