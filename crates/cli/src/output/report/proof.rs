//! What was proved: the verdicts of the tables, and the digests of their chunks.

use super::listed;
use super::markup::{Column, Markup, boxed, cell, row, table, tag};
use super::words::{interval, moment};
use crate::output::number::{count, grouped};
use hyperhaul_migrate::{ChunkReport, Report, TableReport, VerdictReport};
use hyperhaul_plan::Mode;

/// A verdict in a few words, with its time.
pub(super) fn outcome(verdict: Option<&VerdictReport>) -> Markup {
    let Some(verdict) = verdict else {
        return tag("span").class("quiet").text("not verified");
    };
    let unequal = verdict.chunks.iter().filter(|chunk| !chunk.equal).count();
    let (class, words) = match (verdict.equal, verdict.lost_rows) {
        (true, 0) => ("good", "equal".to_owned()),
        (true, stayed_out) => {
            let rows = count(stayed_out, "row");
            let words =
                format!("equal, but for {rows} of the old table whose keys live rows had first");
            ("good", words)
        }
        (false, 0) if unequal == 0 => (
            "bad",
            "rows equal, but structure, generated columns or sequences differ".to_owned(),
        ),
        (false, 0) => ("bad", format!("differs in {}", count(unequal, "chunk"))),
        (false, lost) => (
            "bad",
            format!("{} missing or different", count(lost, "row")),
        ),
    };
    let when = Markup::text(format!(", {}", moment(verdict.verified_at)));
    tag("span").class(class).text(words).then(when)
}

/// The digests of each table's chunks, of before the cutover and of after it.
pub(super) fn digests(report: &Report) -> Vec<Markup> {
    let mut parts = vec![tag("p").text(
        "Each digest is the number of rows and the sum, modulo 2 to the power of 128, of a hash of each row: it depends on \
         neither order nor place. Where source and target have the same one it is written once. Attached partitions are not listed: \
         none of their rows moved, and their files are the proof.",
    )];
    for of in &report.tables {
        let own = match report.options.mode {
            Mode::Window => ("before the cutover", "after the cutover"),
            Mode::Backfill => ("when its history was in", "later"),
        };
        for (when, verdict) in [(own.0, &of.before_cutover), (own.1, &of.after_cutover)] {
            if let Some(verdict) = verdict {
                parts.extend(one(of, when, verdict));
            }
        }
    }
    if parts.len() == 1 {
        parts.push(tag("p").text("No table was verified."));
    }
    parts
}

fn one(of: &TableReport, when: &str, verdict: &VerdictReport) -> [Markup; 3] {
    let columns = [
        Column::Words("Interval"),
        Column::Number("Source rows"),
        Column::Number("Target rows"),
        Column::Code("Digest"),
        Column::Words("Verdict"),
    ];
    // What differs must not be lost where the list is shortened.
    let mut chunks: Vec<&ChunkReport> = verdict.chunks.iter().collect();
    chunks.sort_by_key(|chunk| chunk.equal);
    let (shown, more) = listed(&chunks);
    let name = format!("{}, {when}", of.table.plain());
    let caption = format!("Verified on {}", moment(verdict.verified_at));
    let list = table(
        &caption,
        &columns,
        shown.iter().map(|chunk| line(chunk, verdict)),
    );
    [tag("h3").text(&name), boxed(&name, list), more]
}

fn line(chunk: &ChunkReport, of: &VerdictReport) -> Markup {
    let digest = match (&chunk.source_sum, &chunk.target_sum) {
        (Some(source), Some(target)) if source == target => source.clone(),
        (None, None) => "not recorded".to_owned(),
        (source, target) => {
            let sum = |sum: &Option<String>| sum.clone().unwrap_or_else(|| "no row".to_owned());
            format!("source {}, target {}", sum(source), sum(target))
        }
    };
    let verdict = match (chunk.equal, of.equal) {
        (true, _) => cell("equal"),
        // Rows that only the hypertable has were written since.
        (false, true) => cell("written to since"),
        (false, false) => tag("td").holding(tag("span").class("bad").text("DIFFERS")),
    };
    let [source, target] = [chunk.source_rows, chunk.target_rows].map(|rows| cell(grouped(rows)));
    row(
        interval(chunk.range),
        [source, target, cell(digest), verdict],
    )
}
