//! Looks, before the cutover, whether the source was written to although the fence stood.
//!
//! The fence's proof covers whatever fires triggers. ALTER TABLE ... TYPE ... USING rewrites rows and fires none; nor does
//! somebody who edits the catalog. What is cheap says where to look: the leaf's file and the server's counters. Both change for
//! harmless reasons, too, so those leaves are read, and only their rows decide.

use crate::context::Context;
use crate::{Error, Event};
use hyperhaul_catalog::{self as catalog, RowsSince, WriteMark};
use hyperhaul_ledger as ledger;
use hyperhaul_plan::{Relation, sql};
use std::collections::BTreeMap;

/// What was copied of a leaf.
struct Copied<'a> {
    leaf: &'a Relation,
    file: u32,
    rows: u64,
    /// Which of its rows; `None`: all.
    condition: Option<String>,
}

/// Remembers how the source is, before the first row is read.
///
/// # Errors
///
/// If a server refuses or is lost.
pub(crate) async fn mark(context: &Context) -> Result<(), Error> {
    let target = context.target("copy").await?;
    if ledger::write_mark::<WriteMark>(&target, context.run)
        .await?
        .is_some()
    {
        return Ok(());
    }
    let slices = ledger::slices(&target, context.run).await?;
    let mut leaves: Vec<u32> = slices.iter().map(|slice| slice.slice.leaf_oid).collect();
    leaves.dedup();
    let source = context.source("copy").await?;
    let mark = catalog::write_mark(&source, &leaves).await?;
    Ok(ledger::store_write_mark(&target, context.run, &mark).await?)
}

/// Compares the source with what was copied. Attached leaves are not looked at: what is written to them is in the hypertable.
///
/// # Errors
///
/// If rows were written since, or are gone.
pub(crate) async fn check(context: &Context) -> Result<(), Error> {
    let target = context.target("look").await?;
    let Some(mark) = ledger::write_mark::<WriteMark>(&target, context.run).await? else {
        return Ok(());
    };
    let slices = ledger::slices(&target, context.run).await?;
    let mut leaves: BTreeMap<u32, Copied<'_>> = BTreeMap::new();
    for record in &slices {
        let slice = &record.slice;
        let copied = leaves.entry(slice.leaf_oid).or_insert(Copied {
            leaf: context.plan.leaf_when_copied(slice),
            file: slice.relfilenode,
            rows: 0,
            // A leaf's slices are routed alike.
            condition: sql::copied_condition(context.table(slice.table)?, slice.routing),
        });
        copied.rows += record.rows.unwrap_or(0);
    }
    let source = context.source("look").await?;
    let oids: Vec<u32> = leaves.keys().copied().collect();
    let now = catalog::write_mark(&source, &oids).await?;
    let files = catalog::file_numbers(&source, &oids).await?;
    let suspect: Vec<&Copied<'_>> = leaves
        .iter()
        .zip(files)
        .filter(|((oid, copied), file)| {
            now.counters.get(oid) != mark.counters.get(oid) || *file != Some(copied.file)
        })
        .map(|((_, copied), _)| copied)
        .collect();
    if suspect.is_empty() {
        return Ok(());
    }
    context.tell(Event::Notice(format!(
        "counters or files of {} partitions changed since the copy began: looking at their rows",
        suspect.len()
    )));
    let mut list = Vec::new();
    for copied in suspect {
        let found = tokio::select! {
            found = catalog::rows_since(&source, copied.leaf, copied.condition.as_deref(), &mark) => found?,
            () = context.interrupt.drained() => return Err(Error::interrupted()),
        };
        list.extend(complaint(copied, found));
    }
    if list.is_empty() {
        return Ok(());
    }
    Err(
        Error::blocked("the source was written to although the fence stood")
            .detail(list.join("\n"))
            .hint(
                "The hypertable does not have these changes. Go back with hyperhaul rollback, then make a new plan.",
            ),
    )
}

fn complaint(copied: &Copied<'_>, found: RowsSince) -> Option<String> {
    let name = copied.leaf.plain();
    let RowsSince { rows, written } = found;
    match (written, rows == copied.rows) {
        (0, true) => None,
        (_, true) => Some(format!(
            "- {name}: {written} of {rows} rows were written since"
        )),
        (_, false) => Some(format!(
            "- {name}: {written} rows were written since; it has {rows}, {} were copied",
            copied.rows
        )),
    }
}
