//! Before a rollback undoes a cutover: keeps writers off the hypertables, and looks for what would be lost.
//!
//! ```text
//! done, running --fence on the hypertables, one transaction--> checking rollback --nothing would be lost--> rolling back
//!       ^                                                           |
//!       '------------------writers are let on again-----------------'   rows to lose; hyperhaul migrate
//! ```
//!
//! A process that is killed meanwhile leaves the state that says that writers are off.

use crate::context::Context;
use crate::differences::retention_cutoff_us;
use crate::leader::{Leader, change_state};
use crate::verify::is_proved;
use crate::{Error, Event, Meter, RunState, attached, digests, jobs};
use hyperhaul_catalog as catalog;
use hyperhaul_ledger::{self as ledger, failpoint};
use hyperhaul_pg::Session;
use hyperhaul_plan::{Relation, StepId, TablePlan, sql};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Keeps writers off the hypertables and looks for rows that the old tables do not have: none can come in behind the look.
/// Where there are some, writers are let on again, and nothing is undone. `discard`: without looking.
pub(crate) async fn keep_writers_off(
    context: &Context,
    leader: &mut Leader,
    steps_done: &BTreeSet<StepId>,
    discard: bool,
) -> Result<(), Error> {
    let from = [
        RunState::Running,
        RunState::Done,
        RunState::CheckingRollback,
    ];
    jobs::wait(context).await?;
    let fence = each_hypertable(context, sql::fence_hypertable);
    let paused = change(context, leader, fence, (&from, RunState::CheckingRollback)).await?;
    jobs::tell_paused(context, &paused);
    failpoint("rollback.fenced");
    let looked = look(context, leader, steps_done, discard).await;
    let Err(error) = looked else { return Ok(()) };
    let before = if context
        .plan
        .steps
        .iter()
        .all(|step| steps_done.contains(&step.id))
    {
        RunState::Done
    } else {
        RunState::Running
    };
    match let_writers_on(context, leader, before).await {
        Ok(()) => Err(error),
        Err(lifting) => Err(error.still_fenced(&lifting)),
    }
}

/// Lifts the fence that a rollback has put on the hypertables, and changes the run's state together with it.
pub(crate) async fn let_writers_on(
    context: &Context,
    leader: &mut Leader,
    to: RunState,
) -> Result<(), Error> {
    let unfence = each_hypertable(context, sql::unfence_hypertable);
    // The answer to an earlier try's COMMIT may have been lost.
    let from = [RunState::CheckingRollback, to];
    change(context, leader, unfence, (&from, to))
        .await
        .map(drop)
}

fn each_hypertable(context: &Context, make: fn(&Relation) -> Vec<String>) -> Vec<String> {
    let tables = context.plan.tables.iter();
    tables.flat_map(|table| make(&table.relation)).collect()
}

/// Runs statements that may be run twice in one transaction with a change of state. Jobs are paused and put back with the
/// state, too; returned are those that were paused.
async fn change(
    context: &Context,
    leader: &mut Leader,
    statements: Vec<String>,
    (from, to): (&[RunState], RunState),
) -> Result<Vec<String>, Error> {
    let work = async |session: &Session| {
        for statement in &statements {
            session.batch(statement).await?;
        }
        change_state(session, context.run, from, to).await?;
        match to {
            RunState::CheckingRollback => jobs::pause(context, session).await,
            RunState::Done => jobs::put_back(context, session).await.map(|()| Vec::new()),
            _ => Ok(Vec::new()),
        }
    };
    leader
        .transaction(context, "keeping writers off", work)
        .await
}

async fn look(
    context: &Context,
    leader: &mut Leader,
    steps_done: &BTreeSet<StepId>,
    discard: bool,
) -> Result<(), Error> {
    let session = leader.session(context).await?;
    if discard {
        return refuse_orphans(context, session).await;
    }
    refuse_new_rows(context, session, steps_done).await?;
    let mut tables = context.plan.tables.iter();
    if tables.all(|table| table.attached.is_empty()) {
        // Where no row was written, no foreign key lacks one either.
        return Ok(());
    }
    refuse_lost_partitions(context, session).await?;
    refuse_orphans(context, session).await
}

/// A partition that was attached and is no chunk any more cannot be given back, and had no second copy. What a declared
/// retention has dropped was to go.
async fn refuse_lost_partitions(context: &Context, session: &Session) -> Result<(), Error> {
    let mut list = Vec::new();
    let kept = context.plan.tables.iter();
    for table in kept.filter(|table| table.policies.retention_us.is_none()) {
        list.extend(attached::lost(session, table, &table.relation).await?);
    }
    if list.is_empty() {
        return Ok(());
    }
    Err(Error::blocked("attached partitions cannot be given back as they were")
        .detail(list.join("\n"))
        .hint("Put them back as chunks, or give their rows up with hyperhaul rollback --discard-new-rows. Nothing was undone."))
}

/// What was made on a hypertable since the cutover would keep it from being dropped, half-way through the rollback.
pub(crate) async fn refuse_holders(context: &Context) -> Result<(), Error> {
    let target = context.target("look").await?;
    let mut list = Vec::new();
    for (table, found) in context.plan.tables.iter().zip(&context.plan.facts.tables) {
        let holders = catalog::holders(&target, &table.relation).await?;
        // Views and foreign keys that were there before are pointed back.
        let aggregates = &table.policies.aggregates;
        let is_own = |holder: &catalog::Holder| {
            holder.relation.as_ref().is_some_and(|relation| {
                // A continuous aggregate has views of TimescaleDB's besides its own.
                let inner = !aggregates.is_empty() && relation.schema == "_timescaledb_internal";
                inner
                    || aggregates
                        .iter()
                        .any(|aggregate| aggregate.relation == *relation)
            })
        };
        let comes_back = |holder: &catalog::Holder| match (&holder.relation, &holder.constraint) {
            (Some(relation), Some(name)) => found
                .referenced_by
                .iter()
                .any(|key| key.relation == *relation && key.name == *name),
            (Some(relation), None) => found.views.iter().any(|view| view.relation == *relation),
            (None, _) => false,
        };
        let surplus = holders
            .iter()
            .filter(|holder| !comes_back(holder) && !is_own(holder));
        list.extend(
            surplus
                .map(|holder| format!("- {} uses {}", holder.description, table.relation.plain())),
        );
    }
    if list.is_empty() {
        return Ok(());
    }
    Err(
        Error::blocked("the hypertables are used by what was not there before the cutover")
            .detail(list.join("\n"))
            .hint("Drop it, and make it anew on the old tables after hyperhaul rollback. Nothing was undone."),
    )
}

/// Rows that refer to what the old tables lack, and old rows that refer to what was deleted, keep foreign keys from coming back.
async fn refuse_orphans(context: &Context, session: &Session) -> Result<(), Error> {
    let mut list = Vec::new();
    let plan = attached::without_lost(session, &context.plan).await?;
    for query in sql::orphan_queries(&plan) {
        let count = match catalog::orphan_count(session, &query).await {
            // Who may refer to a table need not be allowed to read it: the foreign key itself is checked as its owner.
            Err(error)
                if error
                    .server_error()
                    .is_some_and(hyperhaul_pg::Error::is_privilege) =>
            {
                0
            }
            count => count?,
        };
        if count > 0 {
            list.push(format!(
                "- {count} rows of {}, by foreign key {}: {}",
                query.relation.plain(),
                query.constraint,
                query.rows_sql
            ));
        }
    }
    if list.is_empty() {
        return Ok(());
    }
    Err(
        Error::blocked("rows refer to what is not there after the rollback")
            .detail(list.join("\n"))
            .hint("Delete those rows or point them elsewhere; the old tables' own take no writes: put back the rows that they \
                   refer to. Then run hyperhaul rollback again. Nothing was undone."),
    )
}

/// Rows that reached the hypertable since the cutover would be lost: the old table does not have them.
///
/// Not those in attached chunks: the partition takes them along.
async fn refuse_new_rows(
    context: &Context,
    session: &Session,
    steps_done: &BTreeSet<StepId>,
) -> Result<(), Error> {
    context.tell(Event::Notice(
        "looking for rows written since the cutover".to_owned(),
    ));
    for (index, table) in context.plan.tables.iter().enumerate() {
        if table.backfilled && !is_proved(context, index, steps_done) {
            refuse_live_rows(context, session, index).await?;
            continue;
        }
        let places = context.places(table, steps_done);
        let meter = Arc::new(Meter::default());
        let mut verdict = digests::verdict(context, session, index, places, &meter).await?;
        // What retention has dropped, the old table still has.
        let cutoff_us = retention_cutoff_us(session, table).await?;
        verdict.chunks.retain(|chunk| !chunk.expired(cutoff_us));
        if !verdict.equal() {
            return Err(written(table, &verdict));
        }
    }
    Ok(())
}

/// Of a hypertable whose history is not in yet: none of its rows can have been changed or deleted, so that those which no slice has
/// brought were written. Their number tells also those that are the same as rows which are still to come.
async fn refuse_live_rows(context: &Context, session: &Session, index: usize) -> Result<(), Error> {
    let table = context.table(index)?;
    let slices = ledger::slices(session, context.run).await?;
    let done = slices.iter().filter(|record| record.slice.table == index);
    let brought: u64 = done
        .filter(|record| record.done)
        .map(|record| record.rows.unwrap_or(0).saturating_sub(record.skipped))
        .sum();
    let row = session
        .query_one(&sql::row_count_sql(&table.relation), &[])
        .await?;
    let rows = row.get::<_, i64>(0).unsigned_abs();
    if rows == brought {
        return Ok(());
    }
    Err(Error::blocked(format!(
        "{} was written to since the cutover",
        table.relation.plain()
    ))
    .detail(format!(
        "It has {rows} rows, {brought} of which came from the old table. Writers are let on again."
    ))
    .hint(
        "Save those rows first, or give them up with hyperhaul rollback --discard-new-rows. Or go on with hyperhaul migrate.",
    ))
}

fn written(table: &TablePlan, verdict: &hyperhaul_plan::Verdict) -> Error {
    let changed = verdict.chunks.iter().filter(|chunk| !chunk.equal).count();
    Error::blocked(format!(
        "{} was written to since the cutover",
        table.relation.plain()
    ))
    .detail(format!(
        "It has {} rows, {} were copied; {changed} chunks differ.",
        verdict.target_rows(),
        verdict.source_rows()
    ))
    .hint("Save those rows first, or give them up with hyperhaul rollback --discard-new-rows.")
}
