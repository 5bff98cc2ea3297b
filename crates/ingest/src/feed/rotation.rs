//! Files that had a name before: a log that was rotated is renamed to its name with a number or a date, `esp.ndjson.1`,
//! `esp.ndjson-20251211`, `esp-20251211.ndjson`.

use super::file::unreadable;
use super::known_file::identity;
use crate::Error;
use crate::compression;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file that had the name before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rotated {
    pub(crate) path: PathBuf,
    /// What it is called in the ledger.
    pub(crate) identity: String,
    written_at: SystemTime,
}

/// Files beside `path` that had its name before, the oldest first. Compressed ones are left out: nothing tells what they were.
pub(crate) fn rotated(path: &Path) -> Result<Vec<Rotated>, Error> {
    let (Some(name), Some(folder)) = (
        path.file_name().and_then(|name| name.to_str()),
        path.parent(),
    ) else {
        return Ok(Vec::new());
    };
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(folder, &error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(folder, &error))?;
        let is_one = entry
            .file_name()
            .to_str()
            .is_some_and(|other| is_rotated(name, other));
        if is_one && !compression::is_packed(&entry.path()) {
            found.extend(look(entry.path())?);
        }
    }
    found.sort_by(|one, other| {
        one.written_at
            .cmp(&other.written_at)
            .then_with(|| other.path.cmp(&one.path))
    });
    Ok(found)
}

/// `None`: it is empty, no file, or gone by now.
fn look(path: PathBuf) -> Result<Option<Rotated>, Error> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(None),
        _ => Err(unreadable(&path, &error)),
    };
    let opened = File::open(&path).and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = match opened {
        Ok(opened) => opened,
        Err(error) => return failed(error),
    };
    if !metadata.is_file() {
        return Ok(None);
    }
    let written_at = match metadata.modified() {
        Ok(written_at) => written_at,
        Err(error) => return failed(error),
    };
    let identity = identity(&path, &file, false)?;
    Ok(identity.map(|identity| Rotated {
        path,
        identity,
        written_at,
    }))
}

/// Whether `other` is `name` with a number or a date behind it, or in front of its ending.
fn is_rotated(name: &str, other: &str) -> bool {
    let ending = name.rfind('.').filter(|at| *at > 0).unwrap_or(name.len());
    let splits = [(name, ""), name.split_at(ending)];
    splits.iter().any(|(begin, end)| {
        let middle = other
            .strip_prefix(begin)
            .and_then(|rest| rest.strip_suffix(end));
        middle.is_some_and(is_number_or_date)
    })
}

fn is_number_or_date(middle: &str) -> bool {
    let Some(rest) = middle.strip_prefix(['.', '-', '_']) else {
        return false;
    };
    rest.starts_with(|first: char| first.is_ascii_digit())
        && rest
            .chars()
            .all(|char| char.is_ascii_digit() || matches!(char, '-' | '_' | '.' | ':' | 'T' | 'Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_dates_make_a_rotated_name() {
        for other in [
            "esp.ndjson.1",
            "esp.ndjson-20251211",
            "esp.ndjson.2025-12-11T10:00:00Z",
            "esp-20251211.ndjson",
            "esp.12.ndjson",
        ] {
            assert!(is_rotated("esp.ndjson", other), "{other}");
        }
        for other in [
            "esp.ndjson",
            "esp.ndjson.bak",
            "esp.ndjson~",
            "esp.ndjson.",
            "esp2.ndjson",
            "esp.ndjson.1.gz",
            "esp.csv.1",
        ] {
            assert!(!is_rotated("esp.ndjson", other), "{other}");
        }
        assert!(is_rotated("messages", "messages.1"));
        assert!(!is_rotated("messages", "messages"));
    }
}
