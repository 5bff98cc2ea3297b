//! The fence: triggers that refuse every write to a table and its partitions, until cutover or rollback; and the proof
//! that they stood all the time.
//!
//! ```text
//! hyperhaul_fence       for each statement   table, branches, leaves: it fires only for the relation that is named
//! hyperhaul_fence_row   for each row         leaves: workers of logical replication fire no other
//! ```
//!
//! All of them are made in one transaction, whose number the comment on the table's own trigger keeps. Whatever is done
//! to a trigger later (DISABLE, ENABLE, DROP, CREATE) writes its row of the catalog anew, with another number: one that
//! still has the first has stood all the time, also while its partition was detached. The triggers' argument says whose
//! fence it is.

use super::history::HISTORY_FUNCTION;
use super::{LEDGER_SCHEMA, do_block};
use crate::facts::{Facts, Leaf, RelationKind, ServerFacts, TableFacts};
use crate::{AttachedLeaf, Plan, Relation, quote_ident, quote_literal};

/// Name of the fence's statement triggers.
pub const FENCE_TRIGGER: &str = "hyperhaul_fence";

/// Name of its row triggers.
pub(super) const FENCE_ROW_TRIGGER: &str = "hyperhaul_fence_row";

/// The fence's function, as `to_regprocedure` takes it.
const FENCE_FUNCTION: &str = "hyperhaul.fence()";

/// Keeps one run from dropping the function while another one makes triggers with it (an advisory lock's key).
const FUNCTION_LOCK: i64 = 0x6879_7065_6665;

/// Relations per LOCK statement: bounds the statement's length.
const RELATIONS_PER_STATEMENT: usize = 500;

/// Creates the fence's function. What it raises has a SQLSTATE of its own: who can wait for the cutover knows by it that nothing is
/// wrong with the rows.
fn fence_function() -> Vec<String> {
    // What a foreign key passes on comes as a statement, whether or not there are rows for it: if there are, the row triggers below
    // the table refuse them. A hypertable, whose fence has no argument, has no such triggers.
    let body = "IF TG_LEVEL = 'STATEMENT' AND TG_NARGS > 0 AND TG_OP IN ('UPDATE', 'DELETE') AND pg_trigger_depth() > 1 \
                THEN RETURN NULL; END IF; \
                RAISE EXCEPTION 'table \"%\".\"%\" takes no writes while it is moved to a hypertable', \
                TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'ZH001', \
                HINT = 'See hyperhaul status; hyperhaul rollback lifts the fence.';";
    make_function("fence", body)
}

/// Creates a trigger's function in the ledger's schema. One of an older version is replaced, unless it is somebody else's.
pub(super) fn make_function(name: &str, body: &str) -> Vec<String> {
    let schema = quote_ident(LEDGER_SCHEMA);
    vec![
        format!("SELECT pg_advisory_xact_lock({FUNCTION_LOCK})"),
        format!("CREATE SCHEMA IF NOT EXISTS {schema}"),
        do_block(&format!(
            "BEGIN CREATE OR REPLACE FUNCTION {schema}.{name}() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN \
             {body} END $body$; \
             EXCEPTION WHEN insufficient_privilege THEN \
             IF to_regprocedure('{LEDGER_SCHEMA}.{name}()') IS NULL THEN RAISE; END IF; END"
        )),
    ]
}

/// Drops the functions of such triggers, and the schema where nothing else is in it (the source on another server), unless a trigger
/// still uses them or they are somebody else's.
pub(crate) fn drop_fence_function() -> Vec<String> {
    let schema = quote_ident(LEDGER_SCHEMA);
    let drop = |what: String| {
        do_block(&format!(
            "BEGIN DROP {what}; \
             EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege THEN NULL; END"
        ))
    };
    vec![
        format!("SELECT pg_advisory_xact_lock({FUNCTION_LOCK})"),
        drop(format!("FUNCTION IF EXISTS {schema}.fence()")),
        drop(format!("FUNCTION IF EXISTS {schema}.{HISTORY_FUNCTION}()")),
        drop(format!("SCHEMA IF EXISTS {schema}")),
    ]
}

/// By what a fence shows to which ledger it belongs: the target's database. ASCII, since it is compared as bytes.
pub(crate) fn fence_owner(target: &ServerFacts) -> String {
    let system = target
        .system_identifier
        .map_or("unknown".to_owned(), |identifier| identifier.to_string());
    format!("database {} of system {system}", target.database_oid)
}

/// The triggers' argument: whose fence it is, on which table.
fn argument(facts: &Facts, table: &TableFacts) -> String {
    format!("{}, table {}", fence_owner(&facts.target), table.oid)
}

/// The same as `pg_trigger.tgargs` has it: each argument ends with a zero byte.
fn argument_bytes(facts: &Facts, table: &TableFacts) -> String {
    let hex: String = argument(facts, table)
        .bytes()
        .chain([0])
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("'\\x{hex}'::bytea")
}

/// Creates the fence's function and puts the triggers on. May be run again by the same run; refuses where another
/// run's fence stands, which would be lifted without this run knowing.
pub(crate) fn fence(facts: &Facts, table: &TableFacts) -> Vec<String> {
    let schema = quote_ident(LEDGER_SCHEMA);
    let execute = format!(
        "EXECUTE FUNCTION {schema}.fence({})",
        quote_literal(&argument(facts, table))
    );
    let root = &table.relation;
    let mut statements = fence_function();
    statements.push(format!("LOCK TABLE {root} IN SHARE ROW EXCLUSIVE MODE"));
    statements.push(refuse_other_fence(facts, table));
    for relation in fenced_relations(table) {
        statements.push(format!(
            "CREATE OR REPLACE TRIGGER {FENCE_TRIGGER} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {relation} \
             FOR EACH STATEMENT {execute}"
        ));
        statements.push(enable(relation, FENCE_TRIGGER));
    }
    // Not on partitioned tables: these would clone it, and DETACH would drop the clone.
    for leaf in table.leaves.iter().map(|leaf| &leaf.relation) {
        statements.push(format!(
            "CREATE OR REPLACE TRIGGER {FENCE_ROW_TRIGGER} BEFORE INSERT OR UPDATE OR DELETE ON {leaf} \
             FOR EACH ROW {execute}"
        ));
        statements.push(enable(leaf, FENCE_ROW_TRIGGER));
    }
    statements.push(remember(root));
    statements
}

/// Also for `session_replication_role = replica` and for workers of logical replication.
fn enable(relation: &Relation, trigger: &str) -> String {
    format!("ALTER TABLE {relation} ENABLE ALWAYS TRIGGER {trigger}")
}

/// Notes the number of the transaction that makes the fence.
fn remember(root: &Relation) -> String {
    let name = quote_literal(&root.to_string());
    let comment = quote_literal(&format!("COMMENT ON TRIGGER {FENCE_TRIGGER} ON {root} IS "));
    do_block(&format!(
        "BEGIN EXECUTE {comment} || (SELECT quote_literal(xmin::text) FROM pg_trigger \
         WHERE tgrelid = {name}::regclass AND tgname = '{FENCE_TRIGGER}'); END"
    ))
}

/// The table and all below it, from the catalog alone: no lock is waited for.
fn tree(root: &str) -> String {
    format!(
        "WITH RECURSIVE tree (oid) AS (SELECT {root} UNION ALL SELECT i.inhrelid FROM tree \
         JOIN pg_inherits i ON i.inhparent = tree.oid AND NOT i.inhdetachpending \
         JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition)"
    )
}

fn refuse_other_fence(facts: &Facts, table: &TableFacts) -> String {
    let root = format!(
        "{}::regclass::oid",
        quote_literal(&table.relation.to_string())
    );
    let (tree, own) = (tree(&root), argument_bytes(facts, table));
    do_block(&format!(
        "BEGIN IF EXISTS ({tree} SELECT FROM tree JOIN pg_trigger t ON t.tgrelid = tree.oid \
         WHERE t.tgfoid = to_regprocedure('{FENCE_FUNCTION}') AND t.tgargs <> {own}) THEN \
         RAISE EXCEPTION 'another run keeps writers off the table already' \
         USING ERRCODE = 'object_not_in_prerequisite_state', \
         HINT = 'See hyperhaul check for which one it is, then go back with hyperhaul rollback.'; END IF; END"
    ))
}

/// Keeps writers off a hypertable that is in place, for a rollback. TimescaleDB refuses ENABLE ALWAYS there.
pub fn fence_hypertable(hypertable: &Relation) -> Vec<String> {
    let mut statements = fence_function();
    statements.push(format!(
        "CREATE OR REPLACE TRIGGER {FENCE_TRIGGER} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {hypertable} \
         FOR EACH STATEMENT EXECUTE FUNCTION {}.fence()",
        quote_ident(LEDGER_SCHEMA)
    ));
    statements
}

/// Lets writers onto a hypertable again.
pub fn unfence_hypertable(hypertable: &Relation) -> Vec<String> {
    let drop = format!("DROP TRIGGER IF EXISTS {FENCE_TRIGGER} ON {hypertable}");
    std::iter::once(drop).chain(drop_fence_function()).collect()
}

/// Takes the triggers off, also from partitions that were detached meanwhile, and leaves other runs' fences alone.
pub(crate) fn unfence(facts: &Facts, table: &TableFacts) -> Vec<String> {
    let own = argument_bytes(facts, table);
    let drop = do_block(&format!(
        "DECLARE fence record; BEGIN FOR fence IN SELECT tgname, tgrelid::regclass AS relation FROM pg_trigger \
         WHERE tgfoid = to_regprocedure('{FENCE_FUNCTION}') AND tgargs = {own} \
         ORDER BY tgrelid <> {}, tgrelid LOOP \
         EXECUTE format('DROP TRIGGER %I ON %s', fence.tgname, fence.relation); END LOOP; END",
        table.oid
    ));
    std::iter::once(drop).chain(drop_fence_function()).collect()
}

/// For the cutover's transaction, within one database: locks the table against everything, its leaves against whoever
/// would touch the fence, then looks whether it stood. So nothing comes in between the look and the commit.
pub(crate) fn prove_fence(
    facts: &Facts,
    table: &TableFacts,
    attached: &[AttachedLeaf],
) -> Vec<String> {
    let parents = std::iter::once(&table.relation).chain(&table.branches);
    let parents =
        parents.map(|parent| format!("LOCK TABLE ONLY {parent} IN ACCESS EXCLUSIVE MODE"));
    let proof = stands(facts, table, attached);
    hold(table).chain(parents).chain([proof]).collect()
}

/// For a session on the source, where that is on another server: as the cutover's own proof within one database, but
/// readers go on. What is locked stays so until the session's transaction ends.
pub fn hold_fence(plan: &Plan) -> Vec<String> {
    let tables = plan.facts.tables.iter();
    tables
        .flat_map(|table| hold(table).chain([stands(&plan.facts, table, &[])]))
        .collect()
}

/// Fails where the fence of one of the plan's tables has not stood all the time, or a partition has come or gone. `root`: where the
/// old table is now. Waits for no lock. `None` if the plan has no such table.
pub fn fence_stands(plan: &Plan, table: usize, root: &Relation) -> Option<String> {
    let found = plan.facts.tables.get(table)?;
    let attached = plan.tables.get(table).map(|table| &table.attached)?;
    Some(stands_at(root, &plan.facts, found, attached))
}

/// Locks the table and all below it, while readers go on: of the locks that conflict with ATTACH PARTITION and with DISABLE
/// TRIGGER it is the weakest. It also sends autovacuum away, which takes `deadlock_timeout` for each relation that it is
/// at: a stronger lock would let readers wait for that.
fn hold(table: &TableFacts) -> impl Iterator<Item = String> {
    let relations: Vec<String> = fenced_relations(table)
        .map(|relation| format!("ONLY {relation}"))
        .collect();
    let lock = |relations: &[String]| {
        format!(
            "LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE",
            relations.join(", ")
        )
    };
    let statements: Vec<String> = relations
        .chunks(RELATIONS_PER_STATEMENT)
        .map(lock)
        .collect();
    statements.into_iter()
}

fn is_attached(leaf: &Leaf, attached: &[AttachedLeaf]) -> bool {
    let mut attached = attached.iter();
    attached.any(|attached| attached.leaf_oid == leaf.oid)
}

/// See [`fence_stands`]. `attached`: leaves that may be chunks by now. They keep their triggers until the cutover.
pub(super) fn stands(facts: &Facts, table: &TableFacts, attached: &[AttachedLeaf]) -> String {
    stands_at(&table.relation, facts, table, attached)
}

fn stands_at(
    root: &Relation,
    facts: &Facts,
    table: &TableFacts,
    attached: &[AttachedLeaf],
) -> String {
    let (tree, own) = (tree("root"), argument_bytes(facts, table));
    let oids = |leaves: &mut dyn Iterator<Item = &Leaf>| {
        let oids: Vec<String> = leaves.map(|leaf| leaf.oid.to_string()).collect();
        oids.join(",")
    };
    let leaves = table.leaves.iter();
    let staying = oids(&mut leaves.clone().filter(|leaf| !is_attached(leaf, attached)));
    let gone = oids(&mut leaves.filter(|leaf| is_attached(leaf, attached)));
    let leaves = oids(&mut table.leaves.iter());
    let partitions = match table.kind {
        RelationKind::Partitioned => partitions_known(&tree),
        _ => String::new(),
    };
    do_block(&format!(
        "DECLARE root oid := {}::regclass; known oid[] := '{{{leaves}}}'; \
         staying oid[] := '{{{staying}}}'; gone oid[] := '{{{gone}}}'; made_by text; other regclass; BEGIN {partitions}\
         SELECT obj_description(t.oid, 'pg_trigger') INTO made_by FROM pg_trigger t \
         WHERE t.tgrelid = root AND t.tgname = '{FENCE_TRIGGER}'; \
         {tree} SELECT c.oid INTO other FROM pg_class c \
         CROSS JOIN (VALUES ('{FENCE_TRIGGER}'), ('{FENCE_ROW_TRIGGER}')) AS wanted (name) \
         LEFT JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgname = wanted.name \
         WHERE (c.oid IN (SELECT tree.oid FROM tree) OR c.oid = ANY (gone)) AND (t.tgenabled = 'A' AND t.tgfoid = to_regprocedure('{FENCE_FUNCTION}') AND t.tgargs = {own} \
         AND t.xmin::text = made_by) IS NOT TRUE \
         AND (c.relkind <> 'p' OR wanted.name = '{FENCE_TRIGGER}') LIMIT 1; \
         IF FOUND THEN RAISE EXCEPTION 'the fence on % did not stand all the time', other \
         USING ERRCODE = 'object_not_in_prerequisite_state', \
         DETAIL = 'Its triggers were disabled, dropped or made anew since: rows may have come in behind the copy.', \
         HINT = 'Go back with hyperhaul rollback, then make a new plan.'; END IF; END",
        quote_literal(&root.to_string())
    ))
}

/// Refuses where the leaves are not those of the plan: a new one has no fence, and its rows would stay behind.
fn partitions_known(tree: &str) -> String {
    format!(
        "{tree} SELECT tree.oid INTO other FROM tree JOIN pg_class c ON c.oid = tree.oid \
         WHERE c.relkind <> 'p' AND tree.oid <> ALL (known) LIMIT 1; \
         IF FOUND THEN RAISE EXCEPTION 'a partition was added since the plan was made: %', other \
         USING ERRCODE = 'object_not_in_prerequisite_state', \
         HINT = 'Go back with hyperhaul rollback, then make a new plan.'; END IF; \
         IF EXISTS (SELECT FROM unnest(staying) AS leaf (id) \
         WHERE leaf.id NOT IN ({tree} SELECT tree.oid FROM tree)) THEN \
         RAISE EXCEPTION 'a partition was detached or dropped since the plan was made' \
         USING ERRCODE = 'object_not_in_prerequisite_state', \
         HINT = 'Go back with hyperhaul rollback, then make a new plan.'; END IF; "
    )
}

fn fenced_relations(table: &TableFacts) -> impl Iterator<Item = &Relation> {
    let leaves = table
        .leaves
        .iter()
        .map(|leaf| &leaf.relation)
        .filter(|leaf| **leaf != table.relation);
    std::iter::once(&table.relation)
        .chain(&table.branches)
        .chain(leaves)
}
