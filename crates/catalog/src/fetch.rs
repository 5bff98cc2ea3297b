//! One query, one JSON text, one value.

use hyperhaul_pg::{Session, ToSql};
use hyperhaul_plan::Relation;
use serde::de::DeserializeOwned;

use crate::Error;

/// Runs a query that returns at most one row with one JSON text.
pub(crate) async fn fetch_opt<T: DeserializeOwned>(
    session: &Session,
    subject: &'static str,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Option<T>, Error> {
    let attempted = |error: hyperhaul_pg::Error| error.attempting(format!("look up {subject}"));
    let Some(row) = session.query_opt(sql, params).await.map_err(attempted)? else {
        return Ok(None);
    };
    let text: &str = row
        .try_get(0)
        .map_err(|error| Error::answer(subject, error))?;
    serde_json::from_str(text)
        .map(Some)
        .map_err(|error| Error::answer(subject, error))
}

/// Schemas and names of relations, as two parameters of a query.
pub(crate) fn schemas_and_names<'a>(
    relations: impl IntoIterator<Item = &'a Relation>,
) -> (Vec<&'a str>, Vec<&'a str>) {
    relations
        .into_iter()
        .map(|relation| (relation.schema.as_str(), relation.name.as_str()))
        .unzip()
}

/// Runs a query that returns exactly one row with one JSON text.
pub(crate) async fn fetch<T: DeserializeOwned>(
    session: &Session,
    subject: &'static str,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<T, Error> {
    fetch_opt(session, subject, sql, params)
        .await?
        .ok_or_else(|| Error::answer(subject, "no row"))
}
