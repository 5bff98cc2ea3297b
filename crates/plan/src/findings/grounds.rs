//! Checks on what a run stands on: databases that it may create schemas in; on another server also the schemas of the tables, and
//! owners that it may give them to.

use super::Case;
use crate::facts::{ServerFacts, TargetSchema};
use crate::{Code, Finding, Severity, quote_ident};

const OWNER_NEEDED: &str =
    "That role owns a table, or a sequence of one, and has to be its owner there too.";

pub(super) fn check(case: &Case) -> Vec<Finding> {
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
        findings.extend(schemas(case));
        findings.extend(owners(case));
    }
    findings
}

fn schemas(case: &Case) -> Vec<Finding> {
    let role = &case.facts.target.role;
    let finding = |schema: &TargetSchema| {
        let name = quote_ident(&schema.name);
        if !schema.exists {
            let missing = format!("schema {name} does not exist on the target");
            return Some(
                Finding::new(Code::Privilege, Severity::Block, missing)
                    .object(schema.name.clone())
                    .detail("The tables, or what belongs to them, lie in it.")
                    .resolve(format!(
                        "CREATE SCHEMA {name} AUTHORIZATION {};",
                        quote_ident(role)
                    )),
            );
        }
        let without: Vec<&String> = std::iter::once(role)
            .chain(sequence_owners(case, &schema.name))
            .filter(|needed| !schema.creators.contains(needed))
            .collect();
        let first = without.first()?;
        let grantees: Vec<String> = without.iter().map(|role| quote_ident(role)).collect();
        let refused = format!(
            "role {} may not create in schema {name} of the target",
            quote_ident(first)
        );
        Some(
            Finding::new(Code::Privilege, Severity::Block, refused)
                .object(schema.name.clone())
                .detail("The run makes the sequences there, and moves the hypertable there at cutover; a sequence's owner has to be able to have it there.")
                .resolve(format!("GRANT USAGE, CREATE ON SCHEMA {name} TO {};", grantees.join(", "))),
        )
    };
    case.facts
        .target_schemas
        .iter()
        .filter_map(finding)
        .collect()
}

/// Roles besides the run's own that sequences in a schema are given to. A superuser gives without asking.
fn sequence_owners<'a>(case: &Case<'a>, schema: &str) -> impl Iterator<Item = &'a String> {
    let facts = case.facts;
    let sequences = facts.tables.iter().flat_map(|table| &table.sequences);
    let owners: std::collections::BTreeSet<&String> = sequences
        .filter(|sequence| sequence.relation.schema == schema && !facts.target.superuser)
        .map(|sequence| &sequence.owner)
        .filter(|owner| **owner != facts.target.role && facts.target_roles.contains(owner))
        .collect();
    owners.into_iter()
}

fn owners(case: &Case) -> Vec<Finding> {
    let role = &case.facts.target.role;
    let finding = |owner: &String| {
        let finding = Finding::new(
            Code::Privilege,
            Severity::Block,
            format!(
                "role {} can give nothing to {} on the target",
                quote_ident(role),
                quote_ident(owner)
            ),
        )
        .object(owner.clone());
        if case.facts.superusers.contains(owner) {
            from_superuser(case, finding, owner)
        } else {
            let grant = format!("GRANT {} TO {};", quote_ident(owner), quote_ident(role));
            finding.detail(OWNER_NEEDED).resolve(grant)
        }
    };
    let others = case
        .facts
        .foreign_owners
        .iter()
        .filter(|owner| *owner != role);
    others.map(finding).collect()
}

/// A superuser's powers are not to be had for a table's sake.
fn from_superuser(case: &Case, finding: Finding, owner: &String) -> Finding {
    let role = quote_ident(&case.facts.source.role);
    let tables = case.facts.tables.iter();
    let owned = tables.filter(|found| found.owner == *owner);
    let detail = format!(
        "{OWNER_NEEDED} It is a superuser on the source: give the tables to a role there that the run may act for, e.g.:"
    );
    owned.fold(finding.detail(detail), |finding, found| {
        finding.resolve(format!("ALTER TABLE {} OWNER TO {role};", found.relation))
    })
}
