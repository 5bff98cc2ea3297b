//! Facts about one table, put together from the queries of the other modules.

use hyperhaul_pg::Session;
use hyperhaul_plan::facts::{
    Column, Grant, PartitionKey, PartitionStrategy, Privileges, RelationKind, ReplicaIdentity,
    TableFacts,
};
use hyperhaul_plan::{Relation, TableOptions, TimeType};
use serde::Deserialize;

use crate::fetch::{fetch, fetch_opt};
use crate::partman::Management;
use crate::{
    Error, columns, dependents, hashing, keys, leaves, observe, partman, server, sessions, writers,
};

const TABLE: &str = include_str!("sql/table.sql");

/// Some functions that print definitions or sizes lock their relation for a moment. Whoever holds
/// it exclusively is named instead of waited for.
const BEGIN_LOOKING: &str = "\
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL lock_timeout = '3s'";

/// Tables whose name differs in case only, or that lie in another schema.
const SIMILAR: &str = "\
SELECT coalesce(json_agg(s), '[]')::text FROM (
    SELECT n.nspname AS schema, c.relname AS name
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE lower(c.relname) = lower($1) AND c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%'
    ORDER BY n.nspname, c.relname LIMIT 3) AS s";

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The catalog only: well under a second for 1,500 partitions.
    Catalog,
    /// Also the times of all rows in leaves whose bounds do not place them in one chunk: reads
    /// those leaves wholly.
    Rows,
}

/// What a query about the relation itself returns.
#[derive(Deserialize)]
struct TableRow {
    oid: u32,
    relkind: char,
    is_partition: bool,
    owner: String,
    is_owner: bool,
    create_in_schema: bool,
    partition_key: Option<KeyRow>,
    dropped_columns: u32,
    row_security: bool,
    force_row_security: bool,
    comment: Option<String>,
    replica_identity: char,
    replica_index: Option<String>,
    options: Vec<String>,
    tablespace: Option<String>,
    grants: Vec<Grant>,
    inherits: Vec<Relation>,
    inherited_by: Vec<Relation>,
}

#[derive(Deserialize)]
struct KeyRow {
    strategy: char,
    definition: String,
    columns: Vec<Option<String>>,
}

/// What is to be known about a table. The session must not be in a transaction.
///
/// # Errors
/// [`Error::is_missing`] where there is no such relation; who holds the lock, where even looking
/// would have to wait; the server's.
pub async fn table_facts(
    session: &Session,
    wanted: &TableOptions,
    depth: Depth,
) -> Result<TableFacts, Error> {
    let relation = &wanted.relation;
    let looked = looking(session, async || {
        look(session, relation, wanted.time_column.as_deref()).await
    })
    .await;
    let mut facts = name_holders(session, relation, looked).await?;
    if let (Depth::Rows, Some(column), Some(time_type), true) = (
        depth,
        facts.time_column.clone(),
        facts.time_type,
        facts.privileges.select,
    ) {
        let observed = looking(session, async || {
            let interval_us = wanted.chunk_interval_us;
            observe::observe(session, &mut facts.leaves, &column, time_type, interval_us).await
        })
        .await;
        name_holders(session, relation, observed).await?;
    }
    Ok(facts)
}

/// Looks within one transaction that changes nothing, and therefore ends with ROLLBACK.
async fn looking<T>(
    session: &Session,
    look: impl AsyncFnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    session.batch("BEGIN").await?;
    let looked = async {
        session.batch(BEGIN_LOOKING).await?;
        look().await
    };
    let looked = looked.await;
    session.roll_back().await;
    looked
}

/// Says who holds the lock, where a look failed for one.
async fn name_holders<T>(
    session: &Session,
    relation: &Relation,
    looked: Result<T, Error>,
) -> Result<T, Error> {
    let cause = match looked {
        Err(error) => match error.server_error() {
            Some(cause) if cause.is_lock_timeout() => cause.clone(),
            _ => return Err(error),
        },
        Ok(value) => return Ok(value),
    };
    let holders = sessions::blocking_sessions(session, relation).await?;
    Err(Error::locked(relation, holders, cause))
}

async fn look(
    session: &Session,
    relation: &Relation,
    time_column: Option<&str>,
) -> Result<TableFacts, Error> {
    let names: [&(dyn hyperhaul_pg::ToSql + Sync); 2] = [&relation.schema, &relation.name];
    let Some(row) = fetch_opt::<TableRow>(session, "the table", TABLE, &names).await? else {
        let similar = fetch(session, "similar tables", SIMILAR, &[&relation.name]).await?;
        return Err(Error::missing(relation, similar));
    };
    let sessions = sessions::blocking_sessions(session, relation).await?;
    let hypertables = server::hypertables(session).await?;
    let (columns, sequences) = columns::columns(session, row.oid).await?;
    let partition_key = row.partition_key.map(partition_key).transpose()?;
    let time_column = choose_time_column(time_column, partition_key.as_ref(), &columns);
    let time_type = time_column
        .as_deref()
        .and_then(|name| time_type(&columns, name));
    let tree = leaves::tree(session, row.oid, time_column.as_deref()).await?;
    let keys = keys::keys(session, row.oid, &tree.index_bytes, &hypertables).await?;
    let dependents = dependents::dependents(session, row.oid).await?;
    let (partman, partman_hidden) = match partman::partman(session, relation).await? {
        Management::None => (None, None),
        Management::By(partman) => (Some(*partman), None),
        Management::Hidden(schema) => (None, Some(schema)),
    };
    let writers = writers::writers(session, row.oid).await?;
    Ok(TableFacts {
        relation: relation.clone(),
        oid: row.oid,
        kind: kind(
            row.relkind,
            row.is_partition,
            hypertables.contains(relation),
        ),
        owner: row.owner,
        privileges: Privileges {
            owner: row.is_owner,
            select: tree.can_select,
            create_in_schema: row.create_in_schema,
            hidden_by_row_security: tree.hides_rows,
        },
        partition_key,
        time_column,
        time_type,
        unhashable: hashing::unhashable(session, &columns).await?,
        hash_functions: hashing::functions(session, row.oid).await?,
        columns,
        dropped_columns: row.dropped_columns,
        leaves: tree.leaves,
        branches: tree.branches,
        unique_keys: keys.unique_keys,
        checks: keys.checks,
        indexes: keys.indexes,
        foreign_keys: keys.foreign_keys,
        referenced_by: keys.referenced_by,
        sequences,
        statistics: keys.statistics,
        views: dependents.views,
        materialized_views: dependents.materialized_views,
        functions: dependents.functions,
        triggers: dependents.triggers,
        rules: dependents.rules,
        leaf_objects: dependents::leaf_objects(session, row.oid).await?,
        policies: dependents.policies,
        row_security: row.row_security,
        force_row_security: row.force_row_security,
        publications: dependents::publications(session, row.oid).await?,
        subscriptions: writers.subscriptions,
        fences: writers.fences,
        inherits: row.inherits,
        inherited_by: row.inherited_by,
        grants: row.grants,
        comment: row.comment,
        replica_identity: replica_identity(row.replica_identity, row.replica_index),
        partman,
        partman_hidden,
        not_owned: tree.not_owned,
        sessions,
        options: row.options,
        tablespace: row.tablespace,
    })
}

fn partition_key(row: KeyRow) -> Result<PartitionKey, Error> {
    let strategy = match row.strategy {
        'r' => PartitionStrategy::Range,
        'l' => PartitionStrategy::List,
        'h' => PartitionStrategy::Hash,
        other => {
            return Err(Error::answer(
                "the table",
                format!("partition strategy {other}"),
            ));
        }
    };
    Ok(PartitionKey {
        strategy,
        columns: row.columns,
        definition: row.definition,
    })
}

fn kind(relkind: char, is_partition: bool, is_hypertable: bool) -> RelationKind {
    match relkind {
        'r' if is_hypertable => RelationKind::Hypertable,
        'r' | 'p' if is_partition => RelationKind::Partition,
        'p' => RelationKind::Partitioned,
        'r' => RelationKind::Ordinary,
        _ => RelationKind::Other,
    }
}

fn replica_identity(letter: char, index: Option<String>) -> ReplicaIdentity {
    match (letter, index) {
        ('n', _) => ReplicaIdentity::Nothing,
        ('f', _) => ReplicaIdentity::Full,
        ('i', Some(index)) => ReplicaIdentity::Index(index),
        // An index that was dropped since leaves the letter behind, and counts as nothing.
        ('i', None) => ReplicaIdentity::Nothing,
        _ => ReplicaIdentity::Default,
    }
}

/// The column that was asked for, else the partition key, where that is one column.
fn choose_time_column(
    asked: Option<&str>,
    key: Option<&PartitionKey>,
    columns: &[Column],
) -> Option<String> {
    let name = match (asked, key.map(|key| key.columns.as_slice())) {
        (Some(asked), _) => asked,
        (None, Some([Some(only)])) => only,
        (None, _) => return None,
    };
    columns
        .iter()
        .find(|column| column.name == name)
        .map(|column| column.name.clone())
}

fn time_type(columns: &[Column], name: &str) -> Option<TimeType> {
    let column = columns.iter().find(|column| column.name == name)?;
    // Oids of built-in types never change (pg_type.dat).
    match column.type_oid {
        1184 => Some(TimeType::Timestamptz),
        1114 => Some(TimeType::Timestamp),
        1082 => Some(TimeType::Date),
        _ => None,
    }
}
