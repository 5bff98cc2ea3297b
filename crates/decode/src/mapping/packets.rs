//! The mapping of APRS packets: which tables they go to. Their columns are known, so that nothing else can be said of them.

use super::{Columns, CsvMapping, DecoderKind, Mapping, MappingError};
use crate::aprs::{AprsDecoder, AprsOptions};
use crate::column::TargetColumn;

/// Whether the mapping says only what its decoder asks for.
///
/// # Errors
///
/// Names what is there and has no meaning.
pub(super) fn check(mapping: &Mapping) -> Result<(), MappingError> {
    let is_aprs = mapping.decoder == DecoderKind::Aprs;
    let meaningless = match is_aprs {
        true => [
            ("column", !mapping.column.is_empty()),
            ("columns", mapping.columns != Columns::default()),
            ("time", mapping.time.is_some()),
            ("csv", mapping.csv != CsvMapping::default()),
            ("choice", mapping.choice.is_some()),
        ]
        .into_iter()
        .find_map(|(part, is_there)| is_there.then_some(part)),
        false => mapping.aprs.is_some().then_some("aprs"),
    };
    let Some(part) = meaningless else {
        return Ok(());
    };
    let message = format!(
        "\"{part}\" means nothing to the decoder of {}",
        mapping.table
    );
    Err(MappingError::new(message).hint(match is_aprs {
        true => {
            "APRS packets have columns of their own; tables and limits are said in [stream.aprs]."
        }
        false => "It belongs to streams with decoder = \"aprs\".",
    }))
}

/// Raw messages and fixes.
pub(super) fn tables(mapping: &Mapping) -> Vec<String> {
    let options = options(mapping);
    vec![options.raw_messages, options.fixes]
}

/// # Errors
///
/// If a table cannot take packets.
pub(super) fn decoder(
    mapping: &Mapping,
    tables: &[Vec<TargetColumn>],
) -> Result<AprsDecoder, MappingError> {
    let columns = |table: usize| tables.get(table).map_or(&[][..], Vec::as_slice);
    AprsDecoder::new(&options(mapping), columns(0), columns(1))
        .map_err(|error| MappingError::new(error.to_string()))
}

fn options(mapping: &Mapping) -> AprsOptions {
    AprsOptions {
        fixes: mapping.table.clone(),
        ..mapping.aprs.clone().unwrap_or_default()
    }
}
