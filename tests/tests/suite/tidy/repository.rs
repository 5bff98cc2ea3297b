//! The files of the repository as the checks see them: everything but what git and cargo keep for themselves.

use std::fs;
use std::path::{Path, PathBuf};

/// A text file.
pub(super) struct TextFile {
    /// Path from the repository's root, with slashes.
    pub(super) path: String,
    /// What it holds.
    pub(super) text: String,
}

impl TextFile {
    /// Whether it is Rust.
    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether it holds tests and nothing else: by its folder, or by the name that such modules have here.
    pub(super) fn is_test(&self) -> bool {
        let in_folder = ["tests", "benches"]
            .iter()
            .any(|folder| self.path.split('/').any(|part| part == *folder));
        let name = self.path.rsplit('/').next().unwrap_or_default();
        in_folder || name == "tests.rs" || name == "testing.rs" || name.ends_with("_tests.rs")
    }

    /// Whether it is source of the crate in `crates/<name>`.
    pub(super) fn is_source_of(&self, name: &str) -> bool {
        self.path.starts_with(&format!("crates/{name}/src/"))
    }
}

/// The repository's root.
pub(super) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("the package lies in the repository")
        .to_owned()
}

/// Every text file.
pub(super) fn text_files() -> Vec<TextFile> {
    let root = root();
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository can be read") {
            let entry = entry.expect("an entry of a folder can be read");
            let path = entry.path();
            let kind = entry.file_type().expect("an entry has a type");
            if kind.is_dir() {
                if !is_kept_by_a_tool(&root, &path) {
                    folders.push(path);
                }
            } else if kind.is_file() {
                files.extend(read_text(&root, &path));
            }
        }
    }
    assert!(files.len() > 50, "only {} files were found", files.len());
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Every Rust file.
pub(super) fn rust_files() -> Vec<TextFile> {
    let files: Vec<TextFile> = text_files().into_iter().filter(TextFile::is_rust).collect();
    assert!(
        files.len() > 50,
        "only {} Rust files were found",
        files.len()
    );
    files
}

fn is_kept_by_a_tool(root: &Path, folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name == ".git") || folder == root.join("target")
}

fn read_text(root: &Path, path: &Path) -> Option<TextFile> {
    let bytes = fs::read(path).expect("a file of the repository can be read");
    let text = String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))?;
    let path = path
        .strip_prefix(root)
        .expect("the file lies in the repository");
    let parts: Vec<&str> = path
        .iter()
        .map(|part| part.to_str().expect("names are UTF-8"))
        .collect();
    Some(TextFile {
        path: parts.join("/"),
        text,
    })
}

#[test]
fn a_file_is_a_test_by_its_folder_or_its_name() {
    let is_test = |path: &str| {
        TextFile {
            path: path.into(),
            text: String::new(),
        }
        .is_test()
    };
    assert!(is_test("crates/pg/tests/server/main.rs"));
    assert!(is_test("crates/plan/src/findings/tests.rs"));
    assert!(is_test("crates/pg/src/settings_tests.rs"));
    assert!(!is_test("crates/plan/src/findings/time.rs"));
    assert!(!is_test("crates/testkit/src/disk.rs"));
}
