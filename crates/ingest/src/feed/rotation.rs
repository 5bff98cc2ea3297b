//! Files that had a name before: a log that was rotated is renamed to its name with a number or a date, `esp.ndjson.1`,
//! `esp.ndjson-20251211`, `esp-20251211.ndjson`.

use super::file::unreadable;
use super::known_file::identity;
use crate::Error;
use crate::compression;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file that had the name before. It is open: whatever it is renamed to, it is read.
#[derive(Debug)]
pub(crate) struct Rotated {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    /// What it is called in the ledger.
    pub(crate) identity: String,
    pub(crate) bytes: u64,
    pub(crate) written_at: SystemTime,
}

/// Files beside `path` that had its name before, the oldest first. Compressed ones are left out: nothing tells what they were. So are those
/// that may not be read, with a warning.
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
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut found = Vec::new();
    for entry in left_out(folder, entries)?.unwrap_or_default() {
        let is_one = entry
            .file_name()
            .to_str()
            .is_some_and(|other| is_rotated(name, other));
        if is_one && !compression::is_packed(&entry.path()) {
            found.extend(look(entry.path())?);
        }
    }
    // A link has the same file's name.
    if let Ok(current) = fs::metadata(path) {
        found.retain(|file| {
            file.file
                .metadata()
                .is_ok_and(|there| (there.dev(), there.ino()) != (current.dev(), current.ino()))
        });
    }
    found.sort_by(|one, other| {
        let by_time = one.written_at.cmp(&other.written_at);
        by_time.then_with(|| other.path.cmp(&one.path))
    });
    Ok(found)
}

/// `None`: it is empty, no file, gone by now, or may not be read.
fn look(path: PathBuf) -> Result<Option<Rotated>, Error> {
    // Opening a pipe waits for its writer.
    if !left_out(&path, fs::metadata(&path))?.is_some_and(|there| there.is_file()) {
        return Ok(None);
    }
    let opened = File::open(&path).and_then(|file| Ok((file.metadata()?, file)));
    let Some((metadata, file)) = left_out(&path, opened)? else {
        return Ok(None);
    };
    let written_at = metadata
        .modified()
        .map_err(|error| unreadable(&path, &error))?;
    let identity = identity(&path, &file, true)?;
    Ok(identity.map(|identity| Rotated {
        path,
        file,
        identity,
        bytes: metadata.len(),
        written_at,
    }))
}

/// Logs are moved, and are not everybody's.
fn left_out<T>(path: &Path, looked: io::Result<T>) -> Result<Option<T>, Error> {
    match looked {
        Ok(seen) => Ok(Some(seen)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            tracing::warn!(path = %path.display(), "may not be read: what was rotated away is left out");
            Ok(None)
        }
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// Whether `other` is `name` with a number or a date behind it, or with a date in front of its ending: a number there is another's.
fn is_rotated(name: &str, other: &str) -> bool {
    const DATE_DIGITS: usize = 8;
    let ending = name.rfind('.').filter(|at| *at > 0).unwrap_or(name.len());
    let splits = [((name, ""), 1), (name.split_at(ending), DATE_DIGITS)];
    splits.iter().any(|((begin, end), digits)| {
        let middle = other
            .strip_prefix(begin)
            .and_then(|rest| rest.strip_suffix(end));
        middle.is_some_and(|middle| has_digits(middle, *digits))
    })
}

/// A number or a date with at least so many digits.
fn has_digits(middle: &str, digits_min: usize) -> bool {
    let Some(rest) = middle.strip_prefix(['.', '-', '_']) else {
        return false;
    };
    let is_of_date = |char: char| char.is_ascii_digit() || "-_.:TZ".contains(char);
    rest.starts_with(|first: char| first.is_ascii_digit())
        && rest.chars().all(is_of_date)
        && rest.chars().filter(char::is_ascii_digit).count() >= digits_min
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
            "esp.2025-12-11.ndjson",
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
            "esp-2.ndjson",
            "esp.12.ndjson",
        ] {
            assert!(!is_rotated("esp.ndjson", other), "{other}");
        }
        assert!(is_rotated("messages", "messages.1"));
        assert!(!is_rotated("messages", "messages"));
    }
}
