//! Proof that partitions which became chunks are the same files as before: no row of theirs was moved or read.

use crate::Error;
use hyperhaul_catalog as catalog;
use hyperhaul_pg::Session;
use hyperhaul_plan::{Relation, TablePlan};

/// What differs, a line each: a partition that is no chunk, one with other bounds, or with another file. Holds until the
/// cutover; afterwards the chunks live on, and may be rewritten.
pub(crate) async fn differences(
    session: &Session,
    table: &TablePlan,
    hypertable: &Relation,
) -> Result<Vec<String>, Error> {
    if table.attached.is_empty() {
        return Ok(Vec::new());
    }
    let chunks = catalog::chunks(session, hypertable).await?;
    let oids: Vec<u32> = table.attached.iter().map(|leaf| leaf.leaf_oid).collect();
    let files = catalog::file_numbers(session, &oids).await?;
    let mut lines = Vec::new();
    for (leaf, file) in table.attached.iter().zip(files) {
        let name = leaf.leaf.plain();
        let chunk = chunks.iter().find(|chunk| chunk.relation == leaf.leaf);
        match chunk {
            None => lines.push(format!("partition {name} is no chunk of the hypertable")),
            Some(chunk) if chunk.range != leaf.range => {
                lines.push(format!(
                    "chunk {name} has other bounds than the partition had"
                ));
            }
            Some(_) if file != Some(leaf.relfilenode) => {
                lines.push(format!(
                    "chunk {name} is another file than the partition was"
                ));
            }
            Some(_) => {}
        }
    }
    Ok(lines)
}
