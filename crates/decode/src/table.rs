//! The decoder of all formats that make one row of one table out of a record: the format takes values out of the text, the layout
//! makes a row of them.

use crate::decoder::{Decoder, Target};
use crate::layout::Layout;
use crate::lookup::LookupSpec;
use crate::raw::Taken;
use crate::record::Record;
use crate::refusal::{Reason, Refusal};
use crate::rows::Rows;

/// How values are taken out of a record.
pub(crate) trait Format: Send + Sync {
    /// Puts the values that are wanted into their slots, which are empty; returns how many others there are.
    ///
    /// # Errors
    ///
    /// If the text is no record of the format.
    fn take<'x>(&self, text: &'x str, slots: &mut [Option<Taken<'x>>]) -> Result<u64, Reason>;
}

/// Decodes records of a format into rows of a table.
#[derive(Debug)]
pub(crate) struct TableDecoder<F> {
    pub(crate) layout: Layout,
    pub(crate) format: F,
}

impl<F: Format> Decoder for TableDecoder<F> {
    fn targets(&self) -> &[Target] {
        std::slice::from_ref(&self.layout.target)
    }

    fn lookups(&self) -> &[LookupSpec] {
        &self.layout.lookups
    }

    fn decode(&self, record: &Record<'_>, rows: &mut [Rows]) -> Result<(), Refusal> {
        let text = std::str::from_utf8(record.payload);
        let text = text.map_err(|_| Refusal::record(Reason::NotUtf8))?;
        let mut slots = vec![None; self.layout.names.len()];
        let taken = self.format.take(text, &mut slots);
        let unknown_members = taken.map_err(Refusal::record)?;
        // Where there are none, the caller has given rows of another decoder: better a dead letter than a record that is lost.
        let rows = rows.first_mut();
        let rows = rows.ok_or_else(|| Refusal::record(Reason::TooLarge))?;
        self.layout.write(record, &slots, unknown_members, rows)
    }
}
