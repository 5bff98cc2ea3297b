//! Columns and the sequences that feed them.

use hyperhaul_pg::Session;
use hyperhaul_plan::facts::{Column, Generation, Grant, Identity, OwnedSequence};
use serde::Deserialize;

use crate::Error;
use crate::fetch::fetch;
use crate::travel::Types;

const COLUMNS: &str = include_str!("sql/columns.sql");
const SEQUENCES: &str = include_str!("sql/sequences.sql");

#[derive(Deserialize)]
struct ColumnRow {
    name: String,
    attribute_number: i16,
    type_sql: String,
    type_oid: u32,
    collation: Option<String>,
    not_null: bool,
    /// The default's expression, or the generated column's.
    expression: Option<String>,
    /// `attgenerated`: empty, s stored, v virtual (PostgreSQL 18).
    generated: String,
    /// `attidentity`: empty, a always, d by default.
    identity: String,
    storage: Option<String>,
    compression: Option<String>,
    statistics_target: Option<i32>,
    options: Vec<String>,
    comment: Option<String>,
    grants: Vec<Grant>,
}

#[derive(Deserialize)]
struct SequenceRow {
    /// `i`: identity; `a`: owned by the column; `n`: used by its default only.
    tie: char,
    #[serde(flatten)]
    sequence: OwnedSequence,
}

/// Columns in order, and the sequences that are not an identity's.
pub(crate) async fn columns(
    session: &Session,
    table: u32,
) -> Result<(Vec<Column>, Vec<OwnedSequence>), Error> {
    let rows: Vec<ColumnRow> = fetch(session, "columns", COLUMNS, &[&table]).await?;
    let sequences: Vec<SequenceRow> = fetch(session, "sequences", SEQUENCES, &[&table]).await?;
    let types = Types::of_table(session, table).await?;
    let (identities, others): (Vec<_>, Vec<_>) =
        sequences.into_iter().partition(|row| row.tie == 'i');
    let columns = rows
        .into_iter()
        .map(|row| column(row, &identities, &types))
        .collect();
    Ok((
        columns,
        others.into_iter().map(|row| row.sequence).collect(),
    ))
}

fn column(row: ColumnRow, identities: &[SequenceRow], types: &Types) -> Column {
    let is_generated = !row.generated.is_empty();
    let (generation, default_sql) = match row.expression {
        Some(expression_sql) if is_generated => (
            Some(Generation {
                expression_sql,
                stored: row.generated == "s",
            }),
            None,
        ),
        default_sql => (None, default_sql),
    };
    let feeding = identities
        .iter()
        .find(|identity| identity.sequence.column == row.name);
    let identity = feeding.map(|feeding| Identity {
        always: row.identity == "a",
        sequence: feeding.sequence.clone(),
    });
    Column {
        travel: types.travel(row.type_oid),
        name: row.name,
        attribute_number: row.attribute_number,
        type_sql: row.type_sql,
        type_oid: row.type_oid,
        collation: row.collation,
        not_null: row.not_null,
        default_sql,
        generation,
        identity,
        storage: row.storage,
        compression: row.compression,
        statistics_target: row.statistics_target,
        options: row.options,
        comment: row.comment,
        grants: row.grants,
    }
}
