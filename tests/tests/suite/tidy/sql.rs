//! Where SQL may stand. Statements of a plan are written in `plan`, queries in `catalog` and `ledger`; a crate that only
//! carries statements out writes none, but for the few that are listed.

use super::assert_none;
use super::repository::rust_files;
use super::rust_text::{take_apart, without_tests};

/// A crate, and how the statements that it may hold begin.
const ALLOWED: &[(&str, &[&str])] = &[
    // `plan --sql` prints a script, and says where its transactions begin and end.
    ("cli", &["BEGIN", "COMMIT"]),
    ("engine", &[]),
    ("pgcopy", &[]),
    // Transactions around a slice or a step, and what has to be named at the moment that it is done.
    (
        "migrate",
        &[
            "BEGIN",
            "COMMIT",
            "ROLLBACK",
            "SAVEPOINT",
            "LOCK TABLE {} IN ACCESS SHARE MODE",
            "LOCK TABLE ONLY {} IN SHARE UPDATE EXCLUSIVE MODE",
            "LOCK TABLE ONLY {chunk} IN EXCLUSIVE MODE",
            "TRUNCATE ONLY {",
            "SELECT setval(",
            "SELECT 1",
        ],
    ),
];

/// How statements begin; in capitals, as all SQL here is.
const STATEMENTS: &[&str] = &[
    "ALTER TABLE",
    "ALTER INDEX",
    "ALTER SEQUENCE",
    "ANALYZE",
    "BEGIN",
    "CALL ",
    "COMMENT ON",
    "COMMIT",
    "COPY (",
    "COPY {",
    "CREATE ",
    "DELETE FROM",
    "DO $",
    "DROP ",
    "GRANT ",
    "INSERT INTO",
    "LOCK TABLE",
    "REVOKE ",
    "ROLLBACK",
    "SAVEPOINT",
    "SELECT ",
    "SET LOCAL",
    "SET SESSION",
    "TRUNCATE ",
    "UPDATE ",
    "VACUUM",
    "WITH ",
];

fn complaints(path: &str, source: &str, allowed: &[&str]) -> Vec<String> {
    let literals = take_apart(without_tests(source)).strings;
    let begins = |text: &str, with: &[&str]| with.iter().any(|begin| text.starts_with(begin));
    let mut complaints = Vec::new();
    for literal in &literals {
        // Several statements may share a literal; prose after a semicolon begins with no keyword.
        let parts = literal.text.split(';').map(str::trim_start);
        let surplus = parts.filter(|part| begins(part, STATEMENTS) && !begins(part, allowed));
        complaints.extend(
            surplus
                .map(|part| format!("{path}:{}: SQL does not belong here: {part}", literal.line)),
        );
    }
    complaints
}

#[test]
fn sql_stands_only_where_it_belongs() {
    let files = rust_files();
    let mut all = Vec::new();
    for (name, allowed) in ALLOWED {
        let sources = files
            .iter()
            .filter(|file| file.is_source_of(name) && !file.is_test());
        all.extend(sources.flat_map(|file| complaints(&file.path, &file.text, allowed)));
    }
    assert_none(all);
}

#[test]
fn statements_are_seen_and_prose_is_not() {
    let source = "// SELECT in a comment\nlet a = format!(\"SELECT {b} FROM c\");\nlet d = \"the SELECT failed\";\nlet e = r#\"ALTER TABLE f\"#;";
    assert_eq!(complaints("a.rs", source, &[]).len(), 2);
    assert_eq!(complaints("a.rs", source, &["SELECT {b}"]).len(), 1);
    let hidden = "let a = \"BEGIN; DROP TABLE b\";";
    assert_eq!(complaints("a.rs", hidden, &["BEGIN"]).len(), 1);
    assert_eq!(
        complaints(
            "a.rs",
            "#[cfg(test)]\nmod tests {\nlet a = \"SELECT 1\";\n}",
            &[]
        )
        .len(),
        0
    );
}
