//! Records of a file with another header: their fields in the order that the decoder expects.

use super::split::{fields, without_line_end};
use crate::mapping::{Mapping, MappingError};
use crate::refusal::{Reason, Refusal};

/// How the fields of one header become those that the decoder expects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CsvOrder {
    delimiter: u8,
    null: String,
    /// How many fields the header has.
    field_count: usize,
    /// For each field that the decoder expects, its place in the header.
    places: Vec<Option<usize>>,
}

impl CsvOrder {
    /// From the first line of a file or body. Names that nothing is mapped from are left out; a byte order mark is skipped.
    ///
    /// # Errors
    ///
    /// If the line cannot be read, or lacks every field that is mapped, or has one of them twice.
    pub fn new(mapping: &Mapping, header: &[u8]) -> Result<CsvOrder, MappingError> {
        let expected = mapping.csv_names()?;
        let delimiter = super::checked(&mapping.csv)?;
        let names = names(header, delimiter)
            .ok_or_else(|| MappingError::new("the CSV header cannot be read"))?;
        let mut places = Vec::new();
        for name in &expected {
            let mut found = names.iter().enumerate().filter(|(_, known)| *known == name);
            places.push(found.next().map(|(place, _)| place));
            if found.next().is_some() {
                let message = format!("the CSV header has \"{name}\" twice");
                return Err(MappingError::new(message));
            }
        }
        if places.iter().all(Option::is_none) {
            return Err(
                MappingError::new("the CSV header has no field that is mapped")
                    .hint(format!("Mapped are {}.", expected.join(", "))),
            );
        }
        Ok(CsvOrder {
            delimiter,
            null: mapping.csv.null.clone(),
            field_count: names.len(),
            places,
        })
    }

    /// Whether records stay as they are.
    pub fn is_kept(&self) -> bool {
        let is_in_place = |(index, place): (usize, &Option<usize>)| *place == Some(index);
        self.places.len() == self.field_count && self.places.iter().enumerate().all(is_in_place)
    }

    /// Appends the record to `out` with its fields in the expected order; those that the header lacks are NULL. Fields keep their
    /// quotes.
    ///
    /// # Errors
    ///
    /// If the record does not have the header's fields. Nothing is appended then, and the record must not come to the decoder,
    /// which would take its fields for others.
    pub fn apply(&self, record: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let text = std::str::from_utf8(record).map_err(|_| Refusal::record(Reason::NotUtf8))?;
        let mut found = Vec::with_capacity(self.field_count);
        fields(without_line_end(text), self.delimiter, |field| {
            found.push(field.text);
        })
        .map_err(Refusal::record)?;
        if found.len() != self.field_count {
            return Err(Refusal::record(Reason::FieldCount));
        }
        for (index, place) in self.places.iter().enumerate() {
            if index > 0 {
                out.push(self.delimiter);
            }
            let field = place.and_then(|place| found.get(place));
            out.extend_from_slice(field.map_or(self.null.as_bytes(), |field| field.as_bytes()));
        }
        Ok(())
    }
}

fn names(header: &[u8], delimiter: u8) -> Option<Vec<String>> {
    let text = std::str::from_utf8(header).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut names = Vec::new();
    fields(without_line_end(text), delimiter, |field| {
        // A name has no NULL: nothing is equal to what no field can be.
        let name = field.value("\n").unwrap_or_default();
        names.push(name.trim_ascii().to_owned());
    })
    .ok()?;
    Some(names)
}
