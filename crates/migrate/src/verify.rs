//! Verification: equality of source and target, proved.
//!
//! ```text
//! ledger     digests of what was read from the source, per chunk interval --.
//! target     every chunk re-read, digested by parallel workers --------------+--> verdict per chunk
//!            its generated columns against their own expression              |
//!            its columns, keys, indexes, foreign keys against the plan       '--> rows that differ, by key
//! ```

use crate::context::{Context, Places};
use crate::{
    Connections, Error, Event, Interrupt, Meter, Observer, RunId, digests, structure, survey,
};
use hyperhaul_catalog as catalog;
use hyperhaul_engine::{self as engine, Pool, SourceReader};
use hyperhaul_ledger as ledger;
use hyperhaul_pg::Session;
use hyperhaul_plan::{
    ChunkRange, ChunkVerdict, Phase, Relation, StepId, TablePlan, Verdict, compare, sql,
};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

pub(crate) use digests::target_digests;

/// Keys listed per chunk and kind of difference.
const KEYS_MAX: usize = 100;

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
    /// Rows that differ, for the chunks that are not equal.
    pub differences: Vec<ChunkDifferences>,
    /// What differs in columns, indexes, constraints: a line each.
    pub structure: Vec<String>,
    /// Generated columns that differ from their own expression, with the number of rows.
    pub generated: Vec<(String, u64)>,
    /// Sequences that stand behind the rows: a line each.
    pub sequences: Vec<String>,
}

impl TableVerification {
    /// Whether everything is equal.
    pub fn equal(&self) -> bool {
        self.verdict.equal()
            && self.structure.is_empty()
            && self.generated.is_empty()
            && self.sequences.is_empty()
    }

    /// What a run stops with if this is not equal.
    pub(crate) fn error(&self, run: RunId) -> Error {
        let unequal = self
            .verdict
            .chunks
            .iter()
            .filter(|chunk| !chunk.equal)
            .count();
        let mut detail = vec![format!(
            "{unequal} of {} chunks differ: {} rows in the source, {} in the target.",
            self.verdict.chunks.len(),
            self.verdict.source_rows(),
            self.verdict.target_rows()
        )];
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
        .hint(format!(
            "See hyperhaul verify --run {run} for the rows; nothing was cut over."
        ))
    }
}

/// Rows of one chunk that differ, named by their keys as text, e.g. `(7f..., "2025-12-11 00:00:00+00")`.
#[derive(Clone, Debug, Serialize)]
pub struct ChunkDifferences {
    /// The chunk's interval.
    pub range: ChunkRange,
    /// In the source only.
    pub missing: Vec<String>,
    /// In the target only.
    pub extra: Vec<String>,
    /// In both, with different columns.
    pub different: Vec<String>,
    /// Whether there are more than are listed.
    pub truncated: bool,
}

/// Verifies a run's tables, as far as they are copied; run `run`, or the newest one. A difference is an outcome, not an
/// error.
///
/// # Errors
///
/// If the run has not copied everything yet, its old tables are gone, or a server refuses or is lost.
pub async fn verify(
    connections: &Connections,
    run: Option<RunId>,
    interrupt: &Interrupt,
    observer: Arc<dyn Observer>,
) -> Result<Verification, Error> {
    let target = connections.target("verify").await?;
    let run = survey::existing(&target, run).await?;
    let context = Context {
        connections: connections.clone(),
        run: run.id,
        plan: Arc::new(run.plan),
        interrupt: interrupt.clone(),
        observer,
    };
    if ledger::pending_count(&target, context.run).await? > 0 || context.plan.slices.is_empty() {
        return Err(
            Error::usage(format!("run {} has not copied everything yet", context.run))
                .hint("Run hyperhaul migrate first."),
        );
    }
    let chunks = context
        .plan
        .tables
        .iter()
        .map(|table| table.chunks.len())
        .sum();
    let meter = Arc::new(Meter::items(chunks));
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
        tables.push(verify_table(&context, index, &meter).await?);
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
pub(crate) async fn verify_table(
    context: &Context,
    index: usize,
    meter: &Arc<Meter>,
) -> Result<TableVerification, Error> {
    let table = context
        .plan
        .tables
        .get(index)
        .ok_or_else(|| Error::unexpected("there is no such table in the plan"))?;
    let target = context.target("verify").await?;
    let done: BTreeSet<StepId> = ledger::steps_done(&target, context.run)
        .await?
        .into_keys()
        .collect();
    let places = context.places(table, &done);
    let copied = ledger::source_digests(&target, context.run, index).await?;
    let present = target_digests(context, index, places.target, meter).await?;
    let verdict = compare(&copied, &present);
    let differences = differences(context, &target, table, places, &verdict).await?;
    let reached = |phase: Phase| {
        context
            .plan
            .steps
            .iter()
            .filter(|step| step.phase == phase)
            .all(|step| done.contains(&step.id))
    };
    // Before the keys are built there is nothing to compare them with.
    let structure =
        if reached(Phase::ForeignKeys) && reached(Phase::Indexes) && reached(Phase::Keys) {
            structure::differences(context, &target, index, places.target).await?
        } else {
            Vec::new()
        };
    let verification = TableVerification {
        table: table.relation.clone(),
        differences,
        structure,
        generated: digests::generated_mismatches(context, index, places.target).await?,
        sequences: sequences_behind(context, &target, index, places).await?,
        verdict,
    };
    ledger::store_verdict(
        &target,
        context.run,
        index,
        verification.equal(),
        &verification.verdict,
    )
    .await?;
    Ok(verification)
}

/// Narrows every chunk that is not equal down to rows.
async fn differences(
    context: &Context,
    target: &Session,
    table: &TablePlan,
    places: Places<'_>,
    verdict: &Verdict,
) -> Result<Vec<ChunkDifferences>, Error> {
    let unequal: Vec<&ChunkVerdict> = verdict.chunks.iter().filter(|chunk| !chunk.equal).collect();
    if unequal.is_empty() {
        return Ok(Vec::new());
    }
    let rewrites = context.rewrites(target, table).await?;
    let source_reader = SourceReader::start(&context.connections.source, None)?;
    let target_reader = SourceReader::start(&context.connections.target, None)?;
    let pool = Pool::new(2)?;
    let mut all = Vec::new();
    for chunk in unequal {
        let range = Some(chunk.range);
        let source_sql = sql::verify_rows_sql(table, places.source, range, true);
        let target_sql = sql::verify_rows_sql(table, places.target, range, true);
        let found = engine::differences(
            &source_reader,
            &target_reader,
            &pool,
            source_sql,
            target_sql,
            rewrites.clone(),
            KEYS_MAX,
        )
        .await?;
        all.push(ChunkDifferences {
            range: chunk.range,
            missing: found.missing,
            extra: found.extra,
            different: found.different,
            truncated: found.truncated,
        });
    }
    Ok(all)
}

/// Identity and serial columns whose next value would collide with what the source has given out.
async fn sequences_behind(
    context: &Context,
    target: &Session,
    index: usize,
    places: Places<'_>,
) -> Result<Vec<String>, Error> {
    let carried = context
        .plan
        .steps
        .iter()
        .filter(|step| step.table == Some(index))
        .filter_map(|step| match &step.action {
            hyperhaul_plan::Action::CarrySequences { sequences } => Some(sequences),
            _ => None,
        });
    let source = context.source("verify").await?;
    let mut behind = Vec::new();
    for sequence in carried.flatten() {
        // The old identity sequence moves with the old table.
        let old = sequence.source.in_schema(&places.source.schema);
        let old = if sequence.target.is_none() {
            &old
        } else {
            &sequence.source
        };
        let new = match &sequence.target {
            Some(new) => Some(new.clone()),
            None => catalog::column_sequence(target, places.target, &sequence.column).await?,
        };
        let Some(new) = new else {
            behind.push(format!("column {} has no sequence", sequence.column));
            continue;
        };
        let given = catalog::sequence_position(&source, old).await?;
        let next = catalog::sequence_position(target, &new).await?;
        if given.called && (!next.called || next.last_value < given.last_value) {
            behind.push(format!(
                "sequence {} stands behind the source's",
                new.plain()
            ));
        }
    }
    Ok(behind)
}
