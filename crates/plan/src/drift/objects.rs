//! Changes of a table's objects: columns, keys, indexes, constraints, dependents, grants, pg_partman's row.
//!
//! Each object is told apart by its name and compared by a text of all that a plan rests on.

use super::{Change, Object, Since};
use crate::Relation;
use crate::facts::{
    Column, ForeignKey, Grant, Index, Partman, Policy, PublicationMember, ReferencedBy, TableFacts,
};
use crate::sql::FENCE_TRIGGER;
use std::collections::BTreeMap;

/// Columns of `part_config` that pg_partman's maintenance writes by itself.
const PARTMAN_WRITES: [&str; 2] = ["maintenance_last_run", "sub_partition_set_full"];

/// An object's name and all of its definition that a plan rests on.
type Described = (String, String);

/// The objects of one kind that a table has.
type Describe = fn(&TableFacts) -> Vec<Described>;

pub(super) fn changes(planned: &TableFacts, found: &TableFacts, since: Since) -> Vec<Change> {
    let mut changes = Vec::new();
    for (object, describe) in OBJECTS {
        changes.extend(compare(
            &planned.relation,
            *object,
            describe(planned),
            describe(found),
        ));
    }
    if since == Since::Plan {
        let config = |table: &TableFacts| Vec::from_iter(table.partman.as_ref().map(partman));
        changes.extend(compare(
            &planned.relation,
            Object::Partman,
            config(planned),
            config(found),
        ));
    }
    changes
}

/// Whether a schema belongs to a run of hyperhaul: what is in it, the run has made.
fn is_ours(schema: &str) -> bool {
    schema.starts_with("hyperhaul_new_") || schema.starts_with("hyperhaul_old_")
}

/// Compares objects by name.
fn compare(
    table: &Relation,
    object: Object,
    planned: Vec<Described>,
    found: Vec<Described>,
) -> Vec<Change> {
    let planned: BTreeMap<String, String> = planned.into_iter().collect();
    let found: BTreeMap<String, String> = found.into_iter().collect();
    let mut changes = Vec::new();
    for (name, before) in &planned {
        match found.get(name) {
            None => changes.push(Change::Dropped {
                table: table.clone(),
                object,
                name: name.clone(),
            }),
            Some(now) if now != before => changes.push(Change::Changed {
                table: table.clone(),
                object,
                name: name.clone(),
                planned: before.clone(),
                found: now.clone(),
            }),
            Some(_) => {}
        }
    }
    let new = found.keys().filter(|name| !planned.contains_key(*name));
    changes.extend(new.map(|name| Change::Added {
        table: table.clone(),
        object,
        name: name.clone(),
    }));
    changes
}

/// How the objects of each kind are told apart and compared.
const OBJECTS: &[(Object, Describe)] = &[
    (Object::Column, |table| {
        table.columns.iter().map(column).collect()
    }),
    (Object::Key, |table| {
        let keys = table.unique_keys.iter();
        keys.map(|key| (key.name.clone(), key.definition.clone()))
            .collect()
    }),
    (Object::Check, |table| {
        let checks = table.checks.iter();
        checks
            .map(|check| (check.name.clone(), check.definition.clone()))
            .collect()
    }),
    (Object::Index, |table| {
        table.indexes.iter().map(index).collect()
    }),
    (Object::ForeignKey, |table| {
        table.foreign_keys.iter().map(foreign_key).collect()
    }),
    (Object::ReferencingForeignKey, |table| {
        let others = table.referenced_by.iter();
        others
            .filter(|key| !is_ours(&key.relation.schema))
            .map(referenced_by)
            .collect()
    }),
    (Object::Sequence, sequences),
    (Object::Statistics, |table| {
        let statistics = table.statistics.iter();
        statistics
            .map(|one| {
                (
                    one.relation.plain(),
                    format!("{} {:?}", one.body_sql, one.target),
                )
            })
            .collect()
    }),
    (Object::View, |table| {
        let views = table.views.iter();
        views
            .map(|view| {
                let definition = format!(
                    "{} (owner {}) {}",
                    view.options.join(", "),
                    view.owner,
                    view.definition
                );
                (view.relation.plain(), definition.trim_start().to_owned())
            })
            .collect()
    }),
    (Object::MaterializedView, |table| {
        let views = table.materialized_views.iter();
        views
            .map(|view| (view.relation.plain(), view.definition.clone()))
            .collect()
    }),
    (Object::Function, |table| {
        let functions = table.functions.iter();
        functions
            .map(|function| (function.signature.clone(), function.tie.clone()))
            .collect()
    }),
    (Object::Trigger, |table| {
        let triggers = table.triggers.iter();
        triggers
            .filter(|trigger| trigger.name != FENCE_TRIGGER)
            .map(|trigger| {
                let definition = format!("{} (enabled {})", trigger.definition, trigger.enabled);
                (on_leaf(&trigger.name, trigger.leaf.as_ref()), definition)
            })
            .collect()
    }),
    (Object::Rule, |table| {
        let rules = table.rules.iter();
        rules
            .map(|rule| (rule.name.clone(), rule.definition.clone()))
            .collect()
    }),
    (Object::Policy, |table| {
        let policies = table.policies.iter();
        policies
            .map(|policy| (policy.name.clone(), policy_text(policy)))
            .collect()
    }),
    (Object::Publication, |table| {
        let members = table.publications.iter();
        members
            .map(|member| (member.publication.clone(), publication_text(member)))
            .collect()
    }),
    (Object::Subscription, |table| {
        let subscriptions = table.subscriptions.iter();
        subscriptions
            .map(|one| (on_leaf(&one.name, Some(&one.relation)), "writes".to_owned()))
            .collect()
    }),
    (Object::Inheritance, |table| {
        let parents = table
            .inherits
            .iter()
            .map(|one| (one.plain(), "parent".to_owned()));
        let children = table.inherited_by.iter();
        parents
            .chain(children.map(|one| (one.plain(), "child".to_owned())))
            .collect()
    }),
    (Object::Grant, grants),
];

fn on_leaf(name: &str, leaf: Option<&Relation>) -> String {
    leaf.map_or(name.to_owned(), |leaf| {
        format!("{name} on {}", leaf.plain())
    })
}

fn column(column: &Column) -> Described {
    let mut text = column.type_sql.clone();
    if let Some(collation) = &column.collation {
        text.push_str(&format!(" COLLATE {collation}"));
    }
    if column.not_null {
        text.push_str(" NOT NULL");
    }
    if let Some(default) = &column.default_sql {
        text.push_str(&format!(" DEFAULT {default}"));
    }
    if let Some(generation) = &column.generation {
        text.push_str(&format!(
            " GENERATED ALWAYS AS ({})",
            generation.expression_sql
        ));
    }
    if let Some(identity) = &column.identity {
        let kind = if identity.always {
            "ALWAYS"
        } else {
            "BY DEFAULT"
        };
        text.push_str(&format!(" GENERATED {kind} AS IDENTITY"));
    }
    // A column that was dropped and added again has another number: its values are other ones.
    text.push_str(&format!(" (number {})", column.attribute_number));
    (column.name.clone(), text)
}

fn index(index: &Index) -> Described {
    let unique = if index.unique { "UNIQUE " } else { "" };
    let invalid = if index.valid { "" } else { " (invalid)" };
    (
        index.name.clone(),
        format!("{unique}{}{invalid}", index.tail_sql),
    )
}

fn foreign_key(key: &ForeignKey) -> Described {
    // Whether the referenced table is a hypertable decides whether the constraint can exist.
    let hypertable = if key.references_hypertable {
        " (a hypertable)"
    } else {
        ""
    };
    (key.name.clone(), format!("{}{hypertable}", key.definition))
}

fn referenced_by(key: &ReferencedBy) -> Described {
    (
        format!("{} of {}", key.name, key.relation.plain()),
        key.definition.clone(),
    )
}

fn sequences(table: &TableFacts) -> Vec<Described> {
    let identity = table
        .columns
        .iter()
        .filter_map(|column| Some(&column.identity.as_ref()?.sequence));
    identity
        .chain(&table.sequences)
        .map(|sequence| {
            let definition = format!(
                "{} for {}, start {}, increment {}, {} to {}, cache {}, cycle {}, owned {}, owner {}",
                sequence.type_sql,
                sequence.column,
                sequence.start,
                sequence.increment,
                sequence.min,
                sequence.max,
                sequence.cache,
                sequence.cycle,
                sequence.owned,
                sequence.owner
            );
            (sequence.relation.plain(), definition)
        })
        .collect()
}

fn policy_text(policy: &Policy) -> String {
    format!(
        "{} for {} to {}, using {}, check {}",
        if policy.permissive {
            "permissive"
        } else {
            "restrictive"
        },
        policy.command,
        policy.roles.join(", "),
        policy.using.as_deref().unwrap_or("none"),
        policy.check.as_deref().unwrap_or("none")
    )
}

fn publication_text(member: &PublicationMember) -> String {
    let columns = member.columns.as_ref();
    format!(
        "by {}, columns {}, rows {}",
        member.through,
        columns.map_or("all".to_owned(), |columns| columns.join(", ")),
        member.filter.as_deref().unwrap_or("all")
    )
}

fn grants(table: &TableFacts) -> Vec<Described> {
    let on_table = table.grants.iter().map(|grant| grant_text(grant, None));
    let on_columns = table.columns.iter().flat_map(|column| {
        let name = column.name.as_str();
        column
            .grants
            .iter()
            .map(move |grant| grant_text(grant, Some(name)))
    });
    on_table.chain(on_columns).collect()
}

fn grant_text(grant: &Grant, column: Option<&str>) -> Described {
    let column = column.map_or(String::new(), |name| format!(" ({name})"));
    let grantee = grant.grantee.as_deref().unwrap_or("PUBLIC");
    let option = if grant.grantable {
        "with grant option"
    } else {
        "without grant option"
    };
    (
        format!("{}{column} to {grantee}", grant.privilege),
        option.to_owned(),
    )
}

fn partman(partman: &Partman) -> Described {
    let mut config = partman.config.clone();
    if let Some(columns) = config.as_object_mut() {
        for column in PARTMAN_WRITES {
            columns.remove(column);
        }
    }
    let sub_config: Vec<String> = partman.sub_config.iter().map(ToString::to_string).collect();
    (
        partman.parent_table.clone(),
        format!("{config} {}", sub_config.join(" ")),
    )
}
