//! The scratch hypertable that a calibration loads a sample into: in a schema of its own, dropped afterwards.

use super::attach::attach_chunk;
use super::column_list;
use super::create::create_table;
use super::foreign_keys::{add_foreign_keys, validate_foreign_key};
use super::keys::{index_step_sql, key_step_sql};
use super::turn_columnstore_on;
use crate::facts::{Facts, KeyKind, TableFacts};
use crate::steps::can_exist;
use crate::{ChunkRange, Moment, Plan, Relation, TablePlan, quote_ident};

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
    /// Gathers statistics.
    pub analyze: String,
    /// Where the plan attaches partitions: one in small, and one without rows.
    pub leaves: Vec<ScratchLeaf>,
}

/// A copy of a partition, to be attached to the scratch hypertable.
#[derive(Clone, Debug)]
pub struct ScratchLeaf {
    /// Bytes of its rows, about.
    pub bytes: u64,
    /// Rows, about.
    pub rows: u64,
    /// Makes it, as large as it is to be.
    pub make: Vec<String>,
    /// Attaches it.
    pub attach: String,
}

/// The scratch hypertable of a table of the plan; `None`: there is no such table. `leaf_bytes`: how much of a partition may be
/// copied to be attached.
pub fn scratch(plan: &Plan, index: usize, leaf_bytes: u64) -> Option<Scratch> {
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
        analyze: format!("ANALYZE {}", table.staging),
        leaves: scratch_leaves(&table, found, &facts, leaf_bytes),
        table,
    })
}

fn columnstore(table: &TablePlan, facts: &Facts) -> Option<Vec<String>> {
    let chosen = table.to_columnstore?;
    let columnstore = table.policies.columnstore.as_ref()?;
    let on = turn_columnstore_on(table, &table.staging, columnstore, facts);
    (chosen.moment == Moment::BeforeIndexes).then_some(on.statements)
}

/// The largest partition that is attached, cut, and an empty one for the time behind it. Nothing of them is fenced, and they are no
/// partitions: what is timed is the attaching.
fn scratch_leaves(
    table: &TablePlan,
    found: &TableFacts,
    facts: &Facts,
    leaf_bytes: u64,
) -> Vec<ScratchLeaf> {
    let Some(largest) = table.attached.iter().max_by_key(|leaf| leaf.bytes) else {
        return Vec::new();
    };
    let mut leaves = found.leaves.iter();
    let blocks = leaves
        .find(|leaf| leaf.oid == largest.leaf_oid)
        .map_or(0, |leaf| leaf.blocks);
    let part =
        |whole: u64| u128::from(whole) * u128::from(leaf_bytes) / u128::from(largest.bytes.max(1));
    let part = |whole: u64| u64::try_from(part(whole)).unwrap_or(u64::MAX).min(whole);
    let columns = column_list(&table.copy_columns);
    let leaf = |name: &str, range, rows: u64, bytes: u64, blocks: u64| {
        let relation = Relation::new(SCRATCH_SCHEMA, name);
        let hypertable = &table.staging;
        let mut make = vec![format!(
            "CREATE TABLE {relation} (LIKE {hypertable} INCLUDING ALL)"
        )];
        if blocks > 0 {
            make.push(format!(
                "INSERT INTO {relation} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM ONLY {} \
                 WHERE ctid < '({blocks},0)'::tid",
                largest.leaf
            ));
        }
        let attach = attach_chunk(table, &relation, range, facts);
        ScratchLeaf {
            bytes,
            rows,
            make,
            attach,
        }
    };
    let range = largest.range;
    let behind = ChunkRange {
        start_us: range.end_us,
        end_us: range.end_us.saturating_add(range.end_us - range.start_us),
    };
    vec![
        leaf("hyperhaul empty", behind, 0, 0, 0),
        leaf(
            "hyperhaul part",
            range,
            part(largest.rows_estimate),
            part(largest.bytes),
            part(u64::from(blocks)).max(1),
        ),
    ]
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
