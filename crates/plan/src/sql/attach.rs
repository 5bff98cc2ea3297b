//! Attaching a partition to the hypertable as a chunk, and giving it back. No row moves either way.

use super::create::extension_schema;
use super::do_block;
use super::fence::{FENCE_ROW_TRIGGER, FENCE_TRIGGER, stands};
use super::foreign_keys::add_constraint;
use crate::facts::{Facts, ReferencedBy, TableFacts};
use crate::time::literal_text;
use crate::{AttachedLeaf, ChunkRange, Relation, TablePlan, quote_ident, quote_literal};

/// Makes a partition a chunk.
///
/// The partition's own copies of the table's foreign keys go before: `attach_chunk` adds the hypertable's, and validates
/// them only if those are validated. Keys, indexes and checks are matched, not doubled.
pub(crate) fn attach_leaf(
    table: &TablePlan,
    found: &TableFacts,
    leaf: &AttachedLeaf,
    facts: &Facts,
) -> Vec<String> {
    let name = quote_literal(&leaf.leaf.to_string());
    let detach = do_block(&format!(
        "DECLARE twins text[]; twin text; BEGIN \
         twins := ARRAY(SELECT conname FROM pg_catalog.pg_constraint \
         WHERE conrelid = {name}::regclass AND contype = 'f' AND conparentid <> 0); \
         ALTER TABLE {} DETACH PARTITION {}; \
         FOREACH twin IN ARRAY twins LOOP \
         EXECUTE pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', {name}, twin); \
         END LOOP; END",
        table.relation, leaf.leaf
    ));
    let attach = attach_chunk(table, &leaf.leaf, leaf.range, facts);
    // The fence goes with the partition, so this is the last moment to look whether it stood.
    vec![stands(facts, found, &table.attached), detach, attach]
}

/// Makes an ordinary table a chunk of the hypertable for this range.
pub(crate) fn attach_chunk(
    table: &TablePlan,
    relation: &Relation,
    range: ChunkRange,
    facts: &Facts,
) -> String {
    format!(
        "CALL {}.attach_chunk({}::regclass, {}::regclass, {}::jsonb)",
        extension_schema(facts),
        quote_literal(&table.staging.to_string()),
        quote_literal(&relation.to_string()),
        quote_literal(&slices_json(table, range))
    )
}

/// Gives a chunk back to its table as a partition. Foreign keys that it took from the hypertable and that are not validated
/// yet would stay beside the table's: they go.
///
/// The hypertable is locked before: `detach_chunk` lets readers plan with the chunk, wait for it, and go on when it is none any
/// more. That took the server down (2.29.2: segmentation fault of the reader).
pub(crate) fn give_leaf_back(
    table: &TablePlan,
    found: &TableFacts,
    leaf: &AttachedLeaf,
    facts: &Facts,
) -> Vec<String> {
    let name = quote_literal(&leaf.leaf.to_string());
    let keep_readers_off = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", table.staging);
    let detach = format!(
        "CALL {}.detach_chunk({name}::regclass)",
        extension_schema(facts)
    );
    let keys: Vec<String> = found
        .foreign_keys
        .iter()
        .map(|key| quote_literal(&key.name))
        .collect();
    let drop_keys = format!(
        "DECLARE key text; BEGIN FOR key IN SELECT conname FROM pg_catalog.pg_constraint \
         WHERE conrelid = {name}::regclass AND contype = 'f' AND NOT convalidated AND conname = ANY (ARRAY[{}]::text[]) \
         LOOP EXECUTE pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', {name}, key); END LOOP; END",
        keys.join(", ")
    );
    let text = |time_us| quote_literal(&literal_text(time_us, table.time_type));
    let attach = format!(
        "ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})",
        table.relation,
        leaf.leaf,
        text(leaf.range.start_us),
        text(leaf.range.end_us)
    );
    let statements = [keep_readers_off, detach, do_block(&drop_keys), attach];
    // One that is gone by now, by retention or by hand, was the only copy: whether that is to be is asked before.
    let execute: Vec<String> = statements
        .iter()
        .map(|statement| format!("EXECUTE {};", quote_literal(statement)))
        .collect();
    vec![do_block(&format!(
        "BEGIN IF to_regclass({name}) IS NOT NULL THEN {} END IF; END",
        execute.join(" ")
    ))]
}

/// `{"received_at": ["2025-12-11 00:00:00+00", "2025-12-12 00:00:00+00"]}`.
fn slices_json(table: &TablePlan, range: ChunkRange) -> String {
    let text = |time_us| literal_text(time_us, table.time_type);
    let bounds = [text(range.start_us), text(range.end_us)];
    serde_json::json!({ table.time_column.clone(): bounds }).to_string()
}

/// Takes the fence off the chunks that were partitions. Their row trigger stays with them when they are detached, and
/// TimescaleDB refuses to insert where a chunk has a statement trigger.
pub(crate) fn unfence_attached(table: &TablePlan) -> Vec<String> {
    let drop = |leaf: &AttachedLeaf| {
        let trigger = |name| format!("DROP TRIGGER IF EXISTS {name} ON {}", leaf.leaf);
        [trigger(FENCE_TRIGGER), trigger(FENCE_ROW_TRIGGER)]
    };
    table.attached.iter().flat_map(drop).collect()
}

/// A partition that rows refer to cannot be detached: drops the foreign keys that refer to the table.
pub(crate) fn drop_references(found: &TableFacts) -> Vec<String> {
    let drop = |key: &ReferencedBy| {
        format!(
            "ALTER TABLE {} DROP CONSTRAINT {}",
            key.relation,
            quote_ident(&key.name)
        )
    };
    found.referenced_by.iter().map(drop).collect()
}

/// Adds them again, as they were, when the partitions are back.
pub(crate) fn add_references(found: &TableFacts) -> Vec<String> {
    let keys = found.referenced_by.iter();
    keys.flat_map(|key| add_constraint(key, &key.definition))
        .collect()
}
