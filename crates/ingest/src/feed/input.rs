//! What a file's lines are read from.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

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

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Input::File(file) => file.read(buffer),
            Input::Stream(stream) => stream.read(buffer),
        }
    }
}
