//! The scratch hypertable that a calibration loads a sample into: in a schema of its own, dropped afterwards.

use super::attach::attach_chunk;
use super::column_list;
use super::create::create_table;
use super::do_block;
use super::keys::{index_step_sql, key_step_sql};
use super::orphans::conditions;
use super::turn_columnstore_on;
use crate::facts::{Facts, ForeignKey, KeyKind, TableFacts};
use crate::steps::can_exist;
use crate::{ChunkRange, Moment, Plan, Relation, TablePlan, quote_ident, quote_literal};

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
    /// The foreign keys, each to a stand-in: the tables that they refer to belong to the application, which goes on writing.
    pub foreign_keys: Vec<ScratchForeignKey>,
    /// Turns the columnstore on, where chunks go there before the cutover.
    pub columnstore: Option<Vec<String>>,
    /// Gathers statistics.
    pub analyze: String,
    /// Where the plan attaches partitions: one in small, and one without rows.
    pub leaves: Vec<ScratchLeaf>,
}

/// A foreign key of the scratch hypertable. It refers to a table without rows, so that it costs what adding it costs, and nobody
/// waits for a lock or has a row refused by it.
#[derive(Clone, Debug)]
pub struct ScratchForeignKey {
    key: ForeignKey,
    hypertable: Relation,
    stand_in: Relation,
}

impl ScratchForeignKey {
    /// Makes the table that it refers to, with the key's columns.
    pub fn make_stand_in(&self) -> [String; 2] {
        let ScratchForeignKey {
            key,
            hypertable,
            stand_in,
        } = self;
        let columns = column_list(&key.columns);
        [
            format!(
                "CREATE TABLE {stand_in} AS SELECT {columns} FROM ONLY {hypertable} WITH NO DATA"
            ),
            format!("ALTER TABLE {stand_in} ADD UNIQUE ({columns})"),
        ]
    }

    /// Adds it, not validated.
    pub fn add(&self) -> String {
        let columns = column_list(&self.key.columns);
        format!(
            "ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY ({columns}) REFERENCES {} ({columns}) NOT VALID",
            self.hypertable,
            quote_ident(&self.key.name),
            self.stand_in
        )
    }

    /// Takes it off again.
    pub fn drop(&self) -> String {
        format!(
            "ALTER TABLE {} DROP CONSTRAINT {}",
            self.hypertable,
            quote_ident(&self.key.name)
        )
    }

    /// What its validation asks of the hypertable and of each chunk, against the table that it really refers to (PostgreSQL's
    /// `RI_Initial_Check`), as it asks it: with `maintenance_work_mem`, in one process. To be run in a transaction. Nothing if it
    /// is not to be validated. For a role that may not read that table the statements ask nothing.
    pub fn validate(&self, relations: &[Relation]) -> Vec<String> {
        let key = &self.key;
        let (given, same) = conditions(&key.columns, &key.referenced_columns);
        let Some(first) = key.referenced_columns.first().filter(|_| key.validated) else {
            return Vec::new();
        };
        let first = quote_ident(first);
        let ask = |relation: &Relation| {
            do_block(&format!(
                "BEGIN IF has_table_privilege({}, 'SELECT') THEN \
                 PERFORM set_config('work_mem', current_setting('maintenance_work_mem'), true), \
                 set_config('max_parallel_workers_per_gather', '0', true); \
                 PERFORM count(*) FROM {relation} AS referring LEFT JOIN {} AS referred ON {same} \
                 WHERE referred.{first} IS NULL AND {given}; END IF; END",
                quote_literal(&key.references.to_string()),
                key.references
            ))
        };
        relations.iter().map(ask).collect()
    }
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
    let foreign_keys = found
        .foreign_keys
        .iter()
        .filter(|key| can_exist(key, &plan.tables, &plan.facts));
    let foreign_keys = foreign_keys
        .enumerate()
        .map(|(number, key)| ScratchForeignKey {
            key: key.clone(),
            hypertable: table.staging.clone(),
            stand_in: Relation::new(SCRATCH_SCHEMA, format!("hyperhaul referred {number}")),
        });
    Some(Scratch {
        create,
        keys: keys.flat_map(|key| key_step_sql(&table, key)).collect(),
        indexes: indexes
            .into_iter()
            .map(|index| index_step_sql(&table, index))
            .collect(),
        foreign_keys: foreign_keys.collect(),
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
