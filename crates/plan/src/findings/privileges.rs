//! Checks on what the role may do with the tables and with what hangs on them. Databases, schemas and owners on another server:
//! see `grounds`.

use super::{Case, Subject};
use crate::facts::NotOwned;
use crate::phrase;
use crate::steps::can_exist;
use crate::{Code, Finding, Relation, Severity, quote_ident};
use std::collections::BTreeSet;

pub(super) fn check_table(case: &Case, subject: Subject) -> Vec<Finding> {
    let found = subject.found;
    let role = &case.facts.source.role;
    let mut findings = Vec::new();
    if !found.privileges.owner {
        findings.push(
            missing(format!(
                "role {} is not a member of {}, which owns the table",
                quote_ident(role),
                quote_ident(&found.owner)
            ))
            .detail("Only the owner may put the fence on the table, and move it at cutover.")
            .resolve(membership(case, "TABLE", &found.relation, &found.owner)),
        );
    }
    findings.extend(partitions(case, subject));
    findings.extend(references(case, subject));
    if !found.privileges.select {
        findings.push(
            missing(format!(
                "role {} may not read the table or one of its partitions",
                quote_ident(role)
            ))
            .resolve(grant_select(subject, role)),
        );
    }
    if case.same_database() {
        findings.extend(check_same_database(case, subject));
    }
    findings.extend(row_security(case, subject, role));
    findings.extend(partman(subject, role));
    findings
}

fn check_same_database(case: &Case, subject: Subject) -> Vec<Finding> {
    let role = &case.facts.source.role;
    let found = subject.found;
    let mut findings = Vec::new();
    if !found.privileges.create_in_schema {
        let schema = quote_ident(&found.relation.schema);
        findings.push(
            missing(format!(
                "role {} may not create in schema {schema}",
                quote_ident(role)
            ))
            .detail("At cutover the hypertable moves into that schema; after a rollback the old table moves back.")
            .resolve(format!(
                "GRANT CREATE ON SCHEMA {schema} TO {};",
                quote_ident(role)
            )),
        );
    }
    for view in found.views.iter().filter(|view| !view.can_replace) {
        findings.push(
            missing(format!(
                "role {} may not replace view {}, which {} owns",
                quote_ident(role),
                view.relation.plain(),
                quote_ident(&view.owner)
            ))
            .object(view.relation.plain())
            .detail("Unless it is replaced at cutover, it goes on reading the old table.")
            .resolve(membership(case, "VIEW", &view.relation, &view.owner)),
        );
    }
    for key in found.referenced_by.iter().filter(|key| !key.can_change) {
        findings.push(
            missing(format!(
                "role {} may not change {}, whose foreign key {} refers to the table",
                quote_ident(role),
                key.relation.plain(),
                quote_ident(&key.name)
            ))
            .object(key.relation.plain())
            .detail("The constraint is dropped at cutover and added again to the hypertable, which takes the owner.")
            .resolve(membership(case, "TABLE", &key.relation, &key.owner)),
        );
    }
    let published = found.publications.iter();
    for member in published.filter(|member| member.through == "table" && !member.can_change) {
        findings.push(
            missing(format!(
                "role {} may not change publication {}, which {} owns",
                quote_ident(role),
                quote_ident(&member.publication),
                quote_ident(&member.owner)
            ))
            .object(member.publication.clone())
            .detail("At cutover the hypertable takes the table's place in it.")
            .resolve(give(
                case,
                "PUBLICATION",
                &quote_ident(&member.publication),
                &member.owner,
            )),
        );
    }
    findings
}

fn missing(message: String) -> Finding {
    Finding::new(Code::Privilege, Severity::Block, message)
}

/// How the role comes to own a relation: as a member of its owner.
fn membership(case: &Case, kind: &str, relation: &Relation, owner: &str) -> String {
    give(case, kind, &relation.to_string(), owner)
}

/// A superuser's powers are not to be had for a table's sake: from one, the object itself is taken.
fn give(case: &Case, kind: &str, object: &str, owner: &str) -> String {
    let role = quote_ident(&case.facts.source.role);
    if case.facts.superusers.iter().any(|one| one == owner) {
        format!("ALTER {kind} {object} OWNER TO {role};")
    } else {
        format!("GRANT {} TO {role};", quote_ident(owner))
    }
}

/// The fence stands on each partition, and only its owner can put it there.
fn partitions(case: &Case, subject: Subject) -> Option<Finding> {
    let found = subject.found;
    let superusers = &case.facts.superusers;
    // Membership in the table's owner is asked for already; a superuser's partitions are given one by one.
    let others: Vec<&NotOwned> = found
        .not_owned
        .iter()
        .filter(|one| {
            found.privileges.owner || one.owner != found.owner || superusers.contains(&one.owner)
        })
        .collect();
    let names: Vec<String> = others
        .iter()
        .map(|one| format!("{} (of {})", one.relation.plain(), one.owner))
        .collect();
    if others.is_empty() {
        return None;
    }
    let resolutions: BTreeSet<String> = others
        .iter()
        .map(|one| membership(case, "TABLE", &one.relation, &one.owner))
        .collect();
    let finding = missing(format!(
        "role {} does not own {}: {}",
        quote_ident(&case.facts.source.role),
        phrase::count_of(&names, "partition"),
        phrase::list(&names)
    ))
    .detail("Only a partition's owner may put the fence on it.");
    Some(resolutions.into_iter().fold(finding, Finding::resolve))
}

/// What the hypertable's foreign keys refer to; on another server the table of that name there.
fn references(case: &Case, subject: Subject) -> Vec<Finding> {
    let role = quote_ident(&case.facts.target.role);
    let refused = subject.found.foreign_keys.iter().filter(|key| {
        can_exist(key, case.tables, case.facts)
            && case.facts.unreferencable.contains(&key.references)
    });
    refused
        .map(|key| {
            missing(format!(
                "role {role} may not refer to {}, as foreign key {} does",
                key.references.plain(),
                quote_ident(&key.name)
            ))
            .object(key.name.clone())
            .detail("The hypertable's constraint is made by that role.")
            .resolve(format!("GRANT REFERENCES ON {} TO {role};", key.references))
        })
        .collect()
}

fn grant_select(subject: Subject, role: &str) -> String {
    let leaves = subject.found.leaves.iter().map(|leaf| &leaf.relation);
    let names: Vec<String> = std::iter::once(&subject.found.relation)
        .chain(leaves.filter(|leaf| **leaf != subject.found.relation))
        .map(ToString::to_string)
        .collect();
    format!(
        "GRANT SELECT ON {} TO {};",
        names.join(", "),
        quote_ident(role)
    )
}

fn row_security(case: &Case, subject: Subject, role: &str) -> Option<Finding> {
    let found = subject.found;
    found.privileges.hidden_by_row_security.then(|| {
        let finding = Finding::new(
            Code::RowSecurity,
            Severity::Block,
            format!("row security hides rows of the table from role {}", quote_ident(role)),
        )
        .detail(
            "Rows that the role can't see would not be copied, and verification would not miss them. Either of these \
             shows it everything; the first takes a superuser.",
        )
        .resolve(format!("ALTER ROLE {} BYPASSRLS;", quote_ident(role)));
        if found.force_row_security {
            finding.resolve(format!(
                "ALTER TABLE {} NO FORCE ROW LEVEL SECURITY;",
                found.relation
            ))
        } else {
            finding.resolve(membership(case, "TABLE", &found.relation, &found.owner))
        }
    })
}

fn partman(subject: Subject, role: &str) -> Option<Finding> {
    let partman = subject.found.partman.as_ref()?;
    (!partman.can_change).then(|| {
        let schema = quote_ident(&partman.schema);
        let role = quote_ident(role);
        missing(format!(
            "role {role} may not change {}.part_config, where pg_partman manages the table",
            partman.schema
        ))
        .object(format!("{}.part_config", partman.schema))
        .detail(
            "The table's row is taken out for the run, so that no maintenance changes partitions meanwhile, and put \
             back by a rollback.",
        )
        .resolve(format!("GRANT USAGE ON SCHEMA {schema} TO {role};"))
        .resolve(format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.part_config, {schema}.part_config_sub TO {role};"
        ))
    })
}
