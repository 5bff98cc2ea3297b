//! Proof that partitions which became chunks are the same files as before: no row of theirs was moved or read.

use crate::Error;
use hyperhaul_catalog as catalog;
use hyperhaul_pg::Session;
use hyperhaul_plan::{AttachedLeaf, Plan, Relation, TablePlan};

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
    let mut lines = lost(session, table, hypertable).await?;
    let oids: Vec<u32> = table.attached.iter().map(|leaf| leaf.leaf_oid).collect();
    let files = catalog::file_numbers(session, &oids).await?;
    let rewritten = table
        .attached
        .iter()
        .zip(files)
        .filter(|(leaf, file)| *file != Some(leaf.relfilenode));
    lines.extend(rewritten.map(|(leaf, _)| {
        format!(
            "chunk {} is another file than the partition was",
            leaf.leaf.plain()
        )
    }));
    Ok(lines)
}

/// The plan without attached partitions that are chunks no more: their rows come back no more either.
pub(crate) async fn without_lost(session: &Session, plan: &Plan) -> Result<Plan, Error> {
    let mut plan = plan.clone();
    for table in &mut plan.tables {
        if !table.attached.is_empty() {
            let chunks = catalog::chunks(session, &table.relation).await?;
            table
                .attached
                .retain(|leaf| chunks.iter().any(|chunk| chunk.relation == leaf.leaf));
        }
    }
    Ok(plan)
}

/// Partitions that are no chunks, or chunks with other bounds, a line each.
pub(crate) async fn lost(
    session: &Session,
    table: &TablePlan,
    hypertable: &Relation,
) -> Result<Vec<String>, Error> {
    let chunks = catalog::chunks(session, hypertable).await?;
    let line = |leaf: &AttachedLeaf| {
        let name = leaf.leaf.plain();
        let chunk = chunks.iter().find(|chunk| chunk.relation == leaf.leaf);
        match chunk {
            None => Some(format!("partition {name} is no chunk of the hypertable")),
            Some(chunk) if chunk.range != leaf.range => Some(format!(
                "chunk {name} has other bounds than the partition had"
            )),
            Some(_) => None,
        }
    };
    Ok(table.attached.iter().filter_map(line).collect())
}
