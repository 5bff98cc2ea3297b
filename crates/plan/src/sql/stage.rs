//! Tables that leaves are loaded into and that become chunks: in a schema of their own, under names that stay.

use super::create::{access, column_settings};
use super::keys::{add_key, create_index};
use super::{chunk_schema, do_block};
use crate::facts::{KeyKind, Leaf, TableFacts};
use crate::ident::derived_name;
use crate::{Plan, Relation, Slice, StagedLeaf, TablePlan, quote_literal};

/// The table that a leaf is loaded into. The oid keeps it apart from leaves that had the same name before.
pub(crate) fn staged_chunk(table: &Relation, leaf: &Leaf) -> Relation {
    let prefix = format!("chunk_{}_", leaf.oid);
    Relation::new(
        chunk_schema(&table.schema),
        derived_name(&prefix, &leaf.relation.name),
    )
}

/// Makes the table that a slice's leaf is loaded into: the hypertable's columns and checks, without keys and indexes. In the
/// transaction that loads it, so that COPY can freeze, and writes no WAL where `wal_level` is `minimal`.
///
/// Empty if the slice is not staged.
pub fn create_staged(plan: &Plan, slice: &Slice) -> Vec<String> {
    let found = plan.facts.tables.get(slice.table);
    let (Some(table), Some(found), Some(leaf)) =
        (plan.tables.get(slice.table), found, plan.staged_leaf(slice))
    else {
        return Vec::new();
    };
    let create = format!(
        "CREATE TABLE {} (LIKE {} INCLUDING CONSTRAINTS INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING STORAGE \
         INCLUDING COMPRESSION)",
        leaf.chunk, table.staging
    );
    let columns = found.columns.iter();
    std::iter::once(create)
        .chain(columns.flat_map(|column| column_settings(&leaf.chunk, column)))
        .chain(access(&leaf.chunk, found, &plan.facts))
        .collect()
}

/// Builds the hypertable's keys and indexes on it: `attach_chunk` matches them, and builds what is missing under locks.
pub(crate) fn build_staged(
    table: &TablePlan,
    found: &TableFacts,
    leaf: &StagedLeaf,
) -> Vec<String> {
    let chunk = &leaf.chunk;
    let named = |name: &str| derived_name(&format!("{}_", chunk.name), name);
    let keys = found
        .unique_keys
        .iter()
        .filter(|key| key.kind != KeyKind::Exclusion);
    let indexes = found.indexes.iter().filter(|index| index.valid);
    keys.map(|key| add_key(table, key, chunk, &named(&key.name)))
        .chain(indexes.map(|index| create_index(table, index, chunk, &named(&index.name))))
        .collect()
}

/// Refuses where one of the names is taken: going back would drop somebody else's table.
pub(crate) fn staged_names_are_free(table: &TablePlan) -> Option<String> {
    if table.staged.is_empty() {
        return None;
    }
    Some(do_block(&format!(
        "DECLARE taken regclass; BEGIN \
         SELECT to_regclass(name) INTO taken FROM unnest({}) AS staged (name) WHERE to_regclass(name) IS NOT NULL LIMIT 1; \
         IF FOUND THEN RAISE EXCEPTION '% exists already on the target', taken USING ERRCODE = 'object_not_in_prerequisite_state', \
         HINT = 'The run needs that name. Rename that table, or take another strategy.'; END IF; END",
        names(table)
    )))
}

/// Drops those that were loaded and did not become chunks; chunks go with their hypertable.
pub(crate) fn drop_staged(table: &TablePlan) -> Option<String> {
    if table.staged.is_empty() {
        return None;
    }
    Some(do_block(&format!(
        "DECLARE left_over regclass; BEGIN \
         FOR left_over IN SELECT to_regclass(name) FROM unnest({}) AS staged (name) \
         WHERE to_regclass(name) IS NOT NULL \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = to_regclass(name)) \
         LOOP EXECUTE pg_catalog.format('DROP TABLE %s', left_over); END LOOP; END",
        names(table)
    )))
}

/// `ARRAY['"schema"."table"', ...]`.
fn names(table: &TablePlan) -> String {
    let names = table.staged.iter();
    let names: Vec<String> = names
        .map(|leaf| quote_literal(&leaf.chunk.to_string()))
        .collect();
    format!("ARRAY[{}]", names.join(", "))
}
