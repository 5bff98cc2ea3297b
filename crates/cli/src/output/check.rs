//! What `check` prints: the servers, the tables, the findings, and what to do next. The head of `plan` is the same.

use super::columns::{Align, Columns};
use super::number::{bytes, estimated, grouped};
use super::{Look, findings, wrap};
use hyperhaul_migrate::Connections;
use hyperhaul_plan::facts::{License, RelationKind, ServerFacts, TableFacts};
use hyperhaul_plan::{Plan, Topology};

/// Where the servers are, as people know them; without passwords.
pub(crate) struct Ends {
    pub(crate) source: String,
    pub(crate) target: String,
}

impl Ends {
    pub(crate) fn of(connections: &Connections) -> Ends {
        Ends {
            source: connections.source.to_string(),
            target: connections.target.to_string(),
        }
    }
}

pub(crate) fn render(plan: &Plan, ends: &Ends, look: Look) -> String {
    format!(
        "{}{}\n{}",
        head(plan, ends, look),
        findings::render(&plan.findings, look),
        next(plan, look)
    )
}

/// Servers and tables.
pub(super) fn head(plan: &Plan, ends: &Ends, look: Look) -> String {
    format!("{}\n{}", servers(plan, ends, look), tables(plan, look))
}

fn servers(plan: &Plan, ends: &Ends, look: Look) -> String {
    let (source, target) = (&plan.facts.source, &plan.facts.target);
    let mut rows = vec![("source", ends.source.clone()), ("", postgres(source))];
    let timescale = timescale(target);
    match plan.topology {
        Topology::SameDatabase => {
            rows.extend([("target", "the same database".to_owned()), ("", timescale)])
        }
        Topology::OtherDatabase => rows.extend([
            ("target", ends.target.clone()),
            ("", postgres(target)),
            ("", timescale),
        ]),
    }
    let line = |(name, text): (&str, String)| {
        let wrapped = wrap(&text, 8, look.width);
        format!("{name:<8}{}", wrapped.trim_start())
    };
    rows.into_iter().map(line).collect()
}

fn postgres(server: &ServerFacts) -> String {
    let version = server.version.split(' ').next().unwrap_or_default();
    let others: String = ["postgis", "pg_partman"]
        .iter()
        .filter_map(|name| {
            Some(format!(
                ", {name} {}",
                server.extensions.get(*name)?.version
            ))
        })
        .collect();
    format!("PostgreSQL {version} as {}{others}", server.role)
}

fn timescale(server: &ServerFacts) -> String {
    match &server.timescale {
        None => "no TimescaleDB in this database".to_owned(),
        Some(timescale) => {
            let (major, minor, patch) = timescale.version;
            let edition = match timescale.license {
                License::Apache => "Apache edition",
                License::Community => "Community edition",
            };
            format!("TimescaleDB {major}.{minor}.{patch}, {edition}")
        }
    }
}

fn tables(plan: &Plan, look: Look) -> String {
    let mut columns = Columns::new([
        Align::Left,
        Align::Left,
        Align::Right,
        Align::Right,
        Align::Right,
        Align::Right,
    ])
    .heading(["table", "kind", "rows", "data", "indexes", "leaves"]);
    for (table, found) in plan.tables.iter().zip(&plan.facts.tables) {
        columns.push([
            table.relation.plain(),
            kind(found).to_owned(),
            estimated(table.rows_estimate),
            bytes(table.data_bytes),
            bytes(table.index_bytes),
            grouped(found.leaves.len() as u64),
        ]);
    }
    columns.render(0, look)
}

fn kind(table: &TableFacts) -> &'static str {
    match (table.kind, &table.partman) {
        (RelationKind::Partitioned, Some(_)) => "pg_partman",
        (RelationKind::Partitioned, None) => "partitioned",
        (RelationKind::Ordinary, _) => "ordinary",
        (RelationKind::Hypertable, _) => "hypertable",
        (RelationKind::Partition, _) => "partition",
        (RelationKind::Other, _) => "other",
    }
}

fn next(plan: &Plan, look: Look) -> String {
    let counts = findings::counts(&plan.findings);
    let advice = if plan.blocked() {
        blocked_advice(plan)
    } else {
        "Nothing was changed. Next: hyperhaul plan, with the same options.".to_owned()
    };
    wrap(&format!("{counts}. {advice}"), 0, look.width)
}

/// What to do about blocks.
pub(super) fn blocked_advice(plan: &Plan) -> String {
    let accept = match findings::acceptable(&plan.findings) {
        Some(codes) => format!(" (or carry on with --accept {codes})"),
        None => String::new(),
    };
    format!("Nothing was changed. Resolve the blocks{accept}, then run hyperhaul check again.")
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use expect_test::expect_file;
    use hyperhaul_plan::{Code, Severity};

    /// What `hyperhaul plan --json` printed about the sample that `hyperhaul workload soar` loads.
    pub(in crate::output) fn soar() -> (Plan, Ends) {
        let text = include_str!("../../../../fixtures/soar/plan.json");
        let server = "postgresql://postgres@127.0.0.1:5432/soar".to_owned();
        let ends = Ends {
            source: server.clone(),
            target: server,
        };
        (serde_json::from_str(text).unwrap(), ends)
    }

    #[test]
    fn a_check_shows_servers_tables_and_findings_worst_first() {
        let (mut plan, ends) = soar();
        // As it is without --accept.
        let accepted = plan.findings.iter_mut();
        for finding in accepted.filter(|finding| finding.code == Code::HypertableForeignKey) {
            finding.severity = Severity::Block;
            finding.detail = finding
                .detail
                .replace(" Accepted with --accept hypertable_foreign_key.", "");
        }
        let shown = render(&plan, &ends, Look::PLAIN);
        expect_file!["../../../../fixtures/soar/check.txt"].assert_eq(&shown);
    }

    #[test]
    fn another_server_is_named() {
        let (mut plan, ends) = soar();
        plan.topology = Topology::OtherDatabase;
        plan.facts.target.timescale = None;
        let head = head(&plan, &ends, Look::PLAIN);
        assert!(
            head.contains("target  postgresql://postgres@127.0.0.1:5432/soar\n"),
            "{head}"
        );
        assert!(head.contains("no TimescaleDB in this database"), "{head}");
    }

    #[test]
    fn prose_keeps_within_the_terminal() {
        let (plan, ends) = soar();
        for width in [60, 80, 110] {
            let shown = render(
                &plan,
                &ends,
                Look {
                    width,
                    ..Look::PLAIN
                },
            );
            // Resolutions are there to be pasted, and names are never broken.
            let prose = shown
                .lines()
                .filter(|line| !line.starts_with("      ") && line.trim().contains(' '));
            let too_long: Vec<&str> = prose
                .filter(|line| line.chars().count() > width.max(73))
                .collect();
            assert!(too_long.is_empty(), "{width}: {too_long:?}");
        }
    }
}
