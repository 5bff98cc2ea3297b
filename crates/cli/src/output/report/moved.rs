//! What was moved, and how: the tables, the way of each leaf with its reasons, and the slices.

use super::markup::{Column, Markup, boxed, cell, pairs, row, table, tag};
use super::words::{exact, interval, spent};
use super::{listed, proof};
use crate::output::number::{bytes, count, grouped};
use hyperhaul_migrate::{LeafReport, Report, SliceReport, TableReport};
use hyperhaul_plan::{Policies, Proof};
use std::collections::BTreeMap;

/// Rows and bytes of a leaf, over its slices.
#[derive(Clone, Copy, Default)]
struct Moved {
    slices: u64,
    done: u64,
    rows: u64,
    bytes: u64,
}

/// A leaf by its table and name, as slices name it.
type LeafKey<'a> = (usize, &'a str, &'a str);

/// Each table: its verdicts, the ways of its leaves, and its leaves.
pub(super) fn tables(report: &Report) -> Vec<Markup> {
    let mut moved: BTreeMap<LeafKey<'_>, Moved> = BTreeMap::new();
    for slice in &report.slices {
        let key = (
            slice.table,
            slice.leaf.schema.as_str(),
            slice.leaf.name.as_str(),
        );
        let sum = moved.entry(key).or_default();
        sum.slices += 1;
        sum.done += u64::from(slice.done);
        sum.rows += slice.rows.unwrap_or_default();
        sum.bytes += slice.bytes.unwrap_or_default();
    }
    let one = |(index, table): (usize, &TableReport)| one(index, table, &moved);
    report.tables.iter().enumerate().flat_map(one).collect()
}

fn one(index: usize, of: &TableReport, moved: &BTreeMap<LeafKey<'_>, Moved>) -> Vec<Markup> {
    let attached: Vec<_> = of
        .leaves
        .iter()
        .filter_map(|leaf| leaf.attached.as_ref())
        .collect();
    let attached_rows: u64 = attached.iter().map(|leaf| leaf.rows_estimate).sum();
    let mut facts = vec![
        ("Rows moved", Markup::text(grouped(of.moved_rows))),
        ("Size moved", Markup::text(bytes(of.moved_bytes))),
        ("Time column", Markup::text(&of.time_column)),
        (
            "Chunks of",
            Markup::text(spent_interval(of.chunk_interval_us)),
        ),
        (
            "Before the cutover",
            proof::outcome(of.before_cutover.as_ref()),
        ),
        (
            "Since the cutover",
            proof::outcome(of.after_cutover.as_ref()),
        ),
    ];
    if !attached.is_empty() {
        let text = format!(
            "{}, {} estimated",
            grouped(attached.len() as u64),
            count(attached_rows, "row")
        );
        facts.insert(2, ("Attached as chunks", Markup::text(text)));
    }
    if !of.policies.is_empty() {
        facts.push(("As rows age", Markup::text(policies(&of.policies))));
    }
    let proof = match of.proof {
        Proof::Tuples => {
            "Moved rows are compared by XXH3-128 of each binary tuple, the source's taken while they were copied."
        }
        Proof::RecordHash => {
            "Moved rows are compared by the server's own hash of each row, asked for on both sides."
        }
    };
    let files = match attached.is_empty() {
        true => "",
        false => " Attached partitions are proved by their files and bounds.",
    };
    vec![
        tag("h3").text(of.table.plain()),
        pairs(facts),
        tag("p").class("quiet").text(format!("{proof}{files}")),
        ways(of),
        leaves(index, of, moved),
    ]
}

fn policies(policies: &Policies) -> String {
    let columnstore = policies
        .columnstore
        .as_ref()
        .map(|columnstore| format!("columnstore after {}", spent_interval(columnstore.after_us)));
    let retention = policies
        .retention_us
        .map(|length_us| format!("dropped after {}", spent_interval(length_us)));
    let aggregates = policies
        .aggregates
        .iter()
        .map(|aggregate| format!("aggregate {}", aggregate.relation.plain()));
    let all = columnstore.into_iter().chain(retention).chain(aggregates);
    all.collect::<Vec<_>>().join("; ")
}

fn spent_interval(length_us: i64) -> String {
    let seconds = length_us / 1_000_000;
    match (seconds % 86_400, seconds % 3_600, length_us % 1_000_000) {
        (0, _, 0) => count(seconds.unsigned_abs() / 86_400, "day"),
        (_, 0, 0) => count(seconds.unsigned_abs() / 3_600, "hour"),
        (_, _, 0) => count(seconds.unsigned_abs(), "second"),
        _ => format!("{} microseconds", grouped(length_us.unsigned_abs())),
    }
}

/// Each kind of way once, with its reasons and the number of leaves that took it.
fn ways(of: &TableReport) -> Markup {
    let mut kinds: Vec<(&LeafReport, usize)> = Vec::new();
    for leaf in &of.leaves {
        let same = |(kind, _): &&mut (&LeafReport, usize)| {
            kind.strategy == leaf.strategy
                && kind.reason == leaf.reason
                && kind.ruled_out == leaf.ruled_out
        };
        match kinds.iter_mut().find(same) {
            Some((_, number)) => *number += 1,
            None => kinds.push((leaf, 1)),
        }
    }
    let item = |(kind, number): (&LeafReport, usize)| {
        let taken = tag("b").text(kind.strategy.name());
        let why = format!(", {}: {}", count(number, "partition"), kind.reason);
        let not = kind
            .ruled_out
            .iter()
            .map(|(strategy, reason)| tag("li").text(format!("not {}: {reason}", strategy.name())));
        let not = match kind.ruled_out.is_empty() {
            true => Markup::default(),
            false => tag("ul").holding(Markup::all(not)),
        };
        tag("li").holding(taken.then(Markup::text(why)).then(not))
    };
    tag("ul").class("ways").lines(kinds.into_iter().map(item))
}

fn leaves(index: usize, of: &TableReport, moved: &BTreeMap<LeafKey<'_>, Moved>) -> Markup {
    let attaches = of.leaves.iter().any(|leaf| leaf.attached.is_some());
    let mut columns = vec![
        Column::Code("Partition"),
        Column::Words("Way"),
        Column::Number("Slices"),
        Column::Number("Rows"),
        Column::Number("Size"),
    ];
    if attaches {
        columns.push(Column::Words("As a chunk"));
    }
    let (shown, more) = listed(&of.leaves);
    let line = |leaf: &LeafReport| {
        let key = (index, leaf.leaf.schema.as_str(), leaf.leaf.name.as_str());
        let sum = moved.get(&key).copied().unwrap_or_default();
        let mut cells = cells(leaf, sum);
        cells.truncate(columns.len() - 1);
        row(leaf.leaf.plain(), cells.into_iter().map(cell))
    };
    let caption = format!("Partitions of {}", of.table.plain());
    let list = table(&caption, &columns, shown.iter().map(line));
    boxed(&caption, list).then(more)
}

/// What there is to say of a leaf beside its name; the last is for attached ones.
fn cells(leaf: &LeafReport, sum: Moved) -> Vec<String> {
    let way = leaf.strategy.name().to_owned();
    let Some(attached) = &leaf.attached else {
        let slices = match sum.slices - sum.done {
            0 => grouped(sum.slices),
            _ => format!("{} of {}", grouped(sum.done), grouped(sum.slices)),
        };
        return vec![
            way,
            slices,
            grouped(sum.rows),
            bytes(sum.bytes),
            String::new(),
        ];
    };
    vec![
        way,
        String::new(),
        format!("~{}", grouped(attached.rows_estimate)),
        bytes(attached.bytes),
        format!(
            "file {}, {}",
            attached.relfilenode,
            interval(attached.range)
        ),
    ]
}

/// Every slice: what, by whom, when.
pub(super) fn slices(report: &Report) -> Vec<Markup> {
    if report.slices.is_empty() {
        return vec![tag("p").text("There are none: no row had to be moved.")];
    }
    let columns = [
        Column::Number("Slice"),
        Column::Code("Partition"),
        Column::Number("Blocks"),
        Column::Number("Rows"),
        Column::Number("Size"),
        Column::Number("Worker"),
        Column::Number("Began, UTC"),
        Column::Number("Took"),
    ];
    let (shown, more) = listed(&report.slices);
    let line = |slice: &SliceReport| {
        let end = slice
            .end_block
            .map_or("end".to_owned(), |block| block.to_string());
        let cells = [
            slice.leaf.plain(),
            format!("{}..{end}", slice.first_block),
            slice.rows.map_or("pending".to_owned(), grouped),
            slice.bytes.map_or(String::new(), bytes),
            slice
                .worker
                .map_or(String::new(), |worker| worker.to_string()),
            exact(slice.started_at),
            slice.seconds.map_or(String::new(), spent),
        ];
        row(slice.slice, cells.map(cell))
    };
    let list = table(
        "The units of work: one partition, one range of its blocks, one transaction",
        &columns,
        shown.iter().map(line),
    );
    vec![boxed("Slices", list), more]
}
