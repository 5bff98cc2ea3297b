//! The folder of a stream's spool, and the name under which the ledger knows it.
//!
//! ```text
//! SPOOL/<stream>/             bytes of the stream's name that are no letter, digit, - or _ as %XX
//!     source                  a UUID: positions mean something only together with it
//!     heard                   see `heard`; of streams that cannot ask for what they missed
//!     *.segment and others    see `hyperhaul_spool`
//! ```
//!
//! A folder that was removed is made anew with another UUID: its positions begin at 1 again, and so does its source in the ledger, which
//! would otherwise take new records for old ones.

use crate::Error;
use crate::intake::{Found, spool_error};
use hyperhaul_ledger::failpoint;
use hyperhaul_spool::{
    Error as SpoolError, Limits, RealDisk, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, Spool,
};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The file with the UUID.
const SOURCE: &str = "source";
/// Segments that a full spool has: space comes back one at a time.
const SEGMENTS: u64 = 16;

/// Where streams keep what they have acknowledged: `[spool]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolPlace {
    /// Folder with a folder for each stream.
    pub path: PathBuf,
    /// Bytes that each stream may keep there.
    pub bytes_max: u64,
}

/// The folder of one stream.
#[derive(Clone, Debug)]
pub(crate) struct SpoolFolder {
    path: PathBuf,
    stream: String,
    limits: Limits,
}

/// An open spool.
pub(crate) struct Opened {
    pub(crate) spool: Spool,
    pub(crate) found: Found,
    /// The source's name in the ledger.
    pub(crate) source: String,
    pub(crate) segment_bytes: u64,
}

impl SpoolFolder {
    pub(crate) fn new(place: &SpoolPlace, stream: &str) -> SpoolFolder {
        let segment_bytes = (place.bytes_max / SEGMENTS).max(SEGMENT_BYTES_MIN);
        SpoolFolder {
            path: place.path.join(folder_name(stream)),
            stream: stream.to_owned(),
            limits: Limits {
                bytes_max: place.bytes_max,
                segment_bytes: segment_bytes.min(SEGMENT_BYTES_MAX),
            },
        }
    }

    pub(crate) fn open(&self) -> Result<Opened, Error> {
        let opened = RealDisk::open(&self.path).and_then(|disk| Spool::open(disk, self.limits));
        let (spool, recovery) = opened.map_err(|error| self.failed(&error))?;
        if recovery.torn_bytes > 0 {
            let bytes = recovery.torn_bytes;
            tracing::info!(stream = %self.stream, bytes, "the spool ends in a write that was not finished");
        }
        // The folder is locked by now: nobody else makes the file.
        let id = self.id().map_err(|error| {
            let path = self.path.join(SOURCE);
            Error::unexpected(format!(
                "could not read or make {}: {error}",
                path.display()
            ))
            .hint("See the permissions of the spool's folder.")
        })?;
        Ok(Opened {
            spool,
            found: Found {
                first: recovery.first_position,
                last: recovery.next_position - 1,
            },
            source: format!("spool {} {id}", self.stream),
            segment_bytes: self.limits.segment_bytes,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn failed(&self, error: &SpoolError) -> Error {
        spool_error(format_args!("spool {}", self.path.display()), error)
    }

    /// Reads the UUID, or makes one, durably.
    fn id(&self) -> io::Result<Uuid> {
        let path = self.path.join(SOURCE);
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let id = Uuid::new_v4();
                write_durably(&self.path, SOURCE, &format!("{id}\n"))?;
                Ok(id)
            }
            Err(error) => Err(error),
        }
    }
}

/// Writes a small file of the folder, as a whole or not at all.
pub(crate) fn write_durably(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let new = folder.join(format!("{name}.new"));
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    failpoint("ingest.source_written");
    fs::rename(&new, folder.join(name))?;
    failpoint("ingest.source_named");
    File::open(folder)?.sync_all()
}

/// Different for each stream, and no path.
fn folder_name(stream: &str) -> String {
    let mut name = String::new();
    for byte in stream.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            name.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(name, "%{byte:02X}");
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_name_is_one_folder_whatever_it_holds() {
        assert_eq!(folder_name("esp-1_b"), "esp-1_b");
        assert_eq!(folder_name("../öl"), "%2E%2E%2F%C3%B6l");
    }
}
