//! The planner: facts and options in, the plan out. Its steps are made in `steps`.

use crate::facts::{
    BinaryTravel, Column, Facts, KeyKind, Leaf, LeafBound, PartitionKey, RelationKind, TableFacts,
};
use crate::plan::meeting_keys;
use crate::strategies::Choice;
use crate::{
    ArrayElement, ChunkRange, Error, Mode, Options, Plan, TableOptions, TablePlan, TimeType,
    Topology, columnstore, estimate, expiry, findings, policies, slices, sql, steps, strategies,
};
use std::collections::BTreeSet;

/// Makes the plan.
///
/// # Errors
///
/// If the request itself makes no sense: a time column that is not there or is no time, a table that is
/// partitioned by something else. What merely stands in the way is a finding of the plan.
pub fn plan(facts: Facts, options: Options) -> Result<Plan, Error> {
    refuse_columnstore_now(&options)?;
    let topology = if facts.same_database {
        Topology::SameDatabase
    } else {
        Topology::OtherDatabase
    };
    let mut tables = Vec::new();
    let mut ways = Vec::new();
    for (index, (found, wanted)) in facts.tables.iter().zip(&options.tables).enumerate() {
        let skip_before_us = expiry::skip_before(found, wanted, &options, &facts);
        let subject = strategies::Subject {
            index,
            found,
            wanted,
            skip_before_us,
        };
        let choice = strategies::choose(subject, &options, &facts, topology);
        tables.push(table_plan(found, wanted, (&facts, options.mode), &choice)?);
        ways.extend(choice.ways);
    }
    let leaves: Vec<&[Leaf]> = facts
        .tables
        .iter()
        .map(|found| found.leaves.as_slice())
        .collect();
    let slices = slices::slices(&tables, &leaves, &ways, &options);
    let steps = steps::steps(&tables, &facts, &options, topology);
    let estimate = estimate::estimate(&facts, &options, &tables, &slices);
    let findings = findings::findings(&facts, &options, &tables, &ways, topology, &estimate);
    Ok(Plan {
        format: Plan::FORMAT,
        options,
        topology,
        tables,
        ways,
        slices,
        steps,
        findings,
        estimate,
        facts,
    })
}

fn table_plan(
    found: &TableFacts,
    wanted: &TableOptions,
    (facts, mode): (&Facts, Mode),
    choice: &Choice,
) -> Result<TablePlan, Error> {
    let (time_column, time_type) = time_column(found, wanted)?;
    policies::validate(found, &time_column, time_type, &wanted.policies)?;
    let copied: Vec<&Column> = found
        .columns
        .iter()
        .filter(|column| column.generation.is_none())
        .collect();
    let copy_columns: Vec<String> = copied.iter().map(|column| column.name.clone()).collect();
    let time_position = copy_columns
        .iter()
        .position(|name| *name == time_column)
        .ok_or_else(|| {
            Error::new(
                format!(
                    "time column \"{time_column}\" of {} is a generated column",
                    found.relation.plain()
                ),
                "Name a column that is stored, with --time-column.",
            )
        })?;
    let relation = found.relation.clone();
    let moved = || {
        let leaves = found.leaves.iter();
        leaves.filter(|leaf| !expiry::is_left_out(leaf, choice.skip_before_us))
    };
    let backfilled = mode == Mode::Backfill;
    let meeting_keys = match backfilled {
        true => meeting_keys(found, &time_column),
        false => Vec::new(),
    };
    Ok(TablePlan {
        staging: relation.in_schema(&sql::staging_schema(&relation.schema)),
        archive: relation.in_schema(&sql::archive_schema(&relation.schema)),
        time_column,
        time_type,
        chunk_interval_us: wanted.chunk_interval_us,
        time_position,
        generated_columns: generated_columns(found),
        key_columns: key_columns(found, &copy_columns),
        array_elements: array_elements(&copied, facts.same_database),
        chunks: expected_chunks(found, wanted.chunk_interval_us, choice),
        skip_before_us: choice.skip_before_us,
        staged: choice.staged.clone(),
        attached: choice.attached.clone(),
        backfilled,
        meeting_keys,
        proof: choice.proof,
        hash_functions: found.hash_functions.clone(),
        rows_estimate: moved().map(|leaf| leaf.rows_estimate).sum(),
        data_bytes: moved().map(|leaf| leaf.heap_bytes + leaf.toast_bytes).sum(),
        index_bytes: moved().map(|leaf| leaf.index_bytes).sum(),
        policies: wanted.policies.clone(),
        to_columnstore: columnstore::chosen(found, wanted, facts, choice),
        copy_columns,
        relation,
    })
}

/// Chunks go to the columnstore before the cutover, or as attached ones: beside live rows neither is there to be had.
fn refuse_columnstore_now(options: &Options) -> Result<(), Error> {
    let mut tables = options.tables.iter();
    match tables.find(|table| options.mode == Mode::Backfill && columnstore::begins_now(table)) {
        None => Ok(()),
        Some(table) => Err(Error::new(
            format!(
                "chunks of {} cannot go to the columnstore during a run in mode backfill",
                table.relation.plain()
            ),
            "Leave them to the policy: --columnstore policy.",
        )),
    }
}

fn time_column(found: &TableFacts, wanted: &TableOptions) -> Result<(String, TimeType), Error> {
    let table = found.relation.plain();
    let columns = || {
        found
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    if found.kind == RelationKind::Hypertable && found.time_type.is_none() {
        return Err(Error::new(
            format!("{table} is a hypertable already"),
            "There is nothing to move. If a run of hyperhaul made it, see how that run stands with hyperhaul status.",
        ));
    }
    let Some(name) = found.time_column.clone() else {
        return Err(match &wanted.time_column {
            Some(name) => Error::new(
                format!("column \"{name}\" of {table} does not exist"),
                format!("Its columns are: {}.", columns()),
            ),
            None => Error::new(
                format!("{table} has no partition key that could be its time column"),
                format!(
                    "Name one with --time-column; its columns are: {}.",
                    columns()
                ),
            ),
        });
    };
    let Some(time_type) = found.time_type else {
        return Err(Error::new(
            format!("column \"{name}\" of {table} is not a time column"),
            "A time column is of type timestamptz, timestamp or date.",
        ));
    };
    match &found.partition_key {
        Some(key)
            if found.kind == RelationKind::Partitioned
                && key.columns.first() != Some(&Some(name.clone())) =>
        {
            Err(Error::new(
                format!(
                    "{table} is not partitioned by \"{name}\" but by {}",
                    key.definition
                ),
                partition_key_hint(found, key),
            ))
        }
        _ => Ok((name, time_type)),
    }
}

/// What can be done about a table that is partitioned by something else than its time.
fn partition_key_hint(found: &TableFacts, key: &PartitionKey) -> String {
    let mut columns = found.columns.iter();
    let first = key.columns.first().and_then(|first| first.as_ref());
    let by_time = columns.any(|column| Some(&column.name) == first && is_time(&column.type_sql));
    if by_time {
        return "Name the column that it is partitioned by, with --time-column.".to_owned();
    }
    "Partitions that hold other things than ranges of time can't become chunks. Copy the rows into an ordinary table \
     (CREATE TABLE ... AS) or into one that is partitioned by time, and move that."
        .to_owned()
}

/// Whether a type as the server prints it can be a time column's.
fn is_time(type_sql: &str) -> bool {
    type_sql == "date" || type_sql.starts_with("timestamp")
}

fn generated_columns(found: &TableFacts) -> Vec<String> {
    let generated = found
        .columns
        .iter()
        .filter(|column| column.generation.is_some());
    generated.map(|column| column.name.clone()).collect()
}

/// What names a row to people: the primary key, else the first unique key without expressions, else every column.
fn key_columns(found: &TableFacts, copy_columns: &[String]) -> Vec<String> {
    let plain =
        |columns: &[Option<String>]| columns.iter().cloned().collect::<Option<Vec<String>>>();
    let of_kind = |kind: KeyKind| found.unique_keys.iter().filter(move |key| key.kind == kind);
    of_kind(KeyKind::Primary)
        .chain(of_kind(KeyKind::Unique))
        .find_map(|key| plain(&key.columns))
        .unwrap_or_else(|| copy_columns.to_vec())
}

fn array_elements(copied: &[&Column], same_database: bool) -> Vec<ArrayElement> {
    if same_database {
        return Vec::new();
    }
    let element = |(position, column): (usize, &&Column)| match &column.travel {
        BinaryTravel::ArrayOf { schema, name, oid } => Some(ArrayElement {
            position,
            schema: schema.clone(),
            name: name.clone(),
            source_oid: *oid,
        }),
        BinaryTravel::Free | BinaryTravel::Bound(_) => None,
    };
    copied.iter().enumerate().filter_map(element).collect()
}

/// The chunks that rows are known to go to. Partitions that are empty get none. Beside attached tables nothing is known: the
/// server cuts chunks around those.
fn expected_chunks(found: &TableFacts, interval_us: i64, choice: &Choice) -> Vec<ChunkRange> {
    let mut chunks = BTreeSet::new();
    if !choice.attached.is_empty() || !choice.staged.is_empty() {
        return Vec::new();
    }
    for leaf in &found.leaves {
        chunks.extend(
            leaf.chunk_rows
                .iter()
                .map(|chunk| ChunkRange::containing(chunk.start_us, interval_us)),
        );
        if let (
            LeafBound::Range {
                from_us: Some(from_us),
                to_us: Some(to_us),
            },
            true,
        ) = (leaf.bound, leaf.blocks > 0)
        {
            let chunk = ChunkRange::containing(from_us, interval_us);
            if to_us <= chunk.end_us {
                chunks.insert(chunk);
            }
        }
    }
    let kept = |chunk: &ChunkRange| {
        choice
            .skip_before_us
            .is_none_or(|before_us| chunk.start_us >= before_us)
    };
    chunks.into_iter().filter(kept).collect()
}
