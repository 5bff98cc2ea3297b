//! The checks: what stands in the way of a run, what is lost by it, and what a person should look at.
//!
//! ```text
//! facts, options, table plans, estimate --> one file per subject --> accepted blocks become warnings --> sorted
//! ```
//!
//! A check blocks where the run would stop half way, or where something would silently be lost or damaged. It
//! warns where somebody has to act or to know. It informs where hyperhaul takes care by itself, and says how.
//! Requests that make no sense (no such column, no time type) are errors of the planner, not findings.

mod backfill;
mod columns;
mod columnstore;
mod dependents;
mod disk;
mod foreign_keys;
mod grounds;
mod keys;
mod leaves;
mod locks;
mod partman;
mod policies;
mod privileges;
mod publications;
mod relation;
mod server;
mod sessions;
mod strategies;
mod time;
mod travel;
mod writers;

use crate::facts::{Facts, TableFacts};
use crate::{Estimate, Finding, Options, Relation, Severity, TablePlan, Topology, Way};

/// What the checks look at.
#[derive(Clone, Copy)]
struct Case<'a> {
    facts: &'a Facts,
    options: &'a Options,
    tables: &'a [TablePlan],
    ways: &'a [Way],
    topology: Topology,
    estimate: &'a Estimate,
}

impl<'a> Case<'a> {
    fn same_database(&self) -> bool {
        self.topology == Topology::SameDatabase
    }

    /// The tables with what was found about each.
    fn subjects(&self) -> impl Iterator<Item = Subject<'a>> {
        let pairs = self.facts.tables.iter().zip(self.tables);
        pairs.map(|(found, table)| Subject { found, table })
    }

    /// Whether `relation` becomes a hypertable in this run.
    fn moves(&self, relation: &Relation) -> bool {
        self.tables.iter().any(|table| table.relation == *relation)
    }
}

/// One table of the run.
#[derive(Clone, Copy)]
struct Subject<'a> {
    found: &'a TableFacts,
    table: &'a TablePlan,
}

/// What the checks see, worst first, then in the order of the tables (servers before them), then by code.
///
/// A block that is acceptable and accepted by the options is a warning here.
///
/// `tables` are the plans of `facts.tables`, in the same order.
pub fn findings(
    facts: &Facts,
    options: &Options,
    tables: &[TablePlan],
    ways: &[Way],
    topology: Topology,
    estimate: &Estimate,
) -> Vec<Finding> {
    let case = Case {
        facts,
        options,
        tables,
        ways,
        topology,
        estimate,
    };
    let mut findings = server::check(&case);
    findings.extend(grounds::check(&case));
    findings.extend(travel::check_databases(&case));
    findings.extend(disk::check(&case));
    findings.extend(locks::check(&case));
    findings.extend(relation::check_names(&case));
    for subject in case.subjects() {
        findings.extend(check_table(&case, subject));
    }
    let order = |finding: &Finding| {
        let table = finding.table.as_ref();
        table.map(|name| tables.iter().position(|table| table.relation == *name))
    };
    let mut findings: Vec<Finding> = findings
        .into_iter()
        .map(|finding| accept(finding, options))
        .collect();
    findings.sort_by_key(|finding| {
        (
            std::cmp::Reverse(finding.severity),
            order(finding),
            finding.code,
        )
    });
    findings
}

fn check_table(case: &Case, subject: Subject) -> Vec<Finding> {
    let checks: &[fn(&Case, Subject) -> Vec<Finding>] = &[
        relation::check,
        privileges::check_table,
        keys::check,
        time::check,
        foreign_keys::check,
        dependents::check,
        leaves::check,
        publications::check,
        writers::check,
        columns::check,
        travel::check_table,
        partman::check,
        policies::check,
        sessions::check,
        strategies::check,
        backfill::check,
    ];
    let run = |check: &fn(&Case, Subject) -> Vec<Finding>| check(case, subject);
    let on_table = |finding: Finding| finding.on(&subject.found.relation);
    checks.iter().flat_map(run).map(on_table).collect()
}

fn accept(finding: Finding, options: &Options) -> Finding {
    let accepted = finding.severity == Severity::Block
        && finding.acceptable
        && options.accept.contains(&finding.code);
    if !accepted {
        return finding;
    }
    let separator = if finding.detail.is_empty() { "" } else { " " };
    Finding {
        severity: Severity::Warn,
        detail: format!(
            "{}{separator}Accepted with --accept {}.",
            finding.detail, finding.code
        ),
        ..finding
    }
}

#[cfg(test)]
mod tests;
