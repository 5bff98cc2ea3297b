//! Steps of the phase `attach`: partitions become chunks, one transaction each.

use super::Scope;
use crate::{Action, AttachedLeaf, Concurrency, Phase, Step, phrase, sql};

/// Nothing may refer to the table while its partitions are detached; then one step for each leaf.
pub(super) fn steps(scope: Scope<'_>) -> Vec<Step> {
    let Scope { table, found, .. } = scope;
    if table.attached.is_empty() {
        return Vec::new();
    }
    let release = (!found.referenced_by.is_empty()).then(|| {
        let count = phrase::count_of(&found.referenced_by, "foreign key");
        Step {
            inverse: sql::add_references(found),
            ..scope.step(
                Phase::Attach,
                "references",
                format!("drop {count} that refer to {}", table.relation.plain()),
                Action::Sql {
                    statements: sql::drop_references(found),
                },
            )
        }
    });
    let leaves = table.attached.iter().map(|leaf| attach(scope, leaf));
    release.into_iter().chain(leaves).collect()
}

fn attach(scope: Scope<'_>, leaf: &AttachedLeaf) -> Step {
    let title = format!(
        "attach {} to {}",
        leaf.leaf.plain(),
        scope.table.staging.plain()
    );
    let statements = sql::attach_leaf(scope.table, scope.found, leaf, scope.facts);
    Step {
        inverse: sql::give_leaf_back(scope.table, scope.found, leaf, scope.facts),
        concurrency: Concurrency::OnePerTable,
        weight_bytes: leaf.bytes,
        ..scope.step(
            Phase::Attach,
            &leaf.leaf.plain(),
            title,
            Action::Sql { statements },
        )
    }
}
