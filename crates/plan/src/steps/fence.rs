//! Steps of the phase `fence`: writers are kept off, pg_partman is told to leave the table alone; what a rollback ends with.

use super::Scope;
use crate::{Action, Phase, Side, Step, Topology, sql};

pub(super) fn steps(scope: Scope<'_>) -> Vec<Step> {
    let name = scope.table.relation.plain();
    let step = |object, title, statements, inverse| Step {
        side: Side::Source,
        inverse,
        ..scope.step(Phase::Fence, object, title, Action::Sql { statements })
    };
    let fence = step(
        "",
        format!("keep writers off {name}"),
        sql::fence(scope.facts, scope.found),
        sql::unfence(scope.facts, scope.found),
    );
    let release = scope.found.partman.as_ref().map(|partman| {
        step(
            "pg_partman",
            format!("take {name} out of pg_partman's hands"),
            sql::release(partman),
            sql::restore(partman),
        )
    });
    foreign_keys(scope)
        .into_iter()
        .chain(std::iter::once(fence))
        .chain(release)
        .collect()
}

/// The cutover takes foreign keys off the old table. What gives them back is the inverse of the very first step, so that it is
/// the last thing that a rollback does: if rows in the referenced tables are gone by then, the table is in use again and
/// can be put right.
fn foreign_keys(scope: Scope<'_>) -> Option<Step> {
    let inverse = match scope.topology {
        Topology::SameDatabase => sql::restore_outgoing(scope.found, scope.tables),
        Topology::OtherDatabase => Vec::new(),
    };
    let title = format!(
        "remember the foreign keys of {}",
        scope.table.relation.plain()
    );
    let nothing = Action::Sql {
        statements: Vec::new(),
    };
    (!inverse.is_empty()).then(|| Step {
        inverse,
        orphans: sql::outgoing_orphans(scope.found, scope.tables),
        ..scope.step(Phase::Fence, "foreign keys", title, nothing)
    })
}
