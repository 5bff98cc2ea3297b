//! What readers may see: which segments there are, and up to where they are durable. The writer changes it, readers ask it; neither holds
//! it while a disk is at work.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Position;
use crate::format::Seal;

/// A segment as readers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Position of its first record.
    pub(crate) first: Position,
    /// None where the segment's header is damaged: no record of it can be believed.
    pub(crate) seal: Option<Seal>,
    /// Bytes that are durable, and those of damage behind them.
    pub(crate) bytes: u64,
}

/// Where a position lies.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    /// In no segment: nothing is there below `until`.
    Nowhere { until: Position },
    /// In a segment, whose positions end before `until`.
    In { segment: Segment, until: Position },
}

/// Segments from the oldest to the one that is written to.
#[derive(Debug)]
pub(crate) struct Shelf(Mutex<Content>);

#[derive(Debug)]
struct Content {
    segments: Vec<Segment>,
    durable: Position,
}

impl Shelf {
    pub(crate) fn new(segments: Vec<Segment>, durable: Position) -> Self {
        Self(Mutex::new(Content { segments, durable }))
    }

    /// What a thread that panicked has left is whole: every change is one assignment or one call.
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn durable(&self) -> Position {
        self.lock().durable
    }

    /// Position of the oldest record that can be there.
    pub(crate) fn first(&self) -> Position {
        let content = self.lock();
        let oldest = content.segments.first();
        oldest.map_or(content.durable + 1, |segment| segment.first)
    }

    /// The oldest segment, if all of its positions are `released`, and it is not the one that is written to.
    pub(crate) fn oldest_released(&self, released: Position) -> Option<Segment> {
        let content = self.lock();
        let next = content.segments.get(1)?;
        (next.first <= released + 1).then(|| content.segments.first().copied())?
    }

    pub(crate) fn take_oldest(&self) {
        let mut content = self.lock();
        if !content.segments.is_empty() {
            content.segments.remove(0);
        }
    }

    pub(crate) fn put_back(&self, oldest: Segment) {
        self.lock().segments.insert(0, oldest);
    }

    /// Adds the segment that is written to from now on, in the place of an empty one that begins with the same position.
    pub(crate) fn push(&self, segment: Segment) {
        let segments = &mut self.lock().segments;
        segments.pop_if(|last| last.first == segment.first);
        segments.push(segment);
    }

    /// Lets readers see more of the segment that is written to. Positions that were passed over are durable as well: nothing will come there.
    pub(crate) fn publish(&self, bytes: u64, durable: Position) {
        let mut content = self.lock();
        if let Some(active) = content.segments.last_mut() {
            active.bytes = bytes;
        }
        content.durable = durable;
    }

    /// Where `position` lies; none if it is not durable yet.
    pub(crate) fn find(&self, position: Position) -> Option<Spot> {
        let content = self.lock();
        if position > content.durable {
            return None;
        }
        let behind = content
            .segments
            .partition_point(|segment| segment.first <= position);
        let until = content
            .segments
            .get(behind)
            .map_or(content.durable + 1, |next| next.first);
        let segment = behind
            .checked_sub(1)
            .and_then(|at| content.segments.get(at).copied());
        Some(segment.map_or(Spot::Nowhere { until }, |segment| Spot::In {
            segment,
            until,
        }))
    }
}
