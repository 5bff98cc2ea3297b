//! Steps of the phases `cutover` and `after`.

use super::{Scope, common_step};
use crate::facts::Facts;
use crate::{Action, Concurrency, Phase, Step, TablePlan, Topology, sql};

/// The one transaction that changes what the application sees.
pub(super) fn step(tables: &[TablePlan], facts: &Facts, topology: Topology) -> Step {
    let action = Action::Sql {
        statements: sql::cutover(tables, facts, topology),
    };
    let inverse = sql::cutover_inverse(tables, facts, topology);
    let step = common_step(
        Phase::Cutover,
        "tables",
        "put the hypertables in the tables' places",
        action,
        inverse,
    );
    let orphans = match topology {
        Topology::SameDatabase => facts
            .tables
            .iter()
            .flat_map(|found| sql::re_pointed_orphans(found, tables))
            .collect(),
        Topology::OtherDatabase => Vec::new(),
    };
    Step { orphans, ..step }
}

/// The whole history is there: rows may be changed again, and the old table gives up its foreign keys, which kept what it refers to
/// from being deleted meanwhile.
pub(super) fn history_is_in(scope: Scope<'_>) -> Vec<Step> {
    let Scope { table, found, .. } = scope;
    if !table.backfilled {
        return Vec::new();
    }
    let name = table.relation.plain();
    let step = |object, title, statements| {
        scope.step(Phase::After, object, title, Action::Sql { statements })
    };
    let lift = step(
        "changes",
        format!("let rows of {name} be changed again"),
        sql::lift_history_guard(&table.relation),
    );
    let kept = match scope.topology {
        Topology::SameDatabase => sql::drop_outgoing(&table.archive, found, scope.tables),
        Topology::OtherDatabase => Vec::new(),
    };
    let give_up = (!kept.is_empty()).then(|| {
        let title = format!("take the foreign keys off {}", table.archive.plain());
        step("old foreign keys", title, kept)
    });
    std::iter::once(lift).chain(give_up).collect()
}

/// Writers are back by now: foreign keys of other tables are validated, statistics are gathered.
pub(super) fn after(scope: Scope<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    if scope.topology == Topology::SameDatabase {
        for validation in sql::validate_referencing(scope.tables, scope.found) {
            let (relation, name) = (validation.relation.plain(), validation.name);
            let title = format!("validate foreign key {name} of {relation}");
            let action = Action::Sql {
                statements: vec![validation.statement],
            };
            steps.push(Step {
                orphans: vec![validation.orphans],
                ..scope.step(Phase::After, &format!("{relation}:{name}"), title, action)
            });
        }
    }
    let relation = &scope.table.relation;
    let analyze = Action::Sql {
        statements: vec![format!("ANALYZE {relation}")],
    };
    let title = format!("gather statistics of {}", relation.plain());
    steps.push(Step {
        concurrency: Concurrency::Free,
        weight_bytes: scope.table.data_bytes,
        ..scope.step(Phase::After, "statistics", title, analyze)
    });
    steps
}
