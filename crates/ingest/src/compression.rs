//! Compressed content: files by their endings, bodies by what their sender says.

use crate::feed::input::Input;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// How content is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    fn of(path: &Path) -> Compression {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("gz") => Compression::Gzip,
            Some("zst") => Compression::Zstd,
            _ => Compression::None,
        }
    }

    /// Reads the content.
    pub(crate) fn reader(
        self,
        packed: impl BufRead + Send + 'static,
    ) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Compression::None => Box::new(packed),
            // Rotated logs are often several members one after another.
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            Compression::Zstd => Box::new(zstd::Decoder::with_buffer(packed)?),
        })
    }
}

/// Whether a file is compressed.
pub(crate) fn is_packed(path: &Path) -> bool {
    Compression::of(path) != Compression::None
}

/// Reads a file's content; positions in it are those of the content, not of the compressed bytes.
pub(crate) fn reader(path: &Path, file: File) -> io::Result<Input> {
    match Compression::of(path) {
        Compression::None => Ok(Input::File(file)),
        packed => packed.reader(BufReader::new(file)).map(Input::Stream),
    }
}
