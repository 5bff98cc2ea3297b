//! What several tests do with a whole stream: frame it in pieces, build one from rows.

use hyperhaul_pgcopy::{Digest, Encoder, Error, Framer, Row};

/// A row as plain data; `None` is NULL.
pub(crate) type Fields = Vec<Option<Vec<u8>>>;

/// The tuples of a stream that arrives in these pieces, and their digest.
pub(crate) fn frame<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<Vec<u8>>, Digest), Error> {
    let mut framer = Framer::new();
    let mut tuples = Vec::new();
    let mut digest = Digest::default();
    for piece in pieces {
        framer.push(piece, |tuple| {
            tuples.push(tuple.as_bytes().to_vec());
            digest.add(tuple);
        })?;
    }
    framer.finish()?;
    Ok((tuples, digest))
}

/// The rows of a stream, field by field.
pub(crate) fn rows(stream: &[u8]) -> Result<Vec<Fields>, Error> {
    let mut framer = Framer::new();
    let mut rows = Vec::new();
    framer.push(stream, |tuple| {
        rows.push(
            tuple
                .fields()
                .map(|field| field.map(<[u8]>::to_vec))
                .collect(),
        );
    })?;
    framer.finish()?;
    Ok(rows)
}

/// A whole stream of these rows.
pub(crate) fn stream(rows: &[Fields]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.header();
    for fields in rows {
        let mut row = encoder.row(i16::try_from(fields.len()).unwrap());
        for field in fields {
            row.optional(field.as_deref(), Row::raw);
        }
        row.finish().unwrap();
    }
    encoder.trailer();
    encoder.take().to_vec()
}
