//! Up to when a stream's source has heard everything that was said: what was said since then, until it listens again, is missing.
//!
//! The last record in the spool tells. A spool whose records are all in their tables lets go of them with the segment that they are in,
//! which a process never does with what it stored itself; so each process, when it begins, writes down in a file what it has found.

use crate::Error;
use crate::envelope::Spooled;
use crate::intake::{Intake, spool_error};
use crate::limits::HEARD_POSITIONS;
use crate::spool_folder::write_durably;
use bytes::Bytes;
use hyperhaul_spool::BatchLimits;
use std::io;
use std::path::Path;

/// The file: microseconds since 1970, UTC.
const HEARD: &str = "heard";

/// Of the process before this one, or of the last one that heard anything; `None`: none did. Asked before the first record is stored or
/// let go of.
pub(crate) fn heard_until_us(intake: &Intake) -> Result<Option<i64>, Error> {
    let of_spool = last_stored_us(intake)?;
    of_file(intake.folder(), of_spool).map_err(|error| {
        let path = intake.folder().join(HEARD);
        Error::unexpected(format!(
            "could not read or write {}: {error}",
            path.display()
        ))
        .hint("See the permissions of the spool's folder.")
    })
}

fn of_file(folder: &Path, of_spool: Option<i64>) -> io::Result<Option<i64>> {
    let written = match std::fs::read_to_string(folder.join(HEARD)) {
        Ok(text) => Some(text.trim().parse().map_err(io::Error::other)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    match of_spool {
        Some(heard_us) if written != of_spool => {
            write_durably(folder, HEARD, &format!("{heard_us}\n"))?;
            Ok(of_spool)
        }
        Some(_) => Ok(of_spool),
        None => Ok(written),
    }
}

/// The time of the last record that can be read.
fn last_stored_us(intake: &Intake) -> Result<Option<i64>, Error> {
    let found = intake.found();
    // Behind it there may be positions without a record, which a crash has left.
    let mut looked_at = HEARD_POSITIONS;
    loop {
        let from = (found.last + 1).saturating_sub(looked_at).max(found.first);
        let last = last_behind(intake, from)?;
        if last.is_some() || from == found.first {
            return Ok(last);
        }
        looked_at = looked_at.saturating_mul(HEARD_POSITIONS);
    }
}

fn last_behind(intake: &Intake, mut from: u64) -> Result<Option<i64>, Error> {
    let limits = BatchLimits {
        records_max: usize::MAX,
        bytes_max: crate::limits::FILE_READ_BYTES,
    };
    let mut reader = intake.reader();
    let mut last = None;
    loop {
        let batch = reader
            .read(from, limits)
            .map_err(|error| spool_error(intake.source(), &error))?;
        if batch.is_empty() {
            return Ok(last);
        }
        if let Some((position, bytes)) = batch.records().last() {
            // Another version's record is told by the feed.
            let spooled = Spooled::read(position, Bytes::copy_from_slice(bytes));
            last = spooled.ok().map(|spooled| spooled.until_us());
        }
        from = batch.next();
    }
}
