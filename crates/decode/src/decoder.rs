//! What every decoder is: records in, rows and refusals out. Shared by all threads that decode a stream.

use crate::lookup::LookupSpec;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::rows::Rows;

/// A table that a decoder writes rows for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// The table, as the mapping names it: `schema.table`.
    pub table: String,
    /// The columns of the COPY, in the order in which the rows have them.
    pub columns: Vec<String>,
}

/// Turns records of one stream into rows. Made once for a stream, from its mapping and the columns of its tables; made
/// anew when those change.
pub trait Decoder: Send + Sync {
    /// The tables, in the order in which [`decode`](Decoder::decode) takes their rows.
    fn targets(&self) -> &[Target];

    /// The lookups that rows refer to by their number in this list.
    fn lookups(&self) -> &[LookupSpec];

    /// Adds all rows of the record to `rows`, which has one entry for each target.
    ///
    /// # Errors
    ///
    /// If the record cannot become rows. None of its rows is there then.
    fn decode(&self, record: &Record<'_>, rows: &mut [Rows]) -> Result<(), Refusal>;

    /// Empty rows for each target.
    fn empty_rows(&self) -> Vec<Rows> {
        let targets = self.targets().iter();
        targets
            .map(|target| Rows::new(target.columns.len(), self.lookups()))
            .collect()
    }
}
