//! The report as one page: readable offline, on a screen in light and dark, and on paper. Nothing in it runs, and nothing is
//! fetched; every text that comes from a database is escaped by [`markup`].
//!
//! ```text
//! head        state, verdict, numbers
//! timeline    phases, and slices per worker (axis)
//! moved       tables, ways of their leaves, slices
//! proof       verdicts, digests per chunk
//! around      calls, findings, options, servers, steps
//! ```

mod around;
mod axis;
mod head;
mod markup;
mod moved;
mod proof;
mod timeline;
mod words;

use hyperhaul_migrate::Report;
use markup::{Markup, section, tag};

/// Nothing is to be fetched or run, whatever a reader's browser might think.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// A list that is longer is shortened in the page; the JSON has all of it.
const LISTED_MAX: usize = 2_000;

/// The whole page.
pub(crate) fn render(report: &Report) -> String {
    let title = format!("hyperhaul run {}: report", report.run);
    let head = tag("head").lines([
        tag("meta").with("charset", "utf-8").empty(),
        tag("meta")
            .with("http-equiv", "Content-Security-Policy")
            .with("content", POLICY)
            .empty(),
        tag("meta")
            .with("name", "viewport")
            .with("content", "width=device-width, initial-scale=1")
            .empty(),
        tag("title").text(title),
        Markup::style(include_str!("style.css")),
    ]);
    let body = tag("body").lines([
        tag("header").lines(head::render(report)),
        tag("main").lines(sections(report)),
        tag("footer").holding(foot(report)),
    ]);
    Markup::document(tag("html").with("lang", "en").lines([head, body]))
}

fn sections(report: &Report) -> Vec<Markup> {
    vec![
        section("timeline", "Timeline", [timeline::render(report)]),
        section("tables", "What was moved, and how", moved::tables(report)),
        section("calls", "Who called what", around::calls(report)),
        section("findings", "Findings", around::findings(report)),
        section("settings", "Options and servers", around::settings(report)),
        section("steps", "Steps", around::steps(report)),
        section("digests", "Digests per chunk", proof::digests(report)),
        section("slices", "Slices", moved::slices(report)),
    ]
}

fn foot(report: &Report) -> Markup {
    let text = format!(
        "Written by hyperhaul {} on {}. All times of the run are by the target's clock, in UTC.",
        report.written_by_version,
        words::moment(report.written_at)
    );
    tag("p").class("quiet").text(text)
}

/// The first of a list, and a sentence where that is not all.
fn listed<T>(all: &[T]) -> (&[T], Markup) {
    match all.get(..LISTED_MAX) {
        Some(first) if first.len() < all.len() => {
            let sentence = format!(
                "The first {} of {} are listed; the JSON report has all of them.",
                crate::output::number::grouped(first.len() as u64),
                crate::output::number::grouped(all.len() as u64)
            );
            (first, tag("p").class("quiet").text(sentence))
        }
        _ => (all, Markup::default()),
    }
}

#[cfg(test)]
mod tests;
