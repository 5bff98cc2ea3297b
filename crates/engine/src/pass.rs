//! Work on a slice whose rows all go into one chunk: no sorting, one COPY.

use bytes::{Bytes, BytesMut};
use hyperhaul_pgcopy::{Digest, Framer, HEADER, TRAILER};

use crate::copy::Stage;
use crate::request::ChunkKey;
use crate::work::{Halt, Rewriter, Tuples};
use crate::write::{Order, Outlet};

/// The number of the only COPY.
const COPY_NUMBER: usize = 0;

/// Hands the source's bytes on as they are, header and trailer included, and only looks at them.
#[derive(Debug)]
pub(crate) struct Unchanged {
    chunk: ChunkKey,
    framer: Framer,
    digest: Digest,
    opened: bool,
}

impl Unchanged {
    pub(crate) fn new(chunk: ChunkKey) -> Unchanged {
        Unchanged {
            chunk,
            framer: Framer::new(),
            digest: Digest::default(),
            opened: false,
        }
    }
}

impl Stage for Unchanged {
    fn batch(&mut self, batch: Bytes, outlet: &Outlet) -> Result<(), Halt> {
        open_once(&mut self.opened, outlet)?;
        let rows_before = self.digest.rows;
        let Unchanged { framer, digest, .. } = self;
        framer.push(&batch, |tuple| digest.add(tuple))?;
        outlet.send(Order::Data {
            rows: self.digest.rows - rows_before,
            bytes: batch,
        })
    }

    fn end(self: Box<Self>, outlet: &Outlet) -> Result<(), Halt> {
        self.framer.finish()?;
        outlet.send(Order::Close {
            rows: self.digest.rows,
        })?;
        outlet.send(Order::Done(vec![(self.chunk, self.digest)]))
    }
}

/// Writes the stream anew, with OIDs renumbered.
#[derive(Debug)]
pub(crate) struct Rewritten {
    chunk: ChunkKey,
    tuples: Tuples,
    digest: Digest,
    opened: bool,
}

impl Rewritten {
    pub(crate) fn new(chunk: ChunkKey, rewriter: Rewriter) -> Rewritten {
        Rewritten {
            chunk,
            tuples: Tuples::new(rewriter),
            digest: Digest::default(),
            opened: false,
        }
    }
}

impl Stage for Rewritten {
    fn batch(&mut self, batch: Bytes, outlet: &Outlet) -> Result<(), Halt> {
        let mut written = BytesMut::with_capacity(batch.len());
        if open_once(&mut self.opened, outlet)? {
            written.extend_from_slice(&HEADER);
        }
        let rows_before = self.digest.rows;
        let Rewritten { tuples, digest, .. } = self;
        tuples.push(&batch, |tuple| {
            digest.add(tuple);
            written.extend_from_slice(tuple.as_bytes());
            Ok(())
        })?;
        outlet.send(Order::Data {
            rows: self.digest.rows - rows_before,
            bytes: written.freeze(),
        })
    }

    fn end(self: Box<Self>, outlet: &Outlet) -> Result<(), Halt> {
        self.tuples.finish()?;
        outlet.send(Order::Data {
            bytes: Bytes::from_static(&TRAILER),
            rows: 0,
        })?;
        outlet.send(Order::Close {
            rows: self.digest.rows,
        })?;
        outlet.send(Order::Done(vec![(self.chunk, self.digest)]))
    }
}

/// Orders the COPY before the first bytes; says whether it was now.
fn open_once(opened: &mut bool, outlet: &Outlet) -> Result<bool, Halt> {
    if *opened {
        return Ok(false);
    }
    outlet.send(Order::Open(COPY_NUMBER))?;
    *opened = true;
    Ok(true)
}
