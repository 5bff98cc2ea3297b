//! One whole tuple and its fields, read or lent for change. Values stay as the type's send function
//! wrote them; finding where a tuple ends in a stream is `framer`'s.

use std::iter::FusedIterator;
use std::ops::Range;

use crate::error::{Error, Kind, Place};
use crate::extent::{self, Extent};

/// The bytes of one whole tuple, from its field count to the end of its last field.
///
/// Invariant: every length word was followed once, and the last field ends where the bytes end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple<'a>(&'a [u8]);

impl<'a> Tuple<'a> {
    /// Takes bytes that are exactly one tuple.
    ///
    /// # Errors
    ///
    /// If they are not: malformed, too short, or with something after the tuple.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        match extent::begin(bytes)? {
            Extent::Whole { bytes: length, .. } if length == bytes.len() => Ok(Tuple(bytes)),
            Extent::Whole { .. } => Err(Kind::Structure("tuple").into()),
            Extent::Trailer => Err(Kind::FieldCountRange(-1).into()),
            Extent::Needs { .. } => Err(Kind::Truncated(Place::Tuple).into()),
        }
    }

    /// Wraps bytes whose extent a walk has found.
    #[inline]
    pub(crate) fn walked(bytes: &'a [u8]) -> Self {
        Tuple(bytes)
    }

    /// All bytes of the tuple, its field count included.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The bytes of the first `count` fields, the tuple's field count before them; all bytes, if it has no more.
    #[inline]
    pub fn leading_bytes(self, count: usize) -> &'a [u8] {
        let mut fields = self.fields();
        fields.by_ref().take(count).for_each(drop);
        let length = self.0.len().saturating_sub(fields.rest.len());
        self.0.get(..length).unwrap_or(self.0)
    }

    /// Number of fields.
    #[inline]
    pub fn field_count(self) -> usize {
        self.fields().left
    }

    /// The value of the field at `index`, counted from 0; `None` for NULL.
    ///
    /// # Errors
    ///
    /// If the tuple has no such field.
    #[inline]
    pub fn field(self, index: usize) -> Result<Option<&'a [u8]>, Error> {
        match self.fields().nth(index) {
            Some(value) => Ok(value),
            None => Err(no_such_field(index, self.field_count())),
        }
    }

    /// The values of all fields in order; `None` for NULL.
    #[inline]
    pub fn fields(self) -> Fields<'a> {
        match self.0.split_first_chunk::<2>() {
            Some((word, rest)) => Fields {
                left: usize::try_from(i16::from_be_bytes(*word)).unwrap_or(0),
                rest,
            },
            None => Fields { left: 0, rest: &[] },
        }
    }
}

/// The fields of a [`Tuple`], in order; `None` stands for NULL.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    left: usize,
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<&'a [u8]>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (word, after) = self.rest.split_first_chunk::<4>()?;
        match usize::try_from(i32::from_be_bytes(*word)) {
            Ok(length) => {
                let (value, rest) = after.split_at_checked(length)?;
                self.rest = rest;
                Some(Some(value))
            }
            Err(_) => {
                self.rest = after;
                Some(None)
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Fields<'_> {}
impl FusedIterator for Fields<'_> {}

/// One whole tuple whose values may be changed in place, their lengths not.
#[derive(Debug)]
pub struct TupleMut<'a>(&'a mut [u8]);

impl<'a> TupleMut<'a> {
    /// Takes bytes that are exactly one tuple.
    ///
    /// # Errors
    ///
    /// As [`Tuple::parse`].
    pub fn parse(bytes: &'a mut [u8]) -> Result<Self, Error> {
        Tuple::parse(bytes)?;
        Ok(TupleMut(bytes))
    }

    /// The tuple as it is now.
    pub fn as_tuple(&self) -> Tuple<'_> {
        Tuple(self.0)
    }

    /// The value of the field at `index`, counted from 0; `None` for NULL.
    ///
    /// # Errors
    ///
    /// If the tuple has no such field.
    pub fn field_mut(&mut self, index: usize) -> Result<Option<&mut [u8]>, Error> {
        let tuple = self.as_tuple();
        let count = tuple.field_count();
        let range = field_range(tuple, index).ok_or_else(|| no_such_field(index, count))?;
        Ok(range.and_then(|range| self.0.get_mut(range)))
    }
}

/// Where the value of a field lies in the tuple's bytes; the inner `None` for NULL, the outer for
/// no such field.
fn field_range(tuple: Tuple<'_>, index: usize) -> Option<Option<Range<usize>>> {
    let mut fields = tuple.fields();
    let value = fields.nth(index)?;
    let end = tuple.0.len().checked_sub(fields.rest.len())?;
    match value {
        Some(value) => Some(Some(end.checked_sub(value.len())?..end)),
        None => Some(None),
    }
}

#[cold]
fn no_such_field(index: usize, count: usize) -> Error {
    Kind::NoSuchField { index, count }.into()
}

/// Whole tuples one after another, without a header; a trailer may stand at the end.
///
/// For bytes that were framed before, such as a batch of CopyData messages, each of which holds one
/// tuple. Ends after the first error: a tuple that is malformed or not whole, or bytes after the
/// trailer.
#[derive(Clone, Debug)]
pub struct Tuples<'a> {
    rest: &'a [u8],
}

impl<'a> Tuples<'a> {
    /// The tuples of `bytes`, which begin at a tuple.
    pub fn new(bytes: &'a [u8]) -> Self {
        Tuples { rest: bytes }
    }

    #[inline]
    fn step(&mut self) -> Result<Option<Tuple<'a>>, Error> {
        match extent::begin(self.rest)? {
            Extent::Whole { bytes: length, .. } => {
                let Some((tuple, rest)) = self.rest.split_at_checked(length) else {
                    return Err(Kind::Truncated(Place::Tuple).into());
                };
                self.rest = rest;
                Ok(Some(Tuple(tuple)))
            }
            Extent::Trailer if self.rest.len() == 2 => {
                self.rest = &[];
                Ok(None)
            }
            Extent::Trailer => Err(Kind::AfterTrailer.into()),
            Extent::Needs { .. } => Err(Kind::Truncated(Place::Tuple).into()),
        }
    }
}

impl<'a> Iterator for Tuples<'a> {
    type Item = Result<Tuple<'a>, Error>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.rest = &[];
        }
        step.transpose()
    }
}

impl FusedIterator for Tuples<'_> {}
