//! Verification: equality of source and target, proved.
//!
//! ```text
//! ledger     digests of what was read from the source, per chunk interval --.
//! target     every chunk re-read, digested by parallel workers --------------+--> verdict per chunk
//!            its generated columns against their own expression              |
//!            its columns, keys, indexes, foreign keys against the plan       '--> rows that differ, by key
//! ```

use crate::context::Context;
use crate::differences::{ChunkDifferences, SinceCutover, after_cutover, before_cutover};
use crate::identity::{check_databases, check_tables};
use crate::{
    Connections, Error, Event, Interrupt, Kind, Meter, Observer, RunId, RunState, attached, calls,
    digests, sequences, structure, survey,
};
use hyperhaul_ledger::{self as ledger, Command, NewVerdict};
use hyperhaul_pg::Session;
use hyperhaul_plan::{Action, Phase, Relation, Step, StepId, TablePlan, Verdict};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// The outcome of verifying a run.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// The run.
    pub run: RunId,
    /// Per table, in the order of the plan.
    pub tables: Vec<TableVerification>,
}

impl Verification {
    /// Whether everything is equal.
    pub fn equal(&self) -> bool {
        self.tables.iter().all(TableVerification::equal)
    }
}

/// The outcome of verifying one table.
#[derive(Clone, Debug, Serialize)]
pub struct TableVerification {
    /// The table.
    pub table: Relation,
    /// Per chunk: counts and whether the digests are the same.
    pub verdict: Verdict,
    /// Partitions that became chunks as they are, which is proved by their files: no row of theirs moved.
    pub attached: usize,
    /// Whether their rows were hashed as well, before they were attached and now.
    pub attached_hashed: bool,
    /// What became of the rows since the cutover; `None`: it is still to come, and every chunk has to be equal.
    pub since_cutover: Option<SinceCutover>,
    /// Rows that differ, for the chunks that are not equal; after the cutover, for those that have lost rows.
    pub differences: Vec<ChunkDifferences>,
    /// What differs in columns, indexes, constraints: a line each.
    pub structure: Vec<String>,
    /// Generated columns that differ from their own expression, with the number of rows.
    pub generated: Vec<(String, u64)>,
    /// Sequences that stand behind the rows: a line each.
    pub sequences: Vec<String>,
}

impl TableVerification {
    /// Whether everything is equal; what was written since the cutover is no difference.
    pub fn equal(&self) -> bool {
        rows_equal(&self.verdict, self.since_cutover)
            && self.structure.is_empty()
            && self.generated.is_empty()
            && self.sequences.is_empty()
    }

    /// What a run stops with if this is not equal.
    pub(crate) fn error(&self, run: RunId) -> Error {
        let mut detail = vec![self.rows_in_a_line()];
        detail.extend(self.structure.iter().chain(&self.sequences).cloned());
        detail.extend(
            self.generated
                .iter()
                .map(|(column, rows)| format!("generated column {column} differs in {rows} rows")),
        );
        Error::new(
            crate::Kind::Differs,
            format!("{} is not equal to its source", self.table.plain()),
        )
        .detail(detail.join("\n"))
        .hint(match self.since_cutover {
            None => format!("See hyperhaul verify --run {run} for the rows; nothing was cut over."),
            Some(since) if since.lost_rows == 0 => {
                format!("See hyperhaul verify --run {run} for what differs.")
            }
            Some(_) => format!(
                "See hyperhaul verify --run {run} for the rows. The old table still has all of them: put them back from there with \
                 INSERT and run hyperhaul migrate again, or go back with hyperhaul rollback."
            ),
        })
    }

    /// What the comparison of the rows came to.
    fn rows_in_a_line(&self) -> String {
        let (source, target) = (self.verdict.source_rows(), self.verdict.target_rows());
        let chunks = &self.verdict.chunks;
        match self.since_cutover {
            Some(since) => format!(
                "{} of {source} rows of the old table are not there as they were.",
                since.lost_rows
            ),
            None => format!(
                "{} of {} chunks differ: {source} rows in the source, {target} in the target.",
                chunks.iter().filter(|chunk| !chunk.equal).count(),
                chunks.len(),
            ),
        }
    }
}

/// Verifies a run's tables, as far as they are copied; run `run`, or the newest one. A difference is an outcome, not an
/// error.
///
/// # Errors
///
/// If the run has not copied everything yet or is over, source or target are not the planned ones, or a server refuses or is
/// lost.
pub async fn verify(
    connections: &Connections,
    run: Option<RunId>,
    interrupt: &Interrupt,
    observer: Arc<dyn Observer>,
) -> Result<Verification, Error> {
    let target = connections.target("verify").await?;
    let run = survey::existing(&target, run).await?;
    let done = ledger::steps_done(&target, run.id).await?;
    may_verify(&run, &done)?;
    let context = Context::new(connections, run.id, run.plan, interrupt, observer);
    check_databases(&context).await?;
    check_tables(&context, &done).await?;
    let call = calls::begin(&target, context.run, Command::Verify, &[]).await?;
    let verified = verify_tables(&context)
        .await
        .map_err(|error| error.interrupted_at("verify"));
    let unequal = || Error::new(crate::Kind::Differs, "source and target differ");
    let outcome = match &verified {
        Ok(verification) if !verification.equal() => &Err(unequal()),
        _ => &verified,
    };
    calls::end(connections, call, outcome).await;
    verified
}

/// Whether there is something to compare in the run's state.
fn may_verify(run: &ledger::Run, done: &BTreeSet<StepId>) -> Result<(), Error> {
    let id = run.id;
    let steps = run.plan.steps.iter();
    let copied = steps
        .filter(|step| step.phase.copies())
        .all(|step| done.contains(&step.id));
    match run.state {
        RunState::Done | RunState::CheckingRollback => Ok(()),
        RunState::Running if copied => Ok(()),
        RunState::Planned | RunState::Running => Err(Error::usage(format!(
            "run {id} has not copied everything yet"
        ))
        .hint("Run hyperhaul migrate first.")),
        RunState::RollingBack => Err(Error::blocked(format!("run {id} is being rolled back"))
            .hint("Finish that with hyperhaul rollback.")),
        RunState::CleanedUp => Err(Error::usage(format!(
            "run {id} is cleaned up: there is nothing left to compare with"
        ))
        .hint("hyperhaul status shows what its verifications said.")),
        RunState::RolledBack | RunState::Superseded => {
            Err(Error::usage(format!("run {id} is {}", run.state.name()))
                .hint("There is nothing to compare. Make a new plan with hyperhaul plan."))
        }
    }
}

async fn verify_tables(context: &Context) -> Result<Verification, Error> {
    let tables = context.plan.tables.iter();
    let meter = Arc::new(Meter::items(tables.map(TablePlan::loaded_chunks).sum()));
    context.tell(Event::PhaseStarted {
        phase: Phase::Verify,
        meter: meter.clone(),
    });
    let begun = Instant::now();
    meter.rows_total.store(
        context
            .plan
            .tables
            .iter()
            .map(|table| table.rows_estimate)
            .sum(),
        Ordering::Relaxed,
    );
    let mut tables = Vec::new();
    for index in 0..context.plan.tables.len() {
        tables.push(verify_table(context, index, &meter).await?);
    }
    context.tell(Event::PhaseFinished {
        phase: Phase::Verify,
        elapsed: begun.elapsed(),
        meter,
    });
    Ok(Verification {
        run: context.run,
        tables,
    })
}

/// Verifies one table and stores the verdict.
async fn verify_table(
    context: &Context,
    index: usize,
    meter: &Arc<Meter>,
) -> Result<TableVerification, Error> {
    let rows = compare_rows(context, index, meter).await?;
    conclude(context, index, rows).await
}

/// What the comparison of a table's rows came to.
#[derive(Clone)]
pub(crate) struct ComparedRows {
    verdict: Verdict,
    differences: Vec<ChunkDifferences>,
    since_cutover: Option<SinceCutover>,
    /// Attached chunks that have other rows than before, a line each; `None`: they were not hashed.
    attached_changed: Option<Vec<String>>,
    generated: Vec<(String, u64)>,
}

impl ComparedRows {
    /// That rows differ, and nothing more.
    fn differing(verdict: Verdict) -> ComparedRows {
        ComparedRows {
            verdict,
            differences: Vec::new(),
            since_cutover: None,
            attached_changed: None,
            generated: Vec::new(),
        }
    }

    /// Whether nothing about the rows differs.
    pub(crate) fn equal(&self) -> bool {
        rows_equal(&self.verdict, self.since_cutover)
            && self.generated.is_empty()
            && self.attached_changed.iter().all(Vec::is_empty)
    }
}

/// Whether the rows of the source are there as they were; before the cutover, and no others.
fn rows_equal(verdict: &Verdict, since_cutover: Option<SinceCutover>) -> bool {
    match since_cutover {
        Some(since) => since.lost_rows == 0,
        None => verdict.equal(),
    }
}

/// Reads the rows of one table on both sides.
pub(crate) async fn compare_rows(
    context: &Context,
    index: usize,
    meter: &Arc<Meter>,
) -> Result<ComparedRows, Error> {
    let table = context.table(index)?;
    let target = context.target("verify").await?;
    let done = ledger::steps_done(&target, context.run).await?;
    let places = context.places(table, &done);
    let verdict = digests::verdict(context, &target, index, places, meter).await?;
    let (differences, since_cutover) = if context.is_cut_over(&done) {
        // Before its own proof, nothing but the run has dropped history.
        let may_expire = !table.backfilled || is_proved(context, index, &done);
        let found = after_cutover(context, &target, (table, may_expire), places, &verdict);
        let (differences, mut since) = found.await?;
        let at_most = superseded_at_most(context, &target, index, &done).await?;
        since.set_superseded(at_most, &differences);
        (differences, Some(since))
    } else {
        match before_cutover(context, &target, table, places, &verdict).await {
            // That chunks differ is known: which rows of them do is what was given up.
            Err(error) if error.kind() == Kind::Interrupted && !verdict.equal() => {
                return Ok(ComparedRows::differing(verdict));
            }
            found => (found?, None),
        }
    };
    let attached_changed = match since_cutover {
        None => attached::changed(context, &target, index, meter).await?,
        Some(_) => None,
    };
    Ok(ComparedRows {
        differences,
        since_cutover,
        attached_changed,
        generated: digests::generated_mismatches(context, index, places.target).await?,
        verdict,
    })
}

/// Compares all else about a table, and stores the verdict.
pub(crate) async fn conclude(
    context: &Context,
    index: usize,
    rows: ComparedRows,
) -> Result<TableVerification, Error> {
    let table = context.table(index)?;
    let target = context.target("verify").await?;
    let done = ledger::steps_done(&target, context.run).await?;
    let places = context.places(table, &done);
    // Before the keys are built there is nothing to compare them with. What the cutover has put in place was compared before it;
    // people may have added to it since.
    let compared_before = table.backfilled && !is_proved(context, index, &done);
    let mut structure = if is_built(context, index, &done) && !compared_before {
        structure::differences(context, &target, index, places.target).await?
    } else {
        Vec::new()
    };
    if rows.since_cutover.is_none() {
        structure.extend(attached::differences(&target, table, places.target).await?);
    }
    let attached_hashed = rows.attached_changed.is_some();
    structure.extend(rows.attached_changed.unwrap_or_default());
    let since_cutover = rows.since_cutover;
    let verification = TableVerification {
        table: table.relation.clone(),
        attached: table.attached.len(),
        attached_hashed,
        since_cutover,
        differences: rows.differences,
        structure,
        generated: rows.generated,
        sequences: sequences::behind(context, &target, index, places).await?,
        verdict: rows.verdict,
    };
    let new = NewVerdict {
        table_index: index,
        after_cutover: since_cutover.is_some() && is_proved(context, index, &done),
        equal: verification.equal(),
        lost_count: since_cutover.map_or(0, |since| since.lost_rows + since.superseded_rows),
        verdict: &verification.verdict,
    };
    ledger::store_verdict(&target, context.run, new).await?;
    Ok(verification)
}

/// Rows of a table's slices that may not be there as they are, since live ones have their keys: those that stayed out, or when that
/// is proved, those that were not there as they are then.
async fn superseded_at_most(
    context: &Context,
    target: &Session,
    index: usize,
    done: &BTreeSet<StepId>,
) -> Result<u64, Error> {
    if is_proved(context, index, done) {
        let verdicts = ledger::verdicts(target, context.run).await?;
        let mut own = verdicts
            .iter()
            .filter(|verdict| verdict.table_index == index);
        let proof = own.find(|verdict| !verdict.after_cutover);
        return Ok(proof.map_or(0, |proof| proof.lost_count));
    }
    let slices = ledger::slices(target, context.run).await?;
    let own = slices.iter().filter(|record| record.slice.table == index);
    Ok(own.map(|record| record.skipped).sum())
}

/// Whether the run has its own proof of a table: what is found afterwards is another verdict.
pub(crate) fn is_proved(context: &Context, index: usize, done: &BTreeSet<StepId>) -> bool {
    let mut steps = context.plan.steps.iter();
    steps.any(|step| {
        step.action == Action::Verify && step.table == Some(index) && done.contains(&step.id)
    })
}

/// Whether everything is built that a table's structure consists of, its foreign keys validated.
pub(crate) fn is_built(context: &Context, index: usize, done: &BTreeSet<StepId>) -> bool {
    let builds = |step: &Step| match step.phase {
        Phase::Keys | Phase::Columnstore | Phase::Indexes | Phase::ForeignKeys => true,
        Phase::Verify => step.table == Some(index) && step.action != Action::Verify,
        _ => false,
    };
    let mut steps = context.plan.steps.iter().filter(|step| builds(step));
    steps.all(|step| done.contains(&step.id))
}
