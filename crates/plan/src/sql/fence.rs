//! The fence: triggers that refuse every write to a table and its partitions, until cutover or rollback.
//!
//! Statement triggers fire only for the relation that a statement names, so the table, its branches and its
//! leaves each get one. `ENABLE ALWAYS` holds back replication workers too. `CREATE TRIGGER` waits for the
//! transactions that have written already, and readers go on reading.

use super::LEDGER_SCHEMA;
use crate::facts::{RelationKind, TableFacts};
use crate::{Relation, quote_ident, quote_literal};

/// Name of the fence's triggers.
pub const FENCE_TRIGGER: &str = "hyperhaul_fence";

/// Creates the fence's function, once per database.
fn fence_function() -> Vec<String> {
    let schema = quote_ident(LEDGER_SCHEMA);
    vec![
        format!("CREATE SCHEMA IF NOT EXISTS {schema}"),
        format!(
            "DO $do$ BEGIN IF to_regprocedure('{LEDGER_SCHEMA}.fence()') IS NULL THEN \
             CREATE FUNCTION {schema}.fence() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN \
             RAISE EXCEPTION 'table \"%\".\"%\" takes no writes while it is moved to a hypertable', \
             TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'object_not_in_prerequisite_state', \
             HINT = 'See hyperhaul status; hyperhaul rollback lifts the fence.'; \
             END $body$; END IF; END $do$"
        ),
    ]
}

/// Creates the fence's function and puts the triggers on.
pub(crate) fn fence(table: &TableFacts) -> Vec<String> {
    let schema = quote_ident(LEDGER_SCHEMA);
    let mut statements = fence_function();
    statements.push(format!(
        "LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE",
        table.relation
    ));
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

/// Keeps writers off a hypertable that is in place, for a rollback. TimescaleDB refuses ENABLE ALWAYS there.
pub fn fence_hypertable(hypertable: &Relation) -> Vec<String> {
    let mut statements = fence_function();
    statements.push(format!(
        "CREATE OR REPLACE TRIGGER {FENCE_TRIGGER} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {hypertable} \
         FOR EACH STATEMENT EXECUTE FUNCTION {}.fence()",
        quote_ident(LEDGER_SCHEMA)
    ));
    statements
}

/// Lets writers onto a hypertable again.
pub fn unfence_hypertable(hypertable: &Relation) -> Vec<String> {
    vec![format!(
        "DROP TRIGGER IF EXISTS {FENCE_TRIGGER} ON {hypertable}"
    )]
}

/// Takes the triggers off.
pub(crate) fn unfence(table: &TableFacts) -> Vec<String> {
    fenced_relations(table)
        .map(|relation| format!("DROP TRIGGER IF EXISTS {FENCE_TRIGGER} ON {relation}"))
        .collect()
}

/// Locks the table against new partitions, and refuses to go on if one has come that the plan does not know: it has no fence,
/// and rows in it would stay behind.
pub(crate) fn leaves_unchanged(found: &TableFacts) -> Vec<String> {
    if found.kind != RelationKind::Partitioned {
        return Vec::new();
    }
    let parents = std::iter::once(&found.relation).chain(&found.branches);
    let locks = parents.map(|parent| format!("LOCK TABLE ONLY {parent} IN ACCESS EXCLUSIVE MODE"));
    let known: Vec<String> = found
        .leaves
        .iter()
        .map(|leaf| leaf.oid.to_string())
        .collect();
    let refuse = format!(
        "DO $do$ BEGIN IF EXISTS (SELECT FROM pg_partition_tree({}::regclass) WHERE isleaf \
         AND relid::oid <> ALL ('{{{}}}'::oid[])) THEN \
         RAISE EXCEPTION 'a partition was added since the plan was made' \
         USING ERRCODE = 'object_not_in_prerequisite_state', \
         HINT = 'Go back with hyperhaul rollback, then make a new plan.'; END IF; END $do$",
        quote_literal(&found.relation.to_string()),
        known.join(",")
    );
    locks.chain(std::iter::once(refuse)).collect()
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
