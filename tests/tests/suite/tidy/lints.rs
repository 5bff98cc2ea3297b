//! No crate opts out of the workspace's lints; clippy does the rest.

use super::assert_none;
use super::repository::{rust_files, text_files};
use super::rust_text::{take_apart, without_tests};

/// Lints that hold a sentence of the design: outside of tests they are never allowed, only expected with a reason.
const HELD: &[&str] = &[
    "unwrap_used",
    "expect_used",
    "missing_docs",
    "unsafe_code",
    "clippy::todo",
    "clippy::all",
    "warnings",
];

fn manifest_complaint(path: &str, text: &str) -> Option<String> {
    let is_package = text.contains("[package]");
    (is_package && !text.contains("[lints]\nworkspace = true\n"))
        .then(|| format!("{path}: needs [lints] workspace = true"))
}

fn source_complaints(path: &str, source: &str) -> Vec<String> {
    let code = take_apart(without_tests(source)).code;
    let attributes = code
        .split("allow(")
        .skip(1)
        .map(|after| after.split(')').next().unwrap_or_default());
    let held = attributes.filter(|lints| HELD.iter().any(|held| lints.contains(held)));
    held.map(|lints| {
        format!(
            "{path}: allow({}) outside of tests; use #[expect(..., reason = \"...\")]",
            lints.trim()
        )
    })
    .collect()
}

#[test]
fn every_package_takes_the_workspace_s_lints() {
    let files = text_files();
    let manifests: Vec<_> = files
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml"))
        .collect();
    assert!(
        manifests.len() > 10,
        "only {} manifests were found",
        manifests.len()
    );
    assert_none(
        manifests
            .iter()
            .filter_map(|file| manifest_complaint(&file.path, &file.text))
            .collect(),
    );
}

#[test]
fn sources_allow_nothing_that_the_workspace_forbids() {
    let files = rust_files();
    let sources = files.iter().filter(|file| !file.is_test());
    assert_none(
        sources
            .flat_map(|file| source_complaints(&file.path, &file.text))
            .collect(),
    );
}

#[test]
fn ways_around_the_lints_are_seen() {
    assert!(manifest_complaint("Cargo.toml", "[package]\nname = \"a\"\n").is_some());
    assert!(
        manifest_complaint(
            "Cargo.toml",
            "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"
        )
        .is_none()
    );
    assert_eq!(
        source_complaints("a.rs", "#![allow(\n    clippy::unwrap_used,\n)]").len(),
        1
    );
    assert_eq!(
        source_complaints("a.rs", "#[allow(clippy::too_many_lines)]").len(),
        0
    );
    assert_eq!(
        source_complaints(
            "a.rs",
            "#[cfg(test)]\nmod tests {\n#![allow(clippy::unwrap_used)]\n}"
        )
        .len(),
        0
    );
}
