//! Failpoints: each is in ARCHITECTURE.md's list and used by a test, and the list names no other.

use super::assert_none;
use super::repository::{TextFile, root, rust_files};
use std::collections::BTreeSet;

/// Names in calls of `failpoint`, which may choose between some.
fn reached(source: &str) -> impl Iterator<Item = &str> {
    let calls = source.split("failpoint(").skip(1);
    let calls = calls.filter_map(|rest| rest.split(';').next());
    calls.flat_map(|call| call.split('"').skip(1).step_by(2))
}

/// Names in ARCHITECTURE.md's section: code words with a dot between small letters.
fn listed(architecture: &str) -> BTreeSet<&str> {
    let section = architecture.split_once("\n## Failpoints\n");
    let section = section.map_or("", |(_, after)| after);
    let section = section.split("\n## ").next().unwrap_or_default();
    let words = section.split('`').skip(1).step_by(2);
    let is_name = |word: &&str| {
        word.contains('.')
            && word
                .chars()
                .all(|c| c.is_ascii_lowercase() || "._".contains(c))
    };
    words.filter(is_name).collect()
}

fn complaints(architecture: &str, sources: &[&str], tests: &[&str]) -> Vec<String> {
    let there: BTreeSet<&str> = sources.iter().flat_map(|source| reached(source)).collect();
    let listed = listed(architecture);
    let mut complaints = Vec::new();
    for name in &there {
        if !tests.iter().any(|test| test.contains(name)) {
            complaints.push(format!(
                "failpoint {name} is used by no test: use it, or take it away"
            ));
        }
    }
    for name in there.symmetric_difference(&listed) {
        complaints.push(format!(
            "failpoint {name} is either in the source or in ARCHITECTURE.md: it belongs into both, or none"
        ));
    }
    complaints
}

#[test]
fn every_failpoint_is_listed_and_used() {
    let architecture = std::fs::read_to_string(root().join("ARCHITECTURE.md"))
        .expect("ARCHITECTURE.md can be read");
    let files = rust_files();
    let text = |file: &TextFile| !file.path.contains("/tidy/");
    let (tests, sources): (Vec<&TextFile>, Vec<&TextFile>) = files
        .iter()
        .filter(|file| text(file))
        .partition(|file| file.is_test());
    let sources: Vec<&str> = sources.iter().map(|file| file.text.as_str()).collect();
    let tests: Vec<&str> = tests.iter().map(|file| file.text.as_str()).collect();
    assert_none(complaints(&architecture, &sources, &tests));
}

#[test]
fn failpoints_that_nobody_lists_or_uses_are_seen() {
    let list = "\n## Failpoints\n\n`migrate::failpoint` names `a.b`, `a.c_d`.\n\n## Testing\n`x.y`";
    let sources = ["failpoint(\"a.b\"); failpoint(match c { D => \"a.c_d\" });"];
    assert_eq!(complaints(list, &sources, &["a.b", "a.c_d:2"]).len(), 0);
    assert_eq!(complaints(list, &sources, &["a.b"]).len(), 1);
    assert_eq!(complaints(list, &["failpoint(\"a.b\")"], &["a.b"]).len(), 1);
    assert_eq!(complaints("", &["failpoint(\"a.b\")"], &["a.b"]).len(), 1);
}
