//! Whether the fence stood: rows that came in while it was off are behind slices that are copied, and nobody would miss
//! them at cutover. The cutover's own transaction looks too; here one looks early, so that hours are not copied in vain.

use crate::Error;
use crate::context::Context;
use hyperhaul_pg::retry::{Backoff, Limits};
use hyperhaul_plan::{Phase, Side, Step, StepId, Topology, sql};
use std::collections::BTreeSet;
use std::time::Duration;

/// Pauses of a look that lost its session or could not have a lock; few, since who holds a lock in the way is to be told soon.
pub(crate) const LOOK_BACKOFF: Limits = Limits {
    pause_first: Duration::from_millis(200),
    pause_max: Duration::from_secs(2),
    total_max: Duration::from_secs(30),
    pause_count_max: 4,
};

/// Looks at the fences that the steps `done` have put on.
///
/// # Errors
///
/// If one of them has not stood since, or a partition came that it does not stand on.
pub(crate) async fn check(context: &Context, done: &BTreeSet<StepId>) -> Result<(), Error> {
    let tables: BTreeSet<usize> = context
        .plan
        .steps
        .iter()
        // What is on the target in this phase comes before the fence.
        .filter(|step| step.phase == Phase::Fence && step.side == Side::Source)
        .filter(|step| done.contains(&step.id))
        .filter_map(|step| step.table)
        .collect();
    let look = |index| {
        let table = context.plan.tables.get(index)?;
        sql::fence_stands(&context.plan, index, context.places(table, done).source)
    };
    let looks: Vec<String> = tables.into_iter().filter_map(look).collect();
    on_source(context, "looking at the fence", &looks).await
}

/// Runs statements that may be run twice in one transaction on the source, and again where a lock or the session was lost.
async fn on_source(context: &Context, what: &str, statements: &[String]) -> Result<(), Error> {
    if statements.is_empty() {
        return Ok(());
    }
    let timeout_ms = context.plan.options.lock_timeout_ms;
    let mut backoff = Backoff::new(LOOK_BACKOFF);
    loop {
        let tried = async {
            let session = context.source("fence").await?;
            session
                .transaction(async || {
                    session.limit_lock_waits(timeout_ms).await?;
                    for statement in statements {
                        session.batch(statement).await?;
                    }
                    Ok::<(), Error>(())
                })
                .await
        };
        match tried.await {
            Ok(()) => return Ok(()),
            Err(error) => context.wait_to_retry(what, error, &mut backoff).await?,
        }
    }
}

/// Lifts what stands on another server without the ledger knowing: a process that was killed between the two commits of
/// such a step has left its work and no mark.
///
/// # Errors
///
/// If the source refuses or is lost.
pub(crate) async fn lift_unmarked(context: &Context, done: &BTreeSet<StepId>) -> Result<(), Error> {
    let steps = context.plan.steps.iter().rev();
    let inverses: Vec<String> = steps
        .filter(|step| !context.is_atomic(step.side) && !done.contains(&step.id))
        .flat_map(|step| step.inverse.clone())
        .collect();
    on_source(context, "lifting the fence", &inverses).await
}

/// What a session on the source has to hold while the step's transaction runs: at the cutover, where the source is on
/// another server, the proof that the fence stood. Within one database the step's own statements hold it.
pub(crate) fn held_during(context: &Context, step: &Step) -> Option<Vec<String>> {
    let elsewhere = context.plan.topology == Topology::OtherDatabase;
    (elsewhere && step.phase == Phase::Cutover).then(|| sql::hold_fence(&context.plan))
}
