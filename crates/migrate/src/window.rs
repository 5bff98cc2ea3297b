//! A run and its window: go or no-go before the first change, and what follows when the deadline has stopped it.

use crate::context::Context;
use crate::deadline::{Judgement, rolled_back, stopped};
use crate::forecast::{Forecast, Tracker};
use crate::leader::Leader;
use crate::timekeeper::shares;
use crate::{Error, Event, OnDeadline, rollback};
use hyperhaul_ledger as ledger;
use hyperhaul_pg::Session;
use hyperhaul_plan::{Phase, StepId};
use std::collections::BTreeSet;

/// Begins to keep the time, and decides whether the run may go on within its window.
///
/// # Errors
///
/// If it would not be through in time, with the margin, and is to stop at the deadline.
pub(crate) async fn go_or_not(
    context: &Context,
    session: &Session,
    done: &BTreeSet<StepId>,
) -> Result<(), Error> {
    let plan = &context.plan;
    let slices = ledger::slices(session, context.run).await?;
    let before: Option<Forecast> = ledger::forecast(session, context.run).await?;
    let shares = shares(plan, |step| done.contains(step), &slices);
    let steps = plan.steps.iter().filter(|step| done.contains(&step.id));
    let inverses = steps.map(|step| step.inverse.len()).sum();
    let pace = before.map_or(1.0, |forecast| forecast.pace);
    let timekeeper = &context.timekeeper;
    timekeeper.begin(Tracker::new(&plan.estimate, shares, pace), inverses);
    let Some(forecast) = timekeeper.forecast() else {
        return Ok(());
    };
    if let Some(deadline) = timekeeper.deadline()
        && !context.is_cut_over(done)
    {
        let judged = Judgement::of(&forecast, &deadline, &plan.estimate);
        if !judged.is_go() && deadline.stops() {
            return Err(judged.refusal(context.run, !done.is_empty(), &plan.estimate));
        }
        context.tell(Event::Notice(judged.notice()));
    }
    Ok(())
}

/// Writes the forecast as it is now.
pub(crate) async fn store(context: &Context, session: &Session) -> Result<(), Error> {
    if let Some(forecast) = context.timekeeper.forecast() {
        ledger::store_forecast(session, context.run, &forecast).await?;
        context.tell(Event::Forecast(forecast));
    }
    Ok(())
}

/// What becomes of a run that the deadline has stopped. `None`: the cutover was committed meanwhile, so that it is to go on.
pub(crate) async fn at_deadline(
    context: &Context,
    leader: &mut Leader,
) -> Result<Option<Error>, Error> {
    let session = leader.session(context).await?;
    let done = ledger::steps_done(session, context.run).await?;
    if context.is_cut_over(&done) {
        context.timekeeper.cut_over(&context.interrupt);
        return Ok(None);
    }
    let (Some(forecast), Some(deadline)) =
        (context.timekeeper.forecast(), context.timekeeper.deadline())
    else {
        return Ok(Some(Error::interrupted()));
    };
    ledger::store_forecast(session, context.run, &forecast).await?;
    if deadline.then != OnDeadline::Rollback {
        let fenced = done.iter().any(|id| {
            let step = context.plan.step(id);
            step.is_some_and(|step| step.phase == Phase::Fence)
        });
        let not_begun = context.timekeeper.not_begun();
        return Ok(Some(stopped(
            context.run,
            &forecast,
            not_begun.as_deref(),
            fenced,
        )));
    }
    context.tell(Event::GoingBack);
    context.interrupt.forget_deadline();
    rollback::at_deadline(context, leader).await?;
    Ok(Some(rolled_back(context.run, &forecast)))
}
