//! Identifiers and literals as SQL text: always quoted, so that any name and any value is safe.

use serde::{Deserialize, Serialize};
use std::fmt;

/// PostgreSQL's limit on an identifier, in bytes (`NAMEDATALEN` - 1).
const IDENTIFIER_BYTES_MAX: usize = 63;

/// A relation's schema-qualified name, as the catalog holds it (unquoted).
///
/// Displays as `"schema"."name"`, quoted, ready for SQL. For people, use [`Relation::plain`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Relation {
    /// Schema name, unquoted.
    pub schema: String,
    /// Relation name, unquoted.
    pub name: String,
}

impl Relation {
    /// A relation called `name` in `schema`.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Relation {
        Relation {
            schema: schema.into(),
            name: name.into(),
        }
    }

    /// Reads `schema.name` or `name` (schema `public`) with SQL's quoting rules: unquoted parts are
    /// folded to lower case, `"..."` keeps its letters and may hold dots and doubled quotes.
    /// `None` if the text is not one or two identifiers.
    pub fn parse(text: &str) -> Option<Relation> {
        let mut parts = split_identifiers(text)?;
        let name = parts.pop()?;
        let schema = match parts.pop() {
            Some(schema) => schema,
            None => "public".to_owned(),
        };
        parts.is_empty().then_some(Relation { schema, name })
    }

    /// The name as people write it: quoted only where SQL needs the quotes.
    pub fn plain(&self) -> String {
        format!("{}.{}", plain_ident(&self.schema), plain_ident(&self.name))
    }

    /// The relation of the same name in another schema.
    pub fn in_schema(&self, schema: &str) -> Relation {
        Relation {
            schema: schema.to_owned(),
            name: self.name.clone(),
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}",
            quote_ident(&self.schema),
            quote_ident(&self.name)
        )
    }
}

/// Quotes an identifier for SQL, always, even where it would not be needed.
pub fn quote_ident(ident: &str) -> String {
    format!("\"{}\"", ident.replace('"', "\"\""))
}

/// Quotes a string literal for SQL, whatever `standard_conforming_strings` says.
///
/// Utility statements (`COMMENT ON ... IS`) take no parameters, so their values are literals.
pub fn quote_literal(value: &str) -> String {
    let doubled = value.replace('\'', "''");
    if doubled.contains('\\') {
        format!(" E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// `prefix` + `name`, cut at a character boundary to what PostgreSQL accepts as an identifier.
///
/// A name that has to be cut ends in a hash of the whole, so that two long names stay apart.
pub(crate) fn derived_name(prefix: &str, name: &str) -> String {
    let whole = format!("{prefix}{name}");
    if whole.len() <= IDENTIFIER_BYTES_MAX {
        return whole;
    }
    let suffix = format!("_{:08x}", fnv1a(whole.as_bytes()));
    let mut end = IDENTIFIER_BYTES_MAX - suffix.len();
    while !whole.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", &whole[..end])
}

fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

fn plain_ident(ident: &str) -> String {
    let simple = ident.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && ident
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if simple {
        ident.to_owned()
    } else {
        quote_ident(ident)
    }
}

fn split_identifiers(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, after) = if rest.starts_with('"') {
            quoted_part(rest)?
        } else {
            bare_part(rest)?
        };
        parts.push(part);
        match after.strip_prefix('.') {
            Some(more) => rest = more,
            None => return after.is_empty().then_some(parts),
        }
    }
}

fn quoted_part(text: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = text.strip_prefix('"')?;
    loop {
        let end = rest.find('"')?;
        part.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                part.push('"');
                rest = more;
            }
            None => return (!part.is_empty()).then_some((part, rest)),
        }
    }
}

fn bare_part(text: &str) -> Option<(String, &str)> {
    let end = text.find('.').unwrap_or(text.len());
    let part = &text[..end];
    let valid = !part.is_empty()
        && part
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == '$');
    valid.then(|| (part.to_lowercase(), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_with_sql_quoting() {
        for (text, expected) in [
            ("fixes", Some(("public", "fixes"))),
            ("Soar.Fixes", Some(("soar", "fixes"))),
            (
                "\"Soar\".\"Fixes of \"\"Ä\"\".x\"",
                Some(("Soar", "Fixes of \"Ä\".x")),
            ),
            ("a.b.c", None),
            ("", None),
            ("\"open", None),
            ("a b", None),
        ] {
            let expected = expected.map(|(schema, name)| Relation::new(schema, name));
            assert_eq!(Relation::parse(text), expected, "{text}");
            if let Some(relation) = expected {
                assert_eq!(
                    Relation::parse(&relation.to_string()),
                    Some(relation.clone())
                );
                assert_eq!(Relation::parse(&relation.plain()), Some(relation));
            }
        }
    }

    #[test]
    fn literals_are_safe_with_quotes_and_backslashes() {
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal(r"a\'b"), r" E'a\\''b'");
    }

    #[test]
    fn long_derived_names_stay_apart_and_within_the_limit() {
        let long = "ä".repeat(31);
        let (a, b) = (
            derived_name("hyperhaul_new_", &long),
            derived_name("hyperhaul_old_", &long),
        );
        assert!(a.len() <= 63 && b.len() <= 63 && a != b);
        assert_eq!(
            derived_name("hyperhaul_new_", "public"),
            "hyperhaul_new_public"
        );
    }
}
