//! A rollback that keeps the rows which were written since the cutover.
//!
//! ```text
//! writers off the hypertable --> hyperhaul_kept_<run>_<schema>.<table> --> old table in its place --> writers on --> INSERT, DROP
//! ```
//!
//! The saved rows are a table, so that a process which is killed leaves them to the next one. They are brought back when the old table
//! takes writes again: what then stands in the way, such as a partition that is missing, can be put right beside the application.

use crate::context::Context;
use crate::{Error, Event, NewRows, RunId};
use hyperhaul_catalog as catalog;
use hyperhaul_ledger::failpoint;
use hyperhaul_pg::Session;
use hyperhaul_plan::facts::TableFacts;
use hyperhaul_plan::{TablePlan, Topology, Verdict, sql};

/// Refuses where rows cannot be kept, before writers are kept off.
pub(crate) fn may_keep(context: &Context, new_rows: NewRows) -> Result<(), Error> {
    if new_rows != NewRows::Keep {
        return Ok(());
    }
    if context.plan.topology == Topology::OtherDatabase {
        return Err(refusal("rows are kept within one database only"));
    }
    let tables = context.plan.tables.iter();
    for (table, found) in tables.zip(&context.plan.facts.tables) {
        let name = table.relation.plain();
        let mut triggers = found.triggers.iter();
        let obstacle = if !table.attached.is_empty() {
            Some("has attached partitions, which give their new rows back by themselves".to_owned())
        } else if let Some(column) = found.unhashable.first() {
            Some(format!("has column {column}, whose type knows no equality"))
        } else {
            triggers
                .find(|trigger| trigger.fires_for_new_rows())
                .map(|trigger| format!("has trigger {}, which would fire once more", trigger.name))
        };
        if let Some(obstacle) = obstacle {
            return Err(refusal(&format!(
                "the new rows of {name} cannot be kept: it {obstacle}"
            )));
        }
    }
    Ok(())
}

fn refusal(message: &str) -> Error {
    Error::usage(message).hint(
        "Save what was written since the cutover yourself, then give it up with hyperhaul rollback --discard-new-rows.",
    )
}

/// What was changed or deleted is no new row.
pub(crate) fn changed(table: &TablePlan, rows: u64) -> Error {
    Error::blocked(format!(
        "{rows} rows of the old table were changed or deleted in {} since the cutover",
        table.relation.plain()
    ))
    .detail("Only rows that are new can be brought into the old table.")
    .hint("See them with hyperhaul verify. Save the changes yourself, then give them up with hyperhaul rollback --discard-new-rows.")
}

/// Saves the new rows of the chunks that differ. Writers are off, so that these are all.
pub(crate) async fn save(
    session: &Session,
    run: RunId,
    table: &TablePlan,
    verdict: &Verdict,
) -> Result<(), Error> {
    let ranges = verdict.chunks.iter().filter(|chunk| !chunk.equal);
    let statements = sql::make_kept(table, run.0)
        .into_iter()
        .chain(ranges.map(|chunk| sql::keep_rows(table, run.0, chunk.range)));
    let statements: Vec<String> = statements.collect();
    session
        .transaction(async || {
            for statement in &statements {
                session.batch(statement).await?;
            }
            Ok::<(), Error>(())
        })
        .await?;
    failpoint("rollback.kept");
    Ok(())
}

/// Drops what was saved by a look that came to nothing.
pub(crate) fn drop(context: &Context) -> impl Iterator<Item = String> {
    let tables = context.plan.tables.iter();
    tables.flat_map(|table| sql::drop_kept(table, context.run.0))
}

/// Writes saved rows to the old tables, which are in use again; those that are referred to first.
///
/// # Errors
///
/// If a table does not take them. They stay where they are, and the next rollback tries again.
pub(crate) async fn bring_back(context: &Context) -> Result<(), Error> {
    if context.plan.topology == Topology::OtherDatabase {
        return Ok(());
    }
    let moved = |found: &TableFacts| {
        let keys = found.foreign_keys.iter();
        let inner = keys.filter(|key| {
            let mut tables = context.plan.tables.iter();
            tables.any(|table| table.relation == key.references)
        });
        inner.count()
    };
    let mut tables: Vec<(&TablePlan, usize)> = context
        .plan
        .tables
        .iter()
        .zip(context.plan.facts.tables.iter().map(moved))
        .collect();
    tables.sort_by_key(|(_, references)| *references);
    for (table, _) in tables {
        let bring = async || bring_table_back(context, table).await;
        let what = format!("bringing new rows into {}", table.relation.plain());
        context.patiently(&what, bring).await?;
    }
    Ok(())
}

async fn bring_table_back(context: &Context, table: &TablePlan) -> Result<(), Error> {
    let (name, kept) = (table.relation.plain(), sql::kept_rows(table, context.run.0));
    let session = context.target("rollback").await?;
    if catalog::relation_oid(&session, &kept).await?.is_none() {
        return Ok(());
    }
    let write = async || {
        let row = session
            .query_one(&sql::count_kept(table, context.run.0), &[])
            .await?;
        let rows = row.get::<_, i64>(0).unsigned_abs();
        let written = session
            .execute(&sql::bring_kept_back(table, context.run.0), &[])
            .await?;
        if written == rows {
            for statement in sql::drop_kept(table, context.run.0) {
                session.batch(&statement).await?;
            }
        }
        failpoint("rollback.brought_back");
        Ok::<_, Error>((written, rows))
    };
    let (written, rows) = session.transaction(write).await.map_err(|error| {
        error
            .about(&format!("rows that were written to {name} since the cutover could not be brought back"))
            .hint(format!(
                "They are in {}, and the old table is in use. Make what they need (a partition for their time, rows that \
                 they refer to), then run hyperhaul rollback again.",
                kept.plain()
            ))
    })?;
    let notice = if written == rows {
        format!("{rows} rows that were written since the cutover are in {name} now")
    } else {
        format!(
            "{written} of {rows} rows that were written since the cutover are in {name} now; the others have keys that are there: \
             all of them stay in {}",
            kept.plain()
        )
    };
    context.tell(Event::Notice(notice));
    Ok(())
}
