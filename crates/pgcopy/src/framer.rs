//! Incremental framing of a COPY TO stream that arrives split at any byte. Knows where tuples end;
//! what is in their fields is `tuple`'s.
//!
//! ```text
//!   push(input)
//!     |
//!     v
//!   Header ----------> Extension --------> Tuples --------------> Done
//!   19 bytes kept      skipped, uncounted   |  ^                  nothing may follow
//!                                           |  |
//!                   whole in `input`: lent  |  |  cut by the end of `input`: kept in `tail`,
//!                   to `each`, not copied   +--+  completed by the next push, lent from there
//!
//!   tail: at most one unfinished tuple, TUPLE_BYTES_MAX; its memory grows with the bytes that arrived, never
//!         with a length that a sender claims
//! ```
//!
//! Any error is final: the place in the stream is lost, and each later call returns it again.

use crate::error::{Error, Kind, Place};
use crate::extent::{self, Extent, Walk};
use crate::header;
use crate::tuple::Tuple;

/// Room that `tail` may keep for the next tuple. One wide row must not hold its memory for the rest
/// of a stream.
const TAIL_KEPT_BYTES: usize = 64 * 1024;

/// Cuts a stream into whole tuples.
#[derive(Debug)]
pub struct Framer {
    state: State,
    /// Fields of the first tuple: all others must have as many.
    field_count: Option<i16>,
}

#[derive(Debug)]
enum State {
    /// The first `have` bytes of the header have arrived.
    Header { bytes: [u8; 19], have: usize },
    /// `left` bytes of the header's extension are to be skipped.
    Extension { left: u32 },
    /// Between the header and the trailer.
    Tuples(Partial),
    /// The trailer was seen.
    Done,
    /// The stream is not binary COPY, or broke off its rules.
    Failed(Error),
}

/// The tuple that the end of the last input cut.
#[derive(Debug, Default)]
struct Partial {
    /// What has arrived of it; empty at the beginning of a tuple.
    tail: Vec<u8>,
    /// How far its length words were followed.
    walk: Walk,
}

/// What comes next in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A tuple, or the rest of one.
    Tuple,
    /// Nothing: the trailer was read.
    Trailer,
}

impl Default for Framer {
    fn default() -> Self {
        Self::new()
    }
}

impl Framer {
    /// A framer at the start of a stream.
    pub fn new() -> Self {
        Framer {
            state: State::Header {
                bytes: [0; 19],
                have: 0,
            },
            field_count: None,
        }
    }

    /// Feeds the next bytes of the stream, and calls `each` for every tuple that they complete, in
    /// order.
    ///
    /// # Errors
    ///
    /// If the bytes break the format. Tuples before that place have been handed out.
    pub fn push(&mut self, input: &[u8], mut each: impl FnMut(Tuple<'_>)) -> Result<(), Error> {
        let result = self.advance(input, &mut each);
        if let Err(error) = &result {
            self.state = State::Failed(error.clone());
        }
        result
    }

    /// Says whether the stream is complete.
    ///
    /// # Errors
    ///
    /// Unless the trailer was seen and nothing followed it.
    pub fn finish(&self) -> Result<(), Error> {
        let place = match &self.state {
            State::Done => return Ok(()),
            State::Failed(error) => return Err(error.clone()),
            State::Header { .. } | State::Extension { .. } => Place::Header,
            State::Tuples(partial) if partial.tail.is_empty() => Place::Trailer,
            State::Tuples(_) => Place::Tuple,
        };
        Err(Kind::Truncated(place).into())
    }

    fn advance(&mut self, mut input: &[u8], each: &mut impl FnMut(Tuple<'_>)) -> Result<(), Error> {
        while !input.is_empty() {
            match &mut self.state {
                State::Header { bytes, have } => {
                    let room = bytes.get_mut(*have..).unwrap_or_default();
                    let taken = copy_prefix(room, &mut input);
                    *have = have.saturating_add(taken);
                    if *have == bytes.len() {
                        self.state = after_extension(header::extension_bytes(bytes)?);
                    }
                }
                State::Extension { left } => {
                    let skipped = usize::try_from(*left)
                        .unwrap_or(usize::MAX)
                        .min(input.len());
                    input = input.get(skipped..).unwrap_or_default();
                    self.state = after_extension(left.saturating_sub(skipped as u32));
                }
                State::Tuples(partial) => {
                    let stage = if partial.tail.is_empty() {
                        partial.lend(&mut input, &mut self.field_count, each)?
                    } else {
                        partial.complete(&mut input, &mut self.field_count, each)?
                    };
                    if stage == Stage::Trailer {
                        self.state = State::Done;
                    }
                }
                State::Done => return Err(Kind::AfterTrailer.into()),
                State::Failed(error) => return Err(error.clone()),
            }
        }
        Ok(())
    }
}

impl Partial {
    /// Hands out the tuples that lie whole in `input`, and keeps the one that its end cuts.
    fn lend(
        &mut self,
        input: &mut &[u8],
        field_count: &mut Option<i16>,
        each: &mut impl FnMut(Tuple<'_>),
    ) -> Result<Stage, Error> {
        let mut rest = *input;
        while !rest.is_empty() {
            match extent::begin(rest)? {
                Extent::Whole {
                    bytes,
                    field_count: found,
                } => {
                    same_field_count(field_count, found)?;
                    let (tuple, after) = rest.split_at_checked(bytes).unwrap_or((rest, &[]));
                    each(Tuple::walked(tuple));
                    rest = after;
                }
                Extent::Trailer => {
                    *input = rest.get(header::TRAILER.len()..).unwrap_or_default();
                    return Ok(Stage::Trailer);
                }
                Extent::Needs { walk, .. } => {
                    self.tail.extend_from_slice(rest);
                    self.walk = walk;
                    break;
                }
            }
        }
        *input = &[];
        Ok(Stage::Tuple)
    }

    /// Takes of `input` what the unfinished tuple lacks, and hands it out when it is whole.
    fn complete(
        &mut self,
        input: &mut &[u8],
        field_count: &mut Option<i16>,
        each: &mut impl FnMut(Tuple<'_>),
    ) -> Result<Stage, Error> {
        loop {
            match self.walk.advance(&self.tail)? {
                Extent::Whole {
                    field_count: found, ..
                } => {
                    same_field_count(field_count, found)?;
                    each(Tuple::walked(&self.tail));
                    self.tail.clear();
                    self.tail.shrink_to(TAIL_KEPT_BYTES);
                    self.walk = Walk::default();
                    return Ok(Stage::Tuple);
                }
                Extent::Trailer => return Ok(Stage::Trailer),
                Extent::Needs { bytes, walk } => {
                    self.walk = walk;
                    let lacking = bytes.saturating_sub(self.tail.len()).min(input.len());
                    if lacking == 0 {
                        return Ok(Stage::Tuple);
                    }
                    let (taken, after) = input.split_at_checked(lacking).unwrap_or((input, &[]));
                    self.tail.extend_from_slice(taken);
                    *input = after;
                }
            }
        }
    }
}

/// The state once a header, or a part of its extension, was read and `left` bytes of the extension
/// are to come.
fn after_extension(left: u32) -> State {
    if left == 0 {
        State::Tuples(Partial::default())
    } else {
        State::Extension { left }
    }
}

/// Moves as many bytes from the front of `input` into `room` as fit, and returns how many.
fn copy_prefix(room: &mut [u8], input: &mut &[u8]) -> usize {
    let count = room.len().min(input.len());
    for (to, from) in room.iter_mut().zip(*input) {
        *to = *from;
    }
    *input = input.get(count..).unwrap_or_default();
    count
}

/// Holds every tuple to the field count of the first.
#[inline]
fn same_field_count(first: &mut Option<i16>, found: i16) -> Result<(), Error> {
    let expected = *first.get_or_insert(found);
    if found == expected {
        return Ok(());
    }
    Err(Kind::FieldCount {
        found: i32::from(found),
        expected,
    }
    .into())
}
