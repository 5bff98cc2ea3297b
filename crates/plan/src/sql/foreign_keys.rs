//! Foreign keys: the hypertable's own, those of other tables that refer to it, and those that the old table gives up.
//!
//! The archived table keeps no foreign key to tables outside of the run (where its history follows, from the proof on): deleting there would act on rows that are
//! frozen, and be refused.

use super::orphans::rows_without;
use super::{comment_on, do_block};
use crate::facts::{ForeignKey, ReferencedBy, TableFacts};
use crate::{Relation, TablePlan, quote_ident, quote_literal};

/// Adds the foreign keys that are wanted, NOT VALID: that takes its locks for a moment only. They are validated
/// one by one afterwards, under a lock that lets writers of the referenced table go on.
pub(crate) fn add_foreign_keys<'a>(
    table: &TablePlan,
    keys: impl Iterator<Item = &'a ForeignKey>,
) -> Vec<String> {
    let mut statements = Vec::new();
    for key in keys {
        let name = quote_ident(&key.name);
        let definition = not_valid(&key.definition);
        statements.push(format!(
            "ALTER TABLE {} ADD CONSTRAINT {name} {definition}",
            table.staging
        ));
        let object = format!("CONSTRAINT {name} ON {}", table.staging);
        statements.extend(comment_on(&object, key.comment.as_ref()));
    }
    statements
}

/// Validates a foreign key of the hypertable, wherever that is by now.
pub(crate) fn validate_foreign_key(hypertable: &Relation, key: &ForeignKey) -> String {
    format!(
        "ALTER TABLE {hypertable} VALIDATE CONSTRAINT {}",
        quote_ident(&key.name)
    )
}

/// Foreign keys of the table to tables that stay where they are. Those between tables of the run stay between the old ones.
pub(super) fn outgoing<'a>(
    found: &'a TableFacts,
    tables: &'a [TablePlan],
) -> impl Iterator<Item = &'a ForeignKey> {
    let moved = |key: &&ForeignKey| !tables.iter().any(|table| table.relation == key.references);
    found.foreign_keys.iter().filter(moved)
}

/// Takes the foreign keys off the old table, wherever that is by now.
pub(crate) fn drop_outgoing(
    old: &Relation,
    found: &TableFacts,
    tables: &[TablePlan],
) -> Vec<String> {
    let drop = |key: &ForeignKey| {
        format!(
            "ALTER TABLE {old} DROP CONSTRAINT {}",
            quote_ident(&key.name)
        )
    };
    outgoing(found, tables).map(drop).collect()
}

/// Gives the table back what [`drop_outgoing`] took, where it is missing: a rollback may begin before the cutover.
///
/// They are validated: a partitioned table's cannot be NOT VALID (PostgreSQL 17 and older).
pub(crate) fn restore_outgoing(found: &TableFacts, tables: &[TablePlan]) -> Vec<String> {
    let table = &found.relation;
    let restore = |key: &ForeignKey| {
        let name = quote_ident(&key.name);
        let comment = comment_on(
            &format!("CONSTRAINT {name} ON {table}"),
            key.comment.as_ref(),
        );
        do_block(&format!(
            "BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = {}::regclass AND conname = {}) \
             THEN ALTER TABLE {table} ADD CONSTRAINT {name} {};{} END IF; END",
            quote_literal(&table.to_string()),
            quote_literal(&key.name),
            key.definition,
            comment.map_or(String::new(), |comment| format!(" {comment};"))
        ))
    };
    outgoing(found, tables).map(restore).collect()
}

/// Finds the rows that each of the table's foreign keys refuses, as [`restore_outgoing`] meets them.
pub(crate) fn outgoing_orphans(found: &TableFacts, tables: &[TablePlan]) -> Vec<String> {
    outgoing(found, tables)
        .map(|key| orphans(&found.relation, key))
        .collect()
}

/// Finds the rows of `relation` that a foreign key refuses.
pub(crate) fn orphans(relation: &Relation, key: &ForeignKey) -> String {
    rows_without(
        (&relation.to_string(), &key.columns),
        (&key.references.to_string(), &key.referenced_columns),
    )
}

/// A foreign key of another table that is validated after the cutover.
pub(crate) struct Validation {
    /// The referencing table.
    pub(crate) relation: Relation,
    /// The constraint's name.
    pub(crate) name: String,
    /// What validates it.
    pub(crate) statement: String,
    /// Finds the rows that it refuses.
    pub(crate) orphans: String,
}

/// Validates the foreign keys of other tables that were re-pointed. Those of partitioned tables were validated when they
/// were added.
pub(crate) fn validate_referencing(tables: &[TablePlan], found: &TableFacts) -> Vec<Validation> {
    let validate = |key: &ReferencedBy| Validation {
        relation: key.relation.clone(),
        name: key.name.clone(),
        statement: format!(
            "ALTER TABLE {} VALIDATE CONSTRAINT {}",
            key.relation,
            quote_ident(&key.name)
        ),
        orphans: referencing_orphans(found, key),
    };
    referencing(found, tables)
        .filter(|key| key.validated && !key.partitioned)
        .map(validate)
        .collect()
}

/// Finds the rows that the foreign keys refuse which the cutover itself validates.
pub(crate) fn re_pointed_orphans(found: &TableFacts, tables: &[TablePlan]) -> Vec<String> {
    referencing(found, tables)
        .filter(|key| key.partitioned)
        .map(|key| referencing_orphans(found, key))
        .collect()
}

/// Finds the rows of other tables that the foreign keys refuse which refer to the table, as it will be again.
pub(crate) fn references_orphans(found: &TableFacts) -> Vec<String> {
    let keys = found.referenced_by.iter();
    keys.map(|key| referencing_orphans(found, key)).collect()
}

fn referencing_orphans(found: &TableFacts, key: &ReferencedBy) -> String {
    rows_without(
        (&key.relation.to_string(), &key.columns),
        (&found.relation.to_string(), &key.referenced_columns),
    )
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

pub(crate) fn drop_referencing(found: &TableFacts, tables: &[TablePlan]) -> Vec<String> {
    let drop = |key: &ReferencedBy| {
        format!(
            "ALTER TABLE {} DROP CONSTRAINT {}",
            key.relation,
            quote_ident(&key.name)
        )
    };
    referencing(found, tables).map(drop).collect()
}

/// Points the foreign keys of other tables at the hypertable.
pub(crate) fn re_point(found: &TableFacts, tables: &[TablePlan]) -> Vec<String> {
    referencing(found, tables)
        .flat_map(|key| add_constraint(key, &definition_added(key)))
        .collect()
}

/// A key's definition as it is added again: NOT VALID, to be validated later, where that can be. PostgreSQL refuses it on a
/// partitioned table.
pub(crate) fn definition_added(key: &ReferencedBy) -> String {
    if key.partitioned {
        key.definition.clone()
    } else {
        not_valid(&key.definition)
    }
}

/// Points the foreign keys of other tables at the old table again.
pub(crate) fn point_back(found: &TableFacts, tables: &[TablePlan]) -> Vec<String> {
    referencing(found, tables)
        .flat_map(|key| add_constraint(key, &key.definition))
        .collect()
}

pub(super) fn add_constraint(key: &ReferencedBy, definition: &str) -> Vec<String> {
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

/// The definition with ` NOT VALID`, once.
pub(crate) fn not_valid(definition: &str) -> String {
    if definition.ends_with(" NOT VALID") {
        definition.to_owned()
    } else {
        format!("{definition} NOT VALID")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_valid_is_said_once() {
        assert_eq!(not_valid("FOREIGN KEY (a)"), "FOREIGN KEY (a) NOT VALID");
        assert_eq!(
            not_valid("FOREIGN KEY (a) NOT VALID"),
            "FOREIGN KEY (a) NOT VALID"
        );
    }
}
