//! Checks on keys and indexes: what can exist on a hypertable, and what is not carried over.

use super::{Case, Subject};
use crate::facts::{Index, KeyKind, Leaf, RelationKind, UniqueKey};
use crate::phrase;
use crate::sql::lacks_time;
use crate::{Code, Finding, Relation, Severity, quote_ident};

pub(super) fn check(_: &Case, subject: Subject) -> Vec<Finding> {
    let found = subject.found;
    let time_column = subject.table.time_column.as_str();
    let mut findings = Vec::new();
    for key in &found.unique_keys {
        match key.kind {
            KeyKind::Exclusion => findings.push(exclusion(key)),
            KeyKind::Primary | KeyKind::Unique if lacks_time(&key.columns, time_column) => {
                findings.push(key_without_time(subject, key));
            }
            KeyKind::Primary | KeyKind::Unique => {}
        }
    }
    for index in &found.indexes {
        if !index.valid {
            findings.push(invalid_index(&found.relation.schema, index));
        } else if index.unique && lacks_time(&index.columns, time_column) {
            findings.push(index_without_time(index, time_column));
        }
    }
    findings.extend(leaf_indexes(subject));
    findings.extend(no_key(subject));
    findings
}

const WITHOUT_TIME: &str = "A unique key of a hypertable has to contain the time column, since each chunk can only look into itself.";

fn key_without_time(subject: Subject, key: &UniqueKey) -> Finding {
    let time_column = &subject.table.time_column;
    let kind = match key.kind {
        KeyKind::Primary => "primary key",
        KeyKind::Unique | KeyKind::Exclusion => "unique constraint",
    };
    let mut widened = key.columns.clone();
    widened.push(Some(time_column.clone()));
    Finding::new(
        Code::UniqueWithoutTime,
        Severity::Block,
        format!(
            "{kind} {} {} does not contain the time column {}",
            quote_ident(&key.name),
            phrase::columns(&key.columns),
            quote_ident(time_column)
        ),
    )
    .object(key.name.clone())
    .detail(format!(
        "{WITHOUT_TIME} If you accept it, the hypertable's key is {}. No duplicates can turn up in the copy, since the \
         narrower key is unique today; but from then on two rows with equal {} and different times are let in, and \
         ON CONFLICT has to name the wider key.",
        phrase::columns(&widened),
        phrase::columns(&key.columns)
    ))
    .resolve("--accept unique_without_time")
    .acceptable()
}

fn index_without_time(index: &Index, time_column: &str) -> Finding {
    Finding::new(
        Code::UniqueWithoutTime,
        Severity::Block,
        format!(
            "unique index {} {} does not contain the time column {}",
            quote_ident(&index.name),
            phrase::columns(&index.columns),
            quote_ident(time_column)
        ),
    )
    .object(index.name.clone())
    .detail(format!(
        "{WITHOUT_TIME} If you accept it, the hypertable gets the index without UNIQUE: queries use it as before, \
         duplicates are no longer refused."
    ))
    .resolve("--accept unique_without_time")
    .acceptable()
}

fn exclusion(key: &UniqueKey) -> Finding {
    Finding::new(
        Code::ExclusionConstraint,
        Severity::Block,
        format!(
            "exclusion constraint {}: {}",
            quote_ident(&key.name),
            key.definition
        ),
    )
    .object(key.name.clone())
    .detail(
        "On a hypertable it could compare rows within one chunk only, and hyperhaul makes none. If you accept it, the \
         constraint is left out and overlapping rows are no longer refused.",
    )
    .resolve("--accept exclusion_constraint")
    .acceptable()
}

fn invalid_index(schema: &str, index: &Index) -> Finding {
    let name = Relation::new(schema, &index.name);
    let unique = if index.unique {
        "unique index"
    } else {
        "index"
    };
    Finding::new(
        Code::InvalidIndex,
        Severity::Warn,
        format!(
            "{unique} {} is invalid and is not carried over",
            quote_ident(&index.name)
        ),
    )
    .object(index.name.clone())
    .detail(
        "It was left by a CREATE INDEX that failed, or lacks its part on some partition; no query uses it. Complete it \
         before the plan if it is wanted, else drop it.",
    )
    .resolve(format!("DROP INDEX {name};"))
}

fn leaf_indexes(subject: Subject) -> Option<Finding> {
    let found = subject.found;
    if found.kind != RelationKind::Partitioned {
        return None;
    }
    let with_own: Vec<&Leaf> = found
        .leaves
        .iter()
        .filter(|leaf| !leaf.own_indexes.is_empty())
        .collect();
    let names: Vec<&String> = with_own.iter().flat_map(|leaf| &leaf.own_indexes).collect();
    (!names.is_empty()).then(|| {
        Finding::new(
            Code::LeafIndex,
            Severity::Warn,
            format!(
                "{} on {} only, not on the table: {}",
                phrase::count_of(&names, "index"),
                phrase::count_of(&with_own, "partition"),
                phrase::list(&names)
            ),
        )
        .detail(
            "They are not carried over. Make one on the table before the plan if every chunk shall have it; if one is \
             unique, nothing enforces it afterwards.",
        )
    })
}

fn no_key(subject: Subject) -> Option<Finding> {
    let mut keys = subject.found.unique_keys.iter();
    let has_key = keys.any(|key| key.kind != KeyKind::Exclusion);
    (!has_key).then(|| {
        Finding::new(
            Code::NoKey,
            Severity::Info,
            "the table has no primary key and no unique constraint",
        )
        .detail(
            "Verification works as ever: equal rows are counted, so a doubled or a missing one shows. Only if it fails \
             are rows named by all their columns instead of by a key.",
        )
    })
}
