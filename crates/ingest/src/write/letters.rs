//! What became of each record of a batch: counts for the ledger, dead letters, records in conflict.

use super::ways::{LeftOut, Written};
use crate::batch::{Batch, Condemned};
use crate::envelope::Envelope;
use crate::statements::Table;
use crate::trouble::Trouble;
use chrono::{DateTime, Utc};
use hyperhaul_decode::Refusal;
use hyperhaul_ledger::{Cause, KeptRecord, Outcome, PositionUnit, Source};
use hyperhaul_pg::Session;
use std::collections::{BTreeMap, HashSet};

/// What a dead letter says where the server, and not a decoder, refused it.
pub(super) const BY_SERVER: &str = "refused-by-server";

/// Writes dead letters and records in conflict, in the batch's transaction.
pub(super) async fn keep(
    session: &Session,
    source: &Source,
    stream: &str,
    tables: &[Table],
    batch: &Batch,
    written: &Written,
) -> Result<(), Trouble> {
    let records = &batch.taken.records;
    let dead = causes(tables, batch, &written.left_out);
    let texts: Vec<String> = dead.keys().map(|at| attributes(&records[*at])).collect();
    let letters = dead.into_iter().zip(&texts);
    let letters: Vec<(KeptRecord<'_>, Cause)> = letters
        .map(|((at, cause), text)| (kept(&records[at], text), cause))
        .collect();
    hyperhaul_ledger::bury(session, source, stream, &letters).await?;
    let Some(first) = tables.first() else {
        return Ok(());
    };
    let conflicts = written.conflicts.iter().filter_map(|at| records.get(*at));
    let conflicts: Vec<&Envelope> = conflicts.collect();
    let texts: Vec<String> = conflicts.iter().map(|record| attributes(record)).collect();
    let conflicts = conflicts.iter().zip(&texts);
    let conflicts: Vec<KeptRecord<'_>> =
        conflicts.map(|(record, text)| kept(record, text)).collect();
    let table = first.relation.plain();
    hyperhaul_ledger::keep_conflicts(session, source, &table, &conflicts).await?;
    Ok(())
}

/// The records that die, by index, each with one cause.
pub(super) fn causes(
    tables: &[Table],
    batch: &Batch,
    left_out: &[LeftOut],
) -> BTreeMap<usize, Cause> {
    let mut causes = BTreeMap::new();
    let refused = batch.stripes.iter().flat_map(|stripe| &stripe.refused);
    for (position, refusal) in refused {
        if let Some(index) = batch.index_of(*position) {
            causes.insert(index, of_refusal(refusal));
        }
    }
    for row in left_out {
        let Some(refused) = &row.refused else {
            continue;
        };
        causes.entry(row.record).or_insert_with(|| Cause {
            reason: BY_SERVER.to_owned(),
            sqlstate: refused.sqlstate.clone(),
            table: tables.get(row.table).map(|table| table.relation.plain()),
            column: refused.column.clone(),
            constraint: refused.constraint.clone(),
        });
    }
    if let Some(Condemned { index, cause }) = &batch.condemned {
        causes.insert(*index, cause.clone());
    }
    causes
}

fn of_refusal(refusal: &Refusal) -> Cause {
    Cause {
        reason: refusal.reason.code().to_owned(),
        sqlstate: refusal.reason.sqlstate().to_owned(),
        table: None,
        column: refusal.column.clone(),
        constraint: None,
    }
}

fn kept<'a>(record: &'a Envelope, attributes: &'a str) -> KeptRecord<'a> {
    KeptRecord {
        position: ledger_position(record.position),
        payload: &record.payload,
        attributes,
        received_at: received_at(record.received_at_us),
    }
}

/// A letter that is tried again stays where its key has a row with other values.
pub(super) fn key_is_there(tables: &[Table]) -> Cause {
    Cause {
        reason: "conflict".to_owned(),
        sqlstate: hyperhaul_pg::DUPLICATE_KEY.to_owned(),
        table: tables.first().map(|table| table.relation.plain()),
        column: None,
        constraint: None,
    }
}

/// As a JSON object.
fn attributes(record: &Envelope) -> String {
    let members = record.attributes.iter();
    let members = members.map(|(name, value)| (name.clone(), value.as_str().into()));
    serde_json::Value::Object(members.collect()).to_string()
}

fn received_at(us: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(us).unwrap_or(DateTime::UNIX_EPOCH)
}

/// As the ledger counts them.
pub(super) fn ledger_position(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

/// The only record of a batch is refused even by staging: it dies of that.
pub(crate) fn condemn(batch: &mut Batch, error: &hyperhaul_pg::Error) {
    for stripe in &mut batch.stripes {
        stripe.rows.iter_mut().for_each(|rows| rows.truncate(0));
    }
    batch.condemned = Some(Condemned {
        index: 0,
        cause: Cause {
            reason: BY_SERVER.to_owned(),
            sqlstate: error.sqlstate().unwrap_or_default().to_owned(),
            table: error.table().map(str::to_owned),
            column: error.column().map(str::to_owned),
            constraint: error.constraint().map(str::to_owned),
        },
    });
}

/// Counts each record once. A record is stored if the first table has a new row of it, and none of its rows was refused.
pub(super) fn outcome(batch: &Batch, unit: PositionUnit, written: &Written) -> Outcome {
    let dead = written.left_out.iter().filter(|row| row.refused.is_some());
    let dead: HashSet<usize> = dead.map(|row| row.record).collect();
    let not_in_first = written.left_out.iter().filter(|row| row.table == 0);
    let not_in_first: HashSet<usize> = not_in_first.map(|row| row.record).collect();
    let stored_but_dead = dead.difference(&not_in_first).count();
    let first = written.inserted.first().copied().unwrap_or_default();

    let record_count = count(batch.taken.records.len());
    let dead_count =
        count(dead.len() + batch.refused_count()) + i64::from(batch.condemned.is_some());
    let conflict_count = count(written.conflicts.len());
    let stored_count = ledger_position(first) - count(stored_but_dead);
    Outcome {
        record_count,
        stored_count,
        duplicate_count: record_count - stored_count - conflict_count - dead_count,
        conflict_count,
        dead_count,
        lost_count: ledger_position(batch.taken.lost_count(unit)),
        skipped_count: ledger_position(batch.taken.skipped),
        row_count: written.inserted.iter().copied().map(ledger_position).sum(),
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Of both.
pub(crate) fn sum(one: &Outcome, other: &Outcome) -> Outcome {
    Outcome {
        record_count: one.record_count + other.record_count,
        stored_count: one.stored_count + other.stored_count,
        duplicate_count: one.duplicate_count + other.duplicate_count,
        conflict_count: one.conflict_count + other.conflict_count,
        dead_count: one.dead_count + other.dead_count,
        lost_count: one.lost_count + other.lost_count,
        skipped_count: one.skipped_count + other.skipped_count,
        row_count: one.row_count + other.row_count,
    }
}
