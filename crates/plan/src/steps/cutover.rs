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
