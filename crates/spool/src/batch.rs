//! What a reader gets: records in their order, and what is lost between them.

use crate::Position;

/// Records and losses of a range of positions without a gap: every position from the one that was asked for up to [`Batch::next`] is
/// either in [`Batch::records`] or in [`Batch::losses`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    payloads: Vec<u8>,
    /// Position, and where the payload ends.
    ends: Vec<(Position, usize)>,
    losses: Vec<Loss>,
    next: Position,
}

/// Positions whose records cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// The first of them.
    pub from: Position,
    /// The last of them.
    pub to: Position,
    /// How that was noticed.
    pub reason: Reason,
}

/// Why records are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A payload is not what its checksum says: one record.
    Payload,
    /// Headers of records are damaged. The next record tells how many: exactly these are lost.
    Header,
    /// A write that a crash cut off: nothing there was acknowledged. The same is found where damage reached the last records of the last
    /// segment while no process had the spool.
    Unfinished,
    /// Damage reached the last records of a segment. How many there were nobody knows: no more than these.
    Tail,
    /// Both copies of a segment's header are damaged. No more than these records.
    Segment,
    /// There is no segment with these positions: it was removed, by a release or by somebody else.
    Missing,
}

impl Reason {
    /// Its name in metrics and reports.
    pub fn code(self) -> &'static str {
        match self {
            Reason::Payload => "payload",
            Reason::Header => "header",
            Reason::Unfinished => "unfinished",
            Reason::Tail => "tail",
            Reason::Segment => "segment",
            Reason::Missing => "missing",
        }
    }

    /// Whether there was a record at every position of the loss. Otherwise the count is an upper bound.
    pub fn is_exact(self) -> bool {
        match self {
            Reason::Payload | Reason::Header => true,
            Reason::Unfinished | Reason::Tail | Reason::Segment | Reason::Missing => false,
        }
    }
}

impl Loss {
    /// How many positions there are.
    pub fn count(&self) -> u64 {
        (self.to + 1).saturating_sub(self.from)
    }
}

impl Batch {
    pub(crate) fn new(from: Position) -> Self {
        Self {
            payloads: Vec::new(),
            ends: Vec::new(),
            losses: Vec::new(),
            next: from,
        }
    }

    /// The records, in the order of their positions.
    pub fn records(&self) -> impl ExactSizeIterator<Item = (Position, &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |&(position, end)| {
            let payload = self.payloads.get(start..end).unwrap_or_default();
            start = end;
            (position, payload)
        })
    }

    /// What cannot be read, in the order of positions.
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// Where to read on.
    pub fn next(&self) -> Position {
        self.next
    }

    /// How many records there are.
    pub fn record_count(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are neither records nor losses: all that is durable was read before.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.losses.is_empty()
    }

    /// Bytes of all payloads.
    pub fn payload_bytes(&self) -> usize {
        self.payloads.len()
    }

    pub(crate) fn push(&mut self, position: Position, payload: &[u8]) {
        self.payloads.extend_from_slice(payload);
        self.ends.push((position, self.payloads.len()));
        self.next = position + 1;
    }

    /// Everything from the next position up to, but without, `until` is lost.
    pub(crate) fn lose(&mut self, until: Position, reason: Reason) {
        if until <= self.next {
            return;
        }
        let (from, to) = (self.next, until - 1);
        self.next = until;
        match self.losses.last_mut() {
            Some(last) if last.reason == reason && last.to + 1 == from => last.to = to,
            _ => self.losses.push(Loss { from, to, reason }),
        }
    }
}
