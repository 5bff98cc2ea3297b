//! The one error type of this crate. Its kinds are private: callers ask predicates.

use std::fmt;

/// Bytes that are not what the binary COPY format allows, or a value outside of what this crate
/// carries.
///
/// Messages follow PostgreSQL's own and never contain values of rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    kind: Kind,
}

/// What went wrong, with the numbers that a reader needs to place it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Kind {
    #[error("COPY signature not recognized")]
    Signature,
    #[error("unrecognized critical flags in COPY header: 0x{0:08x}")]
    CriticalFlags(u32),
    #[error("invalid COPY header: extension length {0}")]
    ExtensionLength(i32),
    #[error("unexpected end of COPY data in {0}")]
    Truncated(Place),
    #[error("received COPY data after the end marker")]
    AfterTrailer,
    #[error("row field count is {0}, allowed are 0 to {max}", max = crate::FIELD_COUNT_MAX)]
    FieldCountRange(i16),
    #[error("row field count is {found}, expected {expected}")]
    FieldCount { found: i32, expected: i16 },
    #[error("invalid field size {0}")]
    FieldSize(i32),
    #[error("tuple exceeds {max} bytes", max = crate::TUPLE_BYTES_MAX)]
    TupleSize,
    #[error("field {index} requested of a row with {count} fields")]
    NoSuchField { index: usize, count: usize },
    #[error("{type_name} field has {found} bytes, expected {expected}")]
    TimeSize {
        type_name: &'static str,
        found: usize,
        expected: usize,
    },
    #[error("{0} out of the range of microseconds since 1970 in 64 bits")]
    TimeRange(&'static str),
    #[error("range {0} is empty, out of order or overlaps its predecessor")]
    Ranges(usize),
    #[error("invalid binary {0} value")]
    Structure(&'static str),
    #[error("types nested deeper than {max} levels", max = crate::NESTING_MAX)]
    Nesting,
    #[error("type OID {0} is mapped twice")]
    OidTwice(u32),
    #[error("row digest sum is not 32 hexadecimal digits")]
    DigestHex,
    #[error("invalid input syntax for type numeric")]
    NumericSyntax,
    #[error("value overflows numeric format")]
    NumericRange,
}

/// Where the data ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Header,
    Tuple,
    Trailer,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Header => "the header",
            Place::Tuple => "a tuple",
            Place::Trailer => "place of the end marker",
        })
    }
}

impl From<Kind> for Error {
    #[cold]
    fn from(kind: Kind) -> Self {
        Error { kind }
    }
}

impl Error {
    /// The data ended before the stream did: the sender stopped, or bytes were lost at the end.
    pub fn is_truncated(&self) -> bool {
        matches!(self.kind, Kind::Truncated(_))
    }

    /// The bytes break the format: they are not binary COPY, or the reader lost its place in them; or a text is no number.
    pub fn is_malformed(&self) -> bool {
        matches!(
            self.kind,
            Kind::Signature
                | Kind::CriticalFlags(_)
                | Kind::ExtensionLength(_)
                | Kind::AfterTrailer
                | Kind::FieldCountRange(_)
                | Kind::FieldCount { .. }
                | Kind::FieldSize(_)
                | Kind::TimeSize { .. }
                | Kind::Structure(_)
                | Kind::DigestHex
                | Kind::NumericSyntax
        )
    }

    /// The bytes keep to the format and exceed a limit: a tuple's size, the depth of nested types, a
    /// time that microseconds since 1970 cannot tell in 64 bits, or the digits of a `numeric`.
    pub fn is_limit(&self) -> bool {
        matches!(
            self.kind,
            Kind::TupleSize | Kind::Nesting | Kind::TimeRange(_) | Kind::NumericRange
        )
    }

    /// The caller asked for what cannot be: a field that the row does not have, ranges or an OID
    /// map that contradict themselves.
    pub fn is_misuse(&self) -> bool {
        matches!(
            self.kind,
            Kind::NoSuchField { .. } | Kind::Ranges(_) | Kind::OidTwice(_)
        )
    }
}
