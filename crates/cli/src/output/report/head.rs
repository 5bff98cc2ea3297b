//! The top of the page: which run, where it stands, what was proved, and its numbers.

use super::axis::merged;
use super::markup::{Markup, pairs, tag};
use super::words::{moment, span_of, spent};
use crate::output::number::{bytes, grouped};
use hyperhaul_migrate::{Report, RunState, TableReport, VerdictReport};

pub(super) fn render(report: &Report) -> Vec<Markup> {
    let names: Vec<String> = report
        .tables
        .iter()
        .map(|table| table.table.plain())
        .collect();
    let state = format!(
        "hyperhaul run {}, {} since {}",
        report.run,
        report.state.name(),
        moment(report.changed_at)
    );
    vec![
        tag("p").class("state").text(state),
        tag("h1").text(names.join(", ")),
        verdict(report),
        numbers(report),
    ]
}

/// What the proof says over all tables.
enum Standing {
    Open,
    Equal,
    Differs,
    /// It was equal before the cutover, and was not when it was verified last.
    DiffersSince,
}

fn standing(report: &Report) -> Standing {
    let unequal = |verdict: &Option<VerdictReport>| {
        let verdict = verdict.as_ref();
        verdict.is_some_and(|verdict| !verdict.equal)
    };
    let mut tables = report.tables.iter();
    if tables.clone().any(|table| unequal(&table.before_cutover)) {
        Standing::Differs
    } else if tables.clone().any(|table| table.before_cutover.is_none()) {
        Standing::Open
    } else if tables.any(|table| unequal(&table.after_cutover)) {
        Standing::DiffersSince
    } else {
        Standing::Equal
    }
}

fn verdict(report: &Report) -> Markup {
    let (class, word, sentence) = match standing(report) {
        Standing::Equal => (
            "is-good",
            tag("span").class("good").text("Proved equal."),
            " Rows, structure, generated columns and sequences of every table were equal before the cutover.",
        ),
        Standing::Differs => (
            "is-bad",
            tag("span").class("bad").text("Differs."),
            " A verification found source and target unequal: see the tables below.",
        ),
        Standing::DiffersSince => (
            "is-bad",
            tag("span").class("bad").text("Differs since the cutover."),
            " Every table was proved equal before it, and a later verification found a difference: see the tables below.",
        ),
        Standing::Open => (
            "is-open",
            tag("span").class("warning").text("Not proved yet."),
            " At least one table was not verified.",
        ),
    };
    let mut lines = vec![tag("p").holding(word.then(Markup::text(sentence)))];
    let again = |table: &TableReport| {
        table
            .after_cutover
            .as_ref()
            .is_some_and(|verdict| verdict.equal)
    };
    if report.tables.iter().all(again) {
        lines.push(
            tag("p").text("Verified again since the cutover: no row of the source was lost."),
        );
    }
    if let Some(note) = note(report) {
        lines.push(tag("p").text(note));
    }
    tag("div").class(format!("verdict {class}")).lines(lines)
}

/// What the state means for what the page lists.
fn note(report: &Report) -> Option<&'static str> {
    match report.state {
        RunState::Planned => Some("The run was planned; nothing was changed yet."),
        RunState::Superseded => Some("A newer plan took the place of this one, which never ran."),
        RunState::Running => Some("The run is under way or has stopped; it can go on, or go back."),
        RunState::Done => None,
        RunState::CheckingRollback => {
            Some("A rollback is looking for rows to lose, and keeps writers off meanwhile.")
        }
        RunState::RollingBack => {
            Some("The run is being rolled back: part of what is listed here was undone.")
        }
        RunState::RolledBack => {
            Some("The run was rolled back: what is listed here was done once, and undone.")
        }
        RunState::CleanedUp => Some("The run was cleaned up: there is no way back."),
    }
}

fn numbers(report: &Report) -> Markup {
    let rows = report.tables.iter().map(|table| table.moved_rows).sum();
    let size = report.tables.iter().map(|table| table.moved_bytes).sum();
    let leaves = || report.tables.iter().flat_map(|table| &table.leaves);
    let attached = leaves().filter(|leaf| leaf.attached.is_some());
    let done = report.slices.iter().filter(|slice| slice.done).count();
    let steps = report.steps.iter();
    let mut spans: Vec<_> = steps
        .filter_map(|step| span_of(step.started_at, step.finished_at))
        .collect();
    let slices = report.slices.iter();
    spans.extend(slices.filter_map(|slice| span_of(slice.started_at, slice.finished_at)));
    let busy_s = merged(spans, 0.0).iter().map(|span| span.seconds()).sum();
    let all = [
        ("Rows moved", grouped(rows)),
        ("Size moved", bytes(size)),
        (
            "Slices",
            format!(
                "{} of {}",
                grouped(done as u64),
                grouped(report.slices.len() as u64)
            ),
        ),
        (
            "Partitions attached as chunks",
            format!(
                "{} of {}",
                grouped(attached.count() as u64),
                grouped(leaves().count() as u64)
            ),
        ),
        ("At work", spent(busy_s)),
        ("Workers", grouped(report.workers.into())),
        ("Planned", moment(report.created_at)),
    ];
    pairs(all.map(|(name, value)| (name, Markup::text(value))))
}
