//! Proof that partitions which became chunks are the same files as before: no row of theirs was moved. Where that is
//! asked for, their rows are hashed before and after.

use crate::context::Context;
use crate::steps::Lane;
use crate::{Error, Meter, digests};
use chrono::Utc;
use hyperhaul_catalog as catalog;
use hyperhaul_ledger as ledger;
use hyperhaul_ledger::failpoint;
use hyperhaul_pg::Session;
use hyperhaul_plan::{Action, AttachedLeaf, ChunkDigest, Plan, Relation, Step, TablePlan};
use std::sync::Arc;

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

/// Hashes the partitions' rows before they are attached, and remembers that.
pub(crate) async fn hash(
    context: &Context,
    step: &Step,
    index: usize,
    meter: &Arc<Meter>,
) -> Result<(), Error> {
    let started_at = Utc::now();
    let hashes = digests::leaf_hashes(context, index, meter).await?;
    let target = context.target("hash").await?;
    ledger::store_leaf_hashes(&target, context.run, index, &hashes).await?;
    failpoint("attach.hashed");
    meter.item_done();
    Lane::open(context).await?.mark(step, started_at).await
}

/// Attached chunks whose rows are not those that were hashed when they were partitions, a line each; `None`: they were not
/// hashed. Holds until the cutover.
pub(crate) async fn changed(
    context: &Context,
    session: &Session,
    index: usize,
    meter: &Arc<Meter>,
) -> Result<Option<Vec<String>>, Error> {
    let steps = context.plan.steps.iter();
    let mut hashes = steps.filter(|step| step.action == Action::HashLeaves);
    if !hashes.any(|step| step.table == Some(index)) {
        return Ok(None);
    }
    let Some(before) = ledger::leaf_hashes(session, context.run, index).await? else {
        return Ok(None);
    };
    let now = digests::leaf_hashes(context, index, meter).await?;
    let table = context.plan.tables.get(index);
    let leaves = table.iter().flat_map(|table| &table.attached);
    let of = |hashes: &[ChunkDigest], leaf: &AttachedLeaf| {
        let mut hashes = hashes.iter();
        hashes.find(|hash| hash.range == leaf.range).cloned()
    };
    let other = leaves.filter(|leaf| of(&before, leaf) != of(&now, leaf));
    let rows = |hash: Option<ChunkDigest>| hash.map_or(0, |hash| hash.rows);
    let line = |leaf: &AttachedLeaf| {
        format!(
            "chunk {} has other rows than the partition had: {} before, {} now",
            leaf.leaf.plain(),
            rows(of(&before, leaf)),
            rows(of(&now, leaf))
        )
    };
    Ok(Some(other.map(line).collect()))
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
