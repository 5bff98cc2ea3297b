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
    let dead_records: HashSet<usize> = dead.keys().copied().collect();
    let texts: Vec<String> = dead.keys().map(|at| attributes(&records[*at])).collect();
    let letters = dead.into_iter().zip(&texts);
    let letters: Vec<(KeptRecord<'_>, Cause)> = letters
        .map(|((at, cause), text)| (kept(&records[at], text), cause))
        .collect();
    hyperhaul_ledger::bury(session, source, stream, &letters).await?;
    for (index, table) in tables.iter().enumerate() {
        let own = written
            .conflicts
            .iter()
            .filter(|(_, table)| **table == index);
        // One that dies of another table is a dead letter.
        let own = own.filter(|(at, _)| !dead_records.contains(at));
        let conflicts: Vec<&Envelope> = own.filter_map(|(at, _)| records.get(*at)).collect();
        let texts: Vec<String> = conflicts.iter().map(|record| attributes(record)).collect();
        let conflicts = conflicts.iter().zip(&texts);
        let conflicts: Vec<KeptRecord<'_>> =
            conflicts.map(|(record, text)| kept(record, text)).collect();
        let table = table.relation.plain();
        hyperhaul_ledger::keep_conflicts(session, source, &table, &conflicts).await?;
    }
    Ok(())
}

/// Records of which a table has not taken its row, by position.
pub(super) fn unwritten(tables: &[Table], batch: &Batch, written: &Written) -> HashSet<u64> {
    let dead = causes(tables, batch, &written.left_out);
    let unwritten = dead.keys().chain(written.conflicts.keys());
    let unwritten = unwritten.filter_map(|at| batch.taken.records.get(*at));
    unwritten.map(|record| record.position).collect()
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
        received_at: moment(record.received_at_us),
    }
}

/// A letter that is tried again stays where its key has a row with other values.
pub(super) fn key_is_there(tables: &[Table], table: usize) -> Cause {
    Cause {
        reason: "conflict".to_owned(),
        sqlstate: hyperhaul_pg::DUPLICATE_KEY.to_owned(),
        table: tables.get(table).map(|table| table.relation.plain()),
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

/// Of microseconds since 1970.
pub(super) fn moment(us: i64) -> DateTime<Utc> {
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

/// Counts each record once. It is dead if any of its tables refuses it, or else in conflict if any of them has its key with other values,
/// or else stored if the first table has a new row of it. What one table took before another one refused stays there.
pub(super) fn outcome(batch: &Batch, unit: PositionUnit, written: &Written) -> Outcome {
    let refused = written.left_out.iter().filter(|row| row.refused.is_some());
    let refused: HashSet<usize> = refused.map(|row| row.record).collect();
    let conflicts = written.conflicts.iter();
    let conflicts = conflicts.filter(|(record, _)| !refused.contains(record));
    let conflict_count = count(conflicts.count());
    let left_out = written.left_out.iter().filter(|row| row.table == 0);
    let left_out = left_out.map(|row| row.record);
    let in_conflict = written.conflicts.iter().filter(|(_, table)| **table == 0);
    let not_in_first: HashSet<usize> = left_out
        .chain(in_conflict.map(|(record, _)| *record))
        .collect();
    let stored_and_gone = written.gone().difference(&not_in_first).count();
    let first = written.inserted.first().copied().unwrap_or_default();

    let record_count = count(batch.taken.records.len());
    let dead_count =
        count(refused.len() + batch.refused_count()) + i64::from(batch.condemned.is_some());
    let stored_count = ledger_position(first) - count(stored_and_gone);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Stripe, Taken};
    use crate::write::ways::Refused;
    use hyperhaul_decode::Reason;
    use std::collections::BTreeMap;

    /// Ten records, of which the one at index 9 became no rows.
    fn batch() -> Batch {
        let records = (1..=10).map(|position| Envelope {
            position,
            received_at_us: 0,
            attributes: [].into(),
            payload: bytes::Bytes::new(),
            refused: None,
        });
        Batch {
            taken: Taken {
                to: 10,
                records: records.collect(),
                ..Taken::none(0)
            },
            stripes: vec![Stripe {
                rows: Vec::new(),
                refused: vec![(10, Refusal::record(Reason::NotUtf8))],
            }],
            generation: 0,
            condemned: None,
            kinds: BTreeMap::new(),
            firsts: HashSet::new(),
        }
    }

    fn refused(table: usize, record: usize) -> LeftOut {
        let refused = Refused {
            sqlstate: "23514".to_owned(),
            column: None,
            constraint: None,
        };
        LeftOut {
            refused: Some(refused),
            ..there(table, record)
        }
    }

    fn there(table: usize, record: usize) -> LeftOut {
        LeftOut {
            table,
            record,
            refused: None,
        }
    }

    /// Stored, duplicate, conflict, dead.
    fn ends(written: &Written) -> [i64; 4] {
        let outcome = outcome(&batch(), PositionUnit::Record, written);
        assert!(outcome.adds_up(), "{outcome:?}");
        [
            outcome.stored_count,
            outcome.duplicate_count,
            outcome.conflict_count,
            outcome.dead_count,
        ]
    }

    #[test]
    fn a_record_with_rows_in_two_tables_has_one_end() {
        let written = |first, left_out: &[LeftOut], conflicts: &[(usize, usize)]| Written {
            inserted: vec![first, 5],
            conflicts: conflicts.iter().copied().collect(),
            left_out: left_out.to_vec(),
        };
        // All of the first table are new; what the second one leaves out as a repetition does not count.
        assert_eq!(ends(&written(9, &[], &[])), [9, 0, 0, 1]);
        assert_eq!(ends(&written(9, &[there(1, 2)], &[])), [9, 0, 0, 1]);
        // Staged: one was there as it is, one with other values.
        assert_eq!(ends(&written(7, &[], &[(3, 0)])), [7, 1, 1, 1]);
        // The first table has it, the second one refuses it.
        assert_eq!(ends(&written(9, &[refused(1, 2)], &[])), [8, 0, 0, 2]);
        // It was in the first table, and the second one refuses it.
        assert_eq!(
            ends(&written(8, &[there(0, 2), refused(1, 2)], &[])),
            [8, 0, 0, 2]
        );
        assert_eq!(ends(&written(8, &[refused(0, 2)], &[])), [8, 0, 0, 2]);
        // In conflict with the first table, with the second one, and with both.
        assert_eq!(ends(&written(8, &[there(0, 2)], &[(2, 0)])), [8, 0, 1, 1]);
        assert_eq!(ends(&written(9, &[there(1, 2)], &[(2, 1)])), [8, 0, 1, 1]);
        // In conflict and refused: it is dead.
        assert_eq!(
            ends(&written(8, &[there(0, 2), refused(1, 2)], &[(2, 0)])),
            [8, 0, 0, 2]
        );
    }

    #[test]
    fn what_a_table_has_not_taken_stands_for_no_other_record() {
        let written = Written {
            inserted: vec![7, 5],
            conflicts: [(4, 1)].into(),
            left_out: vec![there(0, 1), refused(1, 2)],
        };
        let unwritten = unwritten(&[], &batch(), &written);
        assert_eq!(unwritten, [3, 5, 10].into());
    }
}
