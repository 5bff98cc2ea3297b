//! Checks on what has to exist and mean the same in another database: types, extensions, roles.
//!
//! Within one database there is nothing to check here.

use super::{Case, Subject};
use crate::facts::{BinaryTravel, Column, TableFacts};
use crate::phrase;
use crate::{Code, Finding, Severity, quote_ident, quote_literal};
use std::collections::BTreeSet;

/// Extensions that the target does not need in order to hold the tables.
const NOT_NEEDED: [&str; 4] = ["plpgsql", "pg_partman", "pg_stat_statements", "pg_cron"];

pub(super) fn check_databases(case: &Case) -> Vec<Finding> {
    if case.same_database() {
        return Vec::new();
    }
    let facts = case.facts;
    let target = &facts.target.extensions;
    let extensions: Vec<&String> = facts
        .source
        .extensions
        .keys()
        .filter(|name| !target.contains_key(*name) && !NOT_NEEDED.contains(&name.as_str()))
        .collect();
    let mut findings = Vec::new();
    if !extensions.is_empty() {
        let finding = Finding::new(
            Code::SourceExtension,
            Severity::Warn,
            format!(
                "{} of the source {} not installed on the target: {}",
                phrase::count_of(&extensions, "extension"),
                if extensions.len() == 1 { "is" } else { "are" },
                phrase::list(&extensions)
            ),
        )
        .detail(
            "If a default, a generated column or an index of the tables uses one, the run stops where that is made: for \
             an index, that is after the copy.",
        );
        findings.push(extensions.iter().fold(finding, |finding, name| {
            finding.resolve(format!("CREATE EXTENSION {};", quote_ident(name)))
        }));
    }
    findings.extend(
        facts
            .missing_types
            .iter()
            .map(|name| missing_type(case, name)),
    );
    findings.extend(missing_roles(case));
    findings
}

pub(super) fn check_table(case: &Case, subject: Subject) -> Vec<Finding> {
    if case.same_database() {
        return Vec::new();
    }
    let columns = subject.found.columns.iter();
    let copied = columns.filter(|column| column.generation.is_none());
    let finding = |column: &Column| {
        match &column.travel {
        BinaryTravel::Free => None,
        BinaryTravel::ArrayOf { schema, name, .. } => Some(
            Finding::new(
                Code::BinaryTravel,
                Severity::Info,
                format!(
                    "{} is an array of {}.{}, whose oid differs between databases",
                    quote_ident(&column.name),
                    quote_ident(schema),
                    quote_ident(name)
                ),
            )
            .object(column.name.clone())
            .detail("The oid inside each value is replaced by the target's on the way."),
        ),
        BinaryTravel::Bound(why) => Some(
            Finding::new(
                Code::BinaryTravel,
                Severity::Block,
                format!(
                    "{} ({}) can't be sent to another database in binary form: {why}",
                    quote_ident(&column.name),
                    column.type_sql
                ),
            )
            .object(column.name.clone())
            .detail(
                "Values of that type hold oids of the source's database. Move within the source's database instead, or \
                 change the column's type before the run:",
            )
            .resolve(format!(
                "ALTER TABLE {} ALTER COLUMN {} TYPE jsonb USING to_jsonb({});",
                subject.found.relation,
                quote_ident(&column.name),
                quote_ident(&column.name)
            )),
        ),
    }
    };
    copied.filter_map(finding).collect()
}

fn missing_type(case: &Case, name: &str) -> Finding {
    let uses = |column: &Column| {
        let type_sql = column.type_sql.as_str();
        let base = type_sql.trim_end_matches("[]");
        base == name || base.split('(').next() == Some(name)
    };
    let columns: Vec<String> = case
        .facts
        .tables
        .iter()
        .flat_map(|table| table.columns.iter().map(move |column| (table, column)))
        .filter(|(_, column)| uses(column))
        .map(|(table, column)| format!("{}.{}", table.relation.plain(), quote_ident(&column.name)))
        .collect();
    let used = if columns.is_empty() {
        String::new()
    } else {
        format!("; used by {}", phrase::list(&columns))
    };
    let finding = Finding::new(
        Code::TypeMissing,
        Severity::Block,
        format!("type {name} is missing on the target{used}"),
    )
    .object(name);
    if let Some(extension) = case.facts.type_extensions.get(name) {
        let found = case.facts.source.extensions.get(extension);
        let schema = found.map_or(String::new(), |found| {
            format!(" SCHEMA {}", quote_ident(&found.schema))
        });
        return finding
            .detail(format!(
                "It belongs to extension {extension}, whose files have to be on the target's server:"
            ))
            .resolve(format!(
                "CREATE EXTENSION IF NOT EXISTS {}{schema};",
                quote_ident(extension)
            ));
    }
    let literal = quote_literal(name);
    finding
        .detail("For an enum, this prints on the source the statement to run on the target:")
        .resolve(format!(
            "SELECT format('CREATE TYPE %s AS ENUM (%s);', {literal}, string_agg(quote_literal(enumlabel), ', ' ORDER BY \
             enumsortorder)) FROM pg_enum WHERE enumtypid = {literal}::regtype HAVING count(*) > 0;"
        ))
}

/// What a role is needed for, worst first.
fn needed_roles(found: &TableFacts) -> impl Iterator<Item = (&str, Severity)> {
    let owner = std::iter::once((found.owner.as_str(), Severity::Block));
    let policies = found
        .policies
        .iter()
        .flat_map(|policy| &policy.roles)
        .filter(|role| *role != "public")
        .map(|role| (role.as_str(), Severity::Block));
    let columns = found.columns.iter().flat_map(|column| &column.grants);
    let grants = found
        .grants
        .iter()
        .chain(columns)
        .filter_map(|grant| Some((grant.grantee.as_deref()?, Severity::Warn)));
    let sequences = found.sequences.iter().flat_map(|sequence| {
        let grantees = sequence.grants.iter();
        std::iter::once(sequence.owner.as_str())
            .chain(grantees.filter_map(|grant| grant.grantee.as_deref()))
            .map(|role| (role, Severity::Warn))
    });
    owner.chain(policies).chain(grants).chain(sequences)
}

fn missing_roles(case: &Case) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for found in &case.facts.tables {
        for (role, severity) in needed_roles(found) {
            let known = case.facts.target_roles.iter().any(|known| known == role);
            if known || !seen.insert(role) {
                continue;
            }
            let (what, detail) = match severity {
                Severity::Block => (
                    "owns the table or is named in a policy",
                    "Neither can be given to a role that does not exist.",
                ),
                Severity::Warn | Severity::Info => (
                    "has privileges on the table or a sequence, or owns a sequence",
                    "They are left out unless the role is there when the run starts.",
                ),
            };
            findings.push(
                Finding::new(
                    Code::RoleMissing,
                    severity,
                    format!(
                        "role {} {what} and is missing on the target",
                        quote_ident(role)
                    ),
                )
                .on(&found.relation)
                .object(role)
                .detail(detail)
                .resolve(format!("CREATE ROLE {} NOLOGIN;", quote_ident(role))),
            );
        }
    }
    findings
}
