//! What `maintain` prints: what was done for each table, or would be.

use super::number::{bytes, count};
use super::{Look, Style, wrap};
use hyperhaul_migrate::{Maintenance, Retention, RollUp, TableMaintenance};
use hyperhaul_plan::format_unix_us;

pub(crate) fn render(maintenance: &Maintenance, target: &str, look: Look) -> String {
    if maintenance.tables.is_empty() {
        let nothing = format!(
            "Nothing is declared for hyperhaul maintain in {target}. Declarations are made in the configuration file of a \
             run; TimescaleDB's Community edition carries them out by jobs of its own."
        );
        return wrap(&nothing, 0, look.width);
    }
    let tables = maintenance.tables.iter();
    let text: String = tables
        .map(|table| one(table, maintenance.dry_run, look))
        .collect();
    let end = if maintenance.dry_run {
        "Nothing was changed.\n"
    } else {
        ""
    };
    format!("{text}{end}")
}

fn one(table: &TableMaintenance, dry_run: bool, look: Look) -> String {
    let mut lines: Vec<String> = Vec::new();
    lines.extend(
        table
            .aggregates
            .iter()
            .map(|rollup| rolled_up(rollup, dry_run)),
    );
    if let Some(retention) = &table.retention {
        lines.extend(retained(retention, dry_run));
        let refused = look.paint(Style::Bad, "kept");
        let refusals = retention.refused.iter();
        lines.extend(refusals.map(|refusal| {
            let chunk = refusal.chunk.plain();
            format!("retention: chunk {chunk} is {refused}: {}", refusal.reason)
        }));
    }
    lines.extend(
        table
            .unavailable
            .iter()
            .map(|what| format!("cannot be had: {what}")),
    );
    if let Some(failure) = &table.failure {
        lines.push(format!("{}: {failure}", look.paint(Style::Bad, "stopped")));
    }
    let lines: String = lines.iter().map(|line| wrap(line, 2, look.width)).collect();
    format!(
        "{}\n{lines}",
        look.paint(Style::Heading, &table.table.plain())
    )
}

fn rolled_up(rollup: &RollUp, dry_run: bool) -> String {
    let name = rollup.aggregate.plain();
    let (Some(first), Some(last)) = (rollup.ranges.first(), rollup.ranges.last()) else {
        return format!("aggregate {name}: up to date");
    };
    let (from, to) = (format_unix_us(first.start_us), format_unix_us(last.end_us));
    if dry_run {
        return format!("aggregate {name}: buckets from {from} to {to} would be computed");
    }
    let rows = count(rollup.rows, "row");
    format!("aggregate {name}: buckets from {from} to {to} computed, {rows}")
}

fn retained(retention: &Retention, dry_run: bool) -> Vec<String> {
    let cutoff = format_unix_us(retention.cutoff_us);
    let would = if dry_run { " would be" } else { "" };
    let mut lines = Vec::new();
    if !retention.dropped.is_empty() {
        let chunks = count(retention.dropped.len(), "chunk");
        let freed = bytes(retention.freed_bytes);
        lines.push(format!(
            "retention: {chunks} from before {cutoff}{would} dropped, {freed} freed"
        ));
    }
    if !retention.emptied.is_empty() {
        let chunks = count(retention.emptied.len(), "chunk");
        let rows = if dry_run {
            String::new()
        } else {
            format!(", {} deleted", count(retention.deleted_rows, "row"))
        };
        lines.push(format!(
            "retention: {chunks} from before {cutoff}{would} emptied{rows}; a foreign key keeps them from being dropped"
        ));
    }
    if lines.is_empty() && retention.refused.is_empty() {
        lines.push(format!("retention: nothing is from before {cutoff}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyperhaul_migrate::Refusal;
    use hyperhaul_plan::{ChunkRange, Relation};

    const WIDE: Look = Look {
        width: 200,
        ..Look::PLAIN
    };

    fn maintenance(dry_run: bool) -> Maintenance {
        let chunk = |name: &str| Relation::new("_timescaledb_internal", name);
        Maintenance {
            dry_run,
            tables: vec![TableMaintenance {
                table: Relation::new("public", "fixes"),
                aggregates: vec![RollUp {
                    aggregate: Relation::new("public", "fixes_hourly"),
                    ranges: vec![ChunkRange {
                        start_us: 1_765_411_200_000_000,
                        end_us: 1_765_497_600_000_000,
                    }],
                    rows: if dry_run { 0 } else { 24 },
                }],
                retention: Some(Retention {
                    cutoff_us: 1_765_411_200_000_000,
                    dropped: vec![chunk("_hyper_1_1_chunk")],
                    emptied: Vec::new(),
                    deleted_rows: 0,
                    freed_bytes: 1 << 20,
                    refused: vec![Refusal {
                        chunk: chunk("_hyper_1_2_chunk"),
                        reason: "rows are still referred to".into(),
                    }],
                }),
                unavailable: vec!["the columnstore".into()],
                failure: None,
            }],
        }
    }

    #[test]
    fn what_was_done_and_what_would_be_are_told_apart() {
        let done = render(&maintenance(false), "postgresql://db", WIDE);
        assert_eq!(
            done,
            "public.fixes\n  \
             aggregate public.fixes_hourly: buckets from 2025-12-11T00:00:00Z to 2025-12-12T00:00:00Z computed, 24 rows\n  \
             retention: 1 chunk from before 2025-12-11T00:00:00Z dropped, 1.0 MiB freed\n  \
             retention: chunk _timescaledb_internal._hyper_1_2_chunk is kept: rows are still referred to\n  \
             cannot be had: the columnstore\n"
        );
        let would = render(&maintenance(true), "postgresql://db", WIDE);
        assert!(
            would.contains("would be computed") && would.contains("would be dropped"),
            "{would}"
        );
        assert!(would.ends_with("Nothing was changed.\n"), "{would}");
    }
}
