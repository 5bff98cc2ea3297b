//! The working stage, as far as every use of it goes: batches in, tuples framed, renumbered and lent to whoever wants
//! them. Runs on a thread of the pool; knows no session.

use bytes::Bytes;
use crossbeam_channel as queue;
use hyperhaul_pgcopy::{Framer, OidMap, OidMapping, Tuple, TupleMut, TypeShape, rewrite_array};

use crate::error::{Error, Kind, Side};
use crate::limits::BATCH_BYTES;
use crate::reader::Piece;
use crate::request::ArrayRewrite;

/// Why the work on a stream did not come to its end.
#[derive(Debug)]
pub(crate) enum Halt {
    /// To be reported.
    Failed(Error),
    /// Whoever wanted the outcome is gone.
    Unwanted,
}

impl From<Error> for Halt {
    fn from(error: Error) -> Halt {
        Halt::Failed(error)
    }
}

impl From<hyperhaul_pgcopy::Error> for Halt {
    fn from(error: hyperhaul_pgcopy::Error) -> Halt {
        Halt::Failed(Error::stream(error))
    }
}

/// Lends every batch of a stream, up to the reader's word that the server has ended it without an error.
pub(crate) fn for_each_batch(
    side: Side,
    pieces: &queue::Receiver<Piece>,
    mut each: impl FnMut(Bytes) -> Result<(), Halt>,
) -> Result<(), Halt> {
    loop {
        match pieces.recv() {
            Ok(Piece::Batch(batch)) => each(batch)?,
            Ok(Piece::End) => return Ok(()),
            Ok(Piece::Failed(error)) => return Err(Halt::Failed(error)),
            Err(queue::RecvError) => {
                return Err(Halt::Failed(Error::new(side, Kind::ReaderEnded)));
            }
        }
    }
}

/// Cuts a stream into tuples, and renumbers the OIDs in their arrays where that is asked for.
#[derive(Debug)]
pub(crate) struct Tuples {
    framer: Framer,
    rewriter: Rewriter,
}

impl Tuples {
    pub(crate) fn new(rewriter: Rewriter) -> Tuples {
        Tuples {
            framer: Framer::new(),
            rewriter,
        }
    }

    /// Lends every tuple that these bytes complete. After the first failure of `each`, no more.
    pub(crate) fn push(
        &mut self,
        batch: &[u8],
        mut each: impl FnMut(Tuple<'_>) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let mut outcome = Ok(());
        let Tuples { framer, rewriter } = self;
        let framed = framer.push(batch, |tuple| {
            if outcome.is_ok() {
                outcome = rewriter.apply(tuple, &mut each);
            }
        });
        outcome?;
        framed.map_err(Halt::from)
    }

    /// Whether the stream was whole, with its trailer.
    pub(crate) fn finish(&self) -> Result<(), Halt> {
        self.framer.finish().map_err(Halt::from)
    }
}

/// Renumbers element OIDs in the arrays of a tuple.
#[derive(Debug, Default)]
pub(crate) struct Rewriter {
    positions: Vec<(usize, OidMap)>,
    /// The tuple being renumbered: what is lent by the framer cannot be changed.
    scratch: Vec<u8>,
}

impl Rewriter {
    /// # Errors
    ///
    /// None that a correct list can cause.
    pub(crate) fn new(rewrites: &[ArrayRewrite]) -> Result<Rewriter, Error> {
        let mut positions = Vec::with_capacity(rewrites.len());
        for rewrite in rewrites {
            let mapping = OidMapping {
                source: rewrite.from_oid,
                target: rewrite.to_oid,
                shape: TypeShape::Plain,
            };
            positions.push((
                rewrite.position,
                OidMap::new([mapping]).map_err(Error::stream)?,
            ));
        }
        Ok(Rewriter {
            positions,
            scratch: Vec::new(),
        })
    }

    /// Whether tuples stay as they are.
    pub(crate) fn is_idle(&self) -> bool {
        self.positions.is_empty()
    }

    fn apply(
        &mut self,
        tuple: Tuple<'_>,
        each: &mut impl FnMut(Tuple<'_>) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        if self.is_idle() {
            return each(tuple);
        }
        self.scratch.clear();
        // One wide tuple must not hold its memory for the rest of a stream.
        self.scratch.shrink_to(BATCH_BYTES);
        self.scratch.extend_from_slice(tuple.as_bytes());
        let mut tuple = TupleMut::parse(&mut self.scratch)?;
        for (position, map) in &self.positions {
            if let Some(field) = tuple.field_mut(*position)? {
                rewrite_array(field, map)?;
            }
        }
        each(tuple.as_tuple())
    }
}
