//! How far a tuple reaches: the walk from its field count over the length words to its end. The
//! only place that follows length words of bytes not yet checked; reading fields is `tuple`'s.
//!
//! ```text
//!   | count | len 1 | value 1 ... | len 2 | value 2 ...      | ... | next tuple
//!           ^                     ^ offset                   ^ Needs: bytes from the tuple's start that
//!           begin                   (fields_left = count - 1)  must be there for the next step
//! ```

use crate::error::{Error, Kind};

/// The most fields that a row of a query or table can have: PostgreSQL's `MaxTupleAttributeNumber`.
/// A larger count means that the reader lost its place.
pub const FIELD_COUNT_MAX: i16 = 1664;

/// The most bytes that one tuple can have: PostgreSQL builds it in one buffer of its allocator,
/// whose limit is 1 GiB - 1 (`MaxAllocSize`), and fails with *out of memory* beyond.
pub const TUPLE_BYTES_MAX: usize = 0x3fff_ffff;

/// Where a walk stands. A walk that ran out of bytes goes on with the same bytes and more after them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Walk {
    /// Fields of the tuple; `None` before they were read.
    field_count: Option<i16>,
    fields_left: i16,
    /// Bytes from the tuple's start to the next length word.
    offset: usize,
}

/// The outcome of a walk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extent {
    /// The whole tuple is there.
    Whole { bytes: usize, field_count: i16 },
    /// There is no tuple: the trailer stands here.
    Trailer,
    /// At least this many bytes from the tuple's start are needed to go on, and they are not there.
    Needs { bytes: usize, walk: Walk },
}

impl Walk {
    /// Goes on as far as `bytes` reach; they begin at the tuple.
    #[inline]
    pub(crate) fn advance(self, bytes: &[u8]) -> Result<Extent, Error> {
        let Some(field_count) = self.field_count else {
            return begin(bytes);
        };
        let rest = bytes.get(self.offset..).unwrap_or_default();
        follow(bytes, rest, field_count, self.fields_left)
    }
}

/// Walks from the start of a tuple.
#[inline]
pub(crate) fn begin(bytes: &[u8]) -> Result<Extent, Error> {
    let Some((word, rest)) = bytes.split_first_chunk::<2>() else {
        let walk = Walk::default();
        return Ok(Extent::Needs { bytes: 2, walk });
    };
    let field_count = i16::from_be_bytes(*word);
    if !(0..=FIELD_COUNT_MAX).contains(&field_count) {
        return trailer(field_count);
    }
    follow(bytes, rest, field_count, field_count)
}

/// Follows the length words of `rest`, the end of `bytes`.
#[inline]
fn follow<'a>(
    bytes: &'a [u8],
    mut rest: &'a [u8],
    field_count: i16,
    fields_left: i16,
) -> Result<Extent, Error> {
    for fields_left in (1..=fields_left).rev() {
        let pause = |rest: &[u8], field_bytes: usize| {
            let offset = bytes.len().saturating_sub(rest.len());
            let walk = Walk {
                field_count: Some(field_count),
                fields_left,
                offset,
            };
            let bytes = within_limit(offset.saturating_add(field_bytes))?;
            Ok(Extent::Needs { bytes, walk })
        };
        let Some((word, after)) = rest.split_first_chunk::<4>() else {
            return pause(rest, 4);
        };
        let length = i32::from_be_bytes(*word);
        if length < -1 {
            return Err(Kind::FieldSize(length).into());
        }
        // NULL, -1, has no bytes; which fields are NULL is hard to predict, so this is no branch.
        let value_bytes = length.max(0) as usize;
        let Some(next) = after.get(value_bytes..) else {
            return pause(rest, value_bytes.saturating_add(4));
        };
        rest = next;
    }
    let bytes = within_limit(bytes.len().saturating_sub(rest.len()))?;
    Ok(Extent::Whole { bytes, field_count })
}

/// What a field count that no tuple has means.
#[cold]
fn trailer(count: i16) -> Result<Extent, Error> {
    if count == -1 {
        Ok(Extent::Trailer)
    } else {
        Err(Kind::FieldCountRange(count).into())
    }
}

#[inline]
fn within_limit(tuple_bytes: usize) -> Result<usize, Error> {
    if tuple_bytes > TUPLE_BYTES_MAX {
        return Err(Kind::TupleSize.into());
    }
    Ok(tuple_bytes)
}
