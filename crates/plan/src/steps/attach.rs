//! Steps of the phase `attach`: partitions become chunks, one transaction each.

use super::Scope;
use crate::{Action, AttachedLeaf, Concurrency, Phase, Step, phrase, sql};

/// Foreign keys go before: a partition that rows refer to cannot be detached, and dropping a partition's own keys locks the
/// tables that they refer to. Then one step for each leaf.
pub(super) fn steps(scope: Scope<'_>) -> Vec<Step> {
    let Scope {
        table,
        found,
        tables,
        ..
    } = scope;
    if table.attached.is_empty() {
        return Vec::new();
    }
    let mut statements = sql::drop_references(found);
    statements.extend(sql::drop_outgoing(&found.relation, found, tables));
    let name = table.relation.plain();
    let release = (!statements.is_empty()).then(|| Step {
        // Those of the table itself come back at the very end of a rollback.
        inverse: sql::add_references(found),
        orphans: sql::references_orphans(found),
        ..scope.step(
            Phase::Attach,
            "foreign keys",
            format!("take the foreign keys off {name}, and those that refer to it"),
            Action::Sql { statements },
        )
    });
    let hash = scope.options.hash_attached.then(|| {
        let title = format!(
            "hash the rows of {} of {name}",
            phrase::count_of(&table.attached, "partition")
        );
        scope.step(Phase::Attach, "hashes", title, Action::HashLeaves)
    });
    let leaves = table.attached.iter().map(|leaf| attach(scope, leaf));
    hash.into_iter().chain(release).chain(leaves).collect()
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
