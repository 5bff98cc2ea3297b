//! Steps of the phases `keys`, `indexes` and `foreign keys`: what is built over the rows when they are in.

use super::Scope;
use crate::facts::{Facts, ForeignKey, Index, KeyKind};
use crate::{Action, Concurrency, Phase, Relation, Step, TablePlan, phrase, sql};

/// Primary key and unique constraints, then the checks that were left for later.
pub(super) fn keys(scope: Scope<'_>) -> Vec<Step> {
    let Scope { table, found, .. } = scope;
    let name = table.relation.plain();
    let mut keys: Vec<Step> = found
        .unique_keys
        .iter()
        .filter(|key| key.kind != KeyKind::Exclusion)
        .map(|key| {
            let weight_bytes = key.size_bytes.max(table.data_bytes / 8);
            let title = format!("add {} of {name}", key.name);
            let statements = sql::key_step_sql(table, key);
            key_step(scope, &key.name, title, statements, weight_bytes)
        })
        .collect();
    if table.staged.is_empty() {
        keys.extend(checks(scope));
    }
    keys
}

/// The checks of a table that leaves are staged for: one that is NOT VALID would refuse rows that are there.
pub(super) fn checks_later(scope: Scope<'_>) -> Vec<Step> {
    if scope.table.staged.is_empty() {
        return Vec::new();
    }
    checks(scope).into_iter().collect()
}

fn checks(scope: Scope<'_>) -> Option<Step> {
    let Scope { table, found, .. } = scope;
    let statements = sql::late_checks(table, found);
    (!statements.is_empty()).then(|| {
        let title = format!("finish the checks of {}", table.relation.plain());
        key_step(scope, "checks", title, statements, 0)
    })
}

fn key_step(
    scope: Scope<'_>,
    object: &str,
    title: String,
    statements: Vec<String>,
    weight_bytes: u64,
) -> Step {
    Step {
        concurrency: Concurrency::OnePerTable,
        weight_bytes,
        ..scope.step(Phase::Keys, object, title, Action::Sql { statements })
    }
}

/// Indexes, the longest build first.
pub(super) fn indexes(scope: Scope<'_>) -> Vec<Step> {
    let Scope { table, found, .. } = scope;
    let build = |index: &Index| Step {
        concurrency: Concurrency::Free,
        weight_bytes: index_weight(index, table),
        ..scope.step(
            Phase::Indexes,
            &index.name,
            format!("build index {} of {}", index.name, table.relation.plain()),
            Action::Sql {
                statements: sql::index_step_sql(table, index),
            },
        )
    };
    let valid = found.indexes.iter().filter(|index| index.valid);
    let mut steps: Vec<Step> = valid.map(build).collect();
    steps.sort_by(|a, b| {
        b.weight_bytes
            .cmp(&a.weight_bytes)
            .then_with(|| a.id.cmp(&b.id))
    });
    steps
}

/// What an index's build costs against its size: GiST and GIN take longest (facts: 12.3 s and 6.1 s of 38 s for nine).
fn index_weight(index: &Index, table: &TablePlan) -> u64 {
    let scan_bytes = table.data_bytes / 8;
    let factor = match index.method.as_str() {
        "gist" | "spgist" => 8,
        "gin" => 4,
        _ => 1,
    };
    scan_bytes + index.size_bytes * factor
}

/// Foreign keys, added when all rows are in: one that was never validated on the source would refuse some of them. In phase
/// `columnstore` for tables whose chunks go there before indexes are built, and validated there, since the server validates none
/// afterwards; in their own for all others. Where partitions are attached they come before and after that.
pub(super) fn foreign_keys(scope: Scope<'_>, phase: Phase) -> Vec<Step> {
    let own = if scope.table.goes_to_columnstore_before_indexes() {
        Phase::Columnstore
    } else {
        Phase::ForeignKeys
    };
    if phase != own || has_foreign_keys_first(scope) {
        return Vec::new();
    }
    let mut steps = add_foreign_keys(scope);
    if phase == Phase::Columnstore {
        steps.extend(validations(scope, Phase::ForeignKeys, &scope.table.staging));
    }
    let steps = steps.into_iter();
    steps.map(|step| Step { phase, ..step }).collect()
}

/// Their validation, in the phase in which rows are compared: validations of one table lock each other out and take one core
/// each, so that by themselves they leave the others idle. Both only read, and nothing is cut over before both are done.
pub(super) fn validate_foreign_keys(scope: Scope<'_>) -> Vec<Step> {
    if scope.table.goes_to_columnstore_before_indexes() || has_foreign_keys_first(scope) {
        return Vec::new();
    }
    let steps = validations(scope, Phase::ForeignKeys, &scope.table.staging);
    let beside = |step| Step {
        phase: Phase::Verify,
        ..step
    };
    steps.into_iter().map(beside).collect()
}

/// Whether foreign keys come before the rows.
fn has_foreign_keys_first(scope: Scope<'_>) -> bool {
    !scope.table.attached.is_empty() || scope.table.backfilled
}

/// Those of a table that partitions are attached to, while it is empty, and of one whose history follows beside live rows, which have
/// to obey them. There is no row yet to validate them against in the latter.
pub(super) fn add_foreign_keys_first(scope: Scope<'_>) -> Vec<Step> {
    if !has_foreign_keys_first(scope) {
        return Vec::new();
    }
    let validations = |scope: Scope<'_>| match scope.table.backfilled {
        true => validations(scope, Phase::ForeignKeys, &scope.table.staging),
        false => Vec::new(),
    };
    let mut steps = scope.built_first(add_foreign_keys);
    steps.extend(scope.built_first(validations));
    steps
}

/// All together and not validated.
fn add_foreign_keys(scope: Scope<'_>) -> Vec<Step> {
    let wanted: Vec<&ForeignKey> = wanted(scope).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let count = phrase::count_of(&wanted, "foreign key");
    let title = format!("add {count} of {}", scope.table.relation.plain());
    let statements = sql::add_foreign_keys(scope.table, wanted.into_iter());
    vec![scope.step(Phase::ForeignKeys, "", title, Action::Sql { statements })]
}

/// Their validation after the cutover: rows that were attached obeyed the same keys when they were partitions, and nothing could
/// be written since that these would refuse.
pub(super) fn validate_foreign_keys_later(scope: Scope<'_>) -> Vec<Step> {
    if scope.table.attached.is_empty() {
        return Vec::new();
    }
    validations(scope, Phase::After, &scope.table.relation)
}

fn validations(scope: Scope<'_>, phase: Phase, hypertable: &Relation) -> Vec<Step> {
    let name = scope.table.relation.plain();
    let validated = wanted(scope).filter(|key| key.validated);
    let validate = |key: &ForeignKey| Step {
        concurrency: Concurrency::OnePerTable,
        weight_bytes: scope.table.data_bytes / 4,
        orphans: vec![sql::orphans(hypertable, key)],
        ..scope.step(
            phase,
            &key.name,
            format!("validate foreign key {} of {name}", key.name),
            Action::Sql {
                statements: vec![sql::validate_foreign_key(hypertable, key)],
            },
        )
    };
    validated.map(validate).collect()
}

fn wanted<'a>(scope: Scope<'a>) -> impl Iterator<Item = &'a ForeignKey> {
    let keys = scope.found.foreign_keys.iter();
    keys.filter(move |key| can_exist(key, scope.tables, scope.facts))
}

/// Whether a foreign key can exist on the target: not between hypertables, and not to a table that is missing.
pub(crate) fn can_exist(key: &ForeignKey, tables: &[TablePlan], facts: &Facts) -> bool {
    let moved = tables.iter().any(|table| table.relation == key.references);
    let hypertable =
        key.references_hypertable || facts.target.hypertables.contains(&key.references);
    !moved && !hypertable && !facts.missing_relations.contains(&key.references)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::testing::soar;

    #[test]
    fn foreign_keys_are_validated_beside_the_proof_and_keep_their_names() {
        let (facts, options) = soar();
        let plan = crate::plan(facts, options).unwrap();
        let at = |title: &str| {
            let mut steps = plan.steps.iter();
            let at = steps.position(|step| step.title == title).unwrap();
            (at, &plan.steps[at])
        };
        let added = at("add 3 foreign keys of public.fixes");
        assert_eq!(added.1.phase, Phase::ForeignKeys);
        let validated = at("validate foreign key fixes_flight_id_fkey of public.fixes");
        assert_eq!(validated.1.phase, Phase::Verify);
        assert_eq!(
            validated.1.id.0,
            "foreign keys:public.fixes:fixes_flight_id_fkey"
        );
        let proved = at("prove that public.raw_messages is equal");
        assert!(added.0 < validated.0 && validated.0 < proved.0);
        assert!(plan.steps.is_sorted_by_key(|step| step.phase));
    }
}
