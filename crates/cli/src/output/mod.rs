//! What people read: one file for each thing that is shown. Everything here turns data into text; nothing asks a server.
//!
//! Data goes to stdout, messages go to stderr. Renderings are functions of their data and of a [`Look`], so that tests
//! compare them as text.

pub(crate) mod check;
pub(crate) mod cleanup;
mod columns;
pub(crate) mod failure;
mod findings;
pub(crate) mod ingest;
pub(crate) mod live;
mod look;
pub(crate) mod maintain;
pub(crate) mod number;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod script;
pub(crate) mod status;
pub(crate) mod summary;
pub(crate) mod verify;
mod ways;
mod wrap;

pub(crate) use look::{Look, Style};
pub(crate) use wrap::wrap;

use crate::failure::{Exit, Failure};
use serde::Serialize;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Writes to stdout. A reader that has gone away, such as `head`, has read what it wanted.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Writes to stdout what may be no text.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(
            Exit::Unexpected,
            format!("could not write to standard output: {error}"),
        )),
        _ => Ok(()),
    }
}

/// Writes an object to stdout as JSON: on one line where several follow each other, else for people as well.
pub(crate) fn print_json(value: &impl Serialize, one_line: bool) -> Result<(), Failure> {
    print(&json(value, one_line)?)
}

/// An object as JSON text, with a line's end.
pub(crate) fn json(value: &impl Serialize, one_line: bool) -> Result<String, Failure> {
    let encoded = if one_line {
        serde_json::to_string(value)
    } else {
        serde_json::to_string_pretty(value)
    };
    let text = encoded.map_err(|error| {
        Failure::new(Exit::Unexpected, format!("could not write JSON: {error}"))
    })?;
    Ok(format!("{text}\n"))
}

/// Writes a file, or stdout where that is what `-` stands for.
pub(crate) fn write(to: &Path, text: &str) -> Result<(), Failure> {
    if to == Path::new("-") {
        return print(text);
    }
    std::fs::write(to, text).map_err(|error| {
        Failure::usage(format!("could not write {}: {error}", to.display()))
            .hint("Name a file in a folder that exists and that you may write to.")
    })
}
