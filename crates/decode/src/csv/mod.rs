//! Records that are one CSV record each, by RFC 4180: fields between delimiters, quotes around a field that holds a delimiter, a
//! quote (doubled) or the end of a line. As for COPY, a field without quotes can stand for NULL, one with quotes cannot.
//!
//! `split` cuts a record into fields, `ends` cuts bytes into records, `order` brings records of another header into the order
//! that the decoder expects.

mod ends;
mod order;
mod split;

use crate::decoder::{Decoder, Target};
use crate::layout::Layout;
use crate::lookup::LookupSpec;
use crate::mapping::{CsvMapping, MappingError};
use crate::raw::Raw;
use crate::record::Record;
use crate::refusal::{Reason, Refusal};
use crate::rows::Rows;
use std::borrow::Cow;

pub use ends::RecordEnds;
pub use order::CsvOrder;

/// Decodes CSV records.
#[derive(Debug)]
pub(crate) struct CsvDecoder {
    layout: Layout,
    /// Where the value of each field goes.
    slots: Vec<Option<usize>>,
    delimiter: u8,
    null: String,
}

impl CsvDecoder {
    /// `names` are those of the fields, in their order.
    ///
    /// # Errors
    ///
    /// If a column wants a field that is not among them, or the delimiter is none.
    pub(crate) fn new(
        layout: Layout,
        csv: &CsvMapping,
        names: &[String],
    ) -> Result<Self, MappingError> {
        for (index, name) in names.iter().enumerate() {
            if names.iter().take(index).any(|before| before == name) {
                return Err(MappingError::new(format!(
                    "the CSV header has \"{name}\" twice"
                )));
            }
        }
        let missing = layout.names.iter().find(|name| !names.contains(name));
        if let Some(missing) = missing {
            let message = format!("\"{missing}\" is mapped, and the CSV header does not have it");
            return Err(
                MappingError::new(message).hint(format!("The header has {}.", names.join(", ")))
            );
        }
        let slots = names
            .iter()
            .map(|name| layout.names.iter().position(|wanted| wanted == name));
        Ok(CsvDecoder {
            slots: slots.collect(),
            delimiter: checked(csv)?,
            null: csv.null.clone(),
            layout,
        })
    }

    /// Puts the values that are wanted into their slots; returns how many others there are.
    fn read<'x>(&self, text: &'x str, values: &mut [Option<Cow<'x, str>>]) -> Result<u64, Reason> {
        let (mut count, mut unknown) = (0, 0);
        split::fields(text, self.delimiter, |field| {
            match self.slots.get(count) {
                Some(Some(slot)) => {
                    let value = field.value(&self.null);
                    if let Some(place) = values.get_mut(*slot) {
                        *place = value;
                    }
                }
                _ => unknown += 1,
            }
            count += 1;
        })?;
        if count != self.slots.len() {
            return Err(Reason::FieldCount);
        }
        Ok(unknown)
    }
}

impl Decoder for CsvDecoder {
    fn targets(&self) -> &[Target] {
        std::slice::from_ref(&self.layout.target)
    }

    fn lookups(&self) -> &[LookupSpec] {
        &self.layout.lookups
    }

    fn decode(&self, record: &Record<'_>, rows: &mut [Rows]) -> Result<(), Refusal> {
        let text =
            std::str::from_utf8(record.payload).map_err(|_| Refusal::record(Reason::NotUtf8))?;
        let line = split::without_line_end(text);
        let mut values = vec![None; self.layout.names.len()];
        let unknown = self.read(line, &mut values).map_err(Refusal::record)?;
        let slots: Vec<Option<Raw<'_>>> = values
            .iter()
            .map(|value| value.as_deref().map(Raw::Text))
            .collect();
        let rows = crate::decoder::only(rows)?;
        self.layout.write(record, &slots, unknown, rows)
    }
}

/// The delimiter.
///
/// # Errors
///
/// If it is more than one byte or means something else already, or if what stands for NULL could be no field.
fn checked(csv: &CsvMapping) -> Result<u8, MappingError> {
    let means_something = |c: char| matches!(c, '"' | '\r' | '\n');
    if csv.null.contains(means_something) || csv.null.contains(csv.delimiter) {
        let message = format!(
            "\"{}\" cannot stand for NULL in CSV",
            csv.null.escape_debug()
        );
        return Err(MappingError::new(message)
            .hint("It is a field without delimiter, quote or end of a line."));
    }
    match u8::try_from(csv.delimiter) {
        Ok(byte) if byte.is_ascii() && !means_something(csv.delimiter) => Ok(byte),
        _ => Err(MappingError::new(format!(
            "\"{}\" cannot be the delimiter of CSV",
            csv.delimiter.escape_default()
        ))
        .hint("It is one ASCII character, and neither a quote nor the end of a line.")),
    }
}

#[cfg(test)]
mod tests;
