//! Columns of every type, and decoders for them.

use hyperhaul_decode::{ColumnKind, Decoder, Mapping, Record, TargetColumn};

/// 2025-12-11 10:00:00 UTC.
pub(crate) const RECEIVED_AT_US: i64 = 1_765_447_200_000_000;

/// SQL's name of a type, and the type.
pub(crate) fn kinds() -> Vec<(&'static str, ColumnKind)> {
    let labels = || vec!["ogn".to_owned(), "beast".to_owned(), "sbs".to_owned()];
    vec![
        ("bool", ColumnKind::Bool),
        ("int2", ColumnKind::Int2),
        ("int4", ColumnKind::Int4),
        ("int8", ColumnKind::Int8),
        ("float4", ColumnKind::Float4),
        ("float8", ColumnKind::Float8),
        ("numeric", ColumnKind::Numeric),
        ("text", ColumnKind::Text { chars_max: None }),
        ("varchar(5)", ColumnKind::Text { chars_max: Some(5) }),
        ("uuid", ColumnKind::Uuid),
        ("timestamptz", ColumnKind::Timestamptz),
        ("timestamp", ColumnKind::Timestamp),
        ("date", ColumnKind::Date),
        ("json", ColumnKind::Json),
        ("jsonb", ColumnKind::Jsonb),
        ("bytea", ColumnKind::Bytea),
        ("message_source", ColumnKind::Enum { labels: labels() }),
    ]
}

pub(crate) fn decoder(toml: &str, columns: &[TargetColumn]) -> Box<dyn Decoder> {
    let mut stream = toml.parse().expect("the TOML is well-formed");
    let mapping = Mapping::take(&mut stream).expect("the stream is a mapping");
    mapping
        .decoder(&[columns.to_vec()])
        .expect("the mapping fits")
}

pub(crate) fn record(payload: &[u8], position: u64) -> Record<'_> {
    Record {
        payload,
        received_at_us: RECEIVED_AT_US,
        position,
        source: "test",
        attributes: &[],
    }
}
