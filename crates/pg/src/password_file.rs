//! `~/.pgpass`: lines of `host:port:database:user:password`, first match wins, as in libpq's
//! documentation, section "The Password File".

/// The fields that a line is matched on.
pub(crate) struct Wanted<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) database: &'a str,
    pub(crate) user: &'a str,
}

/// The password of the first line that matches.
pub(crate) fn find(text: &str, wanted: &Wanted<'_>) -> Option<String> {
    let port = wanted.port.to_string();
    let keys = [wanted.host, port.as_str(), wanted.database, wanted.user];
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let mut rest = line.trim_end_matches('\r');
            for key in keys {
                let (field, after) = take_field(rest)?;
                if !(field.is_wildcard || field.text == key) {
                    return None;
                }
                rest = after;
            }
            let password = unescape(rest);
            (!password.is_empty()).then_some(password)
        })
}

struct Field {
    text: String,
    /// A bare `*`; an escaped one is a literal asterisk.
    is_wildcard: bool,
}

/// The field before the next colon that is not escaped, and what follows that colon.
fn take_field(line: &str) -> Option<(Field, &str)> {
    let mut escaped = false;
    for (at, character) in line.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ':' => {
                let raw = &line[..at];
                let field = Field {
                    text: unescape(raw),
                    is_wildcard: raw == "*",
                };
                return Some((field, &line[at + 1..]));
            }
            _ => {}
        }
    }
    None
}

fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut characters = raw.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.extend(characters.next()),
            _ => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, host: &str, expected: Option<&str>) {
        let wanted = Wanted {
            host,
            port: 5432,
            database: "d",
            user: "u",
        };
        assert_eq!(find(text, &wanted).as_deref(), expected, "{text}");
    }

    #[test]
    fn the_first_matching_line_wins() {
        check("h:5432:d:u:one\nh:*:*:*:two", "h", Some("one"));
        check("h:5433:d:u:one\nh:*:*:*:two", "h", Some("two"));
        check(
            "# h:5432:d:u:no\n\n*:*:*:*:any\r\n",
            "elsewhere",
            Some("any"),
        );
        check("other:*:*:*:x", "h", None);
        check("h:5432:d:u", "h", None);
    }

    #[test]
    fn backslashes_escape_colons_and_backslashes() {
        check(r"\:\:1:5432:d:u:a\:b\\c", "::1", Some(r"a:b\c"));
        check(r"h:5432:d:u:a:b", "h", Some("a:b"));
        check(r"\*:5432:d:u:x", "h", None);
        check(r"\*:5432:d:u:x", "*", Some("x"));
    }
}
