//! Cleanup: the old tables go. Each is dropped only if it is the very table that was planned, and may be gone already.

use super::cutover::schemas;
use super::fence::drop_fence_function;
use super::{do_block, drop_schema_if_empty};
use crate::facts::TableFacts;
use crate::{Plan, Relation, TablePlan, Topology, quote_literal};

/// Drops what is no longer needed after a passed verification: the old tables, their schema and the fence's function. They
/// may be run again: on another server the answer to their COMMIT may be lost.
///
/// `drop_source`: drop the source's tables too where they are in another database.
pub fn cleanup_statements(plan: &Plan, drop_source: bool) -> Vec<String> {
    if plan.topology == Topology::OtherDatabase && !drop_source {
        return Vec::new();
    }
    let old = |table: &'_ TablePlan| match plan.topology {
        Topology::SameDatabase => table.archive.clone(),
        Topology::OtherDatabase => table.relation.clone(),
    };
    let names: Vec<Relation> = plan.tables.iter().map(old).collect();
    let mut statements: Vec<String> = names
        .iter()
        .zip(&plan.facts.tables)
        .map(|(name, found)| refuse_another(name, found))
        .collect();
    let list: Vec<String> = names.iter().map(Relation::to_string).collect();
    statements.push(format!("DROP TABLE IF EXISTS {}", list.join(", ")));
    if plan.topology == Topology::SameDatabase {
        statements
            .extend(schemas(&plan.tables, |table| &table.archive.schema).map(drop_schema_if_empty));
        statements
            .extend(schemas(&plan.tables, |table| &table.staging.schema).map(drop_schema_if_empty));
    }
    statements.extend(drop_fence_function());
    statements
}

/// Locks the table that has the name, and refuses to go on if it is not the one that was planned.
fn refuse_another(name: &Relation, found: &TableFacts) -> String {
    let text = quote_literal(&name.to_string());
    do_block(&format!(
        "BEGIN IF to_regclass({text}) IS NOT NULL THEN LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE; \
         IF to_regclass({text})::oid <> {} THEN \
         RAISE EXCEPTION 'table % is not the one that was planned', {text} \
         USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Drop it by hand if it is to go.'; \
         END IF; END IF; END",
        found.oid
    ))
}
