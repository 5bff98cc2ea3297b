//! Where sequences stand.

use crate::Error;
use hyperhaul_pg::Session;
use hyperhaul_plan::Relation;

/// Where a sequence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequencePosition {
    /// `last_value`.
    pub last_value: i64,
    /// `is_called`: whether that value was given out.
    pub called: bool,
}

/// Reads where a sequence stands.
///
/// # Errors
///
/// If there is no such sequence, the role may not read it, or the server is lost.
pub async fn sequence_position(
    session: &Session,
    sequence: &Relation,
) -> Result<SequencePosition, Error> {
    let row = session
        .query_one(
            &format!("SELECT last_value, is_called FROM {sequence}"),
            &[],
        )
        .await?;
    Ok(SequencePosition {
        last_value: row.get(0),
        called: row.get(1),
    })
}

/// The sequence of an identity or serial column; `None` if the column has none.
///
/// # Errors
///
/// If there is no such column, or the server is lost.
pub async fn column_sequence(
    session: &Session,
    table: &Relation,
    column: &str,
) -> Result<Option<Relation>, Error> {
    let sql = "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.oid = pg_get_serial_sequence($1, $2)::regclass";
    let row = session
        .query_opt(sql, &[&table.to_string(), &column])
        .await?;
    Ok(row.map(|row| Relation {
        schema: row.get(0),
        name: row.get(1),
    }))
}
