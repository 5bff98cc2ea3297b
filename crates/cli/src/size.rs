//! Sizes as people write them: `512MiB`, `1 GB`. As in PostgreSQL's settings, kB, MB and GB are powers of 1024 too.

use std::fmt;

const UNITS: [(&[&str], u64); 5] = [
    (&["", "b"], 1),
    (&["kb", "kib"], 1 << 10),
    (&["mb", "mib"], 1 << 20),
    (&["gb", "gib"], 1 << 30),
    (&["tb", "tib"], 1 << 40),
];

/// A slice is at least a block, PostgreSQL's unit of storage.
const SLICE_BYTES_MIN: u64 = 8 << 10;

/// Why a text is not a size; says what would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SizeError(String);

impl fmt::Display for SizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SizeError {}

/// Bytes of a slice.
pub(crate) fn parse_slice_bytes(text: &str) -> Result<u64, SizeError> {
    let bytes = parse_bytes(text)?;
    if bytes < SLICE_BYTES_MIN {
        return Err(SizeError(format!(
            "\"{text}\" is less than 8 KiB, one block"
        )));
    }
    Ok(bytes)
}

/// Bytes, of whatever.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, SizeError> {
    let text = text.trim();
    let (digits, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let unit = unit.trim().to_lowercase();
    let known = UNITS
        .iter()
        .find(|(names, _)| names.contains(&unit.as_str()));
    let bytes =
        known.and_then(|(_, unit_bytes)| digits.parse::<u64>().ok()?.checked_mul(*unit_bytes));
    bytes.ok_or_else(|| {
        SizeError(format!("\"{text}\" is not a size: write a whole number and KiB, MiB, GiB or TiB, such as 512MiB"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("512MiB", 512 << 20),
            ("1 GB", 1 << 30),
            ("64kB", 64 << 10),
            ("8192", 8192),
            ("2tib", 2 << 40),
        ] {
            assert_eq!(parse_slice_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_says_what_would_be() {
        for text in [
            "",
            "MiB",
            "1.5GiB",
            "-1",
            "512 megs",
            "18446744073709551615TiB",
        ] {
            let message = parse_slice_bytes(text).err().map(|error| error.to_string());
            assert!(
                message.is_some_and(|message| message.contains("such as 512MiB")),
                "{text}"
            );
        }
        assert!(
            parse_slice_bytes("4kB").is_err_and(|error| error.to_string().contains("one block"))
        );
    }
}
