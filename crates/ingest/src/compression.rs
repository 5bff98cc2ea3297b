//! Compressed files, by their endings.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// Reads a file's content; positions in it are those of the content, not of the compressed bytes.
pub(crate) fn reader(path: &Path, file: File) -> io::Result<Box<dyn Read + Send>> {
    let ending = path.extension().and_then(|ending| ending.to_str());
    Ok(match ending {
        // Rotated logs are often several members one after another.
        Some("gz") => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(file))),
        Some("zst") => Box::new(zstd::Decoder::new(file)?),
        _ => Box::new(file),
    })
}
