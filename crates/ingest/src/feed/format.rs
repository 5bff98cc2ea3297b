//! Where a file's records end, and what its first line is for.

use bytes::Bytes;
use hyperhaul_decode::{CsvOrder, DecoderKind, Header, Mapping, MappingError, RecordEnds};

/// What is known about a file's records beforehand.
pub(crate) enum Format {
    /// Each line is one.
    Lines,
    /// Lines may go on between quotes.
    Csv {
        ends: RecordEnds,
        /// How to put its fields in order by its first line, where that names them.
        order: Option<OrderByHeader>,
    },
}

impl Format {
    /// As a mapping says.
    pub(crate) fn of(mapping: &Mapping) -> Format {
        if mapping.decoder != DecoderKind::Csv {
            return Format::Lines;
        }
        let order = (mapping.csv.header == Header::FirstLine(true)).then(|| -> OrderByHeader {
            let mapping = mapping.clone();
            Box::new(move |header| CsvOrder::new(&mapping, header))
        });
        Format::Csv {
            ends: RecordEnds::new(mapping.csv.delimiter),
            order,
        }
    }

    /// What the first line is for, if it is a header; the first time that it is asked for.
    pub(crate) fn take_order(&mut self) -> Option<OrderByHeader> {
        match self {
            Format::Lines => None,
            Format::Csv { order, .. } => order.take(),
        }
    }

    /// How many of the bytes belong to the first record, with the end of its line. `None`: it goes on behind them; the next call
    /// must have what follows, and not these bytes again.
    pub(crate) fn next_end(&mut self, bytes: &[u8]) -> Option<usize> {
        match self {
            Format::Lines => memchr::memchr(b'\n', bytes).map(|end| end + 1),
            Format::Csv { ends, .. } => ends.next_end(bytes),
        }
    }
}

/// Takes off the end of the line, if there is one.
pub(crate) fn without_line_end(mut line: Bytes) -> Bytes {
    for end in [b'\n', b'\r'] {
        if line.last() == Some(&end) {
            line.truncate(line.len() - 1);
        }
    }
    line
}

/// Makes of a header how its file's fields become those that the decoder expects.
pub(crate) type OrderByHeader = Box<dyn FnOnce(&[u8]) -> Result<CsvOrder, MappingError> + Send>;
