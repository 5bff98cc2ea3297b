//! One tuple, field by field. What is not finished is gone.

use super::{Alternatives, Choice, Pending, Placed, Rows, Tally};
use crate::lookup::Keys;
use crate::refusal::{Reason, Refusal};
use hyperhaul_pgcopy::Row;

/// Bytes of the word before a field's value that tells its length.
pub(super) const LENGTH_WORD_BYTES: usize = 4;

/// A tuple that is being written. It is taken back unless it is [finished](TupleWriter::finish).
#[derive(Debug)]
pub struct TupleWriter<'a> {
    row: Row<'a>,
    start: usize,
    index: usize,
    position: u64,
    placed: &'a mut Vec<Placed>,
    pending: &'a mut Vec<Pending>,
    choices: &'a mut Vec<Choice>,
    lookups: &'a mut Vec<super::Lookup>,
    total: &'a mut Tally,
    /// Of this tuple.
    tally: Tally,
    is_finished: bool,
}

impl<'a> TupleWriter<'a> {
    pub(super) fn begin(rows: &'a mut Rows, position: u64) -> Self {
        TupleWriter {
            start: rows.encoder.len(),
            index: rows.placed.len(),
            position,
            row: rows.encoder.row(rows.field_count),
            placed: &mut rows.placed,
            pending: &mut rows.pending,
            choices: &mut rows.choices,
            lookups: &mut rows.lookups,
            total: &mut rows.tally,
            tally: Tally::default(),
            is_finished: false,
        }
    }

    /// Where the next field goes: exactly one method of [`Row`] is called for each field.
    pub fn field(&mut self) -> &mut Row<'a> {
        &mut self.row
    }

    /// What is counted for this tuple, if it is finished.
    pub fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// A field that gets the id of `key`. The values are those of the lookup's key columns and extra columns, in their order.
    /// Texts with U+0000 must not come here.
    pub fn lookup(&mut self, lookup: usize, key: &[&str], extra: &[Option<&str>]) {
        const ZEROS: [u8; 16] = [0; 16];
        let Some(super::Lookup { id_type, keys }) = self.lookups.get_mut(lookup) else {
            self.row.null();
            return;
        };
        let key = Keys::intern(keys, key, extra);
        let id = ZEROS.get(..id_type.bytes()).unwrap_or_default();
        self.pending.push(Pending {
            row: self.index,
            lookup,
            key,
            at: self.start + self.row.bytes_written() + LENGTH_WORD_BYTES,
        });
        self.row.raw(id);
    }

    /// The last fields, which depend on what the lookup of this tuple returns.
    pub(crate) fn alternatives(&mut self, lookup: usize, alternatives: Alternatives) {
        for _ in 0..alternatives.field_count {
            self.row.null();
        }
        let id = self.pending.iter().rev();
        let id = id
            .take_while(|id| id.row == self.index)
            .find(|id| id.lookup == lookup);
        if let Some(Pending { key, .. }) = id {
            self.choices.push(Choice {
                row: self.index,
                lookup,
                key: *key,
                alternatives,
            });
        }
    }

    /// Ends the tuple.
    ///
    /// # Errors
    ///
    /// If it is larger than a tuple can be, or does not have as many fields as the COPY has columns. It is gone then.
    pub fn finish(mut self) -> Result<(), Refusal> {
        let bytes = self.row.bytes_written();
        self.row
            .finish()
            .map_err(|_| Refusal::record(Reason::TooLarge))?;
        self.is_finished = true;
        self.total.add(self.tally);
        self.placed.push(Placed {
            end: self.start + bytes,
            position: self.position,
        });
        Ok(())
    }
}

impl Drop for TupleWriter<'_> {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        self.row.abandon();
        let is_of_others = |row: usize| row < self.index;
        let pending = self.pending.partition_point(|id| is_of_others(id.row));
        self.pending.truncate(pending);
        let choices = self
            .choices
            .partition_point(|choice| is_of_others(choice.row));
        self.choices.truncate(choices);
    }
}
