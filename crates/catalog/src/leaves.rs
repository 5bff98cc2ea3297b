//! Leaves and branches of a table, their bounds and sizes.

use std::collections::HashMap;

use hyperhaul_pg::Session;
use hyperhaul_plan::Relation;
use hyperhaul_plan::facts::{Leaf, LeafBound, NotOwned};
use serde::Deserialize;

use crate::fetch::fetch;
use crate::{Error, bound};

const LEAVES: &str = include_str!("sql/leaves.sql");

#[derive(Deserialize)]
struct Answer {
    leaves: Vec<LeafRow>,
    branches: Vec<Relation>,
    not_owned: Vec<NotOwned>,
    can_select: bool,
    hides_rows: bool,
    index_bytes: Vec<IndexBytes>,
}

#[derive(Deserialize)]
struct LeafRow {
    relation: Relation,
    oid: u32,
    relfilenode: u32,
    bounds: Vec<String>,
    blocks: u32,
    heap_bytes: u64,
    toast_bytes: u64,
    index_bytes: u64,
    rows_estimate: u64,
    own_indexes: Vec<String>,
    statistics_target: Option<i32>,
    options: Vec<String>,
    tablespace: Option<String>,
    unlogged: bool,
    foreign_server: Option<String>,
}

#[derive(Deserialize)]
struct IndexBytes {
    oid: u32,
    bytes: u64,
}

/// A table and everything below it.
pub(crate) struct Tree {
    /// Ordered by bound: ascending, then the default partition, then what has no bound.
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) branches: Vec<Relation>,
    /// What is below the table and belongs to others.
    pub(crate) not_owned: Vec<NotOwned>,
    /// SELECT on the table and everything below it.
    pub(crate) can_select: bool,
    /// Row security would hide rows of the table or of something below it.
    pub(crate) hides_rows: bool,
    /// Bytes of each of the table's indexes over all leaves, by the index's oid.
    pub(crate) index_bytes: HashMap<u32, u64>,
}

/// Looks at the tree below a table. Rows are not read.
pub(crate) async fn tree(
    session: &Session,
    table: u32,
    time_column: Option<&str>,
) -> Result<Tree, Error> {
    let time_column = time_column.unwrap_or_default();
    let answer: Answer = fetch(session, "partitions", LEAVES, &[&table, &time_column]).await?;
    let mut leaves = answer
        .leaves
        .into_iter()
        .map(leaf)
        .collect::<Result<Vec<_>, _>>()?;
    leaves.sort_by(|a, b| {
        order(a.bound)
            .cmp(&order(b.bound))
            .then_with(|| a.relation.cmp(&b.relation))
    });
    Ok(Tree {
        leaves,
        branches: answer.branches,
        not_owned: answer.not_owned,
        can_select: answer.can_select,
        hides_rows: answer.hides_rows,
        index_bytes: answer
            .index_bytes
            .into_iter()
            .map(|index| (index.oid, index.bytes))
            .collect(),
    })
}

fn leaf(row: LeafRow) -> Result<Leaf, Error> {
    let bound =
        bound::combine(&row.bounds).map_err(|reason| Error::answer("partitions", reason))?;
    Ok(Leaf {
        relation: row.relation,
        oid: row.oid,
        relfilenode: row.relfilenode,
        bound,
        blocks: row.blocks,
        heap_bytes: row.heap_bytes,
        toast_bytes: row.toast_bytes,
        index_bytes: row.index_bytes,
        rows_estimate: row.rows_estimate,
        observed: None,
        chunk_rows: Vec::new(),
        null_times: 0,
        infinite_times: 0,
        own_indexes: row.own_indexes,
        statistics_target: row.statistics_target,
        options: row.options,
        tablespace: row.tablespace,
        unlogged: row.unlogged,
        foreign_server: row.foreign_server,
    })
}

/// Sorts open beginnings first, `DEFAULT` after every range.
fn order(bound: LeafBound) -> (u8, i64, i64) {
    match bound {
        LeafBound::Range { from_us, to_us } => {
            (0, from_us.unwrap_or(i64::MIN), to_us.unwrap_or(i64::MAX))
        }
        LeafBound::Default => (1, 0, 0),
        LeafBound::Unbounded => (2, 0, 0),
    }
}
