//! Keys, indexes, checks, foreign keys and extended statistics.

use std::collections::HashMap;

use hyperhaul_pg::Session;
use hyperhaul_plan::Relation;
use hyperhaul_plan::facts::{
    CheckConstraint, ExtendedStatistics, ForeignKey, Index, KeyKind, ReferencedBy, UniqueKey,
};
use serde::Deserialize;

use crate::Error;
use crate::fetch::fetch;

const KEYS: &str = include_str!("sql/keys.sql");

#[derive(Deserialize)]
struct Answer {
    unique_keys: Vec<UniqueKeyRow>,
    indexes: Vec<IndexRow>,
    checks: Vec<CheckConstraint>,
    foreign_keys: Vec<ForeignKeyRow>,
    referenced_by: Vec<ReferencedByRow>,
    statistics: Vec<ExtendedStatistics>,
}

#[derive(Deserialize)]
struct UniqueKeyRow {
    index_oid: u32,
    name: String,
    kind: KeyKind,
    columns: Vec<Option<String>>,
    include: Vec<String>,
    definition: String,
    comment: Option<String>,
    clustered: bool,
    options: Vec<String>,
}

#[derive(Deserialize)]
struct IndexRow {
    index_oid: u32,
    name: String,
    unique: bool,
    tail_sql: String,
    columns: Vec<Option<String>>,
    method: String,
    valid: bool,
    comment: Option<String>,
    statistics_targets: Vec<(i16, i32)>,
    tablespace: Option<String>,
    clustered: bool,
}

#[derive(Deserialize)]
struct ForeignKeyRow {
    name: String,
    references: Relation,
    columns: Vec<String>,
    referenced_columns: Vec<String>,
    definition: String,
    validated: bool,
    comment: Option<String>,
}

#[derive(Deserialize)]
struct ReferencedByRow {
    relation: Relation,
    name: String,
    definition: String,
    columns: Vec<String>,
    referenced_columns: Vec<String>,
    validated: bool,
    partitioned: bool,
    rows_estimate: u64,
    owner: String,
    can_change: bool,
    comment: Option<String>,
}

/// What is declared about a table's rows.
pub(crate) struct Keys {
    pub(crate) unique_keys: Vec<UniqueKey>,
    pub(crate) indexes: Vec<Index>,
    pub(crate) checks: Vec<CheckConstraint>,
    pub(crate) foreign_keys: Vec<ForeignKey>,
    pub(crate) referenced_by: Vec<ReferencedBy>,
    pub(crate) statistics: Vec<ExtendedStatistics>,
}

/// Looks them up. `index_bytes` are the indexes' sizes over all leaves, by oid.
pub(crate) async fn keys(
    session: &Session,
    table: u32,
    index_bytes: &HashMap<u32, u64>,
    hypertables: &[Relation],
) -> Result<Keys, Error> {
    let answer: Answer = fetch(session, "keys and indexes", KEYS, &[&table]).await?;
    let size = |oid: u32| index_bytes.get(&oid).copied().unwrap_or(0);
    let unique_keys = answer.unique_keys.into_iter().map(|row| UniqueKey {
        size_bytes: size(row.index_oid),
        name: row.name,
        kind: row.kind,
        columns: row.columns,
        include: row.include,
        definition: row.definition,
        comment: row.comment,
        clustered: row.clustered,
        options: row.options,
    });
    let indexes = answer.indexes.into_iter().map(|row| Index {
        size_bytes: size(row.index_oid),
        name: row.name,
        unique: row.unique,
        tail_sql: row.tail_sql,
        columns: row.columns,
        method: row.method,
        valid: row.valid,
        comment: row.comment,
        statistics_targets: row.statistics_targets,
        tablespace: row.tablespace,
        clustered: row.clustered,
    });
    Ok(Keys {
        unique_keys: unique_keys.collect(),
        indexes: indexes.collect(),
        checks: answer.checks,
        foreign_keys: foreign_keys(answer.foreign_keys, hypertables),
        referenced_by: referenced_by(answer.referenced_by, hypertables),
        statistics: answer.statistics,
    })
}

fn foreign_keys(rows: Vec<ForeignKeyRow>, hypertables: &[Relation]) -> Vec<ForeignKey> {
    let key = |row: ForeignKeyRow| ForeignKey {
        references_hypertable: hypertables.contains(&row.references),
        name: row.name,
        references: row.references,
        columns: row.columns,
        referenced_columns: row.referenced_columns,
        definition: row.definition,
        validated: row.validated,
        comment: row.comment,
    };
    rows.into_iter().map(key).collect()
}

fn referenced_by(rows: Vec<ReferencedByRow>, hypertables: &[Relation]) -> Vec<ReferencedBy> {
    let key = |row: ReferencedByRow| ReferencedBy {
        from_hypertable: hypertables.contains(&row.relation),
        relation: row.relation,
        name: row.name,
        definition: row.definition,
        columns: row.columns,
        referenced_columns: row.referenced_columns,
        validated: row.validated,
        partitioned: row.partitioned,
        rows_estimate: row.rows_estimate,
        owner: row.owner,
        can_change: row.can_change,
        comment: row.comment,
    };
    rows.into_iter().map(key).collect()
}
