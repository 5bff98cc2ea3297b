//! Which columns' types the server can hash, and by which functions: what equality within one server is proved by.

use crate::Error;
use crate::fetch::fetch;
use hyperhaul_pg::Session;
use hyperhaul_plan::facts::{Column, HashFunction};

const FUNCTIONS: &str = include_str!("sql/hash_functions.sql");

/// Functions that hash values of a table's stored columns by themselves, as far as SQL can call them.
///
/// # Errors
///
/// The server's.
pub(crate) async fn functions(session: &Session, table: u32) -> Result<Vec<HashFunction>, Error> {
    fetch(session, "hash functions", FUNCTIONS, &[&table]).await
}

/// Names of the copied columns whose type has no hash function for `hash_record_extended` (PostgreSQL 14), e.g. `json` or
/// `point`. The server is asked to hash NULLs of those types: that tells domains, arrays and composites rightly. The session
/// must be in a transaction.
///
/// # Errors
///
/// If the server is lost.
pub(crate) async fn unhashable(
    session: &Session,
    columns: &[Column],
) -> Result<Vec<String>, Error> {
    let copied: Vec<&Column> = columns
        .iter()
        .filter(|column| column.generation.is_none())
        .collect();
    if can_hash(session, &copied).await? {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for column in copied {
        if !can_hash(session, &[column]).await? {
            names.push(column.name.clone());
        }
    }
    Ok(names)
}

async fn can_hash(session: &Session, columns: &[&Column]) -> Result<bool, Error> {
    let nulls: Vec<String> = columns
        .iter()
        .map(|column| format!("NULL::{}", column.type_sql))
        .collect();
    session.batch("SAVEPOINT hyperhaul_hash").await?;
    let sql = format!(
        "SELECT pg_catalog.hash_record_extended(ROW({}), 0)",
        nulls.join(", ")
    );
    match session.query(&sql, &[]).await {
        Ok(_) => {
            session.batch("RELEASE SAVEPOINT hyperhaul_hash").await?;
            Ok(true)
        }
        Err(error) => {
            // Fails too where the session is lost: that is the error to tell.
            session
                .batch("ROLLBACK TO SAVEPOINT hyperhaul_hash")
                .await?;
            tracing::debug!(%error, "a type cannot be hashed");
            Ok(false)
        }
    }
}
