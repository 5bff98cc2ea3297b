//! Steps of the phase `policies` that are more than statements in a transaction.

use crate::Error;
use crate::context::Context;
use crate::steps::{Direction, Lane};
use chrono::Utc;
use hyperhaul_ledger as ledger;
use hyperhaul_ledger::failpoint;
use hyperhaul_plan::{Declaration, Step};

/// Runs statements that the server refuses in a transaction block, then marks the step: after a kill in between they run again,
/// which they can.
pub(crate) async fn repeat(
    context: &Context,
    step: &Step,
    statements: &[String],
) -> Result<(), Error> {
    let started_at = Utc::now();
    let session = context.target("step").await?;
    for statement in statements {
        tokio::select! {
            done = session.batch(statement) => done.map_err(|error| {
                Error::from(error).about(&format!("could not {}", step.title))
            })?,
            () = context.interrupt.aborted() => {
                session.canceller().cancel().await?;
                return Err(Error::interrupted());
            }
        }
    }
    failpoint("step.before_mark");
    Lane::open(context).await?.mark(step, started_at).await
}

/// Stores what is declared, together with the step's mark.
pub(crate) async fn declare(
    context: &Context,
    step: &Step,
    declaration: &Declaration,
) -> Result<(), Error> {
    let statements = ledger::declare_sql(context.run, &step.id, declaration)?;
    let mut lane = Lane::open(context).await?;
    lane.run(step, &statements, Direction::Forward).await
}
