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

/// Rows in which a source tells a fact again that it has told before: see [`RecentKeys`](crate::RecentKeys).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Repeats {
    /// Index of the rows' table among the targets.
    pub target: usize,
    /// Columns that two tellings have in common.
    pub key: &'static [&'static str],
    /// The column with the time of reception.
    pub received_at: &'static str,
    /// Keys that are remembered at most.
    pub keys_max: usize,
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

    /// What records are told apart by and counted as, in the order of [`Rows::kind_counts`] of the first target.
    fn kinds(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// Rows that are left out where they come again.
    fn repeats(&self) -> Option<Repeats> {
        None
    }

    /// Empty rows for each target.
    fn empty_rows(&self) -> Vec<Rows> {
        let targets = self.targets().iter();
        targets
            .map(|target| Rows::new(target.columns.len(), self.lookups()))
            .collect()
    }
}
