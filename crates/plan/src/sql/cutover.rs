//! Cutover: one short transaction in which the hypertables take the tables' places, and its inverse.
//!
//! Both tables keep their names and change schemas, so that every index, constraint and sequence keeps its name too.

use super::attach::unfence_attached;
use super::fence::prove_fence;
use super::foreign_keys::{drop_outgoing, drop_referencing, point_back, re_point};
use super::history::guard_history;
use super::sequences::{own_sequences, release_sequences};
use super::{archive_schema, comment_on, create_schemas, drop_schema_if_empty};
use crate::facts::{
    ExtendedStatistics, Facts, Policy, PublicationMember, TableFacts, Trigger, View,
};
use crate::{Relation, TablePlan, Topology, quote_ident};
use std::collections::BTreeSet;

/// Puts the hypertables in the tables' places.
pub(crate) fn cutover(tables: &[TablePlan], facts: &Facts, topology: Topology) -> Vec<String> {
    let mut statements = Vec::new();
    let pairs = || tables.iter().zip(&facts.tables);
    if topology == Topology::SameDatabase {
        statements
            .extend(pairs().flat_map(|(table, found)| prove_fence(facts, found, &table.attached)));
        statements.extend(
            schemas(tables, |table| &table.archive.schema)
                .map(|schema| format!("CREATE SCHEMA IF NOT EXISTS {}", quote_ident(schema))),
        );
        statements.extend(pairs().filter_map(|(table, found)| grant_archive(table, found, facts)));
        let unattached = pairs().filter(|(table, _)| table.attached.is_empty());
        // Where leaves are attached, both went before.
        statements.extend(unattached.flat_map(|(table, found)| {
            // What history refers to must not be deleted before it is there.
            let outgoing =
                (!table.backfilled).then(|| drop_outgoing(&found.relation, found, tables));
            drop_referencing(found, tables)
                .into_iter()
                .chain(outgoing.into_iter().flatten())
        }));
        statements.extend(pairs().flat_map(|(table, _)| unfence_attached(table)));
    }
    statements.extend(pairs().flat_map(|(table, found)| swap(table, found, topology)));
    for (table, found) in pairs() {
        if topology == Topology::SameDatabase {
            statements.extend(re_point(found, tables));
            statements.extend(
                found
                    .publications
                    .iter()
                    .flat_map(|member| publish(table, member)),
            );
        }
        statements.extend(
            found
                .triggers
                .iter()
                .filter(|trigger| trigger.leaf.is_none())
                .flat_map(|trigger| create_trigger(table, trigger)),
        );
        statements.extend(row_security(table, found));
        let statistics = found.statistics.iter();
        statements.extend(statistics.flat_map(|one| create_statistics(table, one)));
    }
    if topology == Topology::SameDatabase {
        statements.extend(replace_views(facts));
    }
    let backfilled = tables.iter().filter(|table| table.backfilled);
    statements.extend(backfilled.flat_map(|table| guard_history(&table.relation, topology)));
    statements.extend(schemas(tables, |table| &table.staging.schema).map(drop_schema_if_empty));
    statements
}

/// Puts the old tables back.
pub(crate) fn cutover_inverse(
    tables: &[TablePlan],
    facts: &Facts,
    topology: Topology,
) -> Vec<String> {
    let mut statements = create_schemas(facts, tables);
    let pairs = || tables.iter().zip(&facts.tables);
    if topology == Topology::SameDatabase {
        statements.extend(pairs().flat_map(|(_, found)| drop_referencing(found, tables)));
    }
    for (table, found) in pairs() {
        statements.extend(
            found
                .statistics
                .iter()
                .map(|statistics| format!("DROP STATISTICS IF EXISTS {}", statistics.relation)),
        );
        // Attached chunks have clones of them, and would keep these as partitions.
        statements.extend(drop_triggers(table, found));
        statements.extend(release_sequences(found));
        statements.push(format!(
            "ALTER TABLE {} SET SCHEMA {}",
            table.relation,
            quote_ident(&table.staging.schema)
        ));
        if topology == Topology::SameDatabase {
            statements.push(format!(
                "ALTER TABLE {} SET SCHEMA {}",
                table.archive,
                quote_ident(&table.relation.schema)
            ));
            statements.extend(found.statistics.iter().map(|statistics| {
                format!(
                    "ALTER STATISTICS {} SET SCHEMA {}",
                    statistics.relation.in_schema(&table.archive.schema),
                    quote_ident(&statistics.relation.schema)
                )
            }));
            statements.extend(own_sequences(table, found));
        }
    }
    if topology == Topology::SameDatabase {
        for (table, found) in pairs() {
            if table.attached.is_empty() {
                statements.extend(point_back(found, tables));
            }
            statements.extend(
                found
                    .publications
                    .iter()
                    .flat_map(|member| unpublish(table, member)),
            );
        }
        statements.extend(replace_views(facts));
        statements.extend(schemas(tables, |table| &table.archive.schema).map(drop_schema_if_empty));
    }
    statements
}

/// The archive is as open to the tables' owner as the staging schema is.
fn grant_archive(table: &TablePlan, found: &TableFacts, facts: &Facts) -> Option<String> {
    (found.owner != facts.target.role).then(|| {
        format!(
            "GRANT USAGE, CREATE ON SCHEMA {} TO {}",
            quote_ident(&table.archive.schema),
            quote_ident(&found.owner)
        )
    })
}

fn swap(table: &TablePlan, found: &TableFacts, topology: Topology) -> Vec<String> {
    let mut statements = release_sequences(found);
    if topology == Topology::SameDatabase {
        let archive = quote_ident(&archive_schema(&table.relation.schema));
        statements.push(format!(
            "ALTER TABLE {} SET SCHEMA {archive}",
            table.relation
        ));
        statements.extend(found.statistics.iter().map(|statistics| {
            format!(
                "ALTER STATISTICS {} SET SCHEMA {archive}",
                statistics.relation
            )
        }));
    }
    statements.push(format!(
        "ALTER TABLE {} SET SCHEMA {}",
        table.staging,
        quote_ident(&table.relation.schema)
    ));
    statements.extend(own_sequences(table, found));
    statements
}

/// A view's definition names the table; replacing the view binds that name to the relation that now has it.
fn replace_views(facts: &Facts) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let views = facts.tables.iter().flat_map(|found| &found.views);
    let replace = |view: &View| {
        let options = if view.options.is_empty() {
            String::new()
        } else {
            format!(" WITH ({})", view.options.join(", "))
        };
        let columns = super::column_list(&view.columns);
        format!(
            "CREATE OR REPLACE VIEW {} ({columns}){options} AS {}",
            view.relation,
            view.definition.trim_end_matches(';')
        )
    };
    views
        .filter(|view| seen.insert(view.relation.clone()))
        .map(replace)
        .collect()
}

fn drop_triggers(table: &TablePlan, found: &TableFacts) -> Vec<String> {
    let drop = |trigger: &Trigger| {
        let name = quote_ident(&trigger.name);
        format!("DROP TRIGGER IF EXISTS {name} ON {}", table.relation)
    };
    let own = found
        .triggers
        .iter()
        .filter(|trigger| trigger.leaf.is_none());
    own.map(drop).collect()
}

/// TimescaleDB refuses to enable or disable a hypertable's triggers: one that fires for replication only, or never, is
/// left out, and the finding says so.
fn create_trigger(table: &TablePlan, trigger: &Trigger) -> Vec<String> {
    if matches!(trigger.enabled, 'D' | 'R') {
        return Vec::new();
    }
    let object = format!(
        "TRIGGER {} ON {}",
        quote_ident(&trigger.name),
        table.relation
    );
    std::iter::once(trigger.definition.clone())
        .chain(comment_on(&object, trigger.comment.as_ref()))
        .collect()
}

fn create_statistics(table: &TablePlan, statistics: &ExtendedStatistics) -> Vec<String> {
    let name = &statistics.relation;
    let set = statistics
        .target
        .map(|target| format!("ALTER STATISTICS {name} SET STATISTICS {target}"));
    let comment = comment_on(&format!("STATISTICS {name}"), statistics.comment.as_ref());
    std::iter::once(format!(
        "CREATE STATISTICS {name} {} FROM {}",
        statistics.body_sql, table.relation
    ))
    .chain(set)
    .chain(comment)
    .collect()
}

fn row_security(table: &TablePlan, found: &TableFacts) -> Vec<String> {
    let mut statements: Vec<String> = found
        .policies
        .iter()
        .flat_map(|policy| {
            let object = format!("POLICY {} ON {}", quote_ident(&policy.name), table.relation);
            let comment = comment_on(&object, policy.comment.as_ref());
            std::iter::once(create_policy(table, policy)).chain(comment)
        })
        .collect();
    if found.row_security {
        statements.push(format!(
            "ALTER TABLE {} ENABLE ROW LEVEL SECURITY",
            table.relation
        ));
    }
    if found.force_row_security {
        statements.push(format!(
            "ALTER TABLE {} FORCE ROW LEVEL SECURITY",
            table.relation
        ));
    }
    statements
}

fn create_policy(table: &TablePlan, policy: &Policy) -> String {
    let kind = if policy.permissive {
        "PERMISSIVE"
    } else {
        "RESTRICTIVE"
    };
    let role = |role: &String| {
        if role == "public" {
            "PUBLIC".to_owned()
        } else {
            quote_ident(role)
        }
    };
    let roles: Vec<String> = policy.roles.iter().map(role).collect();
    let using = policy
        .using
        .as_ref()
        .map_or(String::new(), |using| format!(" USING ({using})"));
    let check = policy
        .check
        .as_ref()
        .map_or(String::new(), |check| format!(" WITH CHECK ({check})"));
    format!(
        "CREATE POLICY {} ON {} AS {kind} FOR {} TO {}{using}{check}",
        quote_ident(&policy.name),
        table.relation,
        policy.command,
        roles.join(", ")
    )
}

fn publish(table: &TablePlan, member: &PublicationMember) -> Vec<String> {
    alter_publication(member, &table.archive, &table.relation)
}

fn unpublish(table: &TablePlan, member: &PublicationMember) -> Vec<String> {
    alter_publication(member, &table.staging, &table.relation)
}

/// Only a table that is in a publication by itself is exchanged in it: schemas and `ALL TABLES` follow by name.
fn alter_publication(member: &PublicationMember, out: &Relation, into: &Relation) -> Vec<String> {
    if member.through != "table" {
        return Vec::new();
    }
    let publication = quote_ident(&member.publication);
    let columns = member.columns.as_ref().map_or(String::new(), |columns| {
        format!(" ({})", super::column_list(columns))
    });
    let filter = member
        .filter
        .as_ref()
        .map_or(String::new(), |filter| format!(" WHERE ({filter})"));
    vec![
        format!("ALTER PUBLICATION {publication} DROP TABLE {out}"),
        format!("ALTER PUBLICATION {publication} ADD TABLE {into}{columns}{filter}"),
    ]
}

/// The different schemas among those that `schema` names for each table.
pub(super) fn schemas<'a>(
    tables: &'a [TablePlan],
    schema: impl Fn(&'a TablePlan) -> &'a String,
) -> impl Iterator<Item = &'a str> {
    let names: BTreeSet<&String> = tables.iter().map(schema).collect();
    names.into_iter().map(String::as_str)
}
