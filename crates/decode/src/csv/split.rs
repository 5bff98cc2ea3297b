//! A CSV record's fields. Quotes count only where they begin a field; what follows the closing one is the delimiter or the end.

use crate::refusal::Reason;
use std::borrow::Cow;

/// A field as it stands in the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Field<'a> {
    /// With its quotes.
    pub(super) text: &'a str,
    is_quoted: bool,
    has_doubled_quotes: bool,
}

impl<'a> Field<'a> {
    /// Its value; `None` if it stands for NULL.
    pub(super) fn value(self, null: &str) -> Option<Cow<'a, str>> {
        if !self.is_quoted {
            return (self.text != null).then_some(Cow::Borrowed(self.text));
        }
        let inner = self.text.get(1..self.text.len().saturating_sub(1));
        let inner = inner.unwrap_or_default();
        Some(if self.has_doubled_quotes {
            Cow::Owned(inner.replace("\"\"", "\""))
        } else {
            Cow::Borrowed(inner)
        })
    }
}

/// Cuts a record, without the end of its line, into fields. There is one at least.
///
/// # Errors
///
/// If its quotes do not match.
pub(super) fn fields<'a>(
    record: &'a str,
    delimiter: u8,
    mut each: impl FnMut(Field<'a>),
) -> Result<(), Reason> {
    let mut rest = record;
    loop {
        let bytes = rest.as_bytes();
        let is_quoted = bytes.first() == Some(&b'"');
        let (end, has_doubled_quotes) = if is_quoted {
            quoted_end(bytes).ok_or(Reason::BadCsv)?
        } else {
            (
                memchr::memchr(delimiter, bytes).unwrap_or(bytes.len()),
                false,
            )
        };
        let (text, after) = rest.split_at_checked(end).ok_or(Reason::BadCsv)?;
        each(Field {
            text,
            is_quoted,
            has_doubled_quotes,
        });
        match after.as_bytes().first() {
            None => return Ok(()),
            Some(byte) if *byte == delimiter => rest = after.get(1..).unwrap_or_default(),
            Some(_) => return Err(Reason::BadCsv),
        }
    }
}

/// Where a quoted field ends, behind its closing quote, and whether it has doubled quotes.
fn quoted_end(bytes: &[u8]) -> Option<(usize, bool)> {
    let mut at = 1;
    let mut has_doubled_quotes = false;
    loop {
        let quote = at + memchr::memchr(b'"', bytes.get(at..)?)?;
        if bytes.get(quote + 1) != Some(&b'"') {
            return Some((quote + 1, has_doubled_quotes));
        }
        has_doubled_quotes = true;
        at = quote + 2;
    }
}

/// The record without `\n` or `\r\n` behind it.
pub(super) fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}
