//! Steps of one phase side by side: several sessions, largest step first, never two that would wait for each other.

use crate::context::Context;
use crate::failpoint::failpoint;
use crate::steps::{Direction, Lane, told};
use crate::{Error, Meter};
use futures_util::future::join_all;
use hyperhaul_plan::{Action, Concurrency, Step};
use std::cell::RefCell;
use std::sync::Arc;
use tokio::sync::Notify;

/// Carries out SQL steps of one phase. Steps that may not run beside others keep their place in the order.
///
/// # Errors
///
/// The first failure; steps that run beside it are finished, none is begun after it.
pub(crate) async fn run_steps(
    context: &Context,
    steps: &[&Step],
    meter: &Arc<Meter>,
) -> Result<(), Error> {
    let mut rest = steps;
    while let Some(first) = rest.first() {
        let alone = first.concurrency == Concurrency::Alone;
        let beside = rest
            .iter()
            .take_while(|step| (step.concurrency == Concurrency::Alone) == alone)
            .count();
        let (group, after) = rest.split_at(if alone { 1 } else { beside });
        run_beside(context, group, meter).await?;
        rest = after;
    }
    Ok(())
}

async fn run_beside(context: &Context, group: &[&Step], meter: &Arc<Meter>) -> Result<(), Error> {
    let lanes = context.workers().min(group.len());
    let queue = Queue::new(group);
    let results = join_all((0..lanes).map(|_| run_lane(context, &queue, meter))).await;
    results.into_iter().collect::<Result<(), Error>>()?;
    let state = queue.state.into_inner();
    let Some(step) = state.waiting.first() else {
        return Ok(());
    };
    context.timekeeper.leave_out(step, &context.interrupt);
    Err(Error::interrupted())
}

async fn run_lane(context: &Context, queue: &Queue<'_>, meter: &Arc<Meter>) -> Result<(), Error> {
    let mut lane = queue.check(Lane::open(context).await)?;
    let fits = |step: &Step| context.timekeeper.fits(&context.plan, step);
    while let Some(step) = queue.next(fits).await {
        if context.interrupt.draining() {
            return queue.check(Err(Error::interrupted()));
        }
        let Action::Sql { statements } = &step.action else {
            return queue.check(Err(Error::unexpected(format!(
                "step {} is not SQL",
                step.id
            ))));
        };
        queue.check(context.gate.pass(context, step).await)?;
        failpoint("step.begin");
        context.timekeeper.step_started(&context.plan, step);
        let result = told(
            context,
            &step.title,
            lane.run(step, statements, Direction::Forward),
        )
        .await;
        context.timekeeper.step_finished(step, result.is_ok());
        queue.finished(step);
        queue.check(result)?;
        meter.item_done();
    }
    Ok(())
}

/// Steps that wait, largest first, and those that run.
struct Queue<'a> {
    state: RefCell<State<'a>>,
    changed: Notify,
}

struct State<'a> {
    waiting: Vec<&'a Step>,
    running: Vec<&'a Step>,
    failed: bool,
}

impl<'a> Queue<'a> {
    fn new(group: &[&'a Step]) -> Queue<'a> {
        let mut waiting = group.to_vec();
        waiting.sort_by_key(|step| std::cmp::Reverse(step.weight_bytes));
        Queue {
            state: RefCell::new(State {
                waiting,
                running: Vec::new(),
                failed: false,
            }),
            changed: Notify::new(),
        }
    }

    /// The next step that may run beside those that do and that `fits` in; waits while there is none. `None` at the end, after
    /// a failure, or if none of those that wait fits in.
    async fn next(&self, fits: impl Fn(&Step) -> bool) -> Option<&'a Step> {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state.borrow_mut();
                if state.failed || state.waiting.is_empty() {
                    return None;
                }
                let mut waiting = state.waiting.iter();
                if let Some(at) = waiting.position(|step| state.allows(step) && fits(step)) {
                    let step = state.waiting.remove(at);
                    state.running.push(step);
                    return Some(step);
                }
                if state.running.is_empty() {
                    return None;
                }
            }
            changed.await;
        }
    }

    fn finished(&self, step: &Step) {
        self.state
            .borrow_mut()
            .running
            .retain(|running| running.id != step.id);
        self.changed.notify_waiters();
    }

    /// Passes a result through; after a failure no further step is handed out.
    fn check<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if result.is_err() {
            self.state.borrow_mut().failed = true;
            self.changed.notify_waiters();
        }
        result
    }
}

impl State<'_> {
    fn allows(&self, step: &Step) -> bool {
        let same_table = || {
            self.running
                .iter()
                .any(|running| running.table == step.table)
        };
        match step.concurrency {
            Concurrency::Free => true,
            Concurrency::OnePerTable => !same_table(),
            Concurrency::Alone => self.running.is_empty(),
        }
    }
}
