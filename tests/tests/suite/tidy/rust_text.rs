//! Rust source taken apart as far as the checks need: code without comments and string contents, and the string
//! literals by themselves. Not a parser: it knows where comments and literals begin and end, and nothing more.

/// A source file, taken apart.
pub(super) struct RustText {
    /// The code: comments are gone and string literals are empty, lines stay where they were.
    pub(super) code: String,
    /// The string literals, as they are written between their quotes.
    pub(super) strings: Vec<Literal>,
}

/// A string literal.
pub(super) struct Literal {
    /// Line of its opening quote, from 1.
    pub(super) line: usize,
    /// What is between the quotes, escapes and all.
    pub(super) text: String,
}

/// Takes the source apart.
pub(super) fn take_apart(source: &str) -> RustText {
    let mut parts = RustText {
        code: String::new(),
        strings: Vec::new(),
    };
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        rest = if rest.starts_with("//") {
            rest.find('\n').map_or("", |end| &rest[end..])
        } else if rest.starts_with("/*") {
            skip_block_comment(rest, &mut parts)
        } else if let Some((open, close)) = string_delimiters(rest, &parts.code) {
            take_string(rest, open, &close, &mut parts)
        } else {
            let length = char_literal_length(rest).unwrap_or(next.len_utf8());
            parts.code.push_str(if length > next.len_utf8() {
                "' '"
            } else {
                &rest[..length]
            });
            &rest[length..]
        };
    }
    parts
}

/// The code before the `#[cfg(test)]` module, which clippy's `items_after_test_module` holds at a file's end. A module
/// that is a file of its own has no brace and does not end the code.
pub(super) fn without_tests(source: &str) -> &str {
    let mut starts = source.match_indices("#[cfg(test)]\n");
    let is_module = |(at, attribute): &(usize, &str)| {
        let line = source[at + attribute.len()..]
            .lines()
            .next()
            .unwrap_or_default();
        line.contains("mod ") && line.ends_with('{')
    };
    starts
        .find(is_module)
        .map_or(source, |(start, _)| &source[..start])
}

fn skip_block_comment<'a>(rest: &'a str, parts: &mut RustText) -> &'a str {
    let end = rest.find("*/").map_or(rest.len(), |end| end + 2);
    keep_lines(&rest[..end], parts);
    &rest[end..]
}

/// Length of what opens a string here, and what closes it. `before` tells the `r` of `r"..."` from that of a name.
fn string_delimiters(rest: &str, before: &str) -> Option<(usize, String)> {
    if rest.starts_with('"') {
        return Some((1, "\"".into()));
    }
    let in_a_name = before.ends_with(|last: char| last.is_alphanumeric() || last == '_');
    let hashes = rest.strip_prefix('r').or_else(|| rest.strip_prefix("br"))?;
    let count = hashes.len() - hashes.trim_start_matches('#').len();
    if in_a_name || !hashes[count..].starts_with('"') {
        return None;
    }
    let open = rest.len() - hashes.len() + count + 1;
    Some((open, format!("\"{}", "#".repeat(count))))
}

fn take_string<'a>(rest: &'a str, open: usize, close: &str, parts: &mut RustText) -> &'a str {
    let inside = &rest[open..];
    let is_raw = open > 1;
    let length = if is_raw {
        inside.find(close)
    } else {
        closing_quote(inside)
    }
    .unwrap_or(inside.len());
    let text = &inside[..length];
    parts.strings.push(Literal {
        line: parts.code.matches('\n').count() + 1,
        text: text.to_owned(),
    });
    parts.code.push_str("\"\"");
    keep_lines(text, parts);
    inside.get(length + close.len()..).unwrap_or_default()
}

fn closing_quote(inside: &str) -> Option<usize> {
    let mut escaped = false;
    inside.char_indices().find_map(|(at, char)| {
        let closes = char == '"' && !escaped;
        escaped = char == '\\' && !escaped;
        closes.then_some(at)
    })
}

/// Length of a character literal that begins here; a lifetime is none.
fn char_literal_length(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    let mut chars = inside.char_indices();
    let (_, first) = chars.next()?;
    if first == '\\' {
        let end = inside
            .char_indices()
            .skip(2)
            .find(|(_, char)| *char == '\'')?;
        return Some(1 + end.0 + 1);
    }
    chars
        .next()
        .filter(|(_, char)| *char == '\'')
        .map(|(at, _)| 1 + at + 1)
}

fn keep_lines(text: &str, parts: &mut RustText) {
    parts.code.extend(text.chars().filter(|char| *char == '\n'));
}

#[test]
fn comments_strings_and_character_literals_are_told_from_code() {
    let source = "let a = \"x \\\" // y\"; // z\nlet b = r#\"c\"d\"#; /* e\nf */ let g = '\"'; fn h<'i>() {}\nlet j = '\\'';";
    let parts = take_apart(source);
    assert_eq!(
        parts.code,
        "let a = \"\"; \nlet b = \"\"; \n let g = ' '; fn h<'i>() {}\nlet j = ' ';"
    );
    let strings: Vec<(usize, &str)> = parts
        .strings
        .iter()
        .map(|literal| (literal.line, literal.text.as_str()))
        .collect();
    assert_eq!(strings, [(1, "x \\\" // y"), (2, "c\"d")]);
}

#[test]
fn a_literal_over_several_lines_keeps_the_lines_after_it_in_place() {
    let parts = take_apart("let a = \"one \\\n two\";\nlet b = \"three\";");
    let lines: Vec<usize> = parts.strings.iter().map(|literal| literal.line).collect();
    assert_eq!(lines, [1, 3]);
}

#[test]
fn test_modules_at_the_end_are_cut_off() {
    let source = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
    assert_eq!(without_tests(source), "fn a() {}\n");
    let source = "#[cfg(test)]\nmod files;\nfn a() {}\n#[cfg(test)]\npub(super) mod tests {\n}\n";
    assert_eq!(
        without_tests(source),
        "#[cfg(test)]\nmod files;\nfn a() {}\n"
    );
}
