//! What a spool has promised so far, and whether what it says now keeps to it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::{Batch, Parcel, Position, Reason, Recovery};

/// Each record is told from all others by its serial number, which its payload begins with.
type Serial = u64;

#[derive(Default)]
pub(super) struct Model {
    serial_next: Serial,
    /// Every record that was ever appended at a position: unless one was synced or read, a crash makes room for another.
    appended: BTreeMap<Position, Vec<Serial>>,
    waiting: Vec<(Position, Serial)>,
    acknowledged: BTreeMap<Position, Serial>,
    read: BTreeMap<Position, Serial>,
    /// Acknowledged records that were reported as lost.
    lost: BTreeSet<Position>,
    /// How many bits were flipped.
    pub(super) flips: usize,
    /// Read or reported as lost up to here.
    seen: Position,
    released: Position,
    /// What is below was removed, durably.
    removed_below: Position,
}

fn payload(serial: Serial) -> Vec<u8> {
    let filler = (serial.wrapping_mul(7919) % 180) as usize;
    let mut bytes = serial.to_le_bytes().to_vec();
    bytes.extend((0..filler).map(|at| (serial as usize).wrapping_add(at) as u8));
    bytes
}

impl Model {
    /// New records.
    pub(super) fn parcel(&mut self, records: u64) -> (Parcel, Range<Serial>) {
        let serials = self.serial_next..self.serial_next + records;
        self.serial_next = serials.end;
        (serials.clone().map(payload).collect(), serials)
    }

    /// The last position that nothing else may get: a consumer takes it for done, also if it has heard of a loss alone.
    fn taken(&self) -> Position {
        let acknowledged = self.acknowledged.keys().next_back();
        self.seen.max(acknowledged.copied().unwrap_or(0))
    }

    pub(super) fn appended(&mut self, positions: Range<Position>, serials: Range<Serial>) {
        assert!(positions.start > self.taken(), "a position comes again");
        assert_eq!(positions.end - positions.start, serials.end - serials.start);
        for (position, serial) in positions.zip(serials) {
            self.appended.entry(position).or_default().push(serial);
            self.waiting.push((position, serial));
        }
    }

    /// The process ended in the middle of an append: the records may be there or not.
    pub(super) fn may_be_appended(&mut self, first: Position, serials: Range<Serial>) {
        for (position, serial) in (first..).zip(serials) {
            self.appended.entry(position).or_default().push(serial);
        }
    }

    pub(super) fn synced(&mut self, durable: Position) {
        self.acknowledged.extend(self.waiting.drain(..));
        assert!(durable >= self.taken());
    }

    pub(super) fn released(&mut self, up_to: Position, first_position: Position) {
        self.released = self.released.max(up_to);
        self.removed_below = self.removed_below.max(first_position);
        assert!(
            first_position <= self.released + 1,
            "more was removed than released"
        );
    }

    pub(super) fn reopened(&mut self, recovery: &Recovery) {
        self.waiting.clear();
        assert!(
            recovery.next_position > self.taken(),
            "a position comes again"
        );
        assert!(
            recovery.first_position >= self.removed_below,
            "what was removed is back"
        );
    }

    /// Releasing what was not read is not what a consumer does.
    pub(super) fn releasable(&self) -> Range<Position> {
        self.released..self.seen.max(self.released) + 1
    }

    pub(super) fn checks(&mut self, from: Position, batch: &Batch) {
        let mut records = batch.records().peekable();
        let mut losses = batch.losses().iter().peekable();
        let mut position = from;
        while position < batch.next() {
            if let Some((_, bytes)) = records.next_if(|(at, _)| *at == position) {
                self.checks_record(position, bytes);
                position += 1;
            } else {
                let loss = losses.next_if(|loss| loss.from == position);
                let loss = loss.expect("a position is neither read nor lost");
                self.checks_loss(loss.from..loss.to + 1, loss.reason);
                position = loss.to + 1;
            }
        }
        if !batch.is_empty() {
            self.seen = self.seen.max(position - 1);
        }
        assert!(records.next().is_none() && losses.next().is_none());
    }

    fn checks_record(&mut self, position: Position, bytes: &[u8]) {
        let serial = Serial::from_le_bytes(*bytes.first_chunk().expect("a serial number"));
        assert_eq!(bytes, payload(serial), "a payload is not what was appended");
        let appended = self.appended.get(&position);
        assert!(
            appended.is_some_and(|serials| serials.contains(&serial)),
            "a record was never appended at {position}"
        );
        let acknowledged = *self.acknowledged.get(&position).unwrap_or(&serial);
        assert_eq!(acknowledged, serial, "another record than was acknowledged");
        let before = *self.read.entry(position).or_insert(serial);
        assert_eq!(before, serial, "another record than was read before");
        assert!(!self.lost.contains(&position), "a lost record is back");
    }

    fn checks_loss(&mut self, positions: Range<Position>, reason: Reason) {
        let lost = self.acknowledged.range(positions).map(|(at, _)| *at);
        let lost: Vec<Position> = lost.filter(|at| *at > self.released).collect();
        assert!(
            lost.is_empty() || !matches!(reason, Reason::Missing | Reason::Segment),
            "{reason:?}: {lost:?}"
        );
        self.lost.extend(lost);
        assert!(
            self.lost.len() <= self.flips,
            "{} flipped bits cost records {:?}",
            self.flips,
            self.lost
        );
    }

    /// After everything was read once more: nothing acknowledged is left out.
    pub(super) fn checks_end(&self, durable: Position) {
        assert!(durable >= self.taken());
    }

    pub(super) fn released_up_to(&self) -> Position {
        self.released
    }
}
