//! While history follows beside live rows: what would change rows that may not be there yet is refused.
//!
//! An UPDATE or DELETE finds the rows that are there. Of those that come later it would miss some, and nobody would know.

use super::fence::make_function;
use super::{LEDGER_SCHEMA, drop_fence_function};
use crate::{Relation, Topology, quote_ident};

/// Name of the trigger on the hypertable, for statements.
const HISTORY_TRIGGER: &str = "hyperhaul_history";

/// Name of its function, in the ledger's schema.
pub(super) const HISTORY_FUNCTION: &str = "history";

/// Refuses changes of a hypertable's rows; new ones are taken.
///
/// What a foreign key passes on when rows are deleted (CASCADE, SET NULL) is let through where the old table is in the same database: it keeps its foreign
/// keys and its fence until the history is in, so that what history refers to is refused there. Such a statement is known by the
/// line of PL/pgSQL's context that calls the trigger; what another trigger runs looks different and is refused.
pub(super) fn guard_history(hypertable: &Relation, topology: Topology) -> Vec<String> {
    let body = "DECLARE place text; BEGIN \
                IF TG_NARGS > 0 AND TG_OP IN ('UPDATE', 'DELETE') AND pg_trigger_depth() > 1 THEN \
                GET DIAGNOSTICS place = PG_CONTEXT; place := split_part(place, chr(10), 2); \
                IF position(format(' ONLY \"%s\".\"%s\" ', replace(TG_TABLE_SCHEMA, '\"', '\"\"'), replace(TG_TABLE_NAME, '\"', '\"\"')) IN place) > 0 \
                AND position(' WHERE $1 OPERATOR(' IN place) > 0 THEN RETURN NULL; END IF; END IF; \
                RAISE EXCEPTION 'table \"%\".\"%\" takes no % until its history is in', \
                TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP USING ERRCODE = 'ZH002', \
                HINT = 'INSERT and COPY are taken, but not INSERT ... ON CONFLICT DO UPDATE. See hyperhaul status.'; END;";
    let old_keeps_keys = match topology {
        Topology::SameDatabase => "'old table keeps its foreign keys'",
        Topology::OtherDatabase => "",
    };
    let mut statements = make_function(HISTORY_FUNCTION, body);
    statements.push(format!(
        "CREATE TRIGGER {HISTORY_TRIGGER} BEFORE UPDATE OR DELETE OR TRUNCATE ON {hypertable} \
         FOR EACH STATEMENT EXECUTE FUNCTION {}.{HISTORY_FUNCTION}({old_keeps_keys})",
        quote_ident(LEDGER_SCHEMA)
    ));
    statements
}

/// Lets rows be changed again.
pub(crate) fn lift_history_guard(hypertable: &Relation) -> Vec<String> {
    let drop = format!("DROP TRIGGER IF EXISTS {HISTORY_TRIGGER} ON {hypertable}");
    std::iter::once(drop).chain(drop_fence_function()).collect()
}
