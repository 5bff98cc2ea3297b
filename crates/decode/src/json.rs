//! JSON texts: strings without their escapes, and what `jsonb` does not store. The syntax was checked by whoever cut the text
//! out, but for [`is_json`].

use crate::refusal::Reason;
use hyperhaul_pgcopy::Numeric;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// The text of a JSON string, which begins and ends with its quotes.
///
/// # Errors
///
/// If it holds U+0000 or half of a surrogate pair.
pub(crate) fn unescape(quoted: &str) -> Result<Cow<'_, str>, Reason> {
    let inner = quoted
        .get(1..quoted.len().saturating_sub(1))
        .ok_or(Reason::BadJson)?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(inner));
    }
    let text: String = serde_json::from_str(quoted).map_err(|_| Reason::BadEscape)?;
    if memchr::memchr(0, text.as_bytes()).is_some() {
        return Err(Reason::NulByte);
    }
    Ok(Cow::Owned(text))
}

/// Whether the text is one JSON value.
pub(crate) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Whether `jsonb` can store the escapes of a JSON text: it has no U+0000, and no half of a surrogate pair (`jsonb_in`; type
/// `json` keeps escapes as they are).
pub(crate) fn has_storable_escapes(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut high_ends_at = None;
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        let escape = at + found;
        if bytes.get(escape + 1) != Some(&b'u') {
            at = escape + 2;
            continue;
        }
        let Some(unit) = text
            .get(escape + 2..escape + 6)
            .and_then(|digits| u16::from_str_radix(digits, 16).ok())
        else {
            return false;
        };
        at = escape + 6;
        let follows_high = high_ends_at.take() == Some(escape);
        match unit {
            0 => return false,
            0xDC00..=0xDFFF if !follows_high => return false,
            0xD800..=0xDBFF => {
                if !is_low_surrogate(bytes.get(at..)) {
                    return false;
                }
                high_ends_at = Some(at);
            }
            _ => {}
        }
    }
    true
}

/// Whether `jsonb` can store the numbers of a JSON text: it keeps them as `numeric`.
pub(crate) fn has_storable_numbers(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let Some(byte) = rest.first() {
        let length = match byte {
            b'"' => string_length(rest),
            b'-' | b'0'..=b'9' => {
                let is_of_number =
                    |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let length = rest.iter().take_while(is_of_number).count();
                let number = rest.get(..length).unwrap_or_default();
                if is_perhaps_too_large(number) && !is_numeric(number) {
                    return false;
                }
                length
            }
            _ => 1,
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    true
}

/// Bytes of the string at the beginning, with its quotes.
fn string_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    loop {
        match bytes
            .get(at..)
            .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
        {
            None => return bytes.len(),
            Some(found) if bytes.get(at + found) == Some(&b'"') => return at + found + 1,
            Some(found) => at += found + 2,
        }
    }
}

/// Digits that no `numeric` can be too large with, if there is no exponent.
const SAFE_DIGITS: usize = 16_000;

fn is_perhaps_too_large(number: &[u8]) -> bool {
    number.len() > SAFE_DIGITS || memchr::memchr2(b'e', b'E', number).is_some()
}

fn is_numeric(number: &[u8]) -> bool {
    std::str::from_utf8(number).is_ok_and(|number| Numeric::parse(number).is_ok())
}

/// Whether the bytes begin with the escape of the second half of a pair: `\uDC00` to `\uDFFF`.
fn is_low_surrogate(bytes: Option<&[u8]>) -> bool {
    matches!(
        bytes,
        Some([b'\\', b'u', b'd' | b'D', b'c'..=b'f' | b'C'..=b'F', ..])
    )
}

#[cfg(test)]
mod tests {
    use super::{has_storable_escapes, has_storable_numbers, is_json, unescape};
    use crate::refusal::Reason;

    #[test]
    fn strings_lose_their_escapes() {
        for (quoted, text) in [
            (r#""""#, Ok("")),
            (r#""W-17""#, Ok("W-17")),
            (r#""a\"b\\c\n""#, Ok("a\"b\\c\n")),
            (r#""\u00e4\ud83d\ude80""#, Ok("ä🚀")),
            (r#""a\u0000""#, Err(Reason::NulByte)),
            (r#""\ud83d""#, Err(Reason::BadEscape)),
            (r#""\ude80""#, Err(Reason::BadEscape)),
        ] {
            let found = unescape(quoted);
            assert_eq!(found.as_deref().map_err(|reason| *reason), text, "{quoted}");
        }
    }

    #[test]
    fn escapes_that_jsonb_refuses_are_seen() {
        for (text, is_storable) in [
            (r#"{"a": "b\n"}"#, true),
            (r#""\\u0000""#, true),
            (r#""\\\u0000""#, false),
            (r#""\u0000""#, false),
            (r#""\u0001""#, true),
            (r#""\ud83d\ude80""#, true),
            (r#""\uD83D\uDE80\uD83D\uDE80""#, true),
            (r#""\ud83d""#, false),
            (r#""\ud83dx""#, false),
            (r#""\ud83d\u0041""#, false),
            (r#""\ude80""#, false),
            (r#""\ud83d\ude80\ude80""#, false),
        ] {
            assert_eq!(has_storable_escapes(text), is_storable, "{text}");
        }
    }

    #[test]
    fn numbers_that_jsonb_refuses_are_seen() {
        let long = "1".repeat(131_073);
        for (text, is_storable) in [
            ("1e400", true),
            ("[1, -2.5e3, {\"1e999999\": \"\\\"1e999999\"}]", true),
            ("1e131072", false),
            ("{\"a\": [1, 1E-20000]}", false),
            (&long[1..], true),
            (&long, false),
        ] {
            let shown = &text[..text.len().min(40)];
            assert_eq!(has_storable_numbers(text), is_storable, "{shown}");
        }
    }

    #[test]
    fn one_value_is_json_and_nothing_may_follow() {
        for (text, is) in [
            ("{}", true),
            (" [1, 2] ", true),
            ("1", true),
            ("", false),
            ("{} {}", false),
            ("{", false),
            ("'a'", false),
        ] {
            assert_eq!(is_json(text), is, "{text}");
        }
    }
}
