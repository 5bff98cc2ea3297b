//! Hashes of the rows of partitions, taken before they became chunks.

use crate::{Error, RunId};
use hyperhaul_pg::Session;
use hyperhaul_plan::ChunkDigest;

/// Stores the hashes of a table's partitions, each under the range that its chunk will have; again if need be: as long as the
/// step has no mark, they may be taken anew.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn store_leaf_hashes(
    session: &Session,
    run: RunId,
    table_index: usize,
    hashes: &[ChunkDigest],
) -> Result<(), Error> {
    let json = serde_json::to_value(hashes).map_err(|error| Error::content("hashes", error))?;
    let index = i32::try_from(table_index).map_err(|error| Error::content("table index", error))?;
    let sql = "INSERT INTO hyperhaul.leaf_hash (run_id, table_index, hashes) VALUES ($1, $2, $3) \
               ON CONFLICT (run_id, table_index) DO UPDATE SET hashes = excluded.hashes";
    session.execute(sql, &[&run.0, &index, &json]).await?;
    Ok(())
}

/// What was stored for a table; nothing, if that was not asked for.
///
/// # Errors
///
/// If the server refuses or is lost, or the hashes can't be read.
pub async fn leaf_hashes(
    session: &Session,
    run: RunId,
    table_index: usize,
) -> Result<Option<Vec<ChunkDigest>>, Error> {
    let index = i32::try_from(table_index).map_err(|error| Error::content("table index", error))?;
    let sql = "SELECT hashes FROM hyperhaul.leaf_hash WHERE run_id = $1 AND table_index = $2";
    let Some(row) = session.query_opt(sql, &[&run.0, &index]).await? else {
        return Ok(None);
    };
    let hashes =
        serde_json::from_value(row.get(0)).map_err(|error| Error::content("hashes", error))?;
    Ok(Some(hashes))
}
