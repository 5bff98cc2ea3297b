//! Rows that would keep a foreign key from coming back at a rollback: of other tables, and of the old table itself.

use super::foreign_keys::{outgoing, referencing};
use crate::facts::TableFacts;
use crate::{Plan, Relation, TablePlan, Topology, quote_ident};

/// Finds the rows of a table that refer to what is not there, or will not be.
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
    let mut queries = Vec::new();
    for (table, found) in plan.tables.iter().zip(&plan.facts.tables) {
        let to_it = referencing(found, &plan.tables).filter(|key| key.validated);
        queries.extend(to_it.map(|key| OrphanQuery {
            relation: key.relation.clone(),
            constraint: key.name.clone(),
            rows_sql: rows_without(
                (&key.relation.to_string(), &key.columns),
                (
                    &old_rows(table, &key.referenced_columns),
                    &key.referenced_columns,
                ),
            ),
        }));
        queries.extend(between(plan, table, found));
        let from_it = outgoing(found, &plan.tables).filter(|key| key.validated);
        queries.extend(from_it.map(|key| OrphanQuery {
            relation: table.archive.clone(),
            constraint: key.name.clone(),
            rows_sql: rows_without(
                (&old_rows(table, &key.columns), &key.columns),
                (&key.references.to_string(), &key.referenced_columns),
            ),
        }));
    }
    queries
}

/// Keys between tables of the run went where partitions of the table were attached, and did not hold for what was written to
/// these since.
fn between<'a>(
    plan: &'a Plan,
    table: &'a TablePlan,
    found: &'a TableFacts,
) -> impl Iterator<Item = OrphanQuery> + 'a {
    let keys = found.referenced_by.iter();
    let went = keys.filter(|key| key.validated && !table.attached.is_empty());
    went.filter_map(|key| {
        let mut tables = plan.tables.iter();
        let referring = tables.find(|other| other.relation == key.relation)?;
        Some(OrphanQuery {
            relation: key.relation.clone(),
            constraint: key.name.clone(),
            rows_sql: rows_without(
                (&old_rows(referring, &key.columns), &key.columns),
                (
                    &old_rows(table, &key.referenced_columns),
                    &key.referenced_columns,
                ),
            ),
        })
    })
}

/// Where the rows are that the old table will have: with those that attached chunks bring back. Without ONLY, which by
/// itself sees no row of a chunk that is in the columnstore.
fn old_rows(table: &TablePlan, columns: &[String]) -> String {
    if table.attached.is_empty() {
        return table.archive.to_string();
    }
    let columns = super::column_list(columns);
    let leaves = table.attached.iter().map(|leaf| leaf.leaf.to_string());
    let selects: Vec<String> = std::iter::once(table.archive.to_string())
        .chain(leaves)
        .map(|rows| format!("SELECT {columns} FROM {rows}"))
        .collect();
    format!("({})", selects.join(" UNION ALL "))
}

/// Gives the rows of the first one that refer by these columns to a row that the second one does not have; each is a table
/// or a query in parentheses.
pub(crate) fn rows_without(
    (referring, columns): (&str, &[String]),
    (referred, referred_columns): (&str, &[String]),
) -> String {
    let (given, same) = conditions(columns, referred_columns);
    format!(
        "SELECT * FROM {referring} AS referring WHERE {given} AND NOT EXISTS (SELECT FROM {referred} AS referred WHERE {same})"
    )
}

/// Which rows `referring` a foreign key checks, and which rows `referred` they refer to.
pub(super) fn conditions(columns: &[String], referred_columns: &[String]) -> (String, String) {
    // A row with a NULL among the columns is not checked (MATCH SIMPLE).
    let given = columns
        .iter()
        .map(|column| format!("referring.{} IS NOT NULL", quote_ident(column)));
    let same = columns.iter().zip(referred_columns).map(|(own, other)| {
        format!(
            "referred.{} = referring.{}",
            quote_ident(other),
            quote_ident(own)
        )
    });
    let all = |conditions: Vec<String>| conditions.join(" AND ");
    (all(given.collect()), all(same.collect()))
}
