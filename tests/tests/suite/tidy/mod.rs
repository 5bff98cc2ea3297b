//! What a reviewer would nag about, held by tests: module docs, sizes, arrows between crates, where SQL may stand.
//! Needs no server.
//!
//! Each check is a function from text to complaints, so that it can be shown a bad example; `repository` feeds it
//! the files that are here. A complaint names the file and says what to do.

mod arrows;
mod files;
mod lints;
mod map;
mod purity;
mod repository;
mod rust_text;
mod sql;
mod sqlstate;

/// Fails with every complaint, one a line.
fn assert_none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
