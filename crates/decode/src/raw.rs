//! A value as it stands in a record, before anybody asks for a type: JSON text, other text, or a time that the source knows.

use crate::json;
use crate::refusal::Reason;
use std::borrow::Cow;

/// A value that lies in the record, or beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Raw<'a> {
    /// The JSON text of a member's value, without blanks around it.
    Json(&'a str),
    /// A field of a CSV record, or what the source knows.
    Text(&'a str),
    /// Microseconds since 1970-01-01 UTC.
    Time(i64),
}

/// A value that a format has taken out of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Taken<'a> {
    /// As [`Raw::Json`].
    Json(&'a str),
    /// As [`Raw::Text`]; owned where it stood there with quotes that do not belong to it.
    Text(Cow<'a, str>),
}

impl Taken<'_> {
    pub(crate) fn raw(&self) -> Raw<'_> {
        match self {
            Taken::Json(text) => Raw::Json(text),
            Taken::Text(text) => Raw::Text(text),
        }
    }
}

/// A value, as what it is.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Scalar<'a> {
    Null,
    Bool(bool),
    /// A number as JSON writes them.
    Number(&'a str),
    /// Any text; numbers and booleans may be in it.
    Text(Cow<'a, str>),
    /// The JSON text of an object or an array.
    Json(&'a str),
    /// Microseconds since 1970-01-01 UTC.
    Time(i64),
}

impl<'a> Raw<'a> {
    /// Whether it is JSON's `null`.
    pub(crate) fn is_null(self) -> bool {
        matches!(self, Raw::Json("null"))
    }

    /// # Errors
    ///
    /// If a text in it cannot be stored by PostgreSQL.
    pub(crate) fn scalar(self) -> Result<Scalar<'a>, Reason> {
        Ok(match self {
            Raw::Time(us) => Scalar::Time(us),
            Raw::Text(text) => {
                if memchr::memchr(0, text.as_bytes()).is_some() {
                    return Err(Reason::NulByte);
                }
                Scalar::Text(Cow::Borrowed(text))
            }
            Raw::Json(text) => match text.as_bytes().first() {
                Some(b'n') => Scalar::Null,
                Some(b't') => Scalar::Bool(true),
                Some(b'f') => Scalar::Bool(false),
                Some(b'"') => Scalar::Text(json::unescape(text)?),
                Some(b'{' | b'[') => Scalar::Json(text),
                _ => Scalar::Number(text),
            },
        })
    }

    /// As text, where only text makes sense: keys of a lookup. `None`: there is no value.
    ///
    /// # Errors
    ///
    /// If it is an object, an array, or a text that PostgreSQL cannot store.
    pub(crate) fn text(self) -> Result<Option<Cow<'a, str>>, Reason> {
        Ok(match self.scalar()? {
            Scalar::Null => None,
            Scalar::Bool(value) => Some(Cow::Borrowed(if value { "true" } else { "false" })),
            Scalar::Number(text) => Some(Cow::Borrowed(text)),
            Scalar::Text(text) => Some(text),
            Scalar::Time(us) => Some(Cow::Owned(us.to_string())),
            Scalar::Json(_) => return Err(Reason::WrongType),
        })
    }
}
