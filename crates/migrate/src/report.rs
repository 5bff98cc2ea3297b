//! The report: what a run moved, how, when, by whom, and what proved it; from the ledger alone, so that it can be written
//! as long as the ledger is there, also after `cleanup`.

use crate::{Connections, Error, RunId, RunState, survey};
use chrono::{DateTime, Utc};
use hyperhaul_ledger::{self as ledger, Call, SliceRecord, StepMark, StoredVerdict};
use hyperhaul_plan::facts::{ServerFacts, ServerSettings, Timescale};
use hyperhaul_plan::{
    AttachedLeaf, ChunkRange, Finding, Options, Phase, Plan, Policies, Proof, Relation, Severity,
    Strategy, TablePlan, Topology, Way,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// All that is to be told about a run. Times are the target's clock's.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this object's format.
    pub format: u32,
    /// When it was written, by the clock of the machine that wrote it.
    pub written_at: DateTime<Utc>,
    /// Version of the hyperhaul that wrote it.
    pub written_by_version: String,
    /// The run's number.
    pub run: RunId,
    /// Its state.
    pub state: RunState,
    /// When it was planned.
    pub created_at: DateTime<Utc>,
    /// When its state changed last.
    pub changed_at: DateTime<Utc>,
    /// Version of the hyperhaul that planned it.
    pub planned_by_version: String,
    /// Whether rows stayed in their database.
    pub topology: Topology,
    /// Where rows came from.
    pub source: ServerReport,
    /// Where they went.
    pub target: ServerReport,
    /// What was asked for.
    pub options: Options,
    /// Parallel workers.
    pub workers: u32,
    /// Who called what on the run, in order. Where an older hyperhaul was called, it left no word.
    pub calls: Vec<Call>,
    /// What the checks saw.
    pub findings: Vec<FindingReport>,
    /// The tables.
    pub tables: Vec<TableReport>,
    /// The steps in order.
    pub steps: Vec<StepReport>,
    /// The slices in order.
    pub slices: Vec<SliceReport>,
}

impl Report {
    /// Version of the format that this build writes.
    pub const FORMAT: u32 = 1;

    /// Who made the plan, and accepted its findings.
    pub fn planner(&self) -> Option<&Call> {
        self.calls
            .iter()
            .find(|call| call.command == ledger::Command::Plan.name())
    }
}

/// A server, as it was when the run was planned.
#[derive(Clone, Debug, Serialize)]
pub struct ServerReport {
    /// How it was reached, without password.
    pub connection: String,
    /// The database.
    pub database: String,
    /// The role.
    pub role: String,
    /// `server_version`.
    pub postgresql: String,
    /// TimescaleDB, if its extension is installed.
    pub timescaledb: Option<Timescale>,
    /// `pg_control_system().system_identifier`, unless it could not be read.
    pub system_identifier: Option<i64>,
    /// Settings that matter.
    pub settings: ServerSettings,
}

/// A finding, and whether it was accepted.
#[derive(Clone, Debug, Serialize)]
pub struct FindingReport {
    /// Whether it was a block that was carried on with.
    pub accepted: bool,
    /// What was seen.
    #[serde(flatten)]
    pub finding: Finding,
}

/// A table.
#[derive(Clone, Debug, Serialize)]
pub struct TableReport {
    /// Its name, before and after.
    pub table: Relation,
    /// The old table's name after the cutover (same database only).
    pub archive: Relation,
    /// The column that decides the chunk.
    pub time_column: String,
    /// Length of a chunk, microseconds.
    pub chunk_interval_us: i64,
    /// What moved rows are compared by.
    pub proof: Proof,
    /// What is to happen to the rows as they age.
    pub policies: Policies,
    /// Rows of finished slices.
    pub moved_rows: u64,
    /// Bytes of their tuples, or of their blocks where they stayed within the server.
    pub moved_bytes: u64,
    /// How the rows of each leaf got to the target.
    pub leaves: Vec<LeafReport>,
    /// The verification of before the cutover.
    pub before_cutover: Option<VerdictReport>,
    /// The last verification of after the cutover.
    pub after_cutover: Option<VerdictReport>,
}

/// How the rows of a leaf got to the target.
#[derive(Clone, Debug, Serialize)]
pub struct LeafReport {
    /// The leaf.
    pub leaf: Relation,
    /// The way that was taken.
    pub strategy: Strategy,
    /// Why.
    pub reason: String,
    /// The ways that were ruled out, each with its reason.
    pub ruled_out: Vec<(Strategy, String)>,
    /// Where it became a chunk as it is: its file, which is the proof, and its bounds.
    pub attached: Option<AttachedLeaf>,
}

/// The outcome of a verification.
#[derive(Clone, Debug, Serialize)]
pub struct VerdictReport {
    /// Whether everything was equal: rows, structure, generated columns, sequences.
    pub equal: bool,
    /// Rows of the source that were missing or different in the hypertable after the cutover.
    pub lost_rows: u64,
    /// When.
    pub verified_at: DateTime<Utc>,
    /// Per chunk interval, ascending; attached partitions are proved by their files.
    pub chunks: Vec<ChunkReport>,
}

/// Digests of the rows of one chunk interval. The hash is the table's [`Proof`].
#[derive(Clone, Debug, Serialize)]
pub struct ChunkReport {
    /// The interval.
    pub range: ChunkRange,
    /// Rows in the source.
    pub source_rows: u64,
    /// Rows in the target.
    pub target_rows: u64,
    /// Sum of the source's hashes, 32 hexadecimal digits; `None`: no row, or an older hyperhaul compared.
    pub source_sum: Option<String>,
    /// Sum of the target's hashes, likewise.
    pub target_sum: Option<String>,
    /// Whether count and sum were the same.
    pub equal: bool,
}

/// A step.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// Its stable name.
    pub id: String,
    /// Its phase.
    pub phase: Phase,
    /// What it does.
    pub title: String,
    /// When it began; `None`: it is not done, or was undone.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// How long it took.
    pub seconds: Option<f64>,
}

/// A slice.
#[derive(Clone, Debug, Serialize)]
pub struct SliceReport {
    /// Its number.
    pub slice: u32,
    /// Index into [`Report::tables`].
    pub table: usize,
    /// The leaf.
    pub leaf: Relation,
    /// First block.
    pub first_block: u32,
    /// Block after the last; `None`: to the leaf's end.
    pub end_block: Option<u32>,
    /// How its rows got to the target.
    pub strategy: Strategy,
    /// Whether its rows were moved.
    pub done: bool,
    /// Rows that were moved.
    pub rows: Option<u64>,
    /// Bytes: see [`TableReport::moved_bytes`].
    pub bytes: Option<u64>,
    /// Number of the worker in its process, from 0; `None`: not done, or by an older hyperhaul.
    pub worker: Option<u32>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// How long it took.
    pub seconds: Option<f64>,
}

/// Gathers what is to be told about run `run`, or the newest one.
///
/// # Errors
///
/// If the target can't be reached, has no such run, or the role may not read the ledger.
pub async fn report(connections: &Connections, run: Option<RunId>) -> Result<Report, Error> {
    let target = connections.target("report").await?;
    let run = survey::existing(&target, run).await?;
    let slices = ledger::slices(&target, run.id).await?;
    let marks = ledger::step_marks(&target, run.id).await?;
    let verdicts = ledger::verdicts(&target, run.id).await?;
    let calls = ledger::calls(&target, run.id).await?;
    let plan = run.plan;
    let table = |(index, table)| table_report(&plan, index, table, &slices, &verdicts);
    let tables = plan.tables.iter().enumerate().map(table).collect();
    let step = |step: &hyperhaul_plan::Step| {
        let mark = marks.get(&step.id);
        StepReport {
            id: step.id.to_string(),
            phase: step.phase,
            title: step.title.clone(),
            started_at: mark.map(|mark| mark.started_at),
            finished_at: mark.map(|mark| mark.finished_at),
            seconds: mark.map(StepMark::seconds),
        }
    };
    let steps = plan.steps.iter().map(step).collect();
    Ok(Report {
        format: Report::FORMAT,
        written_at: Utc::now(),
        written_by_version: env!("CARGO_PKG_VERSION").to_owned(),
        run: run.id,
        state: run.state,
        created_at: run.created_at,
        changed_at: run.changed_at,
        planned_by_version: run.tool_version,
        topology: plan.topology,
        source: server_report(run.source, &plan.facts.source),
        target: server_report(connections.target.to_string(), &plan.facts.target),
        workers: plan.workers(),
        calls,
        tables,
        steps,
        slices: slices.into_iter().map(slice_report).collect(),
        findings: findings(plan.findings, &plan.options),
        options: plan.options,
    })
}

fn server_report(connection: String, facts: &ServerFacts) -> ServerReport {
    ServerReport {
        connection,
        database: facts.database.clone(),
        role: facts.role.clone(),
        postgresql: facts.version.clone(),
        timescaledb: facts.timescale.clone(),
        system_identifier: facts.system_identifier,
        settings: facts.settings.clone(),
    }
}

/// The plan has a block that was accepted as a warning.
fn findings(findings: Vec<Finding>, options: &Options) -> Vec<FindingReport> {
    let report = |finding: Finding| FindingReport {
        accepted: finding.acceptable
            && finding.severity == Severity::Warn
            && options.accept.contains(&finding.code),
        finding,
    };
    findings.into_iter().map(report).collect()
}

fn table_report(
    plan: &Plan,
    index: usize,
    table: &TablePlan,
    slices: &[SliceRecord],
    verdicts: &[StoredVerdict],
) -> TableReport {
    let own = || slices.iter().filter(|record| record.slice.table == index);
    let verdict = |after_cutover| {
        let mut own = verdicts
            .iter()
            .filter(|verdict| verdict.table_index == index);
        own.find(|verdict| verdict.after_cutover == after_cutover)
            .map(verdict_report)
    };
    let attached: BTreeMap<&Relation, &AttachedLeaf> = table
        .attached
        .iter()
        .map(|leaf| (&leaf.leaf, leaf))
        .collect();
    let leaf = |way: &Way| LeafReport {
        leaf: way.leaf.clone(),
        strategy: way.strategy,
        reason: way.reason.clone(),
        ruled_out: way.ruled_out.clone(),
        attached: attached.get(&way.leaf).copied().cloned(),
    };
    let ways = plan.ways.iter().filter(|way| way.table == index);
    TableReport {
        table: table.relation.clone(),
        archive: table.archive.clone(),
        time_column: table.time_column.clone(),
        chunk_interval_us: table.chunk_interval_us,
        proof: table.proof,
        policies: table.policies.clone(),
        moved_rows: own().filter_map(|record| record.rows).sum(),
        moved_bytes: own().filter_map(|record| record.bytes).sum(),
        leaves: ways.map(leaf).collect(),
        before_cutover: verdict(false),
        after_cutover: verdict(true),
    }
}

fn verdict_report(stored: &StoredVerdict) -> VerdictReport {
    let chunk = |chunk: &hyperhaul_plan::ChunkVerdict| ChunkReport {
        range: chunk.range,
        source_rows: chunk.source_rows,
        target_rows: chunk.target_rows,
        source_sum: chunk.source_sum.clone(),
        target_sum: chunk.target_sum.clone(),
        equal: chunk.equal,
    };
    VerdictReport {
        equal: stored.equal,
        lost_rows: stored.lost_count,
        verified_at: stored.verified_at,
        chunks: stored.verdict.chunks.iter().map(chunk).collect(),
    }
}

fn slice_report(record: SliceRecord) -> SliceReport {
    SliceReport {
        slice: record.slice.id.0,
        table: record.slice.table,
        leaf: record.slice.leaf,
        first_block: record.slice.first_block,
        end_block: record.slice.end_block,
        strategy: record.slice.strategy,
        done: record.done,
        rows: record.rows,
        bytes: record.bytes,
        worker: record.worker,
        started_at: record.started_at,
        finished_at: record.finished_at,
        seconds: record.seconds,
    }
}
