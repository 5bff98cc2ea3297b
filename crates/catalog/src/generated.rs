//! Generated columns against their own expression.

use crate::Error;
use hyperhaul_pg::Session;
use hyperhaul_plan::facts::Column;
use hyperhaul_plan::{Relation, quote_ident};

/// For each generated column of `columns`, with its name, the rows of `relation` whose stored value differs from what its
/// expression gives. `relation` is a chunk; ONLY would see no row of one that is in the columnstore.
///
/// # Errors
///
/// If an expression cannot be evaluated, or the server is lost.
pub async fn generated_mismatches(
    session: &Session,
    relation: &Relation,
    columns: &[Column],
) -> Result<Vec<(String, u64)>, Error> {
    let (names, filters): (Vec<&String>, Vec<String>) = columns
        .iter()
        .filter_map(|column| Some((&column.name, mismatch_count(column)?)))
        .unzip();
    if filters.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT {} FROM {relation}", filters.join(", "));
    let row = session.query_one(&sql, &[]).await?;
    let counted = names.into_iter().enumerate();
    Ok(counted
        .map(|(at, name)| (name.clone(), row.get::<_, i64>(at).unsigned_abs()))
        .collect())
}

/// Compares images of rows: that needs no equality operator of the type, takes NULL for equal to NULL, and is a memcmp.
fn mismatch_count(column: &Column) -> Option<String> {
    let expression = &column.generation.as_ref()?.expression_sql;
    let name = quote_ident(&column.name);
    Some(format!(
        "count(*) FILTER (WHERE ROW({name})::record OPERATOR(pg_catalog.*<>) ROW(({expression})::{})::record)",
        column.type_sql
    ))
}
