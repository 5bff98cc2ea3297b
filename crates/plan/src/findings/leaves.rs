//! Checks on what hangs on single partitions and not on the table: the hypertable has nothing to put it on. Triggers and
//! indexes of partitions are looked at with the table's.

use super::{Case, Subject};
use crate::facts::{LeafObject, LeafObjectKind};
use crate::phrase;
use crate::{Code, Finding, Severity, quote_ident};

/// Statements that a finding prints; the others follow the same pattern.
const STATEMENTS_MAX: usize = 20;

const KINDS: [LeafObjectKind; 7] = [
    LeafObjectKind::View,
    LeafObjectKind::MaterializedView,
    LeafObjectKind::Function,
    LeafObjectKind::Rule,
    LeafObjectKind::Referencing,
    LeafObjectKind::ForeignKey,
    LeafObjectKind::Check,
];

pub(super) fn check(case: &Case, subject: Subject) -> Vec<Finding> {
    let objects = &subject.found.leaf_objects;
    let of_kind = |kind: LeafObjectKind| {
        let objects: Vec<&LeafObject> = objects.iter().filter(|one| one.kind == kind).collect();
        (!objects.is_empty()).then(|| finding(case, kind, &objects))
    };
    KINDS.into_iter().filter_map(of_kind).collect()
}

fn finding(case: &Case, kind: LeafObjectKind, objects: &[&LeafObject]) -> Finding {
    let described: Vec<String> = objects.iter().map(|one| describe(one)).collect();
    let (noun, detail) = words(kind);
    let message = format!(
        "{} {} single partitions: {}",
        phrase::count_of(objects, noun),
        verb(kind),
        phrase::list(&described)
    );
    let severity = severity(case, kind);
    let finding = Finding::new(Code::LeafObject, severity, message).detail(detail);
    let drops = objects.iter().filter_map(|one| drop_sql(one));
    let finding = drops.take(STATEMENTS_MAX).fold(finding, Finding::resolve);
    match (severity, kind) {
        // Deletes and inserts of the application would be refused after the cutover: nothing to accept.
        (Severity::Block, LeafObjectKind::Referencing | LeafObjectKind::ForeignKey) => finding,
        (Severity::Block, _) => finding.resolve("--accept leaf_object").acceptable(),
        _ => finding,
    }
}

/// On another server the old table stays where it is, with all that hangs on it.
fn severity(case: &Case, kind: LeafObjectKind) -> Severity {
    match kind {
        LeafObjectKind::Check => Severity::Warn,
        _ if case.same_database() => Severity::Block,
        _ => Severity::Warn,
    }
}

fn verb(kind: LeafObjectKind) -> &'static str {
    match kind {
        LeafObjectKind::View | LeafObjectKind::MaterializedView => "over",
        LeafObjectKind::Function => "tied to",
        LeafObjectKind::Referencing => "to",
        LeafObjectKind::Rule | LeafObjectKind::ForeignKey | LeafObjectKind::Check => "on",
    }
}

fn words(kind: LeafObjectKind) -> (&'static str, &'static str) {
    match kind {
        LeafObjectKind::View => (
            "view",
            "After cutover it goes on reading the old partition and shows no row that is written later, and cleanup \
             can't drop the old table while it is there. Let it read the table, with a condition on the time, or drop it.",
        ),
        LeafObjectKind::MaterializedView => (
            "materialized view",
            "After cutover it goes on reading the old partition, and cleanup can't drop the old table while it is there. \
             Let it read the table, with a condition on the time, or drop it.",
        ),
        LeafObjectKind::Function => (
            "function",
            "It is bound to the partition itself, not to its name, and goes on with the old one after cutover; cleanup \
             can't drop the old table while it is there. Let it use the table.",
        ),
        LeafObjectKind::Rule => (
            "rule",
            "TimescaleDB knows no rules, on chunks neither: it stays on the old partition and acts no more.",
        ),
        LeafObjectKind::Referencing => (
            "foreign key",
            "A chunk can't be referred to. It would go on looking into the old partition, and refuse every row that \
             refers to a new one. Refer to the table, or drop it before the run.",
        ),
        LeafObjectKind::ForeignKey => (
            "foreign key",
            "The hypertable has none for a part of its rows. It would stay on the old partition, and refuse or lose \
             rows there when rows that it refers to are deleted. Make it on the table, or drop it before the run.",
        ),
        LeafObjectKind::Check => (
            "check",
            "The hypertable has none for a part of its rows: it is not carried over. If it holds for every row, make it \
             on the table before the run.",
        ),
    }
}

fn describe(object: &LeafObject) -> String {
    let leaf = object.leaf.plain();
    match object.kind {
        LeafObjectKind::View | LeafObjectKind::MaterializedView => {
            format!("{} over {leaf}", object.relation.plain())
        }
        LeafObjectKind::Function => format!("{} of {leaf}", object.name),
        LeafObjectKind::Referencing => format!(
            "{} of {} to {leaf}",
            quote_ident(&object.name),
            object.relation.plain()
        ),
        LeafObjectKind::Rule | LeafObjectKind::ForeignKey | LeafObjectKind::Check => {
            format!("{} on {leaf}", quote_ident(&object.name))
        }
    }
}

/// Views and functions are somebody's: what becomes of them is not proposed.
fn drop_sql(object: &LeafObject) -> Option<String> {
    let (name, relation) = (quote_ident(&object.name), &object.relation);
    match object.kind {
        LeafObjectKind::Referencing | LeafObjectKind::ForeignKey => {
            Some(format!("ALTER TABLE {relation} DROP CONSTRAINT {name};"))
        }
        LeafObjectKind::Rule => Some(format!("DROP RULE {name} ON {relation};")),
        LeafObjectKind::View
        | LeafObjectKind::MaterializedView
        | LeafObjectKind::Function
        | LeafObjectKind::Check => None,
    }
}
