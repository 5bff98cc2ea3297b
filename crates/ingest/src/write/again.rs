//! Records that died once, once more.

use super::sieve::Suspects;
use super::{Way, letters, ways};
use crate::batch::Batch;
use crate::statements::Table;
use crate::trouble::Trouble;
use hyperhaul_ledger::Cause;
use hyperhaul_pg::Session;

/// Writes records row by row, within the caller's transaction, which has its [stages](super::make_stages). Returns which are refused, by
/// position, and why.
pub(crate) async fn write_again(
    session: &Session,
    tables: &[Table],
    batch: &Batch,
) -> Result<Vec<(u64, Cause)>, Trouble> {
    ways::hold_shape(session, tables).await?;
    ways::clear_stages(session, tables).await?;
    let written = ways::write(session, tables, batch, Way::RowByRow, &Suspects::default()).await?;
    let mut causes = letters::causes(tables, batch, &written.left_out);
    for (record, table) in &written.conflicts {
        causes
            .entry(*record)
            .or_insert_with(|| letters::key_is_there(tables, *table));
    }
    let records = &batch.taken.records;
    let refused = causes.into_iter();
    Ok(refused
        .map(|(index, cause)| (records[index].position, cause))
        .collect())
}
