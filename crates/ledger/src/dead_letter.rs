//! Dead letters: records that no table takes, kept as they came; and records whose key was there already, with other values.

use crate::{Error, Source};
use chrono::{DateTime, Utc};
use hyperhaul_pg::{Row, Session, ToSql};

/// A record to be kept, as it came.
#[derive(Clone, Copy, Debug)]
pub struct KeptRecord<'a> {
    /// Where it is in its source.
    pub position: i64,
    /// Its bytes.
    pub payload: &'a [u8],
    /// What came beside them (parts of a topic), as a JSON object.
    pub attributes: &'a str,
    /// When it was received.
    pub received_at: DateTime<Utc>,
}

/// Why no table takes a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// In words, without values.
    pub reason: String,
    /// What the server said, or would have said.
    pub sqlstate: String,
    /// The table.
    pub table: Option<String>,
    /// The column, where one is to blame.
    pub column: Option<String>,
    /// The constraint, where one is to blame.
    pub constraint: Option<String>,
}

/// A dead letter as the ledger has it, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DeadLetter {
    /// Its number.
    pub id: i64,
    /// The stream that it came by.
    pub stream: String,
    /// The source's name.
    pub source: String,
    /// Where it is in its source.
    pub position: i64,
    /// Bytes of the record.
    pub payload_bytes: i32,
    /// When it was received.
    pub received_at: DateTime<Utc>,
    /// When it was put aside.
    pub died_at: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// What the server said, or would have said.
    pub sqlstate: String,
    /// The table that refused it.
    pub table: Option<String>,
    /// The column to blame.
    pub column: Option<String>,
    /// The constraint to blame.
    pub constraint: Option<String>,
}

/// What a dead letter holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its number.
    pub id: i64,
    /// The stream that it came by.
    pub stream: String,
    /// The source's name.
    pub source: String,
    /// Where it is in its source.
    pub position: i64,
    /// The record's bytes.
    pub payload: Vec<u8>,
    /// What came beside them, as a JSON object.
    pub attributes: String,
    /// When it was received.
    pub received_at: DateTime<Utc>,
}

/// Which dead letters; all conditions hold together.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// These numbers; empty: any.
    pub ids: Vec<i64>,
    /// Of this stream.
    pub stream: Option<String>,
    /// With this reason.
    pub reason: Option<String>,
}

impl Selection {
    /// Letters by their numbers; at least one.
    pub fn of(ids: Vec<i64>) -> Selection {
        Selection {
            ids,
            ..Selection::default()
        }
    }

    /// The first three of a statement with [`SELECTED`].
    fn parameters(&self) -> [&(dyn ToSql + Sync); 3] {
        [&self.ids, &self.stream, &self.reason]
    }
}

const SELECTED: &str = "(cardinality($1::bigint[]) = 0 OR dead_letter_id = ANY ($1)) \
    AND ($2::text IS NULL OR letter.stream = $2) AND ($3::text IS NULL OR letter.reason = $3)";

/// Writes dead letters, in the transaction that moves their source past them.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn bury(
    session: &Session,
    source: &Source,
    stream: &str,
    letters: &[(KeptRecord<'_>, Cause)],
) -> Result<(), Error> {
    if letters.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO hyperhaul.dead_letter (source_id, stream, position, payload, attributes, received_at, reason, \
            sqlstate, table_name, column_name, constraint_name) \
        SELECT $1, $2, position, payload, attributes::jsonb, received_at, reason, sqlstate, table_name, column_name, \
            constraint_name \
        FROM unnest($3::bigint[], $4::bytea[], $5::text[], $6::timestamptz[], $7::text[], $8::text[], $9::text[], $10::text[], \
            $11::text[]) AS letter (position, payload, attributes, received_at, reason, sqlstate, table_name, column_name, \
            constraint_name)";
    let records = Columns::of(letters.iter().map(|(record, _)| record));
    let causes = |field: fn(&Cause) -> Option<&str>| {
        let fields = letters.iter().map(|(_, cause)| field(cause));
        fields.collect::<Vec<Option<&str>>>()
    };
    session
        .execute(
            sql,
            &[
                &source.id(),
                &stream,
                &records.positions,
                &records.payloads,
                &records.attributes,
                &records.received_at,
                &causes(|cause| Some(&cause.reason)),
                &causes(|cause| Some(&cause.sqlstate)),
                &causes(|cause| cause.table.as_deref()),
                &causes(|cause| cause.column.as_deref()),
                &causes(|cause| cause.constraint.as_deref()),
            ],
        )
        .await?;
    Ok(())
}

/// Writes records whose key `table` has already, with other values; in the transaction that moves their source past them.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn keep_conflicts(
    session: &Session,
    source: &Source,
    table: &str,
    records: &[KeptRecord<'_>],
) -> Result<(), Error> {
    if records.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO hyperhaul.ingest_conflict (source_id, table_name, position, payload, attributes, received_at) \
        SELECT $1, $2, position, payload, attributes::jsonb, received_at \
        FROM unnest($3::bigint[], $4::bytea[], $5::text[], $6::timestamptz[]) \
            AS record (position, payload, attributes, received_at)";
    let records = Columns::of(records.iter());
    session
        .execute(
            sql,
            &[
                &source.id(),
                &table,
                &records.positions,
                &records.payloads,
                &records.attributes,
                &records.received_at,
            ],
        )
        .await?;
    Ok(())
}

/// Records, column by column, as `unnest` takes them.
struct Columns<'a> {
    positions: Vec<i64>,
    payloads: Vec<&'a [u8]>,
    attributes: Vec<&'a str>,
    received_at: Vec<DateTime<Utc>>,
}

impl<'a> Columns<'a> {
    fn of<'r>(records: impl Iterator<Item = &'r KeptRecord<'a>> + Clone) -> Columns<'a>
    where
        'a: 'r,
    {
        Columns {
            positions: records.clone().map(|record| record.position).collect(),
            payloads: records.clone().map(|record| record.payload).collect(),
            attributes: records.clone().map(|record| record.attributes).collect(),
            received_at: records.map(|record| record.received_at).collect(),
        }
    }
}

/// The newest dead letters, at most `count_max`, oldest of them first.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn dead_letters(
    session: &Session,
    selection: &Selection,
    count_max: i64,
) -> Result<Vec<DeadLetter>, Error> {
    let sql = format!(
        "SELECT * FROM (SELECT dead_letter_id, letter.stream, name, letter.position, octet_length(payload), received_at, died_at, \
             reason, sqlstate, table_name, column_name, constraint_name \
         FROM hyperhaul.dead_letter AS letter JOIN hyperhaul.ingest_source USING (source_id) \
         WHERE {SELECTED} ORDER BY dead_letter_id DESC LIMIT $4) AS newest ORDER BY dead_letter_id"
    );
    let [ids, stream, reason] = selection.parameters();
    let rows = session
        .query(&sql, &[ids, stream, reason, &count_max])
        .await?;
    Ok(rows.iter().map(letter).collect())
}

fn letter(row: &Row) -> DeadLetter {
    DeadLetter {
        id: row.get(0),
        stream: row.get(1),
        source: row.get(2),
        position: row.get(3),
        payload_bytes: row.get(4),
        received_at: row.get(5),
        died_at: row.get(6),
        reason: row.get(7),
        sqlstate: row.get(8),
        table: row.get(9),
        column: row.get(10),
        constraint: row.get(11),
    }
}

/// Holds dead letters until the transaction ends, in the order of their numbers, at most `count_max` behind number
/// `after`, with what they hold. Letters that another session holds are left to it.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn hold_dead_letters(
    session: &Session,
    selection: &Selection,
    after: i64,
    count_max: i64,
) -> Result<Vec<Content>, Error> {
    let sql = format!(
        "SELECT dead_letter_id, letter.stream, name, letter.position, payload, attributes::text, received_at \
         FROM hyperhaul.dead_letter AS letter JOIN hyperhaul.ingest_source USING (source_id) \
         WHERE {SELECTED} AND dead_letter_id > $4 ORDER BY dead_letter_id LIMIT $5 FOR UPDATE OF letter SKIP LOCKED"
    );
    let [ids, stream, reason] = selection.parameters();
    let rows = session
        .query(&sql, &[ids, stream, reason, &after, &count_max])
        .await?;
    Ok(rows.iter().map(content).collect())
}

/// Writes of dead letters that were tried again why they are refused now.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn rebury(session: &Session, letters: &[(i64, Cause)]) -> Result<(), Error> {
    let sql = "UPDATE hyperhaul.dead_letter SET reason = $2, sqlstate = $3, table_name = $4, column_name = $5, \
               constraint_name = $6, died_at = clock_timestamp() WHERE dead_letter_id = $1";
    for (id, cause) in letters {
        let Cause {
            reason,
            sqlstate,
            table,
            column,
            constraint,
        } = cause;
        session
            .execute(sql, &[id, reason, sqlstate, table, column, constraint])
            .await?;
    }
    Ok(())
}

/// What a dead letter holds; `None`: there is none of that number.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn dead_letter(session: &Session, id: i64) -> Result<Option<Content>, Error> {
    let sql = "SELECT dead_letter_id, letter.stream, name, letter.position, payload, attributes::text, received_at \
        FROM hyperhaul.dead_letter AS letter JOIN hyperhaul.ingest_source USING (source_id) WHERE dead_letter_id = $1";
    let row = session.query_opt(sql, &[&id]).await?;
    Ok(row.as_ref().map(content))
}

fn content(row: &Row) -> Content {
    Content {
        id: row.get(0),
        stream: row.get(1),
        source: row.get(2),
        position: row.get(3),
        payload: row.get(4),
        attributes: row.get(5),
        received_at: row.get(6),
    }
}

/// Drops dead letters for good; how many.
///
/// # Errors
///
/// If the server refuses or is lost.
pub async fn drop_dead_letters(session: &Session, selection: &Selection) -> Result<u64, Error> {
    let sql = format!("DELETE FROM hyperhaul.dead_letter AS letter WHERE {SELECTED}");
    let [ids, stream, reason] = selection.parameters();
    Ok(session.execute(&sql, &[ids, stream, reason]).await?)
}
