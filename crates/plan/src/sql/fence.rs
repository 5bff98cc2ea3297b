//! The fence: triggers that refuse every write to a table and its partitions, until cutover or rollback.
//!
//! Statement triggers fire only for the relation that a statement names, so the table, its branches and its
//! leaves each get one. `ENABLE ALWAYS` holds back replication workers too. `CREATE TRIGGER` waits for the
//! transactions that have written already, and readers go on reading.

use super::LEDGER_SCHEMA;
use crate::facts::TableFacts;
use crate::{Relation, quote_ident};

/// Name of the fence's triggers.
pub const FENCE_TRIGGER: &str = "hyperhaul_fence";

/// Creates the fence's function, once per database, and puts the triggers on.
pub(crate) fn fence(table: &TableFacts) -> Vec<String> {
    let schema = quote_ident(LEDGER_SCHEMA);
    let mut statements = vec![
        format!("CREATE SCHEMA IF NOT EXISTS {schema}"),
        format!(
            "DO $do$ BEGIN IF to_regprocedure('{LEDGER_SCHEMA}.fence()') IS NULL THEN \
             CREATE FUNCTION {schema}.fence() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN \
             RAISE EXCEPTION 'table \"%\".\"%\" takes no writes while it is moved to a hypertable', \
             TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'object_not_in_prerequisite_state', \
             HINT = 'See hyperhaul status; hyperhaul rollback lifts the fence.'; \
             END $body$; END IF; END $do$"
        ),
        format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", table.relation),
    ];
    for relation in fenced_relations(table) {
        statements.push(format!(
            "CREATE OR REPLACE TRIGGER {FENCE_TRIGGER} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {relation} \
             FOR EACH STATEMENT EXECUTE FUNCTION {schema}.fence()"
        ));
        statements.push(format!(
            "ALTER TABLE {relation} ENABLE ALWAYS TRIGGER {FENCE_TRIGGER}"
        ));
    }
    statements
}

/// Takes the triggers off.
pub(crate) fn unfence(table: &TableFacts) -> Vec<String> {
    fenced_relations(table)
        .map(|relation| format!("DROP TRIGGER IF EXISTS {FENCE_TRIGGER} ON {relation}"))
        .collect()
}

fn fenced_relations(table: &TableFacts) -> impl Iterator<Item = &Relation> {
    let leaves = table
        .leaves
        .iter()
        .map(|leaf| &leaf.relation)
        .filter(|leaf| **leaf != table.relation);
    std::iter::once(&table.relation)
        .chain(&table.branches)
        .chain(leaves)
}
