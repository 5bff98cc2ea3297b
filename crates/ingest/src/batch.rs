//! A batch on its way: records between two positions of a source, and the rows that became of them.

use crate::envelope::Envelope;
use crate::feed::print_of;
use crate::source::aprs::Gap;
use bytes::Bytes;
use hyperhaul_decode::{Refusal, Rows};
use hyperhaul_ledger::{Cause, PositionUnit};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Records that follow each other in a source, as a feed gives them.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Where the records before end.
    pub(crate) from: u64,
    /// Where these end.
    pub(crate) to: u64,
    /// In the order of their positions, all of which lie behind `from` and up to `to`.
    pub(crate) records: Vec<Envelope>,
    /// Positions without a record, none of which was acknowledged and is lost.
    pub(crate) skipped: u64,
    /// Times in which nothing was heard, by their position, which is one of those skipped.
    pub(crate) gaps: Vec<(u64, Gap)>,
    /// What they are in the broker that several processes take them from.
    pub(crate) delivery: Option<Delivery>,
    /// See `hyperhaul_ledger::Source::mark`.
    pub(crate) mark: Option<String>,
    /// Of a file: the line of each record as it stands there, which is the mark of what ends behind it.
    pub(crate) lines: Vec<Bytes>,
}

/// Messages of a consumer that several processes share; see `hyperhaul_ledger::commit_sequences`.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// The consumer's name in the ledger.
    pub(crate) consumer: Arc<str>,
    /// One for each record.
    pub(crate) sequences: Vec<i64>,
    /// Up to which no message comes again.
    pub(crate) floor: i64,
}

impl Taken {
    /// No records behind a position.
    pub(crate) fn none(position: u64) -> Taken {
        Taken {
            from: position,
            to: position,
            records: Vec::new(),
            skipped: 0,
            gaps: Vec::new(),
            delivery: None,
            mark: None,
            lines: Vec::new(),
        }
    }

    /// Positions that never had a record that was acknowledged.
    pub(crate) fn skipped(from: u64, to: u64) -> Taken {
        Taken {
            to,
            skipped: to - from,
            ..Taken::none(from)
        }
    }

    /// Leaves out messages that are committed.
    pub(crate) fn leave_out(&mut self, committed: &HashSet<i64>) {
        let Some(delivery) = &mut self.delivery else {
            return;
        };
        let count = self.records.len();
        let mut is_kept = delivery
            .sequences
            .iter()
            .map(|sequence| !committed.contains(sequence));
        self.records.retain(|_| is_kept.next().unwrap_or(true));
        delivery
            .sequences
            .retain(|sequence| !committed.contains(sequence));
        self.skipped += (count - self.records.len()) as u64;
    }

    /// Records that were acknowledged once and cannot be read any more.
    pub(crate) fn lost_count(&self, unit: PositionUnit) -> u64 {
        match unit {
            PositionUnit::Record => {
                (self.to - self.from).saturating_sub(self.records.len() as u64 + self.skipped)
            }
            PositionUnit::Byte => 0,
        }
    }

    /// Two halves, of which the first has at least one record; for two records or more.
    pub(crate) fn halved(mut self) -> (Taken, Taken) {
        let rest = self.records.split_off(self.records.len().div_ceil(2));
        let middle = self.records.last().map_or(self.from, |last| last.position);
        // A source that skips positions loses none.
        let skipped_first = (middle - self.from)
            .saturating_sub(self.records.len() as u64)
            .min(self.skipped);
        let first_count = self.records.len();
        let delivery = self.delivery.as_mut().map(|delivery| Delivery {
            sequences: delivery.sequences.split_off(first_count),
            ..delivery.clone()
        });
        let gaps_first = self
            .gaps
            .partition_point(|(position, _)| *position <= middle);
        let rest_lines = self.lines.split_off(first_count.min(self.lines.len()));
        let second = Taken {
            from: middle,
            to: self.to,
            records: rest,
            skipped: self.skipped - skipped_first,
            gaps: self.gaps.split_off(gaps_first),
            delivery,
            mark: self.mark.take(),
            lines: rest_lines,
        };
        let first = Taken {
            to: middle,
            skipped: skipped_first,
            mark: self.lines.last().map(|line| print_of(line)),
            ..self
        };
        (first, second)
    }
}

/// Records with their rows.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) taken: Taken,
    /// In the order of the records.
    pub(crate) stripes: Vec<Stripe>,
    /// For which state of the tables the rows were encoded; see `Learned`.
    pub(crate) generation: u64,
    /// The only record, where the server does not even stage it.
    pub(crate) condemned: Option<Condemned>,
    /// Records by what they were, where their decoder tells that.
    pub(crate) kinds: BTreeMap<&'static str, u64>,
    /// Records of this batch whose rows stand for those of others, which were left out.
    pub(crate) firsts: HashSet<u64>,
}

/// The rows of records that one thread decoded.
#[derive(Debug)]
pub(crate) struct Stripe {
    /// One entry for each table.
    pub(crate) rows: Vec<Rows>,
    /// Which records became none, by position.
    pub(crate) refused: Vec<(u64, Refusal)>,
}

/// A record that dies of what the server said.
#[derive(Clone, Debug)]
pub(crate) struct Condemned {
    /// Index in the batch.
    pub(crate) index: usize,
    pub(crate) cause: Cause,
}

impl Batch {
    /// Index of the record at a position.
    pub(crate) fn index_of(&self, position: u64) -> Option<usize> {
        let records = &self.taken.records;
        records
            .binary_search_by_key(&position, |record| record.position)
            .ok()
    }

    /// The rows for one table, in order.
    pub(crate) fn of_table(&self, table: usize) -> impl Iterator<Item = &Rows> {
        self.stripes
            .iter()
            .filter_map(move |stripe| stripe.rows.get(table))
    }

    /// Rows for one table.
    pub(crate) fn row_count(&self, table: usize) -> usize {
        self.of_table(table).map(Rows::len).sum()
    }

    /// Records that became no rows.
    pub(crate) fn refused_count(&self) -> usize {
        self.stripes.iter().map(|stripe| stripe.refused.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::aprs::GapReason;

    fn taken(positions: &[u64], from: u64, to: u64) -> Taken {
        let records = positions.iter().map(|&position| Envelope {
            position,
            received_at_us: 0,
            attributes: [].into(),
            payload: bytes::Bytes::new(),
            refused: None,
        });
        Taken {
            to,
            records: records.collect(),
            ..Taken::none(from)
        }
    }

    #[test]
    fn halves_follow_each_other_and_lose_nothing() {
        let (first, second) = taken(&[11, 12, 14], 10, 15).halved();
        assert_eq!((first.from, first.to, first.records.len()), (10, 12, 2));
        assert_eq!((second.from, second.to, second.records.len()), (12, 15, 1));
        assert_eq!(first.lost_count(PositionUnit::Record), 0);
        assert_eq!(second.lost_count(PositionUnit::Record), 2);
    }

    #[test]
    fn gaps_stay_between_the_records_around_them() {
        let gap = |from_us| Gap {
            from_us,
            to_us: from_us + 1,
            reason: GapReason::Closed,
            server: None,
            attempts: 1,
            packets: None,
        };
        let (first, second) = Taken {
            gaps: vec![(12, gap(1)), (14, gap(2))],
            skipped: 2,
            ..taken(&[11, 13, 15, 16], 10, 16)
        }
        .halved();
        assert_eq!(
            (first.to, &*first.gaps, first.skipped),
            (13, &[(12, gap(1))][..], 1)
        );
        assert_eq!(
            (second.from, &*second.gaps, second.skipped),
            (13, &[(14, gap(2))][..], 1)
        );
        assert_eq!(second.lost_count(PositionUnit::Record), 0);
    }

    #[test]
    fn each_half_of_a_files_lines_is_marked_by_its_last_one() {
        let mut whole = taken(&[3, 6, 10], 0, 12);
        whole.lines = [&b"a\r\n"[..], b"b\r\n", b"ccc\n"]
            .map(Bytes::from_static)
            .into();
        whole.mark = Some(print_of(b"\r\n"));
        let (first, second) = whole.halved();
        assert_eq!(first.mark, Some(print_of(b"b\r\n")));
        assert_eq!(second.mark, Some(print_of(b"\r\n")));
        assert_eq!((first.lines.len(), second.lines.len()), (2, 1));
    }
}
