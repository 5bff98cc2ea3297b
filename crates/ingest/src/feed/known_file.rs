//! What a file is known by: its name in the ledger, and the line that stands in front of a position.

use super::file::unreadable;
use crate::Error;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// What the ledger's names of files begin with.
pub(crate) const FILE: &str = "file ";

/// Bytes of a first line that tell files apart.
const FIRST_LINE_BYTES_MAX: usize = 4096;

/// What an open file is called in the ledger, whatever it is renamed to: its inode and how it begins. `None`: it is empty, or
/// it grows and has no whole line yet.
pub(super) fn identity(path: &Path, file: &File, grows: bool) -> Result<Option<String>, Error> {
    let failed = |error| unreadable(path, &error);
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        let message = format!("{} is no file that can be read again", path.display());
        return Err(
            Error::usage(message).hint("Send what it gives to standard input, and name that: -")
        );
    }
    let mut beginning = vec![0; FIRST_LINE_BYTES_MAX];
    let mut length = 0;
    while length < beginning.len() {
        match file.read_at(&mut beginning[length..], length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let line_end = memchr::memchr(b'\n', &beginning[..length]);
    let end = match line_end {
        Some(end) => end,
        None if length == FIRST_LINE_BYTES_MAX => length,
        None if grows || length == 0 => return Ok(None),
        None => length,
    };
    let print = xxhash_rust::xxh3::xxh3_128(&beginning[..end]);
    Ok(Some(format!("{FILE}{:x}:{print:032x}", metadata.ino())))
}

/// What a line is known by: its length and its hash.
pub(crate) fn print_of(line: &[u8]) -> String {
    format!(
        "{:x}:{:032x}",
        line.len(),
        xxhash_rust::xxh3::xxh3_128(line)
    )
}

/// The length of the line that [`print_of`] was made of.
pub(super) fn printed_bytes(mark: &str) -> Option<u64> {
    u64::from_str_radix(mark.split(':').next()?, 16).ok()
}
