//! Steps of the phase `policies`: what happens to rows as they age. Aggregates see all history before anything is dropped.

use super::Scope;
use crate::policies::{Aggregate, Keeper};
use crate::sql::Reversible;
use crate::{Action, Declaration, Moment, Phase, Policies, Relation, Step, Topology, sql};

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

/// The server's policy, and before it what was left of turning the columnstore on.
fn columnstore(scope: Scope<'_>) -> Vec<Step> {
    let (table, facts) = (scope.table, scope.facts);
    let Some(columnstore) = &table.policies.columnstore else {
        return Vec::new();
    };
    let on = sql::turn_columnstore_on(table, &table.relation, columnstore, facts);
    let policy = sql::add_columnstore_policy(table, columnstore, facts);
    let name = table.relation.plain();
    let title = format!("set the columnstore of {name} up");
    let moment = table.to_columnstore.map(|chosen| chosen.moment);
    match moment {
        None => vec![reversible(scope, "columnstore", title, on.then(policy))],
        Some(Moment::BeforeIndexes) => vec![reversible(scope, "columnstore", title, policy)],
        Some(Moment::AfterCutover) => {
            let title_on = format!("turn the columnstore of {name} on");
            let chunks = chunks(scope, Phase::Policies, &table.relation);
            std::iter::once(reversible(scope, "columnstore on", title_on, on))
                .chain(chunks)
                .chain([reversible(scope, "columnstore", title, policy)])
                .collect()
        }
    }
}

/// Steps of the phase `columnstore`. The hypertable, which nobody uses yet, goes with a rollback as a whole.
pub(super) fn to_columnstore(scope: Scope<'_>) -> Vec<Step> {
    let table = scope.table;
    let (Some(chosen), Some(columnstore)) = (table.to_columnstore, &table.policies.columnstore)
    else {
        return Vec::new();
    };
    if chosen.moment != Moment::BeforeIndexes {
        return Vec::new();
    }
    let on = sql::turn_columnstore_on(table, &table.staging, columnstore, scope.facts);
    let action = Action::Sql {
        statements: on.statements,
    };
    let title = format!("turn the columnstore of {} on", table.relation.plain());
    let on = scope.step(Phase::Columnstore, "on", title, action);
    let chunks = chunks(scope, Phase::Columnstore, &table.staging);
    std::iter::once(on).chain(chunks).collect()
}

fn chunks(scope: Scope<'_>, phase: Phase, hypertable: &Relation) -> Option<Step> {
    let chosen = scope.table.to_columnstore?;
    let title = format!(
        "put the chunks of {} that are old enough into the columnstore",
        scope.table.relation.plain()
    );
    let action = Action::ToColumnstore {
        hypertable: hypertable.clone(),
        before_us: chosen.before_us,
    };
    Some(Step {
        weight_bytes: chosen.bytes,
        ..scope.step(phase, "chunks", title, action)
    })
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
