//! The phase `verify`: foreign keys are validated while rows are compared.
//!
//! ```text
//! validate   foreign keys, one after another for each table: they lock each other out --.
//!                                                                                       +--> structure, verdict, mark
//! compare    rows of one table after the other, by all workers --------------------------'
//! ```
//!
//! Rows that differ wait for no validation. Where either side fails, the other is given up: what it is at is cancelled.

use crate::context::Context;
use crate::steps::Lane;
use crate::verify::{ComparedRows, TableVerification, compare_rows, conclude, is_built};
use crate::{Error, Event, Kind, Meter, lanes};
use chrono::{DateTime, Utc};
use hyperhaul_ledger as ledger;
use hyperhaul_ledger::failpoint;
use hyperhaul_plan::{Action, Step};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// Carries out the steps of the phase that are not done yet.
///
/// # Errors
///
/// A difference, whatever else fails; else what kept a foreign key from being validated, or a comparison from its end.
pub(crate) async fn run(
    context: &Context,
    steps: &[&Step],
    meter: &Arc<Meter>,
) -> Result<Vec<TableVerification>, Error> {
    let (compared, validated): (Vec<&Step>, Vec<&Step>) =
        steps.iter().partition(|step| step.action == Action::Verify);
    let (validating, seen) = watch::channel(!validated.is_empty());
    let part = Context {
        interrupt: context.interrupt.of_part(),
        validating: Some(seen),
        ..context.clone()
    };
    // The phase counts chunks.
    let validations = Arc::new(Meter::items(validated.len()));
    let validate = async {
        let ended = or_give_up(&part, lanes::run_steps(&part, &validated, &validations)).await;
        validating.send_replace(false);
        ended
    };
    let both = tokio::join!(
        validate,
        or_give_up(&part, compare(&part, &compared, meter)),
    );
    let tables = match both {
        (Ok(()), Ok(tables)) => tables,
        (Ok(()), Err(error)) | (Err(error), Ok(_)) => return Err(error),
        (Err(error), Err(other)) => return Err(graver(error, other)),
    };
    let mut verification = Vec::new();
    for table in tables {
        verification.push(match table {
            Compared::Concluded(verification) => verification,
            Compared::Waiting(table) if table.can_conclude(context).await? => {
                table.conclude(context).await?
            }
            Compared::Waiting(table) => return Err(table.unvalidated()),
        });
    }
    Ok(verification)
}

/// Gives the part of the run up if its work fails. Who only stops lets the others come to their own end.
async fn or_give_up<T>(
    part: &Context,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let ended = work.await;
    if ended
        .as_ref()
        .is_err_and(|error| error.kind() != Kind::Interrupted)
    {
        part.interrupt.give_up();
    }
    ended
}

/// Of two errors the one to be told: a difference before all, and no interruption that the other one has brought about.
fn graver(error: Error, other: Error) -> Error {
    if other.kind() == Kind::Differs || error.kind() == Kind::Interrupted {
        other
    } else {
        error
    }
}

/// How far a table is whose rows were compared.
enum Compared<'a> {
    /// To its end.
    Concluded(TableVerification),
    /// Its foreign keys were not all validated yet.
    Waiting(TableCompared<'a>),
}

async fn compare<'a>(
    context: &Context,
    steps: &[&'a Step],
    meter: &Arc<Meter>,
) -> Result<Vec<Compared<'a>>, Error> {
    let mut tables = Vec::new();
    for step in steps {
        if !context.timekeeper.fits(&context.plan, step) {
            context.timekeeper.leave_out(step, &context.interrupt);
        }
        if context.interrupt.draining() {
            return Err(Error::interrupted());
        }
        let table = TableCompared::compare(context, step, meter).await?;
        failpoint("verify.compared");
        tables.push(if table.can_conclude(context).await? {
            Compared::Concluded(table.conclude(context).await?)
        } else {
            Compared::Waiting(table)
        });
    }
    Ok(tables)
}

/// A table whose rows were compared.
struct TableCompared<'a> {
    step: &'a Step,
    index: usize,
    rows: ComparedRows,
    started_at: DateTime<Utc>,
    begun: Instant,
}

impl<'a> TableCompared<'a> {
    async fn compare(
        context: &Context,
        step: &'a Step,
        meter: &Arc<Meter>,
    ) -> Result<TableCompared<'a>, Error> {
        let index = step.table.ok_or_else(|| {
            Error::unexpected(format!("step {} does not fit its action", step.id))
        })?;
        context.tell(Event::StepStarted {
            title: step.title.clone(),
        });
        let (started_at, begun) = (Utc::now(), Instant::now());
        let read = async || compare_rows(context, index, meter).await;
        Ok(TableCompared {
            step,
            index,
            rows: context.patiently(&step.title, read).await?,
            started_at,
            begun,
        })
    }

    /// Every validation has come to its end, and not all have left their mark: nothing is proved then.
    fn unvalidated(&self) -> Error {
        Error::unexpected(format!(
            "\"{}\" cannot be concluded: a foreign key is not marked as validated",
            self.step.title
        ))
        .hint("Run hyperhaul migrate again.")
    }

    /// Whether there is nothing to wait for.
    async fn can_conclude(&self, context: &Context) -> Result<bool, Error> {
        let look = async || {
            let target = context.target("verify").await?;
            let done = ledger::steps_done(&target, context.run).await?;
            Ok(is_built(context, self.index, &done))
        };
        Ok(!self.rows.equal() || context.patiently(&self.step.title, look).await?)
    }

    async fn conclude(self, context: &Context) -> Result<TableVerification, Error> {
        let step = self.step;
        let look = async || {
            let verification = conclude(context, self.index, self.rows.clone()).await?;
            if !verification.equal() {
                return Err(verification.error(context.run));
            }
            // Its mark is no transaction of its own: verifying again would be harmless.
            Lane::open(context)
                .await?
                .mark(step, self.started_at)
                .await?;
            Ok(verification)
        };
        let verification = context.patiently(&step.title, look).await?;
        context.tell(Event::StepFinished {
            title: step.title.clone(),
            elapsed: self.begun.elapsed(),
        });
        Ok(verification)
    }
}
