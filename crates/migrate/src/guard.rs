//! Holding the leaves still while they are copied.
//!
//! A slice is a block range, and block numbers mean nothing in another file. So one session holds ACCESS SHARE on
//! every leaf: VACUUM FULL, CLUSTER, DROP and DETACH wait, readers and plain VACUUM do not. What was rewritten before
//! is seen by its file number, and cut anew. Nothing is proved by the guard, since its session may be lost: the
//! workers look at the file number before they commit.

use crate::context::Context;
use crate::{Error, survey};
use hyperhaul_catalog as catalog;
use hyperhaul_ledger::{self as ledger, SliceRecord};
use hyperhaul_pg::Session;
use hyperhaul_plan::{Cut, Relation, Routing, Slice, Strategy, leaf_slices};
use std::collections::{BTreeMap, BTreeSet};

/// Leaves per LOCK statement: bounds the statement's length.
const LEAVES_PER_STATEMENT: usize = 500;

/// The session that holds the leaves.
pub(crate) struct Guard {
    _session: Session,
}

impl Guard {
    /// Locks the leaves of all slices, then cuts those anew that were rewritten since they were cut.
    ///
    /// # Errors
    ///
    /// If a leaf is gone, or half-copied and its rows cannot be taken out of the target.
    pub(crate) async fn take(context: &Context) -> Result<Guard, Error> {
        let session = context.source("guard").await?;
        let target = context.target("guard").await?;
        let slices = ledger::slices(&target, context.run).await?;
        let leaves: BTreeMap<u32, &Relation> = slices
            .iter()
            .map(|record| {
                let leaf = context.plan.leaf_when_copied(&record.slice);
                (record.slice.leaf_oid, leaf)
            })
            .collect();
        let names: Vec<String> = leaves.values().map(|leaf| format!("ONLY {leaf}")).collect();
        session.batch("BEGIN").await?;
        session
            .limit_lock_waits(context.plan.options.lock_timeout_ms)
            .await?;
        for names in names.chunks(LEAVES_PER_STATEMENT) {
            session
                .batch(&format!(
                    "LOCK TABLE {} IN ACCESS SHARE MODE",
                    names.join(", ")
                ))
                .await?;
        }
        let oids: Vec<u32> = leaves.keys().copied().collect();
        let files = catalog::file_numbers(&session, &oids).await?;
        let rewritten: BTreeSet<u32> = slices
            .iter()
            .filter(|record| file_of(record, &oids, &files) != Some(record.slice.relfilenode))
            .map(|record| record.slice.leaf_oid)
            .collect();
        recut(context, &target, &slices, &rewritten).await?;
        Ok(Guard { _session: session })
    }
}

fn file_of(record: &SliceRecord, oids: &[u32], files: &[Option<u32>]) -> Option<u32> {
    oids.iter()
        .zip(files)
        .find(|(oid, _)| **oid == record.slice.leaf_oid)
        .and_then(|(_, file)| *file)
}

/// Cuts rewritten leaves anew. One that is wholly copied stays as it is.
async fn recut(
    context: &Context,
    target: &Session,
    slices: &[SliceRecord],
    rewritten: &BTreeSet<u32>,
) -> Result<(), Error> {
    let of_leaf = |oid: u32| {
        slices
            .iter()
            .filter(move |record| record.slice.leaf_oid == oid)
    };
    let unfinished: Vec<u32> = rewritten
        .iter()
        .copied()
        .filter(|oid| !of_leaf(*oid).all(|record| record.done))
        .collect();
    if unfinished.is_empty() {
        return Ok(());
    }
    if context.plan.is_backfill() {
        return recut_old(context, target, &unfinished).await;
    }
    let facts = survey::facts(
        &context.connections,
        &context.plan.options,
        survey::Depth::Catalog,
    )
    .await?;
    for oid in unfinished {
        let Some(first) = of_leaf(oid).next() else {
            continue;
        };
        let index = first.slice.table;
        let cut = facts
            .tables
            .get(index)
            .zip(context.plan.tables.get(index))
            .and_then(|(found, table)| {
                let leaf = found.leaves.iter().find(|leaf| leaf.oid == oid)?;
                let cut = Cut {
                    table: index,
                    strategy: first.slice.strategy,
                    slice_bytes: context.plan.options.slice_bytes,
                };
                Some(leaf_slices(cut, table, leaf, &found.leaves))
            });
        let cut = cut.ok_or_else(|| {
            Error::blocked(format!("leaf {} is gone", first.slice.leaf.plain()))
                .hint("Go back with hyperhaul rollback, then make a new plan.")
        })?;
        let uncounted = |record: &SliceRecord| {
            record.done
                && record.slice.strategy == Strategy::Server
                && record.slice.routing == Routing::ByTime
        };
        if of_leaf(oid).any(uncounted) {
            // Which chunks the server put its rows into was not counted.
            return Err(half_copied(&first.slice.leaf));
        }
        replace(context, target, oid, &first.slice, &cut).await?;
    }
    Ok(())
}

/// Gives rewritten leaves of old tables their new files, if none of their slices is in: together these still cover all blocks. Rows
/// that are in cannot be told from live ones, so that they cannot be taken out.
async fn recut_old(context: &Context, target: &Session, leaves: &[u32]) -> Result<(), Error> {
    let source = context.source("look").await?;
    let files = catalog::file_numbers(&source, leaves).await?;
    for (oid, file) in leaves.iter().zip(files) {
        let Some(relfilenode) = file else {
            return Err(Error::blocked(format!("a leaf of the old table is gone (oid {oid})"))
                .detail("It was dropped, or another one has its name: its rows are not all in.")
                .hint("Put it back from a backup, or go back with hyperhaul rollback: the other leaves are as they were."));
        };
        target
            .transaction(async || {
                ledger::lock_leaf(target, context.run, *oid).await?;
                let slices = ledger::slices(target, context.run).await?;
                let own = slices.iter().filter(|record| record.slice.leaf_oid == *oid);
                let begun = own.clone().find(|record| record.done);
                if let Some(record) = begun {
                    return Err(rewritten_old(&record.slice.leaf));
                }
                let renewed = |record: &SliceRecord| Slice {
                    relfilenode,
                    ..record.slice.clone()
                };
                let cut: Vec<Slice> = own.map(renewed).collect();
                ledger::replace_leaf(target, context.run, *oid, &cut).await?;
                Ok::<(), Error>(())
            })
            .await?;
    }
    Ok(())
}

fn rewritten_old(leaf: &Relation) -> Error {
    let name = leaf.plain();
    Error::blocked(format!("leaf {name} of the old table was rewritten when it was half copied"))
        .detail(
            "By VACUUM FULL, CLUSTER or ALTER TABLE: which of its rows are in cannot be told by its blocks any more, and live rows are \
             beside them.",
        )
        .hint(
            "Go back with hyperhaul rollback, then make a new plan. Live rows that are to stay have to be saved before that: see what \
             rollback says.",
        )
}

fn half_copied(leaf: &Relation) -> Error {
    let name = leaf.plain();
    Error::blocked(format!("leaf {name} was rewritten when it was half copied"))
        .detail("Its rows cannot be told from those of other leaves in the target, so they cannot be taken out.")
        .hint("Go back with hyperhaul rollback, then make a new plan.")
}

/// Exchanges the slices of a leaf; takes the rows of those that are done out of the target, in the same transaction.
async fn replace(
    context: &Context,
    target: &Session,
    oid: u32,
    old: &Slice,
    cut: &[Slice],
) -> Result<(), Error> {
    let half_copied = || half_copied(&old.leaf);
    let table = context.table(old.table)?;
    let chunks = catalog::chunks(target, &table.staging).await?;
    target
        .transaction(async || {
            // A backend that lost its client may be committing one of them.
            ledger::lock_leaf(target, context.run, oid).await?;
            let written = ledger::chunks_of_leaf(target, context.run, oid).await?;
            for written in &written {
                let chunk = chunks
                    .iter()
                    .find(|chunk| chunk.range == written.range)
                    .ok_or_else(half_copied)?;
                let truncate = format!("TRUNCATE ONLY {}", chunk.relation);
                target.batch(&truncate).await?;
            }
            // Asked when the chunks are locked: rows of other leaves may have come until then.
            let written = ledger::chunks_of_leaf(target, context.run, oid).await?;
            if written.iter().any(|chunk| chunk.shared) {
                return Err(half_copied());
            }
            ledger::replace_leaf(target, context.run, oid, cut).await?;
            Ok::<(), Error>(())
        })
        .await
}
