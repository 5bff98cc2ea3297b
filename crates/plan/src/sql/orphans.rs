//! Rows of other tables that would keep their foreign key from coming back at a rollback.

use super::cutover::referencing;
use crate::facts::ReferencedBy;
use crate::{Plan, Relation, TablePlan, Topology, quote_ident};

/// Finds the rows of a table that refer to what the old table does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrphanQuery {
    /// The table whose rows they are.
    pub relation: Relation,
    /// Its foreign key.
    pub constraint: String,
    /// `SELECT ...` that gives these rows.
    pub rows_sql: String,
}

/// The queries for a run that is cut over. Keys that were never validated come back unvalidated, and need none.
pub fn orphan_queries(plan: &Plan) -> Vec<OrphanQuery> {
    if plan.topology == Topology::OtherDatabase {
        return Vec::new();
    }
    let pairs = plan.tables.iter().zip(&plan.facts.tables);
    pairs
        .flat_map(|(table, found)| {
            referencing(found, &plan.tables)
                .filter(|key| key.validated)
                .map(|key| orphans(table, key))
        })
        .collect()
}

fn orphans(table: &TablePlan, key: &ReferencedBy) -> OrphanQuery {
    let pairs = key.columns.iter().zip(&key.referenced_columns);
    let given = key
        .columns
        .iter()
        .map(|column| format!("referring.{} IS NOT NULL", quote_ident(column)));
    let same = pairs.map(|(own, other)| {
        format!(
            "old.{} = referring.{}",
            quote_ident(other),
            quote_ident(own)
        )
    });
    OrphanQuery {
        relation: key.relation.clone(),
        constraint: key.name.clone(),
        rows_sql: format!(
            "SELECT * FROM {} AS referring WHERE {} AND NOT EXISTS (SELECT FROM {} AS old WHERE {})",
            key.relation,
            given.collect::<Vec<_>>().join(" AND "),
            table.archive,
            same.collect::<Vec<_>>().join(" AND ")
        ),
    }
}
