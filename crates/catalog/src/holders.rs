//! What keeps a table from being dropped: views, foreign keys, functions and whatever else depends on it. And how many rows of
//! other tables would refer to nothing.

use hyperhaul_pg::Session;
use hyperhaul_plan::Relation;
use hyperhaul_plan::sql::OrphanQuery;
use serde::Deserialize;

use crate::Error;
use crate::fetch::fetch;

const HOLDERS: &str = include_str!("sql/holders.sql");

/// An object that depends on a table and does not go with it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Holder {
    /// As `pg_describe_object` says it, e.g. `view "public"."latest"`.
    pub description: String,
    /// The view, or the referencing table of a foreign key.
    pub relation: Option<Relation>,
    /// The foreign key's name.
    pub constraint: Option<String>,
}

/// What keeps a table, or one of its partitions or chunks, from being dropped; nothing, where there is no such table.
///
/// # Errors
/// The server's; an answer that is not understood.
pub async fn holders(session: &Session, table: &Relation) -> Result<Vec<Holder>, Error> {
    let name: [&(dyn hyperhaul_pg::ToSql + Sync); 2] = [&table.schema, &table.name];
    fetch(session, "what depends on a table", HOLDERS, &name).await
}

/// How many rows a query for orphans finds.
///
/// # Errors
/// The server's.
pub async fn orphan_count(session: &Session, query: &OrphanQuery) -> Result<u64, Error> {
    let sql = format!(
        "SELECT to_json(count(*))::text FROM ({}) AS orphans",
        query.rows_sql
    );
    fetch(session, "rows that refer to nothing", &sql, &[]).await
}
