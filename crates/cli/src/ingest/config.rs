//! The configuration file of `ingest`: the target and the streams. What a stream says about its records is read by the library.

use crate::failure::Failure;
use crate::size::parse_bytes;
use hyperhaul_ingest::{BatchLimits, Mapping, MappingError, Origin, Stream, fill_from_profile};
use serde::Deserialize;
use std::path::Path;

/// What a file declares.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) target: Option<String>,
    pub(crate) streams: Vec<Stream>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    target: Option<String>,
    #[serde(default, rename = "stream")]
    streams: Vec<toml::Table>,
}

/// What a stream says besides its mapping.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rest {
    name: String,
    #[serde(default)]
    key: Vec<String>,
    source: Origin,
    #[serde(default)]
    batch: Batch,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    rows_max: Option<usize>,
    bytes_max: Option<String>,
}

/// Reads a configuration file.
pub(crate) fn read(path: &Path) -> Result<Declared, Failure> {
    let place = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!(
            "could not read configuration file \"{place}\": {error}"
        ))
    })?;
    let file: File = toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.unwrap_or_default().matches('\n').count() + 1;
        Failure::usage(format!("{place}:{line}: {}", error.message()))
    })?;
    let streams = file.streams.into_iter().map(|written| {
        let name = written.get("name").and_then(toml::Value::as_str);
        let about = format!("{place}: stream {}", name.unwrap_or("without a name"));
        declared_stream(written).map_err(|failure| Failure {
            message: format!("{about}: {}", failure.message),
            ..failure
        })
    });
    let streams = streams.collect::<Result<Vec<Stream>, Failure>>()?;
    check_names(&streams)?;
    Ok(Declared {
        target: file.target,
        streams,
    })
}

fn check_names(streams: &[Stream]) -> Result<(), Failure> {
    let mut names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Failure::usage(format!("stream {} is there twice", pair[0]))),
        None if names.is_empty() => Err(Failure::usage("the configuration file has no [[stream]]")),
        None => Ok(()),
    }
}

fn declared_stream(written: toml::Table) -> Result<Stream, Failure> {
    let mut filled = fill_from_profile(written).map_err(failure)?;
    let mapping = Mapping::take(&mut filled).map_err(failure)?;
    let rest = Rest::deserialize(toml::Value::Table(filled))
        .map_err(|error| Failure::usage(error.message().to_owned()))?;
    Ok(Stream {
        batch: limits(&rest.batch)?,
        name: rest.name,
        key: rest.key,
        origin: rest.source,
        mapping,
    })
}

/// A stream whose source is known already.
pub(crate) fn stream(
    name: String,
    written: toml::Table,
    origin: Origin,
) -> Result<Stream, Failure> {
    let mut filled = fill_from_profile(written).map_err(failure)?;
    Ok(Stream {
        name,
        mapping: Mapping::take(&mut filled).map_err(failure)?,
        key: Vec::new(),
        origin,
        batch: BatchLimits::default(),
    })
}

fn limits(batch: &Batch) -> Result<BatchLimits, Failure> {
    let default = BatchLimits::default();
    let bytes_max = batch.bytes_max.as_deref().map(parse_bytes).transpose();
    let bytes_max = bytes_max.map_err(|error| Failure::usage(error.to_string()))?;
    let bytes_max = bytes_max.and_then(|bytes| usize::try_from(bytes).ok());
    Ok(BatchLimits {
        records_max: batch.rows_max.unwrap_or(default.records_max).max(1),
        bytes_max: bytes_max.unwrap_or(default.bytes_max).max(1),
    })
}

fn failure(error: MappingError) -> Failure {
    let failure = Failure::usage(error.to_string());
    match error.hint_text() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
