//! Steps of the phase `stage`: leaves are loaded into tables of their own, which are indexed and become chunks.
//!
//! The workers that load them carry the other steps out, too: a table's build begins when its rows are in, and the next
//! leaf is loaded beside it.

use super::{Scope, common_step};
use crate::{Action, Concurrency, Phase, StagedLeaf, Step, TablePlan, sql};

/// The loading, where leaves are staged.
pub(super) fn slices(tables: &[TablePlan]) -> Option<Step> {
    let mut staged = tables.iter().flat_map(|table| &table.staged);
    staged.next()?;
    Some(common_step(
        Phase::Stage,
        "slices",
        "load partitions into tables of their own",
        Action::StageSlices,
        Vec::new(),
    ))
}

/// What makes each of the tables a chunk. Its inverse is that of the hypertable, which drops them.
pub(super) fn steps(scope: Scope<'_>) -> Vec<Step> {
    let leaves = scope.table.staged.iter();
    leaves
        .flat_map(|leaf| build(scope, leaf).into_iter().chain([attach(scope, leaf)]))
        .collect()
}

fn build(scope: Scope<'_>, leaf: &StagedLeaf) -> Option<Step> {
    let statements = sql::build_staged(scope.table, scope.found, leaf);
    (!statements.is_empty()).then(|| Step {
        id: leaf.build.clone(),
        concurrency: Concurrency::Free,
        weight_bytes: leaf.bytes,
        ..scope.step(
            Phase::Stage,
            "",
            format!("build keys and indexes of {}", leaf.chunk.plain()),
            Action::Sql { statements },
        )
    })
}

fn attach(scope: Scope<'_>, leaf: &StagedLeaf) -> Step {
    let statement = sql::attach_chunk(scope.table, &leaf.chunk, leaf.range, scope.facts);
    Step {
        id: leaf.attach.clone(),
        concurrency: Concurrency::OnePerTable,
        weight_bytes: leaf.bytes / 16,
        ..scope.step(
            Phase::Stage,
            "",
            format!(
                "attach {} to {}",
                leaf.chunk.plain(),
                scope.table.staging.plain()
            ),
            Action::Sql {
                statements: vec![statement],
            },
        )
    }
}
