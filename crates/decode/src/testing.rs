//! Tables, mappings and records for the tests of this crate.
#![allow(clippy::expect_used)]

use crate::{
    ColumnKind, Decoder, Mapping, MappingError, Record, Refusal, Rows, TargetColumn,
    fill_from_profile,
};
use hyperhaul_pgcopy::Tuple;

/// 2025-12-11 10:00:00 UTC, in microseconds since 1970.
pub(crate) const RECEIVED_AT_US: i64 = 1_765_447_200_000_000;

/// The same for PostgreSQL.
pub(crate) const RECEIVED_AT: i64 = RECEIVED_AT_US - hyperhaul_pgcopy::POSTGRES_EPOCH_OFFSET_US;

pub(crate) const TEXT: ColumnKind = ColumnKind::Text { chars_max: None };

/// The mapping in a stream's TOML.
pub(crate) fn mapping(toml: &str) -> Result<Mapping, MappingError> {
    let stream = toml.parse().expect("the TOML is well-formed");
    let mut stream = fill_from_profile(stream)?;
    Mapping::take(&mut stream)
}

/// The decoder of a stream's TOML.
pub(crate) fn decoder(
    toml: &str,
    columns: &[TargetColumn],
) -> Result<Box<dyn Decoder>, MappingError> {
    mapping(toml)?.decoder(&[columns.to_vec()])
}

/// A record that was received at [`RECEIVED_AT_US`] at position 7.
pub(crate) fn record(payload: &[u8]) -> Record<'_> {
    Record {
        payload,
        received_at_us: RECEIVED_AT_US,
        position: 7,
        source: "test",
        attributes: &[],
    }
}

/// A tuple's fields; `None` is NULL.
pub(crate) type Fields = Vec<Option<Vec<u8>>>;

/// The fields of one row.
pub(crate) fn fields(rows: &Rows, index: usize) -> Fields {
    let tuple = Tuple::parse(rows.row_bytes(index)).expect("a row is one tuple");
    tuple
        .fields()
        .map(|field| field.map(<[u8]>::to_vec))
        .collect()
}

/// The fields of the row that a record becomes, of a decoder with one target.
pub(crate) fn decode(decoder: &dyn Decoder, record: &Record<'_>) -> Result<Fields, Refusal> {
    let mut rows = decoder.empty_rows();
    let result = decoder.decode(record, &mut rows);
    let only = rows.first().expect("the decoder has a target");
    assert_eq!(only.len(), usize::from(result.is_ok()), "all or none");
    result.map(|()| fields(only, 0))
}

/// Binary forms.
pub(crate) fn int8(value: i64) -> Option<Vec<u8>> {
    Some(value.to_be_bytes().to_vec())
}

pub(crate) fn float8(value: f64) -> Option<Vec<u8>> {
    Some(value.to_be_bytes().to_vec())
}

pub(crate) fn text(value: &str) -> Option<Vec<u8>> {
    Some(value.as_bytes().to_vec())
}
