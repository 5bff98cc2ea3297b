//! `plan`, `pgcopy` and `decode` do no IO and read no clock: they can be tested without a socket, a file or a server.

use super::assert_none;
use super::repository::rust_files;
use super::rust_text::{take_apart, without_tests};

const PURE_CRATES: &[&str] = &["plan", "pgcopy", "decode"];

/// Modules of the standard library that reach outside.
const OUTSIDE: &[&str] = &["env", "fs", "net", "os", "process"];

const CLOCKS: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "Utc::now",
    "Local::now",
    "stdin(",
    "stdout(",
    "stderr(",
    "println!",
];

fn complaints(path: &str, source: &str) -> Vec<String> {
    let code = take_apart(without_tests(source)).code;
    let modules = OUTSIDE
        .iter()
        .filter(|module| names_std_module(&code, module))
        .map(|module| format!("std::{module}"));
    let clocks = CLOCKS
        .iter()
        .filter(|clock| code.contains(*clock))
        .map(ToString::to_string);
    modules
        .chain(clocks)
        .map(|found| format!("{path}: {found} in a pure crate; take the fact as an argument"))
        .collect()
}

/// `std::fs`, or `fs` among the names of `use std::{...}`.
fn names_std_module(code: &str, module: &str) -> bool {
    let is_word = |text: &str| {
        text.strip_prefix(module).is_some_and(|rest| {
            !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')
        })
    };
    code.split("std::")
        .skip(1)
        .any(|after| match after.strip_prefix('{') {
            Some(group) => group
                .split('}')
                .next()
                .unwrap_or_default()
                .split(',')
                .any(|name| is_word(name.trim())),
            None => is_word(after),
        })
}

#[test]
fn pure_crates_do_no_io_and_read_no_clock() {
    let files = rust_files();
    let pure = files
        .iter()
        .filter(|file| PURE_CRATES.iter().any(|name| file.is_source_of(name)) && !file.is_test());
    assert_none(
        pure.flat_map(|file| complaints(&file.path, &file.text))
            .collect(),
    );
}

#[test]
fn io_and_clocks_are_seen() {
    for bad in [
        "use std::net::TcpStream;",
        "use std::{fmt, fs};",
        "fn f() { std::process::exit(1) }",
        "let now = Utc::now();",
        "println!(\"\");",
    ] {
        assert_eq!(complaints("a.rs", bad).len(), 1, "{bad}");
    }
    for good in [
        "use std::fmt;",
        "// std::fs",
        "let a = \"std::fs\";",
        "#[cfg(test)]\nmod tests {\nuse std::fs;\n}",
    ] {
        assert_eq!(complaints("a.rs", good).len(), 0, "{good}");
    }
}
