//! Generated columns against their own expression.

use crate::Error;
use hyperhaul_pg::Session;
use hyperhaul_plan::{Relation, quote_ident};

/// For each generated column, given with its expression, the rows of `relation` whose stored value differs from what the
/// expression gives.
///
/// # Errors
///
/// If the expression cannot be evaluated, or the server is lost.
pub async fn generated_mismatches(
    session: &Session,
    relation: &Relation,
    columns: &[(String, String)],
) -> Result<Vec<u64>, Error> {
    match count(session, relation, columns, "").await {
        // A type without an equality operator, such as json, is compared as text.
        Err(error)
            if error
                .server_error()
                .is_some_and(hyperhaul_pg::Error::is_undefined_object) =>
        {
            count(session, relation, columns, "::text").await
        }
        counted => counted,
    }
}

async fn count(
    session: &Session,
    relation: &Relation,
    columns: &[(String, String)],
    cast: &str,
) -> Result<Vec<u64>, Error> {
    let filters: Vec<String> = columns
        .iter()
        .map(|(name, expression)| {
            let name = quote_ident(name);
            format!("count(*) FILTER (WHERE {name}{cast} IS DISTINCT FROM ({expression}){cast})")
        })
        .collect();
    let row = session
        .query_one(
            &format!("SELECT {} FROM ONLY {relation}", filters.join(", ")),
            &[],
        )
        .await?;
    Ok((0..columns.len())
        .map(|at| row.get::<_, i64>(at).unsigned_abs())
        .collect())
}
