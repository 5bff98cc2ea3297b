//! Steps of the phases `create` and `chunks`: the empty target.

use super::{Scope, common_step};
use crate::facts::Facts;
use crate::{Action, Phase, Step, TablePlan, Topology, phrase, sql};
use std::collections::BTreeSet;

/// The staging schemas of all tables.
pub(super) fn schemas(tables: &[TablePlan], facts: &Facts) -> Step {
    let staging = tables.iter().map(|table| &table.staging.schema);
    let staged = tables.iter().flat_map(|table| &table.staged);
    let names: BTreeSet<&String> = staging
        .chain(staged.map(|leaf| &leaf.chunk.schema))
        .collect();
    // A rollback's fence on the hypertable may have brought the function here.
    let inverse = names
        .into_iter()
        .map(|name| sql::drop_schema_if_empty(name))
        .chain(sql::drop_fence_function())
        .collect();
    let action = Action::Sql {
        statements: sql::create_schemas(facts, tables),
    };
    common_step(
        Phase::Create,
        "schemas",
        "create the staging schemas",
        action,
        inverse,
    )
}

/// The hypertable, with its own sequences where it is in another database.
pub(super) fn steps(scope: Scope<'_>) -> Vec<Step> {
    let Scope { table, facts, .. } = scope;
    let made = match scope.topology {
        Topology::SameDatabase => Vec::new(),
        Topology::OtherDatabase => sql::made_sequences(facts, scope.index),
    };
    let drop = made
        .iter()
        .map(|sequence| format!("DROP SEQUENCE IF EXISTS {}", sequence.relation));
    let inverse = std::iter::once(format!("DROP TABLE IF EXISTS {}", table.staging))
        .chain(sql::drop_staged(table))
        .chain(drop)
        .collect();
    let statements = sql::staged_names_are_free(table)
        .into_iter()
        .chain(
            made.iter()
                .flat_map(|sequence| sql::create_sequence(sequence, facts)),
        )
        .chain(sql::create_table(table, scope.found, facts))
        .collect();
    let title = format!("create hypertable {}", table.staging.plain());
    vec![Step {
        inverse,
        ..scope.step(Phase::Create, "", title, Action::Sql { statements })
    }]
}

/// Its chunks, before rows come. Beside attached tables they are made as rows come: the server cuts them around those.
pub(super) fn chunks(scope: Scope<'_>) -> Vec<Step> {
    if scope.table.takes_leaves() {
        return Vec::new();
    }
    let count = phrase::count_of(&scope.table.chunks, "chunk");
    let title = format!("make {count} of {}", scope.table.relation.plain());
    vec![scope.step(Phase::Chunks, "", title, Action::CreateChunks)]
}
