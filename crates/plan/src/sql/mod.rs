//! SQL text of the steps: what runs on a server is written here and nowhere else in this crate.
//!
//! Identifiers are always quoted. Definitions that the server printed are used as it printed them, fully
//! qualified. Utility statements take no parameters, so their values are literals, quoted by `quote_literal`.

mod attach;
mod beside;
mod cleanup;
mod columnstore;
mod copy;
mod create;
mod cutover;
mod fence;
mod foreign_keys;
mod grants;
mod history;
mod jobs;
mod keys;
mod maintain;
mod orphans;
mod partman;
mod policies;
mod row_hash;
mod scratch;
mod sequences;
mod stage;

pub(crate) use attach::{
    add_references, attach_chunk, attach_leaf, drop_references, give_leaf_back,
};
pub use beside::{BESIDE_TABLE, create_beside, insert_beside};
pub use cleanup::cleanup_statements;
pub use columnstore::chunk_to_columnstore;
pub(crate) use columnstore::{add_columnstore_policy, turn_columnstore_on};
pub use copy::{
    chunk_copy_sql, chunk_hash_sql, chunk_rows_sql, copied_condition, row_count_sql,
    sample_rows_sql, slice_copy_sql, slice_hash_sql, slice_insert_sql, slice_rows_sql,
    verify_rows_sql,
};
pub(crate) use create::{create_schemas, create_table, inherited_definition, is_valid};
pub(crate) use cutover::{cutover, cutover_inverse};
pub use fence::{FENCE_TRIGGER, fence_hypertable, fence_stands, hold_fence, unfence_hypertable};
pub(crate) use fence::{drop_fence_function, fence, fence_owner, unfence};
pub(crate) use foreign_keys::{
    add_foreign_keys, definition_added, drop_outgoing, orphans, outgoing_orphans,
    re_pointed_orphans, references_orphans, referencing, restore_outgoing, validate_foreign_key,
    validate_referencing,
};
pub(crate) use history::lift_history_guard;
pub use jobs::{pause_job, put_job_back};
pub(crate) use keys::{
    cluster_on, index_step_sql, key_definition, key_step_sql, lacks_time, late_checks,
    replica_identity,
};
pub use maintain::{
    delete_expired, drop_expired, roll_up, schedule_command, scheduled_retention,
    scheduled_roll_up, vacuum,
};
pub use orphans::{OrphanQuery, orphan_queries};
pub(crate) use partman::{release, restore};
pub(crate) use policies::{
    Reversible, add_refresh_policy, add_retention, create_continuous_aggregate, create_rollup,
    refresh_history,
};
pub use row_hash::RowHash;
pub use scratch::{SCRATCH_SCHEMA, Scratch, ScratchForeignKey, drop_scratch, scratch};
pub use sequences::carried_to;
pub(crate) use sequences::{create_sequence, made_sequences};
pub use stage::create_staged;
pub(crate) use stage::{build_staged, drop_staged, staged_chunk, staged_names_are_free};

use crate::ident::derived_name;
use crate::{quote_ident, quote_literal};

/// Schema of the ledger and of the fence's function.
pub const LEDGER_SCHEMA: &str = "hyperhaul";

/// Schema in which the hypertables of tables in `schema` are built.
pub fn staging_schema(schema: &str) -> String {
    derived_name("hyperhaul_new_", schema)
}

/// Schema of the chunks that leaves of tables in `schema` are loaded into. It stays: chunks keep their names.
pub(crate) fn chunk_schema(schema: &str) -> String {
    derived_name("hyperhaul_chunks_", schema)
}

/// Schema to which the old tables of `schema` go at cutover.
pub fn archive_schema(schema: &str) -> String {
    derived_name("hyperhaul_old_", schema)
}

/// `DO` around a body, with a tag that no name in it can end.
pub(crate) fn do_block(body: &str) -> String {
    let mut tag = "$do$".to_owned();
    while body.contains(&tag) {
        tag.insert_str(1, "un");
    }
    format!("DO {tag} {body} {tag}")
}

/// Drops a schema unless something is in it: another run's tables, or what a user has put there.
pub(crate) fn drop_schema_if_empty(schema: &str) -> String {
    do_block(&format!(
        "BEGIN DROP SCHEMA IF EXISTS {}; \
         EXCEPTION WHEN dependent_objects_still_exist THEN NULL; END",
        quote_ident(schema)
    ))
}

/// `"a", "b"`.
pub(crate) fn column_list<S: AsRef<str>>(columns: &[S]) -> String {
    columns
        .iter()
        .map(|column| quote_ident(column.as_ref()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// `COMMENT ON <object> IS '...'`, if there is a comment.
pub(crate) fn comment_on(object: &str, comment: Option<&String>) -> Option<String> {
    comment.map(|comment| format!("COMMENT ON {object} IS {}", quote_literal(comment)))
}
