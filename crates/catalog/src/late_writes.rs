//! What tells whether a table was written to since a moment: counters, which are cheap and not exact, and rows, which are both not.

use std::collections::BTreeMap;

use hyperhaul_pg::Session;
use hyperhaul_plan::Relation;
use serde::{Deserialize, Serialize};

use crate::Error;

/// A moment of a server, as far as writes go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteMark {
    /// Every transaction that was given its number later has this one or a higher one.
    pub transaction: i64,
    /// Per leaf by oid: rows inserted, updated and deleted so far, as the statistics have it: some seconds late, in transactions
    /// that were rolled back too, and from zero again after a crash or `pg_stat_reset`.
    pub counters: BTreeMap<u32, [i64; 3]>,
}

/// What a look at all rows of a leaf has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowsSince {
    /// Rows that are there.
    pub rows: u64,
    /// Those of them that were written since the mark.
    pub written: u64,
}

/// The moment that is now, for these leaves.
///
/// # Errors
/// The server's.
pub async fn write_mark(session: &Session, leaves: &[u32]) -> Result<WriteMark, Error> {
    let now = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
    let transaction = session.query_one(now, &[]).await?.get(0);
    let sql = "SELECT oid, pg_stat_get_tuples_inserted(oid), pg_stat_get_tuples_updated(oid), pg_stat_get_tuples_deleted(oid) \
               FROM unnest($1::oid[]) AS oid";
    let rows = session.query(sql, &[&leaves]).await?;
    let counters = rows
        .iter()
        .map(|row| (row.get(0), [row.get(1), row.get(2), row.get(3)]));
    Ok(WriteMark {
        transaction,
        counters: counters.collect(),
    })
}

/// Reads the rows of a leaf for which `condition` holds (all, if `None`): how many they are, and how many of them were written
/// since the mark. A row keeps the number of the transaction that wrote it when VACUUM FULL or CLUSTER move it, and gets a new one
/// from ALTER TABLE.
///
/// # Errors
/// The server's.
pub async fn rows_since(
    session: &Session,
    leaf: &Relation,
    condition: Option<&str>,
    mark: &WriteMark,
) -> Result<RowsSince, Error> {
    let condition = condition.map_or(String::new(), |condition| format!(" WHERE {condition}"));
    // Rows have the lower half of the number. Those of ages ago may have any, so only what was given out since counts; numbers
    // below 3 are none of a transaction.
    let sql = format!(
        "SELECT count(*), count(*) FILTER (WHERE number >= 3 AND (number - $1 % 4294967296 + 4294967296) % 4294967296 <= \
         pg_snapshot_xmax(pg_current_snapshot())::text::bigint - $1) \
         FROM (SELECT xmin::text::bigint AS number FROM ONLY {leaf}{condition}) AS written"
    );
    let row = session.query_one(&sql, &[&mark.transaction]).await?;
    let count = |index| row.get::<_, i64>(index).unsigned_abs();
    Ok(RowsSince {
        rows: count(0),
        written: count(1),
    })
}
