//! Cutover: one short transaction in which the hypertables take the tables' places, and its inverse.
//!
//! Both tables keep their names and change schemas, so that every index, constraint and sequence keeps its name too.

use super::fence::{FENCE_TRIGGER, leaves_unchanged};
use super::keys::not_valid;
use super::{LEDGER_SCHEMA, archive_schema, comment_on, create_schemas, drop_schema_if_empty};
use crate::facts::{Facts, Policy, PublicationMember, ReferencedBy, TableFacts, Trigger, View};
use crate::{Plan, Relation, TablePlan, Topology, quote_ident};
use std::collections::BTreeSet;

/// Puts the hypertables in the tables' places.
pub(crate) fn cutover(tables: &[TablePlan], facts: &Facts, topology: Topology) -> Vec<String> {
    let mut statements = Vec::new();
    let pairs = || tables.iter().zip(&facts.tables);
    if topology == Topology::SameDatabase {
        statements.extend(
            schemas(tables, |table| &table.archive.schema)
                .map(|schema| format!("CREATE SCHEMA IF NOT EXISTS {}", quote_ident(schema))),
        );
        statements.extend(pairs().flat_map(|(_, found)| leaves_unchanged(found)));
        statements.extend(pairs().flat_map(|(_, found)| drop_referencing(found, tables)));
    }
    statements.extend(pairs().flat_map(|(table, found)| swap(table, found, topology)));
    for (table, found) in pairs() {
        if topology == Topology::SameDatabase {
            statements.extend(referencing(found, tables).flat_map(add_referencing_not_valid));
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
                .filter_map(create_trigger),
        );
        statements.extend(row_security(table, found));
        statements.extend(found.statistics.iter().flat_map(|statistics| {
            let set = statistics.target.map(|target| {
                format!(
                    "ALTER STATISTICS {} SET STATISTICS {target}",
                    statistics.relation
                )
            });
            std::iter::once(format!(
                "CREATE STATISTICS {} {} FROM {}",
                statistics.relation, statistics.body_sql, table.relation
            ))
            .chain(set)
        }));
    }
    if topology == Topology::SameDatabase {
        statements.extend(replace_views(facts));
    }
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
            statements.extend(referencing(found, tables).flat_map(add_referencing));
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

/// Validates the foreign keys of other tables that were re-pointed, as `(referencing table, constraint, statement)`.
pub(crate) fn validate_referencing(
    tables: &[TablePlan],
    found: &TableFacts,
) -> Vec<(Relation, String, String)> {
    let validate = |key: &ReferencedBy| {
        let statement = format!(
            "ALTER TABLE {} VALIDATE CONSTRAINT {}",
            key.relation,
            quote_ident(&key.name)
        );
        (key.relation.clone(), key.name.clone(), statement)
    };
    referencing(found, tables)
        .filter(|key| key.validated)
        .map(validate)
        .collect()
}

/// Drops what is no longer needed after a passed verification: the old tables, their schema and the fence's function.
///
/// `drop_source`: drop the source's tables too where they are in another database.
pub fn cleanup_statements(plan: &Plan, drop_source: bool) -> Vec<String> {
    let old = |table: &TablePlan| match plan.topology {
        Topology::SameDatabase => table.archive.to_string(),
        Topology::OtherDatabase => table.relation.to_string(),
    };
    if plan.topology == Topology::OtherDatabase && !drop_source {
        return Vec::new();
    }
    let tables: Vec<String> = plan.tables.iter().map(old).collect();
    let mut statements = vec![format!("DROP TABLE {}", tables.join(", "))];
    if plan.topology == Topology::SameDatabase {
        statements
            .extend(schemas(&plan.tables, |table| &table.archive.schema).map(drop_schema_if_empty));
        statements
            .extend(schemas(&plan.tables, |table| &table.staging.schema).map(drop_schema_if_empty));
    }
    statements.push(drop_fence_function());
    statements
}

/// Drops the fence's function unless another run's fence still uses it.
fn drop_fence_function() -> String {
    format!(
        "DO $do$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgname = '{FENCE_TRIGGER}') THEN \
         DROP FUNCTION IF EXISTS {}.fence(); END IF; END $do$",
        quote_ident(LEDGER_SCHEMA)
    )
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

/// A sequence moves with the table that owns it: the owner is changed around the move, so that it stays where it is.
fn release_sequences(found: &TableFacts) -> Vec<String> {
    let owned = found.sequences.iter().filter(|sequence| sequence.owned);
    owned
        .map(|sequence| format!("ALTER SEQUENCE {} OWNED BY NONE", sequence.relation))
        .collect()
}

fn own_sequences(table: &TablePlan, found: &TableFacts) -> Vec<String> {
    let owned = found.sequences.iter().filter(|sequence| sequence.owned);
    let own = |sequence: &crate::facts::OwnedSequence| {
        format!(
            "ALTER SEQUENCE {} OWNED BY {}.{}",
            sequence.relation,
            table.relation,
            quote_ident(&sequence.column)
        )
    };
    owned.map(own).collect()
}

/// Foreign keys of tables that are not themselves part of the run: those of the run's own tables stay between the old
/// ones, and cannot exist between hypertables.
pub(crate) fn referencing<'a>(
    found: &'a TableFacts,
    tables: &'a [TablePlan],
) -> impl Iterator<Item = &'a ReferencedBy> {
    let moved = |key: &&ReferencedBy| !tables.iter().any(|table| table.relation == key.relation);
    found
        .referenced_by
        .iter()
        .filter(moved)
        .filter(|key| !key.from_hypertable)
}

fn drop_referencing(found: &TableFacts, tables: &[TablePlan]) -> Vec<String> {
    let drop = |key: &ReferencedBy| {
        format!(
            "ALTER TABLE {} DROP CONSTRAINT {}",
            key.relation,
            quote_ident(&key.name)
        )
    };
    referencing(found, tables).map(drop).collect()
}

fn add_referencing(key: &ReferencedBy) -> Vec<String> {
    add_constraint(key, &key.definition)
}

fn add_referencing_not_valid(key: &ReferencedBy) -> Vec<String> {
    add_constraint(key, &not_valid(&key.definition))
}

fn add_constraint(key: &ReferencedBy, definition: &str) -> Vec<String> {
    let name = quote_ident(&key.name);
    let comment = comment_on(
        &format!("CONSTRAINT {name} ON {}", key.relation),
        key.comment.as_ref(),
    );
    std::iter::once(format!(
        "ALTER TABLE {} ADD CONSTRAINT {name} {definition}",
        key.relation
    ))
    .chain(comment)
    .collect()
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

/// TimescaleDB refuses to enable or disable a hypertable's triggers: one that fires for replication only, or never, is
/// left out, and the finding says so.
fn create_trigger(trigger: &Trigger) -> Option<String> {
    (!matches!(trigger.enabled, 'D' | 'R')).then(|| trigger.definition.clone())
}

fn row_security(table: &TablePlan, found: &TableFacts) -> Vec<String> {
    let mut statements: Vec<String> = found
        .policies
        .iter()
        .map(|policy| create_policy(table, policy))
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
fn schemas<'a>(
    tables: &'a [TablePlan],
    schema: impl Fn(&'a TablePlan) -> &'a String,
) -> impl Iterator<Item = &'a str> {
    let names: BTreeSet<&String> = tables.iter().map(schema).collect();
    names.into_iter().map(String::as_str)
}
