//! What every file owes: module docs, a length that one can read, nothing unfinished, nothing of one machine.

use super::assert_none;
use super::repository::{rust_files, text_files};
use super::rust_text::take_apart;

const LINES_MAX: usize = 400;
const TEST_LINES_MAX: usize = 600;

/// Files that are longer, with the length that they have. It may only shrink: lower the number with the file, and add no line.
const LONGER: &[(&str, usize)] = &[];

/// Folders of one machine. Examples of tests live under `EXAMPLE_HOME`.
const MACHINE_FOLDERS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
];
const EXAMPLE_HOME: &str = concat!("/ho", "me/me");

const UNFINISHED_WORDS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];
const UNFINISHED_MACROS: &[&str] = &["todo!", "unimplemented!"];

/// Module docs are there if the file opens with `//!` and says a sentence: a few words with a stop.
fn docs_complaint(path: &str, source: &str) -> Option<String> {
    let docs: Vec<&str> = source
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .collect();
    let text = docs.join(" ");
    let is_sentence = text.split_whitespace().count() >= 3 && text.contains(['.', ':', '?']);
    (!is_sentence).then(|| format!("{path}: opens with no //! sentence that says what lives here"))
}

fn length_complaint(
    path: &str,
    is_test: bool,
    lines: usize,
    longer: &[(&str, usize)],
) -> Option<String> {
    let max = if is_test { TEST_LINES_MAX } else { LINES_MAX };
    match longer.iter().find(|(listed, _)| *listed == path) {
        None => (lines > max)
            .then(|| format!("{path}: {lines} lines, more than {max}; divide it by subject")),
        Some(_) if lines <= max => Some(format!(
            "{path}: {lines} lines; take it off the list of longer files"
        )),
        Some((_, listed)) if lines > *listed => Some(format!(
            "{path}: {lines} lines, grown from {listed}; divide it by subject"
        )),
        Some((_, listed)) if lines < *listed => Some(format!(
            "{path}: {lines} lines; lower its number in the list of longer files from {listed}"
        )),
        Some(_) => None,
    }
}

fn unfinished_complaints(path: &str, text: &str) -> Vec<String> {
    let words = UNFINISHED_WORDS.iter().filter(|word| has_word(text, word));
    words
        .map(|word| format!("{path}: {word}: finish it, or write an issue"))
        .collect()
}

fn has_word(text: &str, word: &str) -> bool {
    let is_part = |char: char| char.is_alphanumeric() || char == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part)
    })
}

fn unfinished_code_complaints(path: &str, source: &str) -> Vec<String> {
    let code = take_apart(source).code;
    let mut complaints: Vec<String> = UNFINISHED_MACROS
        .iter()
        .filter(|name| code.contains(*name))
        .map(|name| format!("{path}: {name}"))
        .collect();
    let ignored = code
        .match_indices("#[ignore")
        .filter(|(at, _)| !code[*at..].starts_with("#[ignore = \"\"]"));
    complaints.extend(ignored.map(|_| format!("{path}: #[ignore] without a reason")));
    complaints
}

fn machine_complaint(path: &str, text: &str) -> Option<String> {
    let text = text.replace(EXAMPLE_HOME, "");
    let folder = MACHINE_FOLDERS
        .iter()
        .find(|folder| text.contains(**folder))?;
    Some(format!("{path}: {folder} is a folder of one machine"))
}

#[test]
fn every_rust_file_says_what_lives_in_it() {
    assert_none(
        rust_files()
            .iter()
            .filter_map(|file| docs_complaint(&file.path, &file.text))
            .collect(),
    );
}

#[test]
fn no_file_is_too_long_to_read() {
    let files = rust_files();
    let too_long = files.iter().filter_map(|file| {
        length_complaint(
            &file.path,
            file.is_test(),
            file.text.lines().count(),
            LONGER,
        )
    });
    let gone = LONGER
        .iter()
        .filter(|(listed, _)| !files.iter().any(|file| file.path == *listed));
    assert_none(
        too_long
            .chain(gone.map(|(listed, _)| {
                format!("{listed}: is gone; take it off the list of longer files")
            }))
            .collect(),
    );
}

#[test]
fn nothing_is_unfinished() {
    let files = text_files();
    let words = files
        .iter()
        .flat_map(|file| unfinished_complaints(&file.path, &file.text));
    let code = files
        .iter()
        .filter(|file| file.is_rust())
        .flat_map(|file| unfinished_code_complaints(&file.path, &file.text));
    assert_none(words.chain(code).collect());
}

#[test]
fn nothing_names_a_folder_of_one_machine() {
    assert_none(
        text_files()
            .iter()
            .filter_map(|file| machine_complaint(&file.path, &file.text))
            .collect(),
    );
}

#[test]
fn missing_docs_are_seen() {
    for bad in [
        "",
        "use std::fmt;\n",
        "//! catalog\n",
        "// A comment of some words.\n",
        "/// Docs of an item, not of the file.\n",
    ] {
        assert!(docs_complaint("a.rs", bad).is_some(), "{bad}");
    }
    assert!(docs_complaint("a.rs", "//! What lives here.\n").is_none());
}

#[test]
fn long_files_are_seen_and_lists_kept_short() {
    let listed = &[("long.rs", 500)];
    let cases = [
        ("a.rs", false, 400, false),
        ("a.rs", false, 401, true),
        ("a.rs", true, 600, false),
        ("a.rs", true, 601, true),
        ("long.rs", false, 500, false),
        ("long.rs", false, 501, true),
        ("long.rs", false, 499, true),
        ("long.rs", false, 400, true),
    ];
    for (path, is_test, lines, complains) in cases {
        assert_eq!(
            length_complaint(path, is_test, lines, listed).is_some(),
            complains,
            "{path} {is_test} {lines}"
        );
    }
}

#[test]
fn unfinished_things_are_seen() {
    let word = format!("// {}: later", UNFINISHED_WORDS[0]);
    assert_eq!(unfinished_complaints("a.rs", &word).len(), 1);
    assert_eq!(unfinished_complaints("a.rs", "mktemp db.XXXXXX").len(), 0);
    assert_eq!(
        unfinished_code_complaints("a.rs", "fn f() { todo!() }").len(),
        1
    );
    assert_eq!(unfinished_code_complaints("a.rs", "// todo!()").len(), 0);
    assert_eq!(
        unfinished_code_complaints("a.rs", "#[test]\n#[ignore]\nfn f() {}").len(),
        1
    );
    assert_eq!(
        unfinished_code_complaints("a.rs", "#[test]\n#[ignore = \"needs an hour\"]\nfn f() {}")
            .len(),
        0
    );
}

#[test]
fn folders_of_one_machine_are_seen() {
    for folder in MACHINE_FOLDERS {
        assert!(machine_complaint("a.sh", &format!("cd {folder}x")).is_some());
    }
    assert!(machine_complaint("a.rs", &format!("{EXAMPLE_HOME}/.pgpass")).is_none());
    assert!(machine_complaint("a.sh", "mkdir work/ && cd /tmp").is_none());
}
