//! Checks on the table as a relation: its kind, inheritance, foreign leaves, names that are taken, storage.

use super::{Case, Subject};
use crate::facts::{PartitionStrategy, RelationKind};
use crate::phrase;
use crate::{Code, Finding, Relation, Severity, quote_ident, quote_literal};
use std::collections::BTreeMap;

pub(super) fn check(case: &Case, subject: Subject) -> Vec<Finding> {
    let mut findings: Vec<Finding> = [
        kind(subject),
        partition_key(subject),
        empty(subject),
        storage(subject),
    ]
    .into_iter()
    .flatten()
    .collect();
    findings.extend(leaf_storage(subject));
    findings.extend(inheritance(subject));
    findings.extend(foreign_leaves(case, subject));
    findings
}

/// Names that the run needs and that are taken.
pub(super) fn check_names(case: &Case) -> Vec<Finding> {
    let finding = |name: &Relation| {
        let mut tables = case.tables.iter();
        let owner = tables.find(|table| {
            [&table.staging, &table.archive, &table.relation].contains(&name)
                || table.staging.schema == name.schema
        });
        let finding = Finding::new(
            Code::NameTaken,
            Severity::Block,
            format!("{} exists already on the target", name.plain()),
        )
        .object(name.plain())
        .detail(
            "The run needs that name. If it is left from an earlier run, hyperhaul rollback or hyperhaul cleanup \
             removes it; else give it another name.",
        )
        .resolve(format!(
            "ALTER TABLE {name} RENAME TO {};",
            quote_ident(&crate::ident::derived_name("before_", &name.name))
        ));
        match owner {
            Some(table) => finding.on(&table.relation),
            None => finding,
        }
    };
    case.facts.occupied.iter().map(finding).collect()
}

fn kind(subject: Subject) -> Option<Finding> {
    let relation = &subject.found.relation;
    let block = |message: &str| Finding::new(Code::TableKind, Severity::Block, message);
    match subject.found.kind {
        RelationKind::Partitioned | RelationKind::Ordinary => None,
        RelationKind::Hypertable => Some(
            block("the table is a hypertable already")
                .detail("There is nothing to move. If a run of hyperhaul made it, see how that run stands.")
                .resolve("hyperhaul status"),
        ),
        RelationKind::Partition => Some(
            block("the table is a partition of another table")
                .detail("A partition moves together with its table: name that one. This tells which it is.")
                .resolve(format!(
                    "SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = {}::regclass;",
                    quote_literal(&relation.to_string())
                )),
        ),
        RelationKind::Other => Some(
            block("the relation is neither a table nor a partitioned table")
                .detail("Only tables hold rows that can be moved."),
        ),
    }
}

fn partition_key(subject: Subject) -> Option<Finding> {
    let key = subject.found.partition_key.as_ref()?;
    let time_alone = key.columns.as_slice() == [Some(subject.table.time_column.clone())];
    let proves = key.strategy == PartitionStrategy::Range && time_alone;
    (!proves).then(|| {
        Finding::new(
            Code::PartitionKey,
            Severity::Info,
            format!("the table is partitioned by {}", key.definition),
        )
        .detail(
            "No partition's bound proves which chunk its rows belong to, so every row is routed by its time: somewhat \
             slower, the result is the same.",
        )
    })
}

fn empty(subject: Subject) -> Option<Finding> {
    let mut leaves = subject.found.leaves.iter();
    let empty = leaves.all(|leaf| leaf.blocks == 0 && leaf.rows_estimate == 0);
    empty.then(|| {
        Finding::new(
            Code::EmptyTable,
            Severity::Info,
            "the table has no row: the hypertable starts empty",
        )
    })
}

fn storage(subject: Subject) -> Option<Finding> {
    let found = subject.found;
    let tablespaces: Vec<&String> = found
        .tablespace
        .iter()
        .chain(
            found
                .indexes
                .iter()
                .filter_map(|index| index.tablespace.as_ref()),
        )
        .collect();
    if found.options.is_empty() && tablespaces.is_empty() {
        return None;
    }
    let mut seen = found.options.clone();
    seen.extend(tablespaces.iter().map(|name| format!("tablespace {name}")));
    seen.dedup();
    let mut finding = Finding::new(
        Code::StorageOption,
        Severity::Warn,
        format!("not carried over: {}", phrase::list(&seen)),
    )
    .detail(
        "The hypertable gets the server's defaults and lies in the database's default tablespace, which has to have the \
         room. Set these after cutover; they then hold for the chunks too (a tablespace for later chunks only).",
    );
    if !found.options.is_empty() {
        finding = finding.resolve(format!(
            "ALTER TABLE {} SET ({});",
            found.relation,
            found.options.join(", ")
        ));
    }
    if let Some(tablespace) = &found.tablespace {
        finding = finding.resolve(format!(
            "SELECT attach_tablespace({}, {});",
            quote_literal(tablespace),
            quote_literal(&found.relation.to_string())
        ));
    }
    Some(finding)
}

/// What single partitions have of their own: chunks take it from the hypertable, or not at all.
fn leaf_storage(subject: Subject) -> Option<Finding> {
    let found = subject.found;
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for leaf in found
        .leaves
        .iter()
        .filter(|leaf| leaf.relation != found.relation)
    {
        let tablespace = leaf
            .tablespace
            .iter()
            .map(|name| format!("tablespace {name}"));
        for what in leaf.options.iter().cloned().chain(tablespace) {
            *seen.entry(what).or_default() += 1;
        }
    }
    let described: Vec<String> = seen
        .iter()
        .map(|(what, count)| format!("{what} (of {})", phrase::count(*count, "partition")))
        .collect();
    (!described.is_empty()).then(|| {
        Finding::new(
            Code::StorageOption,
            Severity::Warn,
            format!("not carried over from partitions: {}", phrase::list(&described)),
        )
        .detail(
            "Chunks get the server's defaults and lie in the database's default tablespace, which has to have the room. \
             What is set on the hypertable after cutover holds for its chunks too (a tablespace for later chunks only).",
        )
    })
}

fn inheritance(subject: Subject) -> Vec<Finding> {
    let found = subject.found;
    let block = |message: String, detail: &str, child: &Relation, parent: &Relation| {
        Finding::new(Code::Inheritance, Severity::Block, message)
            .detail(detail)
            .resolve(format!("ALTER TABLE {child} NO INHERIT {parent};"))
    };
    let parents = found.inherits.iter().map(|parent| {
        block(
            format!("the table inherits from {}", parent.plain()),
            "A hypertable can't inherit: queries on the parent would miss every row that is written after cutover.",
            &found.relation,
            parent,
        )
        .object(parent.plain())
    });
    let children = found.inherited_by.iter().map(|child| {
        block(
            format!("{} inherits from the table", child.plain()),
            "Queries on the table show the child's rows too, but these are not the table's own and would not be copied.",
            child,
            &found.relation,
        )
        .object(child.plain())
    });
    parents.chain(children).collect()
}

fn foreign_leaves(case: &Case, subject: Subject) -> Vec<Finding> {
    let found = subject.found;
    let finding = |(leaf, server): (&Relation, &String)| {
        Finding::new(
            Code::ForeignLeaf,
            Severity::Block,
            format!(
                "partition {} is a foreign table on server {}",
                leaf.plain(),
                quote_ident(server)
            ),
        )
        .object(leaf.plain())
        .detail(if case.same_database() {
            "Its rows are on another server: they can't be cut into slices, and nothing here keeps writers there off. \
             Detach it, or load its rows into an ordinary partition first."
        } else {
            "Its rows are on a third server: they can't be cut into slices, and nothing keeps writers there off. \
             Detach it, or load its rows into an ordinary partition first."
        })
        .resolve(format!(
            "ALTER TABLE {} DETACH PARTITION {leaf};",
            found.relation
        ))
    };
    let leaves = found.leaves.iter();
    leaves
        .filter_map(|leaf| Some((&leaf.relation, leaf.foreign_server.as_ref()?)))
        .map(finding)
        .collect()
}
