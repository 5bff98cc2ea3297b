//! What `verify` prints: a line for each table that is equal; chunks and keys of those that are not.

use super::number::{count, grouped};
use super::{Look, Style, wrap};
use hyperhaul_migrate::{ChunkDifferences, TableVerification, Verification};
use hyperhaul_plan::{ChunkRange, ChunkVerdict, format_unix_us};

pub(crate) fn render(verification: &Verification, look: Look) -> String {
    let tables: String = verification
        .tables
        .iter()
        .map(|table| one(table, look))
        .collect();
    let verdict = if verification.equal() {
        "Source and target are equal: every row, column, index, constraint and sequence that was compared."
    } else {
        "Source and target differ."
    };
    format!(
        "run {}\n{tables}\n{}",
        verification.run,
        wrap(verdict, 0, look.width)
    )
}

/// A table: one line, and what differs below it.
pub(super) fn one(table: &TableVerification, look: Look) -> String {
    let verdict = &table.verdict;
    let unequal: Vec<&ChunkVerdict> = verdict.chunks.iter().filter(|chunk| !chunk.equal).collect();
    let word = if table.equal() {
        look.paint(Style::Good, "equal")
    } else {
        look.paint(Style::Bad, "DIFFERS")
    };
    let rows = match (verdict.source_rows(), verdict.target_rows()) {
        (source, target) if source == target => count(source, "row"),
        (source, target) => format!(
            "{} in the source, {} in the target",
            count(source, "row"),
            grouped(target)
        ),
    };
    let equal = grouped((verdict.chunks.len() - unequal.len()) as u64);
    let mut text = format!(
        "  {}: {word}, {equal} of {} equal, {rows}\n",
        table.table.plain(),
        count(verdict.chunks.len(), "chunk")
    );
    for chunk in unequal {
        let differences = table
            .differences
            .iter()
            .find(|differences| differences.range == chunk.range);
        text.push_str(&chunk_text(chunk, differences));
    }
    for line in table.structure.iter().chain(&table.sequences) {
        text.push_str(&wrap(line, 4, look.width));
    }
    for (column, rows) in &table.generated {
        let line = format!(
            "generated column {column} differs from its expression in {}",
            count(*rows, "row")
        );
        text.push_str(&wrap(&line, 4, look.width));
    }
    text
}

fn chunk_text(chunk: &ChunkVerdict, differences: Option<&ChunkDifferences>) -> String {
    let mut text = format!(
        "    chunk {}: {} in the source, {} in the target\n",
        interval(chunk.range),
        count(chunk.source_rows, "row"),
        grouped(chunk.target_rows)
    );
    let Some(differences) = differences else {
        return text;
    };
    for (what, keys) in [
        ("missing in the target", &differences.missing),
        ("in the target only", &differences.extra),
        ("in both, different", &differences.different),
    ] {
        if keys.is_empty() {
            continue;
        }
        let more = if differences.truncated {
            " or more"
        } else {
            ""
        };
        text.push_str(&format!(
            "      {what} ({}{more}):\n",
            grouped(keys.len() as u64)
        ));
        for key in keys {
            text.push_str(&format!("        {key}\n"));
        }
    }
    text
}

fn interval(range: ChunkRange) -> String {
    format!(
        "[{}, {})",
        format_unix_us(range.start_us),
        format_unix_us(range.end_us)
    )
}
