//! Work on a slice whose rows belong to several chunks: each tuple into the buffer of its chunk, full buffers as COPYs of their
//! own.
//!
//! ```text
//!   tuple -> time attribute -> Router --+--> lot 0: segments of chunk 0   --+
//!                                       +--> lot 1: segments of chunk 1   --+--> fullest first when all together exceed
//!                                       +--> ...                            |    ROUTED_BUFFER_BYTES_MAX, the rest
//!                                       +--> last lot: no chunk listed    --+    at the end: Open, Data..., Close
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;
use hyperhaul_pgcopy::{Digest, HEADER, Router, TRAILER, TimePoint, TimeType, Tuple};

use crate::buffer::Buffers;
use crate::copy::Stage;
use crate::error::{Error, Kind};
use crate::request::ChunkKey;
use crate::work::{Halt, Rewriter, Tuples};
use crate::write::{Order, Outlet};

/// Sorts tuples by their time.
#[derive(Debug)]
pub(crate) struct Routed {
    tuples: Tuples,
    lots: Lots,
}

/// All but the framing, which lends its tuples to this.
#[derive(Debug)]
struct Lots {
    time: TimeField,
    router: Router,
    keys: Vec<ChunkKey>,
    digests: Vec<Digest>,
    interval_us: i64,
    /// Digests of rows whose chunk is not listed.
    unlisted: BTreeMap<ChunkKey, Digest>,
    /// One per key, and a last one for rows whose chunk is not listed.
    buffers: Buffers,
}

/// Where the time is in a tuple.
#[derive(Debug, Clone, Copy)]
struct TimeField {
    position: usize,
    time_type: TimeType,
}

impl TimeField {
    fn unix_us(self, tuple: Tuple<'_>) -> Result<i64, Halt> {
        let position = self.position;
        let Some(field) = tuple.field(position)? else {
            return Err(Error::stream(Kind::NullTime { position }).into());
        };
        match self.time_type.unix_us(field)? {
            TimePoint::UnixUs(time_us) => Ok(time_us),
            TimePoint::Infinity | TimePoint::MinusInfinity => {
                Err(Error::stream(Kind::InfiniteTime { position }).into())
            }
        }
    }
}

impl Routed {
    /// # Errors
    ///
    /// If the keys are not ascending without overlap, or the interval is not positive.
    pub(crate) fn new(
        time_position: usize,
        time_type: TimeType,
        keys: Vec<ChunkKey>,
        interval_us: i64,
        rewriter: Rewriter,
    ) -> Result<Routed, Error> {
        if interval_us <= 0 {
            return Err(Error::stream(Kind::Interval(interval_us)));
        }
        let ranges = keys.iter().map(|key| (key.start_us, key.end_us)).collect();
        let lots = Lots {
            time: TimeField {
                position: time_position,
                time_type,
            },
            router: Router::new(ranges).map_err(Error::stream)?,
            digests: vec![Digest::default(); keys.len()],
            buffers: Buffers::new(keys.len() + 1),
            keys,
            interval_us,
            unlisted: BTreeMap::new(),
        };
        Ok(Routed {
            tuples: Tuples::new(rewriter),
            lots,
        })
    }
}

impl Stage for Routed {
    fn batch(&mut self, batch: Bytes, outlet: &Outlet) -> Result<(), Halt> {
        let Routed { tuples, lots } = self;
        tuples.push(&batch, |tuple| lots.take(tuple, outlet))
    }

    fn end(mut self: Box<Self>, outlet: &Outlet) -> Result<(), Halt> {
        self.tuples.finish()?;
        while let Some(number) = self.lots.buffers.fullest() {
            self.lots.write(number, outlet)?;
        }
        outlet.send(Order::Done(self.lots.digests()))
    }
}

impl Lots {
    fn take(&mut self, tuple: Tuple<'_>, outlet: &Outlet) -> Result<(), Halt> {
        let time_us = self.time.unix_us(tuple)?;
        let number = self.router.route(time_us).unwrap_or(self.keys.len());
        let digest = match self.digests.get_mut(number) {
            Some(digest) => digest,
            None => self
                .unlisted
                .entry(ChunkKey::aligned(time_us, self.interval_us))
                .or_default(),
        };
        digest.add(tuple);
        self.buffers.append(number, tuple.as_bytes());
        while self.buffers.is_over_limit() {
            let Some(fullest) = self.buffers.fullest() else {
                break;
            };
            self.write(fullest, outlet)?;
        }
        Ok(())
    }

    /// Orders a buffer's contents as one whole COPY. Segment by segment: what the queue does not take yet stays counted.
    fn write(&mut self, number: usize, outlet: &Outlet) -> Result<(), Halt> {
        let rows = self.buffers.rows(number);
        outlet.send(Order::Open(number))?;
        outlet.send(Order::Data {
            bytes: Bytes::from_static(&HEADER),
            rows: 0,
        })?;
        while let Some((bytes, rows)) = self.buffers.take_segment(number) {
            outlet.send(Order::Data { bytes, rows })?;
        }
        outlet.send(Order::Data {
            bytes: Bytes::from_static(&TRAILER),
            rows: 0,
        })?;
        outlet.send(Order::Close { rows })
    }

    fn digests(self) -> Vec<(ChunkKey, Digest)> {
        let listed = self.keys.into_iter().zip(self.digests);
        let mut all: Vec<_> = listed.filter(|(_, digest)| digest.rows > 0).collect();
        all.extend(self.unlisted);
        all.sort_unstable_by_key(|(key, _)| *key);
        all
    }
}
