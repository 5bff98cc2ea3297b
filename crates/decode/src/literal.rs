//! Texts of types that have no numbers in them, as PostgreSQL's input functions read them: boolean, uuid, bytea, text arrays.

use crate::json;
use crate::refusal::Reason;
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// `boolean`, as `boolin` has it: beginnings of the words too, where they are not ambiguous.
///
/// # Errors
///
/// If it is none.
pub(crate) fn boolean(text: &str) -> Result<bool, Reason> {
    let text = text.trim_ascii();
    let begins = |word: &str, shortest: usize| {
        let is_as_long = (shortest..=word.len()).contains(&text.len());
        is_as_long
            && word
                .get(..text.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(text))
    };
    if text == "1" || begins("true", 1) || begins("yes", 1) || begins("on", 2) {
        return Ok(true);
    }
    if text == "0" || begins("false", 1) || begins("no", 1) || begins("off", 2) {
        return Ok(false);
    }
    Err(Reason::WrongType)
}

/// `uuid`, as `uuid_in` has it: 32 hexadecimal digits, a hyphen after any four of them, braces around it.
///
/// # Errors
///
/// If it is none.
pub(crate) fn uuid(text: &str) -> Result<[u8; 16], Reason> {
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').ok_or(Reason::WrongType)?,
        None => text,
    };
    let mut rest = inner.as_bytes();
    let mut value = [0; 16];
    let last = value.len() - 1;
    for (index, byte) in value.iter_mut().enumerate() {
        let [high, low, after @ ..] = rest else {
            return Err(Reason::WrongType);
        };
        *byte = hex_byte(*high, *low)?;
        rest = match after {
            [b'-', after @ ..] if index % 2 == 1 && index < last => after,
            _ => after,
        };
    }
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(Reason::WrongType)
    }
}

/// `bytea`: `\x` and hexadecimal digits, or the escape format.
///
/// # Errors
///
/// If it is neither.
pub(crate) fn bytea(text: &str) -> Result<Vec<u8>, Reason> {
    match text.strip_prefix("\\x") {
        Some(digits) => hexadecimal(digits),
        None => escaped(text),
    }
}

/// Pairs of digits, with blanks between them.
fn hexadecimal(digits: &str) -> Result<Vec<u8>, Reason> {
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    let mut rest = digits.as_bytes();
    loop {
        rest = match rest {
            [] => return Ok(bytes),
            [b' ' | b'\n' | b'\t' | b'\r', after @ ..] => after,
            [high, low, after @ ..] => {
                bytes.push(hex_byte(*high, *low)?);
                after
            }
            [_] => return Err(Reason::WrongType),
        };
    }
}

/// Characters as they are, `\\`, and `\ooo` in octal.
fn escaped(text: &str) -> Result<Vec<u8>, Reason> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Ok(bytes),
            [b'\\', b'\\', after @ ..] => {
                bytes.push(b'\\');
                after
            }
            [
                b'\\',
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                after @ ..,
            ] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                after
            }
            [b'\\', ..] => return Err(Reason::WrongType),
            [byte, after @ ..] => {
                bytes.push(*byte);
                after
            }
        };
    }
}

fn hex_byte(high: u8, low: u8) -> Result<u8, Reason> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        b'A'..=b'F' => Ok(byte - b'A' + 10),
        _ => Err(Reason::WrongType),
    };
    Ok(digit(high)? << 4 | digit(low)?)
}

/// The elements of a `text[]`, from a JSON array of strings, numbers or booleans.
///
/// # Errors
///
/// If it is no such array, or has a null.
pub(crate) fn text_array(text: &str) -> Result<Vec<Cow<'_, str>>, Reason> {
    struct Elements;

    impl<'de> Visitor<'de> for Elements {
        type Value = Vec<&'de str>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut elements = Vec::new();
            while let Some(element) = access.next_element::<&RawValue>()? {
                elements.push(element.get());
            }
            Ok(elements)
        }
    }

    impl<'de> DeserializeSeed<'de> for Elements {
        type Value = Vec<&'de str>;

        fn deserialize<D: serde::Deserializer<'de>>(
            self,
            deserializer: D,
        ) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_seq(self)
        }
    }

    let mut deserializer = serde_json::Deserializer::from_str(text);
    let elements = Elements
        .deserialize(&mut deserializer)
        .and_then(|elements| deserializer.end().map(|()| elements))
        .map_err(|_| Reason::WrongType)?;
    elements.into_iter().map(element).collect()
}

fn element(text: &str) -> Result<Cow<'_, str>, Reason> {
    match text.as_bytes().first() {
        Some(b'"') => json::unescape(text),
        Some(b'{' | b'[' | b'n') | None => Err(Reason::WrongType),
        Some(_) => Ok(Cow::Borrowed(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::{boolean, bytea, text_array, uuid};
    use crate::refusal::Reason;

    #[test]
    fn booleans_are_those_of_postgresql() {
        for text in ["t", "TRUE", "tr", "y", "yes", "on", "1", " true "] {
            assert_eq!(boolean(text), Ok(true), "{text}");
        }
        for text in ["f", "False", "n", "no", "of", "off", "0"] {
            assert_eq!(boolean(text), Ok(false), "{text}");
        }
        for text in ["", "o", "2", "truee", "yess", "ja", "1.0", "ä"] {
            assert_eq!(boolean(text), Err(Reason::WrongType), "{text}");
        }
    }

    #[test]
    fn uuids_are_those_of_postgresql() {
        let bytes: [u8; 16] = [
            0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38,
            0x0a, 0x11,
        ];
        for text in [
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        ] {
            assert_eq!(uuid(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-",
            "a0-eebc999c0b4ef8bb6d6bb9bd380a11",
            "{a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "g0eebc999c0b4ef8bb6d6bb9bd380a11",
        ] {
            assert_eq!(uuid(text), Err(Reason::WrongType), "{text}");
        }
    }

    #[test]
    fn bytes_are_written_in_two_ways() {
        for (text, bytes) in [
            ("\\xDEADbeef", Ok(vec![0xde, 0xad, 0xbe, 0xef])),
            ("\\x de ad", Ok(vec![0xde, 0xad])),
            ("\\x", Ok(vec![])),
            ("abc", Ok(b"abc".to_vec())),
            ("a\\\\b\\001\\377", Ok(vec![b'a', b'\\', b'b', 1, 255])),
            ("\\xabc", Err(Reason::WrongType)),
            ("\\xzz", Err(Reason::WrongType)),
            ("a\\", Err(Reason::WrongType)),
            ("a\\777", Err(Reason::WrongType)),
        ] {
            assert_eq!(bytea(text), bytes, "{text}");
        }
    }

    #[test]
    fn arrays_are_those_of_json() {
        let elements = text_array(r#" ["a\nb", 1.50, true] "#);
        assert_eq!(
            elements,
            Ok(vec!["a\nb".into(), "1.50".into(), "true".into()])
        );
        assert_eq!(text_array("[]"), Ok(vec![]));
        for text in [
            "", "[1,]", "{}", "[null]", "[[1]]", "[{}]", "[1] 2", "\"a\"",
        ] {
            assert_eq!(text_array(text), Err(Reason::WrongType), "{text}");
        }
        assert_eq!(text_array(r#"["\u0000"]"#), Err(Reason::NulByte));
    }
}
