//! Only `pg` looks at SQLSTATE codes: elsewhere an error is asked what it means.

use super::assert_none;
use super::repository::rust_files;
use super::rust_text::{take_apart, without_tests};

/// `testkit` has a client of its own; `decode` refuses what a server would refuse, and says so in its words.
const KNOW_CODES: &[&str] = &["pg", "testkit", "decode"];

fn is_code(text: &str) -> bool {
    text.len() == 5
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
        && text.contains(|c: char| c.is_ascii_digit())
}

fn complaints(path: &str, source: &str) -> Vec<String> {
    let literals = take_apart(without_tests(source)).strings;
    let codes = literals.iter().filter(|literal| is_code(&literal.text));
    codes
        .map(|literal| {
            format!(
                "{path}:{}: {} is a SQLSTATE code; give pg's Error a predicate",
                literal.line, literal.text
            )
        })
        .collect()
}

#[test]
fn codes_stand_in_pg_alone() {
    let files = rust_files();
    let others = files.iter().filter(|file| {
        file.path.starts_with("crates/")
            && !file.is_test()
            && !KNOW_CODES.iter().any(|name| file.is_source_of(name))
    });
    assert_none(
        others
            .flat_map(|file| complaints(&file.path, &file.text))
            .collect(),
    );
}

#[test]
fn codes_are_seen_and_words_are_not() {
    assert_eq!(complaints("a.rs", "f(Some(\"23503\"), \"2BP01\")").len(), 2);
    let words = "f(\"BEGIN\", \"12345 \", \"a1234\")\n#[cfg(test)]\nmod tests {\nconst A: &str = \"23503\";\n}";
    assert!(complaints("a.rs", words).is_empty());
}
