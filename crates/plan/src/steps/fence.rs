//! Steps of the phase `fence`: writers are kept off, pg_partman is told to leave the table alone.

use super::Scope;
use crate::{Action, Phase, Side, Step, sql};

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
    std::iter::once(fence).chain(release).collect()
}
