//! What changed since the plan was made. Leaves that were merely rewritten are the copy phase's business.

use crate::context::Context;
use crate::{Error, fence, survey};
use hyperhaul_pg::retry::Backoff;
use hyperhaul_plan::facts::Facts;
use hyperhaul_plan::{AttachedLeaf, Change, Object, Phase, Plan, Relation, Since, StepId, changes};
use std::collections::BTreeSet;

/// At which moment one looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Before this process changes anything.
    BeforeStart,
    /// Writers are off: what is seen now stays.
    Fenced,
}

/// Compares the servers with the plan, and sees that the fences stand that were put on. Nothing is compared after the cutover,
/// when the tables have changed places.
///
/// # Errors
///
/// If something changed that makes the plan wrong: says what, and changes nothing.
pub(crate) async fn check(
    context: &Context,
    done: &BTreeSet<StepId>,
    when: When,
) -> Result<(), Error> {
    let reached = |phase: Phase| {
        context
            .plan
            .steps
            .iter()
            .any(|step| step.phase == phase && done.contains(&step.id))
    };
    if reached(Phase::Cutover) {
        return Ok(());
    }
    let fenced = when == When::Fenced || reached(Phase::Fence);
    let since = if fenced { Since::Fence } else { Since::Plan };
    let found = facts_patiently(context).await?;
    let changed: Vec<Change> = changes(&context.plan.facts, &found, since)
        .into_iter()
        .filter(|change| !is_cut_anew(&context.plan, change))
        .filter(|change| !(fenced && comes_of_attaching(&context.plan, change)))
        .collect();
    if !changed.is_empty() {
        let list: Vec<String> = changed.iter().map(|change| format!("- {change}")).collect();
        return Err(Error::blocked("source or target changed since the plan was made")
            .detail(list.join("\n"))
            .hint(if fenced {
                "Undo the change and run hyperhaul migrate again, or go back with hyperhaul rollback."
            } else {
                "Make a new plan with hyperhaul plan."
            }));
    }
    fence::check(context, done).await
}

/// A rewritten leaf is cut anew, unless it is to be attached: its file is what proves that no row of it moved.
fn is_cut_anew(plan: &Plan, change: &Change) -> bool {
    match change {
        Change::LeafRewritten { table, leaf, .. } => {
            let mut attached = attached_to(plan, table).iter();
            !attached.any(|attached| attached.leaf == *leaf)
        }
        _ => false,
    }
}

/// Whether the run itself changes this by attaching partitions: they leave their table, and nothing refers to it meanwhile.
/// That they are the hypertable's chunks is proved by the verification.
fn comes_of_attaching(plan: &Plan, change: &Change) -> bool {
    match change {
        Change::LeafDropped { table, leaf } => {
            let mut leaves = attached_to(plan, table).iter();
            leaves.any(|attached| attached.leaf == *leaf)
        }
        Change::Dropped {
            table,
            object: Object::ReferencingForeignKey,
            ..
        } => !attached_to(plan, table).is_empty(),
        Change::Dropped {
            table,
            object: Object::ForeignKey,
            name,
        } => {
            let tables = plan.facts.tables.iter();
            let mut keys = tables
                .filter(|found| found.relation == *table)
                .flat_map(|found| &found.foreign_keys);
            keys.any(|key| {
                let ends = [table, &key.references];
                key.name == *name && ends.iter().any(|end| !attached_to(plan, end).is_empty())
            })
        }
        _ => false,
    }
}

fn attached_to<'a>(plan: &'a Plan, relation: &Relation) -> &'a [AttachedLeaf] {
    let mut tables = plan.tables.iter();
    tables
        .find(|table| table.relation == *relation)
        .map_or(&[], |table| &table.attached)
}

/// The servers as they are; a session that is lost meanwhile is replaced.
async fn facts_patiently(context: &Context) -> Result<Facts, Error> {
    let mut backoff = Backoff::new(fence::LOOK_BACKOFF);
    loop {
        let (connections, options) = (&context.connections, &context.plan.options);
        let error = match survey::facts(connections, options, survey::Depth::Catalog).await {
            Ok(facts) => return Ok(facts),
            Err(error) => error,
        };
        context
            .wait_to_retry("comparing the servers with the plan", error, &mut backoff)
            .await?;
    }
}
