//! Checks on what the role may do: on the databases, the tables, and what hangs on the tables.

use super::{Case, Subject};
use crate::facts::ServerFacts;
use crate::{Code, Finding, Severity, quote_ident};

pub(super) fn check_databases(case: &Case) -> Vec<Finding> {
    let mut findings = Vec::new();
    let create = |server: &ServerFacts, why: &str| {
        (!server.can_create_schema).then(|| {
            let (role, database) = (quote_ident(&server.role), quote_ident(&server.database));
            Finding::new(
                Code::Privilege,
                Severity::Block,
                format!("role {role} may not create schemas in database {database}"),
            )
            .object(server.role.clone())
            .detail(why)
            .resolve(format!("GRANT CREATE ON DATABASE {database} TO {role};"))
        })
    };
    findings.extend(create(
        &case.facts.target,
        "The ledger (schema hyperhaul) and the hypertables, until they are complete (schemas hyperhaul_new_...), \
         live in schemas of their own.",
    ));
    if !case.same_database() {
        findings.extend(create(
            &case.facts.source,
            "The fence's function lives in schema hyperhaul of the source's database.",
        ));
    }
    findings
}

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
            .resolve(membership(&found.owner, role)),
        );
    }
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
        findings.extend(check_same_database(subject, role));
    }
    findings.extend(row_security(subject, role));
    findings.extend(partman(subject, role));
    findings
}

fn check_same_database(subject: Subject, role: &str) -> Vec<Finding> {
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
            .resolve(membership(&view.owner, role)),
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
            .resolve(format!(
                "SELECT format('GRANT %I TO %I', relowner::regrole, {}) FROM pg_class WHERE oid = {}::regclass \\gexec",
                crate::quote_literal(role),
                crate::quote_literal(&key.relation.to_string())
            )),
        );
    }
    findings
}

fn missing(message: String) -> Finding {
    Finding::new(Code::Privilege, Severity::Block, message)
}

fn membership(owner: &str, role: &str) -> String {
    format!("GRANT {} TO {};", quote_ident(owner), quote_ident(role))
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

fn row_security(subject: Subject, role: &str) -> Option<Finding> {
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
            finding.resolve(membership(&found.owner, role))
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
