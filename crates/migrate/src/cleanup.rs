//! Cleaning up: the old tables go, and with them the way back.

use crate::lead::change_state;
use crate::{Connections, Error, RunId, RunState, survey};
use hyperhaul_ledger as ledger;
use hyperhaul_plan::{Topology, sql};

/// What a cleanup would drop.
#[derive(Clone, Debug)]
pub struct CleanupPlan {
    /// The run.
    pub run: RunId,
    /// The statements, in order, run in one transaction.
    pub statements: Vec<String>,
    /// Bytes that it frees: heap, TOAST and indexes of the old tables as they were planned.
    pub freed_bytes: u64,
    /// Whether the statements run on the source's server.
    on_source: bool,
}

/// What a cleanup of the run would drop. `drop_source`: the source's tables too where they are in another database.
///
/// # Errors
///
/// If the run is not done, or was not verified to be equal.
pub async fn cleanup_plan(
    connections: &Connections,
    run: Option<RunId>,
    drop_source: bool,
) -> Result<CleanupPlan, Error> {
    let target = connections.target("cleanup").await?;
    let run = survey::existing(&target, run).await?;
    match run.state {
        RunState::Done => {}
        RunState::CleanedUp => {
            return Err(
                Error::usage(format!("run {} is cleaned up already", run.id))
                    .hint("There is nothing left to drop."),
            );
        }
        state => {
            let hint = match state {
                RunState::Planned | RunState::Running => "Finish it with hyperhaul migrate first.",
                _ => "Its old tables are in use; there is nothing to clean up.",
            };
            return Err(Error::blocked(format!("run {} is {}", run.id, state.name())).hint(hint));
        }
    }
    let verdicts = ledger::verdicts(&target, run.id).await?;
    let equal = |index| {
        verdicts
            .iter()
            .any(|verdict| verdict.table_index == index && verdict.equal)
    };
    if let Some((_, table)) = run
        .plan
        .tables
        .iter()
        .enumerate()
        .find(|(index, _)| !equal(*index))
    {
        return Err(Error::blocked(format!(
            "{} has no passed verification",
            table.relation.plain()
        ))
        .hint("Run hyperhaul verify first."));
    }
    let freed = run
        .plan
        .tables
        .iter()
        .map(|table| table.data_bytes + table.index_bytes)
        .sum();
    let statements = sql::cleanup_statements(&run.plan, drop_source);
    let freed_bytes = if statements.is_empty() { 0 } else { freed };
    Ok(CleanupPlan {
        run: run.id,
        statements,
        freed_bytes,
        on_source: run.plan.topology == Topology::OtherDatabase,
    })
}

/// Drops what `plan` says. There is no way back from here.
///
/// # Errors
///
/// If something still depends on an old table: nothing is dropped then.
pub async fn cleanup(connections: &Connections, plan: &CleanupPlan) -> Result<(), Error> {
    let target = connections.target("cleanup").await?;
    let drop = async |session: &hyperhaul_pg::Session| {
        for statement in &plan.statements {
            session.batch(statement).await?;
        }
        Ok::<(), Error>(())
    };
    target
        .transaction(async || {
            // First, since it turns away a rollback that is under way, and holds one off.
            change_state(&target, plan.run, &[RunState::Done], RunState::CleanedUp).await?;
            if plan.on_source {
                let source = connections.source("cleanup").await?;
                source.transaction(async || drop(&source).await).await
            } else {
                drop(&target).await
            }
        })
        .await
}
