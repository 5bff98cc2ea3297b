//! Reads durable records, beside the writer and without waiting for it.

use std::io;
use std::sync::Arc;

use crate::Position;
use crate::batch::{Batch, Reason};
use crate::disk::Disk;
use crate::error::Error;
use crate::format::{Seal, segment_name};
use crate::shelf::{Segment, Shelf, Spot};
use crate::walk::{Place, Step, Walk};

/// How much a batch may hold. Its first record is read however large it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Records; and losses, which are counted by themselves.
    pub records_max: usize,
    /// Bytes of payloads.
    pub bytes_max: usize,
}

/// A reader of the spool's durable records. It remembers where it stopped, so that reading on costs no search.
///
/// It keeps the spool's disk locked as long as it lives.
pub struct Reader<D: Disk> {
    disk: Arc<D>,
    shelf: Arc<Shelf>,
    cursor: Option<Cursor<D::File>>,
}

struct Cursor<F> {
    file: F,
    first: Position,
    place: Place,
}

/// Where reading a segment ended.
enum After {
    /// At its end, or where the batch was full.
    Segment,
    /// In front of a record that has no room in the batch.
    LastThatFits,
}

impl<D: Disk> Clone for Reader<D> {
    /// A reader of the same spool that begins by itself.
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.disk), Arc::clone(&self.shelf))
    }
}

impl<D: Disk> Reader<D> {
    pub(crate) fn new(disk: Arc<D>, shelf: Arc<Shelf>) -> Self {
        Self {
            disk,
            shelf,
            cursor: None,
        }
    }

    /// The last position that is durable; 0 before the first.
    pub fn durable(&self) -> Position {
        self.shelf.durable()
    }

    /// Reads what is durable from position `from` on. The batch is empty if nothing is.
    ///
    /// Reading on where the last batch ended costs what is read; beginning elsewhere costs a walk through the segment up to there.
    ///
    /// # Errors
    ///
    /// A disk that cannot be read. Records before that place come in a batch of their own first.
    pub fn read(&mut self, from: Position, limits: BatchLimits) -> Result<Batch, Error> {
        let mut batch = Batch::new(from.max(1));
        while !is_full(&batch, limits) {
            let at = batch.next();
            let Some(spot) = self.shelf.find(at) else {
                break;
            };
            let read = match spot {
                Spot::Nowhere { until } => {
                    batch.lose(until, Reason::Missing);
                    Ok(After::Segment)
                }
                Spot::In { segment, until } => match segment.seal {
                    None => {
                        batch.lose(until, Reason::Segment);
                        Ok(After::Segment)
                    }
                    Some(seal) => self.read_segment(&segment, seal, until, limits, &mut batch),
                },
            };
            match read {
                Ok(After::Segment) => {}
                Ok(After::LastThatFits) => break,
                // The segment was released in the meantime.
                Err(_) if self.shelf.first() > at => {}
                Err(_) if !batch.is_empty() => break,
                Err(error) => {
                    let place = format!("records from position {at} on");
                    return Err(Error::io("read", &place, error));
                }
            }
        }
        Ok(batch)
    }

    fn read_segment(
        &mut self,
        segment: &Segment,
        seal: Seal,
        until: Position,
        limits: BatchLimits,
        batch: &mut Batch,
    ) -> io::Result<After> {
        let cursor = self.cursor_in(segment, batch.next())?;
        let mut walk = Walk::new(&cursor.file, seal, cursor.place, segment.bytes);
        let position_of = |index: u32| segment.first + Position::from(index);
        while batch.next() < until && !is_full(batch, limits) {
            match walk.step()? {
                Some(Step::Record { index, payload }) => {
                    let position = position_of(index);
                    if position >= batch.next() {
                        if !has_room(batch, payload.len(), limits) {
                            return Ok(After::LastThatFits);
                        }
                        batch.push(position, payload);
                    }
                }
                Some(Step::DamagedPayload { index }) => {
                    batch.lose(position_of(index) + 1, Reason::Payload);
                }
                Some(Step::DamagedHeaders { to, .. }) => {
                    batch.lose(position_of(to).min(until), Reason::Header);
                }
                // The cursor stays in front of it: what is appended behind damage is found from there.
                Some(Step::Tail { records_max, .. }) => {
                    // Behind a write that was cut off, recovery passed over as many positions; whole records take more bytes than that.
                    let reason = match until - batch.next() >= records_max {
                        true => Reason::Unfinished,
                        false => Reason::Tail,
                    };
                    batch.lose(until, reason);
                    return Ok(After::Segment);
                }
                None => {
                    batch.lose(until, Reason::Tail);
                    return Ok(After::Segment);
                }
            }
            cursor.place = walk.place();
        }
        Ok(After::Segment)
    }

    /// Where the last batch ended, if that is in this segment and not behind `position`; otherwise the segment's beginning.
    fn cursor_in(
        &mut self,
        segment: &Segment,
        position: Position,
    ) -> io::Result<&mut Cursor<D::File>> {
        let is_here = |cursor: &Cursor<D::File>| {
            let stands_at = cursor.first + Position::from(cursor.place.index);
            cursor.first == segment.first && stands_at <= position
        };
        let cursor = match self.cursor.take().filter(is_here) {
            Some(cursor) => cursor,
            None => Cursor {
                file: self.disk.open(&segment_name(segment.first))?,
                first: segment.first,
                place: Place::FIRST,
            },
        };
        Ok(self.cursor.insert(cursor))
    }
}

fn is_full(batch: &Batch, limits: BatchLimits) -> bool {
    batch.record_count().max(batch.losses().len()) >= limits.records_max.max(1)
        || (batch.record_count() > 0 && batch.payload_bytes() >= limits.bytes_max)
}

fn has_room(batch: &Batch, payload_bytes: usize, limits: BatchLimits) -> bool {
    batch.record_count() == 0 || batch.payload_bytes() + payload_bytes <= limits.bytes_max
}
