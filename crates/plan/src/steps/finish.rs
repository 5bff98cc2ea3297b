//! Steps of the phases `finish` and `verify`: the last ones before the cutover; and `proof`, the latter's where history follows.

use super::Scope;
use crate::{Action, CarriedSequence, Phase, Step, Topology, phrase, sql};

/// Sequences move on, the replica identity is set.
pub(super) fn steps(scope: Scope<'_>) -> Vec<Step> {
    let name = scope.table.relation.plain();
    let sequences = carried_sequences(scope);
    let carry = (!sequences.is_empty()).then(|| {
        let count = phrase::count_of(&sequences, "sequence");
        let title = format!("carry {count} of {name} on");
        let action = Action::CarrySequences { sequences };
        scope.step(Phase::Finish, "sequences", title, action)
    });
    let identity = sql::replica_identity(scope.table, scope.found).map(|statement| {
        let title = format!("set the replica identity of {name}");
        let action = Action::Sql {
            statements: vec![statement],
        };
        scope.step(Phase::Finish, "replica identity", title, action)
    });
    let cluster = sql::cluster_on(scope.table, scope.found).map(|statement| {
        let title = format!("choose the index that CLUSTER of {name} goes by");
        let action = Action::Sql {
            statements: vec![statement],
        };
        scope.step(Phase::Finish, "cluster", title, action)
    });
    carry.into_iter().chain(identity).chain(cluster).collect()
}

fn carried_sequences(scope: Scope<'_>) -> Vec<CarriedSequence> {
    let identity = scope.found.columns.iter().filter_map(|column| {
        let identity = column.identity.as_ref()?;
        Some(CarriedSequence {
            source: identity.sequence.relation.clone(),
            column: column.name.clone(),
            target: None,
        })
    });
    // In the same database a serial column goes on with the very same sequence.
    let serial = sql::made_sequences(scope.facts, scope.index)
        .into_iter()
        .filter(|_| scope.topology == Topology::OtherDatabase)
        .map(|sequence| CarriedSequence {
            source: sequence.relation.clone(),
            column: sequence.column.clone(),
            target: Some(sequence.relation.clone()),
        });
    identity.chain(serial).collect()
}

/// Equality is proved: before the cutover, or where history follows, when it is in.
pub(super) fn verify(scope: Scope<'_>, phase: Phase) -> Vec<Step> {
    if (phase == Phase::Proof) != scope.table.backfilled {
        return Vec::new();
    }
    let title = format!("prove that {} is equal", scope.table.relation.plain());
    vec![Step {
        weight_bytes: scope.table.data_bytes,
        ..scope.step(phase, "", title, Action::Verify)
    }]
}
