//! Type OIDs inside of binary values: arrays and composites carry those of their elements and
//! fields, and a user-defined type has another OID in every database. Renumbers them in place; no
//! other type's binary form carries OIDs (ranges and multiranges hold their bounds bare), and no
//! catalog is known here.
//!
//! ```text
//! array (array_send in arrayfuncs.c)          composite (record_send in rowtypes.c)
//! offset bytes                                offset bytes
//!      0    4  dimensions, 0 when empty            0    4  field count
//!      4    4  1 if a NULL occurs                          per field:
//!      8    4  element type OID   <- here                4  type OID            <- here
//!              per dimension:                            4  length, -1 for NULL
//!           4  length                                    n  value
//!           4  lower bound
//!              per element:
//!           4  length, -1 for NULL
//!           n  value
//! ```

use std::mem;

use crate::error::{Error, Kind};

/// How deep arrays and composites may contain each other. PostgreSQL has no such limit; a chain of
/// this many types in one schema is not known, and the limit keeps hostile bytes from exhausting
/// the stack.
pub const NESTING_MAX: usize = 32;

/// What the binary form of a type looks like, as far as OIDs are concerned. A domain has the shape
/// of its base type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeShape {
    /// Carries no OIDs.
    Plain,
    /// Carries the OID of its element type.
    Array,
    /// Carries the OIDs of its fields' types.
    Composite,
}

/// One type that both databases have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OidMapping {
    /// Its OID in the source database.
    pub source: u32,
    /// Its OID in the target database.
    pub target: u32,
    /// Whether values of it contain OIDs in turn.
    pub shape: TypeShape,
}

/// The types whose OIDs differ between two databases, or that contain such types.
///
/// An OID that is not in the map stays as it is, and the value under it is not looked into:
/// built-in types need no mapping. A type of the user's own that was forgotten is refused by the
/// server, which checks these OIDs.
#[derive(Clone, Debug, Default)]
pub struct OidMap {
    /// Sorted by source OID.
    mappings: Vec<OidMapping>,
}

impl OidMap {
    /// A map of these types.
    ///
    /// # Errors
    ///
    /// If a source OID occurs twice.
    pub fn new(mappings: impl IntoIterator<Item = OidMapping>) -> Result<Self, Error> {
        let mut mappings: Vec<OidMapping> = mappings.into_iter().collect();
        mappings.sort_unstable_by_key(|mapping| mapping.source);
        for (a, b) in mappings.iter().zip(mappings.iter().skip(1)) {
            if a.source == b.source {
                return Err(Kind::OidTwice(a.source).into());
            }
        }
        Ok(OidMap { mappings })
    }

    /// The type with this OID in the source database.
    pub fn get(&self, source: u32) -> Option<OidMapping> {
        let index = self
            .mappings
            .binary_search_by_key(&source, |mapping| mapping.source)
            .ok()?;
        self.mappings.get(index).copied()
    }

    /// Whether nothing is to be renumbered.
    pub fn is_empty(&self) -> bool {
        self.mappings.is_empty()
    }
}

/// Renumbers the OIDs in the binary value of an array, and in its elements where they contain some.
///
/// # Errors
///
/// If the value is not an array's, or nested deeper than [`NESTING_MAX`]; it may then be renumbered
/// in part.
pub fn rewrite_array(field: &mut [u8], map: &OidMap) -> Result<(), Error> {
    rewrite(field, TypeShape::Array, map, NESTING_MAX)
}

/// Renumbers the OIDs in the binary value of a composite, and in its fields where they contain
/// some.
///
/// # Errors
///
/// If the value is not a composite's, or nested deeper than [`NESTING_MAX`]; it may then be
/// renumbered in part.
pub fn rewrite_composite(field: &mut [u8], map: &OidMap) -> Result<(), Error> {
    rewrite(field, TypeShape::Composite, map, NESTING_MAX)
}

fn rewrite(value: &mut [u8], shape: TypeShape, map: &OidMap, depth: usize) -> Result<(), Error> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Kind::Nesting.into());
    };
    match shape {
        TypeShape::Plain => Ok(()),
        TypeShape::Array => array(value, map, depth),
        TypeShape::Composite => composite(value, map, depth),
    }
}

fn array(value: &mut [u8], map: &OidMap, depth: usize) -> Result<(), Error> {
    const WHAT: &str = "array";
    let mut rest = value;
    let dimensions = take_i32(&mut rest, WHAT)?;
    take(&mut rest, 4, WHAT)?;
    let shape = renumber(&mut rest, map, WHAT)?;
    if shape == TypeShape::Plain {
        return Ok(());
    }
    for _ in 0..dimensions {
        take(&mut rest, 8, WHAT)?;
    }
    while !rest.is_empty() {
        if let Some(element) = take_value(&mut rest, WHAT)? {
            rewrite(element, shape, map, depth)?;
        }
    }
    Ok(())
}

fn composite(value: &mut [u8], map: &OidMap, depth: usize) -> Result<(), Error> {
    const WHAT: &str = "composite";
    let mut rest = value;
    for _ in 0..take_i32(&mut rest, WHAT)? {
        let shape = renumber(&mut rest, map, WHAT)?;
        if let Some(field) = take_value(&mut rest, WHAT)? {
            rewrite(field, shape, map, depth)?;
        }
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(Kind::Structure(WHAT).into())
    }
}

/// Renumbers the OID at the front and says what values of its type look like.
fn renumber(rest: &mut &mut [u8], map: &OidMap, what: &'static str) -> Result<TypeShape, Error> {
    let word = take(rest, 4, what)?;
    let Some(mapping) = map.get(u32::from_be_bytes(word_of(word))) else {
        return Ok(TypeShape::Plain);
    };
    word.copy_from_slice(&mapping.target.to_be_bytes());
    Ok(mapping.shape)
}

/// Takes a length word and the value after it; `None` for NULL.
fn take_value<'a>(
    rest: &mut &'a mut [u8],
    what: &'static str,
) -> Result<Option<&'a mut [u8]>, Error> {
    match take_i32(rest, what)? {
        -1 => Ok(None),
        length => {
            let length = usize::try_from(length).map_err(|_| Kind::FieldSize(length))?;
            take(rest, length, what).map(Some)
        }
    }
}

fn take_i32(rest: &mut &mut [u8], what: &'static str) -> Result<i32, Error> {
    take(rest, 4, what).map(|word| i32::from_be_bytes(word_of(word)))
}

/// Takes `count` bytes off the front.
fn take<'a>(
    rest: &mut &'a mut [u8],
    count: usize,
    what: &'static str,
) -> Result<&'a mut [u8], Error> {
    match mem::take(rest).split_at_mut_checked(count) {
        Some((taken, after)) => {
            *rest = after;
            Ok(taken)
        }
        None => Err(Kind::Structure(what).into()),
    }
}

fn word_of(bytes: &[u8]) -> [u8; 4] {
    bytes.first_chunk::<4>().copied().unwrap_or_default()
}
