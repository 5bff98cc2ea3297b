//! Tables that leaves were loaded into become chunks: each step of that in one transaction with its mark.
//!
//! ```text
//! worker   slice committed --> Finishing --whichever worker is free first--> build keys, indexes --> attach
//! ```
//!
//! What a killed process has loaded and not finished is found in the ledger: a slice that is done, and steps that are not.

use crate::Error;
use crate::context::Context;
use crate::slice::Finished;
use crate::steps::{Direction, Lane, told};
use hyperhaul_ledger::{self as ledger, Batch};
use hyperhaul_pg::Session;
use hyperhaul_plan::{Action, Concurrency, StagedLeaf, Step, StepId};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Tables whose rows are in and that are no chunks yet.
pub(crate) struct Finishing {
    /// The steps of each that are to be carried out, in order.
    waiting: Mutex<VecDeque<VecDeque<StepId>>>,
    /// Attaching locks the hypertable against another one: those of this process need not run into each other.
    attaching: tokio::sync::Mutex<()>,
}

impl Finishing {
    /// What earlier processes have left; nothing for slices that go into the hypertable.
    pub(crate) async fn find(
        context: &Context,
        session: &Session,
        batch: Batch,
    ) -> Result<Finishing, Error> {
        let mut waiting = VecDeque::new();
        if batch == Batch::Staged {
            let done = ledger::steps_done(session, context.run).await?;
            let slices = ledger::slices(session, context.run).await?;
            let loaded = slices.iter().filter(|record| record.done);
            let leaves = loaded.filter_map(|record| context.plan.staged_leaf(&record.slice));
            let steps = leaves.map(|leaf| {
                let mut steps = steps_of(context, leaf);
                steps.retain(|step| !done.contains(step));
                steps
            });
            waiting.extend(steps.filter(|steps| !steps.is_empty()));
        }
        Ok(Finishing {
            waiting: Mutex::new(waiting),
            attaching: tokio::sync::Mutex::new(()),
        })
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<VecDeque<StepId>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tables that wait for a worker.
    pub(crate) fn waiting(&self) -> u64 {
        self.queue().len() as u64
    }

    /// A slice is in: its table may become a chunk.
    pub(crate) fn add(&self, context: &Context, finished: Finished) {
        let table = context.plan.tables.get(finished.table);
        if let Some(leaf) = table.and_then(|table| table.staged_leaf(finished.leaf_oid)) {
            self.queue().push_back(steps_of(context, leaf));
        }
    }

    /// Makes the table that has waited longest a chunk. False if there is none.
    ///
    /// # Errors
    ///
    /// After one, the table waits again, with the steps that are left.
    pub(crate) async fn finish_one(&self, context: &Context) -> Result<bool, Error> {
        let Some(mut steps) = self.queue().pop_front() else {
            return Ok(false);
        };
        while let Some(step) = steps.front() {
            if let Err(error) = self.carry_out(context, step).await {
                self.queue().push_front(steps);
                return Err(error);
            }
            steps.pop_front();
        }
        Ok(true)
    }

    async fn carry_out(&self, context: &Context, id: &StepId) -> Result<(), Error> {
        let (plan, timekeeper) = (&context.plan, &context.timekeeper);
        let (step, statements) = match plan.step(id) {
            Some(step) => (step, statements(step)?),
            None => return Err(Error::unexpected(format!("step {id} is not in the plan"))),
        };
        context.gate.pass(context, step).await?;
        if !timekeeper.fits(plan, step) {
            timekeeper.leave_out(step, &context.interrupt);
        }
        if context.interrupt.draining() {
            return Err(Error::interrupted());
        }
        let _alone = match step.concurrency {
            Concurrency::Free => None,
            Concurrency::OnePerTable | Concurrency::Alone => Some(self.attaching.lock().await),
        };
        timekeeper.step_started(plan, step);
        let work = async {
            let mut lane = Lane::open(context).await?;
            lane.run(step, statements, Direction::Forward).await
        };
        let result = told(context, &step.title, work).await;
        timekeeper.step_finished(step, result.is_ok());
        result
    }
}

fn statements(step: &Step) -> Result<&[String], Error> {
    match &step.action {
        Action::Sql { statements } => Ok(statements),
        _ => Err(Error::unexpected(format!("step {} is not SQL", step.id))),
    }
}

fn steps_of(context: &Context, leaf: &StagedLeaf) -> VecDeque<StepId> {
    let steps = context.plan.finishing(leaf).into_iter();
    steps.map(|step| step.id.clone()).collect()
}
