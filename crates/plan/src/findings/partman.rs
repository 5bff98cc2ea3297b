//! pg_partman's management of the table, and what becomes of its retention.

use super::{Case, Subject};
use crate::facts::{License, Partman};
use crate::phrase;
use crate::{Code, Finding, Severity, quote_ident, quote_literal};

pub(super) fn check(case: &Case, subject: Subject) -> Vec<Finding> {
    let Some(partman) = &subject.found.partman else {
        let hidden = subject.found.partman_hidden.as_ref();
        return Vec::from_iter(hidden.map(|schema| hidden_from(case, schema)));
    };
    let mut findings = vec![managed(case, subject, partman)];
    if !partman.sub_config.is_empty() || !subject.found.branches.is_empty() {
        findings.push(sub_partitioned(case, subject, partman));
    }
    findings
}

/// What can't be read may well manage the table.
fn hidden_from(case: &Case, schema: &str) -> Finding {
    let (role, schema) = (quote_ident(&case.facts.source.role), quote_ident(schema));
    Finding::new(
        Code::Partman,
        Severity::Block,
        format!("pg_partman is installed, and role {role} may not read what it manages"),
    )
    .object(format!("{schema}.part_config"))
    .detail(
        "If it manages the table, its row has to be taken out for the run: else maintenance makes and drops partitions \
         meanwhile. If you know that it does not, accept this.",
    )
    .resolve(format!("GRANT USAGE ON SCHEMA {schema} TO {role};"))
    .resolve(format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.part_config, {schema}.part_config_sub TO {role};"
    ))
    .resolve("--accept partman")
    .acceptable()
}

/// What pg_partman is set to do, in its own words.
fn described(partman: &Partman) -> String {
    let kept = if partman.retention_keep_table {
        "detached, kept as tables"
    } else {
        "dropped"
    };
    let retention = match &partman.retention {
        Some(retention) => format!("retention {retention} ({kept})"),
        None => "no retention".to_owned(),
    };
    format!(
        "pg_partman {} manages the table: interval {}, {retention}, automatic maintenance {}",
        partman.version, partman.interval, partman.automatic_maintenance
    )
}

fn managed(case: &Case, subject: Subject, partman: &Partman) -> Finding {
    let taken = "Its row in part_config is saved and taken out right after the fence, and put back by a rollback.";
    if !case.same_database() {
        return Finding::new(Code::Partman, Severity::Info, described(partman)).detail(format!(
            "{taken} The target's chunks are made by TimescaleDB; retention there has to be set up on its own."
        ));
    }
    let Some(retention) = &partman.retention else {
        return Finding::new(Code::Partman, Severity::Info, described(partman)).detail(format!(
            "{taken} From cutover on, TimescaleDB makes the chunks as rows arrive."
        ));
    };
    if subject.table.policies.retention_us.is_some() {
        return Finding::new(Code::Partman, Severity::Info, described(partman)).detail(format!(
            "{taken} From cutover on the declared retention takes its place."
        ));
    }
    let table = quote_literal(&subject.found.relation.to_string());
    let interval = quote_literal(retention);
    let timescale = case.facts.target.timescale.as_ref();
    let community = timescale.is_some_and(|timescale| timescale.license == License::Community);
    let (detail, replacement) = if community {
        (
            "From cutover on nothing removes old rows until a retention policy is there. It drops what it finds too old \
             at its first run, for good: pg_partman's detached tables are not its concern.",
            format!("SELECT add_retention_policy({table}, drop_after => INTERVAL {interval});"),
        )
    } else {
        (
            "From cutover on nothing removes old rows, and the Apache edition has no retention policies: call \
             drop_chunks every day from cron. It drops for good.",
            format!("SELECT drop_chunks({table}, older_than => INTERVAL {interval});"),
        )
    };
    let referenced: Vec<String> = subject
        .found
        .referenced_by
        .iter()
        .filter(|key| !case.moves(&key.relation))
        .map(|key| key.relation.plain())
        .collect();
    let refused = if referenced.is_empty() {
        String::new()
    } else {
        format!(
            " It is refused as long as {} refers to the table: see referenced_by.",
            phrase::list(&referenced)
        )
    };
    Finding::new(Code::Partman, Severity::Warn, described(partman))
        .detail(format!("{taken} {detail}{refused}"))
        .resolve(replacement)
}

fn sub_partitioned(case: &Case, subject: Subject, partman: &Partman) -> Finding {
    let branches = &subject.found.branches;
    let seen = format!(
        "the table is sub-partitioned under pg_partman: {} between it and its leaves, {} in part_config_sub",
        phrase::count_of(branches, "partitioned table"),
        phrase::count_of(&partman.sub_config, "row")
    );
    let schema = quote_ident(&partman.schema);
    let names: Vec<String> = branches
        .iter()
        .map(|branch| quote_literal(&format!("{}.{}", branch.schema, branch.name)))
        .collect();
    let finding = Finding::new(Code::Partman, Severity::Block, seen)
        .detail(format!(
            "pg_partman has a row of its own in part_config for each of them, which hyperhaul does not touch: maintenance \
             would go on making and dropping partitions below them during the run{}. Switch it off for them first; if \
             you have done so, accept this.",
            if case.same_database() {
                ", and after it below the old table"
            } else {
                ""
            }
        ))
        .resolve("--accept partman")
        .acceptable();
    if names.is_empty() {
        finding
    } else {
        finding.resolve(format!(
            "UPDATE {schema}.part_config SET automatic_maintenance = 'off' WHERE parent_table IN ({});",
            names.join(", ")
        ))
    }
}
