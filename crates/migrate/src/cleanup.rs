//! Cleaning up: the old tables go, and with them the way back.

use crate::identity::check_database;
use crate::leader::change_state;
use crate::{Connections, Error, Run, RunId, RunState, calls, survey};
use hyperhaul_catalog as catalog;
use hyperhaul_ledger::failpoint;
use hyperhaul_ledger::{self as ledger, CallId, Command};
use hyperhaul_pg::Session;
use hyperhaul_plan::{Topology, sql};

/// What to drop, and in spite of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanupOptions {
    /// The source's tables too where they are in another database.
    pub drop_source: bool,
    /// Although a verification after the cutover found rows of the source missing or different in the hypertable.
    pub accept_differences: bool,
}

/// What a cleanup would drop.
#[derive(Clone, Debug)]
pub struct CleanupPlan {
    /// The run.
    pub run: RunId,
    /// The statements, in order, run in one transaction.
    pub statements: Vec<String>,
    /// Bytes that it frees: heap, TOAST and indexes of the old tables as they were planned.
    pub freed_bytes: u64,
    /// Whether the source is another database.
    pub on_source: bool,
    /// What was asked for.
    options: CleanupOptions,
    /// How long a statement waits for a lock, milliseconds.
    lock_timeout_ms: u64,
}

/// What a cleanup of the run would drop.
///
/// # Errors
///
/// If the run is not done, was not verified to be equal, has lost rows since the cutover, or source or target are not the
/// planned ones.
pub async fn cleanup_plan(
    connections: &Connections,
    run: Option<RunId>,
    options: &CleanupOptions,
) -> Result<CleanupPlan, Error> {
    let target = connections.target("cleanup").await?;
    let run = survey::existing(&target, run).await?;
    check_database(&target, "target", &run.plan.facts.target).await?;
    let on_source = run.plan.topology == Topology::OtherDatabase;
    may_clean_up(&run, on_source && options.drop_source)?;
    refuse_unproved(&target, &run, options).await?;
    let statements = sql::cleanup_statements(&run.plan, options.drop_source);
    let mut freed_bytes = 0;
    if !statements.is_empty() {
        let source = connections.source("cleanup").await?;
        check_database(&source, "source", &run.plan.facts.source).await?;
        freed_bytes = freed(&source, &run).await?;
    }
    if freed_bytes == 0 && run.state == RunState::CleanedUp {
        return Err(nothing_left(run.id));
    }
    Ok(CleanupPlan {
        run: run.id,
        statements,
        freed_bytes,
        on_source,
        options: *options,
        lock_timeout_ms: run.plan.options.lock_timeout_ms,
    })
}

/// `source_left`: the source's tables, in another database, may be left from an earlier cleanup.
fn may_clean_up(run: &Run, source_left: bool) -> Result<(), Error> {
    let id = run.id;
    let hint = match run.state {
        RunState::Done => return Ok(()),
        RunState::CleanedUp if source_left => return Ok(()),
        RunState::CleanedUp => return Err(nothing_left(id)),
        RunState::Planned | RunState::Running => "Finish it with hyperhaul migrate first.",
        RunState::CheckingRollback => {
            "Finish it with hyperhaul rollback, or call it off with hyperhaul migrate."
        }
        RunState::Superseded | RunState::RollingBack | RunState::RolledBack => {
            "Its old tables are in use; there is nothing to clean up."
        }
    };
    Err(Error::blocked(format!("run {id} is {}", run.state.name())).hint(hint))
}

fn nothing_left(run: RunId) -> Error {
    Error::usage(format!("run {run} is cleaned up already")).hint("There is nothing left to drop.")
}

/// The proof is the verification of before the cutover. A later one speaks against it only where it found rows lost.
async fn refuse_unproved(
    target: &Session,
    run: &Run,
    options: &CleanupOptions,
) -> Result<(), Error> {
    let verdicts = ledger::verdicts(target, run.id).await?;
    for (index, table) in run.plan.tables.iter().enumerate() {
        let name = table.relation.plain();
        let mut own = verdicts
            .iter()
            .filter(|verdict| verdict.table_index == index);
        if !own
            .clone()
            .any(|verdict| !verdict.after_cutover && verdict.equal)
        {
            return Err(Error::blocked(format!("{name} has no passed verification"))
                .hint("Go back with hyperhaul rollback, and move it again."));
        }
        if !options.accept_differences
            && let Some(lost) = own.find(|verdict| verdict.lost_count > 0)
        {
            return Err(Error::blocked(format!(
                "{name} lacks {} rows of its old table",
                lost.lost_count
            ))
            .detail(format!(
                "They were missing or different when it was verified on {}.",
                lost.verified_at.format("%Y-%m-%d %H:%M:%S UTC")
            ))
            .hint(
                "See them with hyperhaul verify. If the application itself has changed or deleted them, add \
                 --accept-differences.",
            ));
        }
    }
    Ok(())
}

/// Bytes of the old tables that are still there.
async fn freed(source: &Session, run: &Run) -> Result<u64, Error> {
    let mut bytes = 0;
    for (table, found) in run.plan.tables.iter().zip(&run.plan.facts.tables) {
        let name = match run.plan.topology {
            Topology::SameDatabase => &table.archive,
            Topology::OtherDatabase => &table.relation,
        };
        match catalog::relation_oid(source, name).await? {
            None => {}
            Some(oid) if oid == found.oid => bytes += table.data_bytes + table.index_bytes,
            Some(_) => {
                let message = format!("{} is not the table that was planned", name.plain());
                return Err(Error::blocked(message)
                    .hint("Another one has its name, which hyperhaul does not drop."));
            }
        }
    }
    Ok(bytes)
}

/// Drops what `plan` says. There is no way back from here.
///
/// # Errors
///
/// If something still depends on an old table: nothing is dropped then. Or if the source was lost when the run was cleaned up
/// already: its tables may be left, and the same may be run again.
pub async fn cleanup(connections: &Connections, plan: &CleanupPlan) -> Result<(), Error> {
    let target = connections.target("cleanup").await?;
    if !plan.on_source || plan.statements.is_empty() {
        let work = async || {
            let call = begin(&target, plan).await?;
            drop_tables(&target, plan).await?;
            Ok(ledger::end_call(&target, call, ledger::DONE).await?)
        };
        return target.transaction(work).await;
    }
    let source = connections.source("cleanup").await?;
    source.batch("BEGIN").await?;
    // The target's commit is the first one: a run that calls itself done has its old tables, or a rollback would drop the only
    // rows that there are. That the source's can be dropped is known by then.
    let dropped = target.transaction(async || {
        let call = begin(&target, plan).await?;
        drop_tables(&source, plan).await?;
        Ok::<_, Error>(call)
    });
    let call = match dropped.await {
        Ok(call) => call,
        Err(error) => {
            source.roll_back().await;
            return Err(error);
        }
    };
    failpoint("cleanup.before_drop");
    let committed = source.batch("COMMIT").await.map_err(|error| {
        Error::from(error)
            .about("the run is cleaned up, but the source's tables may be left")
            .hint("Run hyperhaul cleanup --drop-source again.")
    });
    calls::end(connections, call, &committed).await;
    committed
}

/// Before anything is dropped, since it turns away a rollback that is under way, and holds one off.
async fn begin(target: &Session, plan: &CleanupPlan) -> Result<CallId, Error> {
    let mut from = vec![RunState::Done];
    if plan.on_source {
        // The source's tables may go later than the run.
        from.push(RunState::CleanedUp);
    }
    change_state(target, plan.run, &from, RunState::CleanedUp).await?;
    calls::begin(target, plan.run, Command::Cleanup, &flags(plan.options)).await
}

async fn drop_tables(session: &Session, plan: &CleanupPlan) -> Result<(), Error> {
    session.limit_lock_waits(plan.lock_timeout_ms).await?;
    for statement in &plan.statements {
        session.batch(statement).await?;
    }
    Ok(())
}

fn flags(options: CleanupOptions) -> Vec<&'static str> {
    let CleanupOptions {
        drop_source,
        accept_differences,
    } = options;
    [
        ("--drop-source", drop_source),
        ("--accept-differences", accept_differences),
    ]
    .into_iter()
    .filter_map(|(flag, given)| given.then_some(flag))
    .collect()
}
