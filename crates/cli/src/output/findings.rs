//! What the checks saw: by severity, worst first, each with what resolves it, ready to be pasted.

use super::{Look, Style, wrap};
use hyperhaul_plan::{Finding, Severity};

/// Severities, worst first, with their headings.
const GROUPS: [(Severity, &str, Style); 3] = [
    (Severity::Block, "BLOCK", Style::Bad),
    (Severity::Warn, "WARN", Style::Warning),
    (Severity::Info, "INFO", Style::Heading),
];

pub(super) fn render(findings: &[Finding], look: Look) -> String {
    let mut text = String::new();
    for (severity, heading, style) in GROUPS {
        let group: Vec<&Finding> = findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .collect();
        if group.is_empty() {
            continue;
        }
        text.push_str(&format!(
            "\n{}\n",
            look.paint(style, &format!("{heading} ({})", group.len()))
        ));
        for finding in group {
            text.push('\n');
            text.push_str(&one(finding, look));
        }
    }
    text
}

fn one(finding: &Finding, look: Look) -> String {
    let mut text = heading(finding, look);
    text.push_str(&wrap(&finding.message, 4, look.width));
    for line in wrap(&finding.detail, 4, look.width).lines() {
        text.push_str(&format!("{}\n", look.paint(Style::Quiet, line)));
    }
    for resolution in finding
        .resolution
        .iter()
        .filter(|resolution| is_open(finding, resolution))
    {
        // Not wrapped: it is there to be pasted.
        for line in resolution.lines() {
            text.push_str(&format!("      {line}\n"));
        }
    }
    text
}

/// The code and the place; below each other where they don't fit beside each other.
fn heading(finding: &Finding, look: Look) -> String {
    let (name, place) = (finding.code.name(), place(finding));
    let beside = 2 + name.chars().count() + 2 + place.chars().count() <= look.width;
    let name = look.paint(Style::Heading, name);
    match (place.is_empty(), beside) {
        (true, _) => format!("  {name}\n"),
        (false, true) => format!("  {name}  {place}\n"),
        (false, false) => format!("  {name}\n{}", wrap(&place, 4, look.width)),
    }
}

/// Whether a resolution is still to be decided on: what was accepted needs no `--accept`.
fn is_open(finding: &Finding, resolution: &str) -> bool {
    let accepted = finding.acceptable && finding.severity == Severity::Warn;
    !(accepted && resolution.starts_with("--accept"))
}

fn place(finding: &Finding) -> String {
    match (&finding.table, &finding.object) {
        (Some(table), Some(object)) => format!("{}: {object}", table.plain()),
        (Some(table), None) => table.plain(),
        (None, Some(object)) => object.clone(),
        (None, None) => String::new(),
    }
}

/// `1 block, 3 warn, 12 info`.
pub(super) fn counts(findings: &[Finding]) -> String {
    let of = |severity| {
        findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let blocks = match of(Severity::Block) {
        0 => "no block".to_owned(),
        some => format!("{some} block"),
    };
    format!(
        "{blocks}, {} warn, {} info",
        of(Severity::Warn),
        of(Severity::Info)
    )
}

/// The blocks that `--accept` would lower to warnings, as its argument; none if there are none.
pub(super) fn acceptable(findings: &[Finding]) -> Option<String> {
    let blocks = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Block && finding.acceptable);
    let mut codes: Vec<&str> = blocks.map(|finding| finding.code.name()).collect();
    codes.sort_unstable();
    codes.dedup();
    (!codes.is_empty()).then(|| codes.join(","))
}
