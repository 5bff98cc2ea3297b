//! Steps of the phase `policies`: what happens to rows as they age. Aggregates see all history before anything is dropped.

use super::Scope;
use crate::policies::{Aggregate, Keeper};
use crate::sql::Reversible;
use crate::{Action, Declaration, Phase, Policies, Step, Topology, sql};

pub(super) fn steps(scope: Scope<'_>) -> Vec<Step> {
    let policies = &scope.table.policies;
    if policies.is_empty() {
        return Vec::new();
    }
    let keeper = Keeper::of(scope.facts);
    let aggregates = policies.aggregates.iter();
    let mut steps: Vec<Step> = match keeper {
        Keeper::Server => aggregates
            .flat_map(|aggregate| continuous(scope, aggregate))
            .collect(),
        Keeper::Maintain => aggregates
            .map(|aggregate| rollup(scope, aggregate))
            .collect(),
    };
    if keeper == Keeper::Server {
        steps.extend(columnstore(scope));
        steps.extend(retention(scope));
    }
    steps.extend(declared(scope, keeper).map(|declaration| {
        let title = format!(
            "store for hyperhaul maintain what is declared for {}",
            scope.table.relation.plain()
        );
        let action = Action::Declare { declaration };
        scope.step(Phase::Policies, "declarations", title, action)
    }));
    steps
}

fn reversible(scope: Scope<'_>, object: &str, title: String, sql: Reversible) -> Step {
    let action = Action::Sql {
        statements: sql.statements,
    };
    Step {
        inverse: sql.inverse,
        ..scope.step(Phase::Policies, object, title, action)
    }
}

/// Created empty, computed over all history, then kept up to date.
fn continuous(scope: Scope<'_>, aggregate: &Aggregate) -> [Step; 3] {
    let name = aggregate.relation.plain();
    let create = sql::create_continuous_aggregate(scope.table, scope.found, aggregate, scope.facts);
    let refresh = Action::Repeatable {
        statements: vec![sql::refresh_history(aggregate, scope.facts)],
    };
    let title = format!("compute {name} over all history");
    [
        reversible(
            scope,
            &name,
            format!("create continuous aggregate {name}"),
            create,
        ),
        Step {
            weight_bytes: scope.table.data_bytes,
            ..scope.step(Phase::Policies, &format!("{name}:history"), title, refresh)
        },
        reversible(
            scope,
            &format!("{name}:policy"),
            format!("keep {name} up to date"),
            sql::add_refresh_policy(aggregate, scope.facts),
        ),
    ]
}

fn rollup(scope: Scope<'_>, aggregate: &Aggregate) -> Step {
    let name = aggregate.relation.plain();
    let create = sql::create_rollup(scope.table, scope.found, aggregate, scope.facts);
    let title = format!("create table {name} for hyperhaul maintain to roll up into");
    reversible(scope, &name, title, create)
}

fn columnstore(scope: Scope<'_>) -> Option<Step> {
    let columnstore = scope.table.policies.columnstore.as_ref()?;
    let title = format!("set the columnstore of {} up", scope.table.relation.plain());
    let sql = sql::add_columnstore(scope.table, columnstore, scope.facts);
    Some(reversible(scope, "columnstore", title, sql))
}

fn retention(scope: Scope<'_>) -> Option<Step> {
    let retention_us = scope.table.policies.retention_us?;
    let title = format!("set the retention of {} up", scope.table.relation.plain());
    let sql = sql::add_retention(scope.table, retention_us, scope.facts);
    Some(reversible(scope, "retention", title, sql))
}

/// What is left for `hyperhaul maintain`: everything on the Apache edition; on the Community edition the retention of a table
/// that a foreign key refers to, since its job is refused then.
fn declared(scope: Scope<'_>, keeper: Keeper) -> Option<Declaration> {
    let table = scope.table;
    let stays_referenced = scope.topology == Topology::SameDatabase
        && sql::referencing(scope.found, scope.tables).next().is_some();
    let policies = match keeper {
        Keeper::Maintain => table.policies.clone(),
        Keeper::Server if stays_referenced => Policies {
            retention_us: Some(table.policies.retention_us?),
            schedule_us: table.policies.schedule_us,
            ..Policies::default()
        },
        Keeper::Server => return None,
    };
    Some(Declaration {
        relation: table.relation.clone(),
        time_column: table.time_column.clone(),
        time_type: table.time_type,
        policies,
    })
}
