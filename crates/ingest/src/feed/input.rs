//! What a file's lines are read from.

use crate::limits::ROTATED_QUIET;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::time::SystemTime;

/// A plain file, or what has to be read from its beginning.
pub(crate) enum Input {
    File(File),
    Stream(Box<dyn Read + Send>),
}

impl Input {
    /// Goes on at `position`, without reading what is in front. False: it can't, or there is less.
    pub(crate) fn skip_to(&mut self, position: u64) -> io::Result<bool> {
        let Input::File(file) = self else {
            return Ok(false);
        };
        if file.metadata()?.len() < position {
            return Ok(false);
        }
        file.seek(SeekFrom::Start(position))?;
        Ok(true)
    }
}

impl Input {
    /// The file itself, if it is one.
    pub(crate) fn handle(&self) -> Option<File> {
        match self {
            Input::File(file) => file.try_clone().ok(),
            Input::Stream(_) => None,
        }
    }

    /// Whether nobody writes into the file any more, which has another name by now: its writer goes on for a moment. What is shorter than what
    /// was read is another file.
    pub(crate) fn is_quiet(&self, read_bytes: u64) -> bool {
        let Input::File(file) = self else {
            return true;
        };
        let Ok(metadata) = file.metadata() else {
            return true;
        };
        // A clock that was set back makes it quiet.
        let age = metadata
            .modified()
            .ok()
            .and_then(|at| SystemTime::now().duration_since(at).ok());
        metadata.len() < read_bytes || age.is_none_or(|age| age >= ROTATED_QUIET)
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Input::File(file) => file.read(buffer),
            Input::Stream(stream) => stream.read(buffer),
        }
    }
}
