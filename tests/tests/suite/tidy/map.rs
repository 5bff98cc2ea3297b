//! The code map of ARCHITECTURE.md against the folders: every module has its line, and no line is left behind.

use super::assert_none;
use super::repository::{root, rust_files};
use std::collections::BTreeSet;

/// Modules in the section of a crate: the code words before the colon of each of its bullets.
fn mapped(map: &str, name: &str) -> BTreeSet<String> {
    let heading = format!("### `crates/{name}`\n");
    let section = map.split_once(&heading).map_or("", |(_, after)| after);
    let section = section.split("\n#").next().unwrap_or_default();
    let bullets = section.lines().filter_map(|line| line.strip_prefix("- "));
    let heads = bullets.filter_map(|bullet| bullet.split_once(':').map(|(head, _)| head));
    heads
        .flat_map(|head| head.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

/// A file's module: the first part of its path below `src`. Roots and tests have none.
fn module(path: &str) -> Option<(&str, &str)> {
    let (name, below) = path.strip_prefix("crates/")?.split_once("/src/")?;
    let module = below.split('/').next()?.trim_end_matches(".rs");
    let has_line = !["lib", "main", "tests"].contains(&module) && !module.ends_with("_tests");
    has_line.then_some((name, module))
}

fn complaints(map: &str, paths: &[&str]) -> Vec<String> {
    let modules: BTreeSet<(&str, &str)> = paths.iter().filter_map(|path| module(path)).collect();
    let names: BTreeSet<&str> = modules.iter().map(|(name, _)| *name).collect();
    let mut complaints = Vec::new();
    for name in names {
        let mapped = mapped(map, name);
        let present: BTreeSet<String> = modules
            .iter()
            .filter(|(of, _)| *of == name)
            .map(|(_, module)| (*module).to_owned())
            .collect();
        let missing = present.difference(&mapped);
        complaints.extend(
            missing
                .map(|module| format!("ARCHITECTURE.md: crates/{name} lacks a line for {module}")),
        );
        let gone = mapped.difference(&present);
        complaints.extend(
            gone.map(|module| format!("ARCHITECTURE.md: crates/{name} has no module {module}")),
        );
    }
    complaints
}

#[test]
fn every_module_is_on_the_map() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md"))
        .expect("ARCHITECTURE.md can be read");
    let files = rust_files();
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    assert_none(complaints(&map, &paths));
}

#[test]
fn modules_without_a_line_and_lines_without_a_module_are_seen() {
    let map = "### `crates/pg`\n\n- `session`, `copy`: one `thing`.\n\n### `crates/plan`\n\n- `facts`: another.\n";
    let paths = [
        "crates/pg/src/lib.rs",
        "crates/pg/src/session.rs",
        "crates/pg/src/copy.rs",
        "crates/plan/src/facts/mod.rs",
    ];
    assert_eq!(complaints(map, &paths).len(), 0);
    assert_eq!(complaints(map, &paths[..2]).len(), 1, "copy is gone");
    assert_eq!(
        complaints(map, &[&paths[..], &["crates/plan/src/plan.rs"]].concat()).len(),
        1,
        "plan is new"
    );
}
