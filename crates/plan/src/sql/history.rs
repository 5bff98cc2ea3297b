//! While history follows beside live rows: what would change rows that may not be there yet is refused.
//!
//! An UPDATE or DELETE finds the rows that are there. Of those that come later it would miss some, and nobody would know.

use super::fence::make_function;
use super::{LEDGER_SCHEMA, drop_fence_function};
use crate::{Relation, quote_ident};

/// Name of the trigger on the hypertable. For statements: what a foreign key passes on is refused by the old table, which keeps its
/// foreign keys and its fence.
const HISTORY_TRIGGER: &str = "hyperhaul_history";

/// Name of its function, in the ledger's schema.
pub(super) const HISTORY_FUNCTION: &str = "history";

/// Refuses changes of a hypertable's rows; new ones are taken.
pub(super) fn guard_history(hypertable: &Relation) -> Vec<String> {
    let body = "RAISE EXCEPTION 'table \"%\".\"%\" takes no % until its history is in', \
                TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP USING ERRCODE = 'ZH002', \
                HINT = 'INSERT and COPY are taken, but not INSERT ... ON CONFLICT DO UPDATE. See hyperhaul status.';";
    let mut statements = make_function(HISTORY_FUNCTION, body);
    statements.push(format!(
        "CREATE TRIGGER {HISTORY_TRIGGER} BEFORE UPDATE OR DELETE OR TRUNCATE ON {hypertable} \
         FOR EACH STATEMENT EXECUTE FUNCTION {}.{HISTORY_FUNCTION}()",
        quote_ident(LEDGER_SCHEMA)
    ));
    statements
}

/// Lets rows be changed again.
pub(crate) fn lift_history_guard(hypertable: &Relation) -> Vec<String> {
    let drop = format!("DROP TRIGGER IF EXISTS {HISTORY_TRIGGER} ON {hypertable}");
    std::iter::once(drop).chain(drop_fence_function()).collect()
}
