//! The scratch hypertable that a calibration loads a sample into: in a schema of its own, dropped afterwards.

use super::create::create_table;
use super::foreign_keys::{add_foreign_keys, validate_foreign_key};
use super::keys::{index_step_sql, key_step_sql};
use super::turn_columnstore_on;
use crate::facts::{Facts, KeyKind};
use crate::steps::can_exist;
use crate::{Moment, Plan, Relation, TablePlan, quote_ident};

/// Schema of the scratch hypertables.
pub const SCRATCH_SCHEMA: &str = "hyperhaul_scratch";

/// What a calibration runs for one table: the statements of its steps, over a scratch hypertable.
#[derive(Clone, Debug)]
pub struct Scratch {
    /// The table's plan, with the scratch hypertable as its staging.
    pub table: TablePlan,
    /// Makes the schema and the empty hypertable.
    pub create: Vec<String>,
    /// Adds the keys, one after another.
    pub keys: Vec<String>,
    /// Builds the indexes, side by side, the longest first.
    pub indexes: Vec<Vec<String>>,
    /// Adds the foreign keys.
    pub add_foreign_keys: Vec<String>,
    /// Validates them, one after another.
    pub validate_foreign_keys: Vec<String>,
    /// Turns the columnstore on, where chunks go there before the cutover.
    pub columnstore: Option<Vec<String>>,
}

/// The scratch hypertable of a table of the plan; `None`: there is no such table.
pub fn scratch(plan: &Plan, index: usize) -> Option<Scratch> {
    let mut table = plan.tables.get(index)?.clone();
    table.staging = Relation::new(SCRATCH_SCHEMA, &table.relation.name);
    let facts = bare(&plan.facts);
    let found = facts.tables.get(index)?;
    let mut create = vec![
        drop_scratch(),
        format!("CREATE SCHEMA {}", quote_ident(SCRATCH_SCHEMA)),
    ];
    create.extend(create_table(&table, found, &facts));
    let keys = found
        .unique_keys
        .iter()
        .filter(|key| key.kind != KeyKind::Exclusion);
    let mut indexes: Vec<_> = found.indexes.iter().filter(|index| index.valid).collect();
    indexes.sort_by_key(|index| std::cmp::Reverse(index.size_bytes));
    let foreign_keys = || {
        let keys = found.foreign_keys.iter();
        keys.filter(|key| can_exist(key, &plan.tables, &plan.facts))
    };
    Some(Scratch {
        create,
        keys: keys.flat_map(|key| key_step_sql(&table, key)).collect(),
        indexes: indexes
            .into_iter()
            .map(|index| index_step_sql(&table, index))
            .collect(),
        add_foreign_keys: add_foreign_keys(&table, foreign_keys()),
        validate_foreign_keys: foreign_keys()
            .filter(|key| key.validated)
            .map(|key| validate_foreign_key(&table.staging, key))
            .collect(),
        columnstore: columnstore(&table, &facts),
        table,
    })
}

fn columnstore(table: &TablePlan, facts: &Facts) -> Option<Vec<String>> {
    let chosen = table.to_columnstore?;
    let columnstore = table.policies.columnstore.as_ref()?;
    let on = turn_columnstore_on(table, &table.staging, columnstore, facts);
    (chosen.moment == Moment::BeforeIndexes).then_some(on.statements)
}

/// Drops whatever a calibration has left.
pub fn drop_scratch() -> String {
    format!(
        "DROP SCHEMA IF EXISTS {} CASCADE",
        quote_ident(SCRATCH_SCHEMA)
    )
}

/// The facts without what belongs to the real table alone: its owner, grants, defaults, identities.
fn bare(facts: &Facts) -> Facts {
    let mut facts = facts.clone();
    for found in &mut facts.tables {
        found.owner.clone_from(&facts.target.role);
        found.grants.clear();
        for column in &mut found.columns {
            column.grants.clear();
            column.default_sql = None;
            column.identity = None;
        }
    }
    facts
}
