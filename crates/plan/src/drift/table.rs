//! Changes of one table: its properties and its leaves. Its objects are in `objects`.

use super::{Change, Object, Since, objects};
use crate::facts::{Leaf, LeafBound, Privileges, TableFacts};
use crate::{Relation, format_unix_us};
use std::collections::BTreeMap;

pub(super) fn changes(planned: &TableFacts, found: &TableFacts, since: Since) -> Vec<Change> {
    let mut changes = properties(planned, found);
    changes.extend(objects::changes(planned, found, since));
    changes.extend(leaves(planned, found));
    changes
}

fn properties(planned: &TableFacts, found: &TableFacts) -> Vec<Change> {
    let pairs = [
        (Object::Owner, planned.owner.clone(), found.owner.clone()),
        (Object::Kind, word(&planned.kind), word(&found.kind)),
        (
            Object::PartitionKey,
            partition_key(planned),
            partition_key(found),
        ),
        (
            Object::Comment,
            comment(planned.comment.as_ref()),
            comment(found.comment.as_ref()),
        ),
        (
            Object::ReplicaIdentity,
            word(&planned.replica_identity),
            word(&found.replica_identity),
        ),
        (
            Object::RowSecurity,
            row_security(planned),
            row_security(found),
        ),
    ];
    let differing = pairs
        .into_iter()
        .filter(|(_, planned, found)| planned != found)
        .map(|(object, before, now)| Change::Changed {
            table: planned.relation.clone(),
            object,
            name: String::new(),
            planned: before,
            found: now,
        });
    let lost = lost_privileges(planned.privileges, found.privileges)
        .into_iter()
        .map(|name| Change::Dropped {
            table: planned.relation.clone(),
            object: Object::RunPrivilege,
            name: name.to_owned(),
        });
    differing.chain(lost).collect()
}

fn lost_privileges(planned: Privileges, found: Privileges) -> Vec<&'static str> {
    [
        ("ownership", planned.owner, found.owner),
        ("SELECT", planned.select, found.select),
        (
            "CREATE in the schema",
            planned.create_in_schema,
            found.create_in_schema,
        ),
        (
            "sight of every row",
            !planned.hidden_by_row_security,
            !found.hidden_by_row_security,
        ),
    ]
    .into_iter()
    .filter(|(_, before, now)| *before && !*now)
    .map(|(name, _, _)| name)
    .collect()
}

/// A fieldless or nearly fieldless enum's variant in words people read: `replica_identity` -> `full`.
fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

fn partition_key(table: &TableFacts) -> String {
    let key = table.partition_key.as_ref();
    key.map_or("none".to_owned(), |key| key.definition.clone())
}

fn comment(comment: Option<&String>) -> String {
    comment.map_or("none".to_owned(), |comment| format!("\"{comment}\""))
}

fn row_security(table: &TableFacts) -> String {
    match (table.row_security, table.force_row_security) {
        (false, false) => "off",
        (true, false) => "on",
        (false, true) => "off, forced",
        (true, true) => "forced",
    }
    .to_owned()
}

fn leaves(planned: &TableFacts, found: &TableFacts) -> Vec<Change> {
    let table = &planned.relation;
    let now: BTreeMap<u32, &Leaf> = found.leaves.iter().map(|leaf| (leaf.oid, leaf)).collect();
    let mut changes = Vec::new();
    for leaf in &planned.leaves {
        match now.get(&leaf.oid) {
            Some(same) => changes.extend(leaf_changes(table, leaf, same)),
            None => changes.push(Change::LeafDropped {
                table: table.clone(),
                leaf: leaf.relation.clone(),
            }),
        }
    }
    let known = |leaf: &&Leaf| !planned.leaves.iter().any(|other| other.oid == leaf.oid);
    changes.extend(
        found
            .leaves
            .iter()
            .filter(known)
            .map(|leaf| Change::LeafAdded {
                table: table.clone(),
                leaf: leaf.relation.clone(),
            }),
    );
    changes
}

fn leaf_changes(table: &Relation, planned: &Leaf, found: &Leaf) -> Vec<Change> {
    let mut changes = Vec::new();
    if planned.relation != found.relation {
        // The plan's statements name the leaf.
        changes.push(Change::LeafDropped {
            table: table.clone(),
            leaf: planned.relation.clone(),
        });
        changes.push(Change::LeafAdded {
            table: table.clone(),
            leaf: found.relation.clone(),
        });
    }
    if planned.bound != found.bound {
        changes.push(Change::LeafBound {
            table: table.clone(),
            leaf: planned.relation.clone(),
            planned: bound(planned.bound),
            found: bound(found.bound),
        });
    }
    if planned.relfilenode != found.relfilenode {
        changes.push(Change::LeafRewritten {
            table: table.clone(),
            leaf: planned.relation.clone(),
            leaf_oid: planned.oid,
            planned: planned.relfilenode,
            found: found.relfilenode,
        });
    }
    changes
}

fn bound(bound: LeafBound) -> String {
    match bound {
        LeafBound::Range { from_us, to_us } => format!(
            "[{}, {})",
            from_us.map_or("MINVALUE".to_owned(), format_unix_us),
            to_us.map_or("MAXVALUE".to_owned(), format_unix_us)
        ),
        LeafBound::Default => "default".to_owned(),
        LeafBound::Unbounded => "none on the time column".to_owned(),
    }
}
