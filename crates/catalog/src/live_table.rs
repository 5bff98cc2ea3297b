//! What live rows are encoded for: a table's columns and types, its unique keys, and a print that changes with the columns.

use hyperhaul_pg::Session;
use hyperhaul_plan::Relation;
use serde::Deserialize;

use crate::Error;
use crate::fetch::fetch_opt;
use crate::identity::relation_oid;

const LIVE_TABLE: &str = include_str!("sql/live_table.sql");

/// A table that live rows go into.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LiveTable {
    /// Its oid.
    pub oid: u32,
    /// Its columns, in order.
    pub columns: Vec<LiveColumn>,
    /// Columns of each unique index that holds for all rows and is on columns alone, the primary key first.
    pub unique_keys: Vec<Vec<String>>,
}

/// One of its columns.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LiveColumn {
    /// Its name.
    pub name: String,
    /// Its type, as SQL.
    pub type_sql: String,
    /// Oid of its type, or of what its domain is made of.
    pub base_oid: u32,
    /// `atttypmod`: -1 for none; for `varchar(n)` it is n + 4.
    pub type_modifier: i32,
    /// Labels, where its type is an enum.
    pub labels: Vec<String>,
    /// NULL is refused.
    pub not_null: bool,
    /// The server fills it where a row leaves it out.
    pub has_default: bool,
    /// The server alone fills it.
    pub generated: bool,
}

/// The table of this name as it is now, and the [`shape`] that it has; `None`: there is no such table.
///
/// # Errors
/// The server's; an answer that is not understood.
pub async fn live_table(
    session: &Session,
    relation: &Relation,
) -> Result<Option<(LiveTable, String)>, Error> {
    loop {
        let Some(oid) = relation_oid(session, relation).await? else {
            return Ok(None);
        };
        // The shape first: a change in between is then seen as one.
        let Some(shape) = shape(session, relation).await? else {
            return Ok(None);
        };
        let table = fetch_opt(session, "a table's columns", LIVE_TABLE, &[&oid]).await?;
        // A cutover in between has put another table in this one's place.
        if let Some(table) = table
            && relation_oid(session, relation).await? == Some(oid)
        {
            return Ok(Some((table, shape)));
        }
    }
}

/// A print of what live rows depend on: which table it is, its columns and their types. `None`: there is no such table. Asked in
/// the transaction that writes, behind a lock that keeps columns from being changed, it tells whether rows were encoded for
/// the table as it is.
///
/// # Errors
/// The server's.
pub async fn shape(session: &Session, relation: &Relation) -> Result<Option<String>, Error> {
    let sql = "SELECT md5(string_agg(concat_ws(' ', attrelid, attnum, attname, atttypid, atttypmod, attnotnull, atthasdef, \
                   attidentity, attgenerated, (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) \
                       FROM pg_enum WHERE enumtypid = atttypid)), ',' ORDER BY attnum)) \
               FROM pg_attribute WHERE attrelid = to_regclass(format('%I.%I', $1::text, $2::text)) \
                   AND attnum > 0 AND NOT attisdropped";
    let row = session
        .query_one(sql, &[&relation.schema, &relation.name])
        .await?;
    Ok(row.get(0))
}

/// What the session's role may do with rows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowPrivileges {
    /// Its name.
    pub role: String,
    /// Write into it, and lock it against changes meanwhile.
    pub insert: bool,
    /// Read all of the columns.
    pub select: bool,
    /// Make temporary tables in the database.
    pub temporary: bool,
}

/// What the session's role may do with these columns of a table. One that is gone by now gives the server's error.
///
/// # Errors
/// The server's.
pub async fn row_privileges(
    session: &Session,
    relation: &Relation,
    columns: &[String],
) -> Result<RowPrivileges, Error> {
    let sql = "SELECT current_user::text, has_table_privilege(quoted, 'INSERT'), \
                   (SELECT coalesce(bool_and(has_column_privilege(quoted, name, 'SELECT')), true) FROM unnest($3::text[]) AS name), \
                   has_database_privilege(current_database(), 'TEMPORARY') \
               FROM format('%I.%I', $1::text, $2::text) AS quoted";
    let row = session
        .query_one(sql, &[&relation.schema, &relation.name, &columns])
        .await?;
    Ok(RowPrivileges {
        role: row.get(0),
        insert: row.get(1),
        select: row.get(2),
        temporary: row.get(3),
    })
}
