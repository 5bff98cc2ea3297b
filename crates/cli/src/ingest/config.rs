//! The configuration file of `ingest`: the target and the streams. What a stream says about its records is read by the library.

use crate::failure::Failure;
use crate::size::parse_bytes;
use hyperhaul_ingest::{
    BatchLimits, HttpPlace, Mapping, MappingError, Origin, Secret, SpoolPlace, Stream,
    fill_from_profile,
};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What a file declares.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) target: Option<String>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) spool: Option<SpoolPlace>,
    pub(crate) http: Option<HttpPlace>,
    pub(crate) metrics: Option<SocketAddr>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    target: Option<String>,
    #[serde(default, rename = "stream")]
    streams: Vec<toml::Table>,
    spool: Option<Spool>,
    http: Option<Http>,
    metrics: Option<Metrics>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spool {
    path: PathBuf,
    bytes_max: Option<String>,
}

/// What a stream's spool may hold where nothing is said: an hour of 5,000 records of 200 bytes a second.
const SPOOL_BYTES_MAX: u64 = 4 << 30;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Http {
    listen: SocketAddr,
    token: Option<Secret>,
    token_file: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    body_max: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metrics {
    listen: SocketAddr,
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
    parse(&place.to_string(), &text)
}

fn parse(place: &str, text: &str) -> Result<Declared, Failure> {
    let file: File = toml::from_str(text).map_err(|error| {
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
        spool: file.spool.map(spool).transpose()?,
        http: file.http.map(http).transpose()?,
        metrics: file.metrics.map(|metrics| metrics.listen),
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

fn spool(written: Spool) -> Result<SpoolPlace, Failure> {
    Ok(SpoolPlace {
        path: written.path,
        bytes_max: size(written.bytes_max.as_deref())?.unwrap_or(SPOOL_BYTES_MAX),
    })
}

fn http(written: Http) -> Result<HttpPlace, Failure> {
    let body_bytes_max = size(written.body_max.as_deref())?;
    let body_bytes_max = body_bytes_max.and_then(|bytes| usize::try_from(bytes).ok());
    Ok(HttpPlace {
        listen: written.listen,
        token: written.token,
        token_file: written.token_file,
        certificate: written.certificate,
        key: written.key,
        body_bytes_max: body_bytes_max.unwrap_or(HttpPlace::BODY_BYTES_MAX),
    })
}

fn size(written: Option<&str>) -> Result<Option<u64>, Failure> {
    let size = written.map(parse_bytes).transpose();
    size.map_err(|error| Failure::usage(error.to_string()))
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
    let bytes_max = size(batch.bytes_max.as_deref())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_readme_shows_can_be_used() {
        let readme = include_str!("../../../../README.md");
        let section = readme
            .split("\n## ")
            .find(|section| section.starts_with("Live rows"));
        let blocks = section.unwrap_or_default().split("```toml\n").skip(1);
        let blocks = blocks.filter_map(|block| block.split("```").next());
        let mut streams = 0;
        for block in blocks.filter(|block| block.contains("[[stream]]")) {
            let declared = parse("README.md", block)
                .unwrap_or_else(|failure| panic!("{}\n{block}", failure.message));
            streams += declared.streams.len();
        }
        assert!(streams >= 4, "{streams} streams");
    }
}
