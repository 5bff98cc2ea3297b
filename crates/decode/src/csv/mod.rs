//! Records that are one CSV record each, by RFC 4180: fields between delimiters, quotes around a field that holds a delimiter, a
//! quote (doubled) or the end of a line. As for COPY, a field without quotes can stand for NULL, one with quotes cannot.
//!
//! `split` cuts a record into fields, `ends` cuts bytes into records, `order` brings records of another header into the order
//! that the decoder expects.

mod ends;
mod order;
mod split;

use crate::mapping::{CsvMapping, MappingError};
use crate::raw::Taken;
use crate::refusal::Reason;
use crate::table::Format;

pub use ends::RecordEnds;
pub use order::CsvOrder;

/// The fields of a record, and which of them are wanted.
#[derive(Debug)]
pub(crate) struct Line {
    /// Where the value of each field goes.
    slots: Vec<Option<usize>>,
    delimiter: u8,
    null: String,
}

impl Line {
    /// `names` are those of the fields, in their order; `wanted` those that have a slot each.
    ///
    /// # Errors
    ///
    /// If something is wanted that is not among the fields, or the delimiter is none.
    pub(crate) fn new(
        csv: &CsvMapping,
        names: &[String],
        wanted: &[String],
    ) -> Result<Self, MappingError> {
        for (index, name) in names.iter().enumerate() {
            if names.iter().take(index).any(|before| before == name) {
                let message = format!("the CSV header has \"{name}\" twice");
                return Err(MappingError::new(message));
            }
        }
        if let Some(missing) = wanted.iter().find(|wanted| !names.contains(wanted)) {
            let message = format!("\"{missing}\" is mapped, and the CSV header does not have it");
            let hint = format!("The header has {}.", names.join(", "));
            return Err(MappingError::new(message).hint(hint));
        }
        let slot = |name| wanted.iter().position(|wanted| wanted == name);
        Ok(Line {
            slots: names.iter().map(slot).collect(),
            delimiter: checked(csv)?,
            null: csv.null.clone(),
        })
    }
}

impl Format for Line {
    fn take<'x>(&self, text: &'x str, slots: &mut [Option<Taken<'x>>]) -> Result<u64, Reason> {
        let (mut count, mut unknown) = (0, 0);
        split::fields(split::without_line_end(text), self.delimiter, |field| {
            match self.slots.get(count) {
                Some(Some(slot)) => {
                    if let Some(place) = slots.get_mut(*slot) {
                        *place = field.value(&self.null).map(Taken::Text);
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
