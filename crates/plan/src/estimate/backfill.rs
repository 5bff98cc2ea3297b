//! Rows that come when keys and indexes are there.

use super::{Work, indexes_s_per_row, keys_s_per_row, validation};

/// What a row costs in keys and indexes that are there before it, against their build over all rows: 300,000 rows shaped like SOAR's
/// `fixes`, with three foreign keys, took two workers 10.4 and 11.0 s, of which 0.7 s are the copy's; their builds took 2.2 s.
const ROW_BY_ROW_FACTOR: f64 = 5.5;

#[expect(clippy::cast_precision_loss, reason = "an estimate needs few digits")]
impl Work<'_> {
    pub(super) fn is_backfill(&self) -> bool {
        self.tables.iter().any(|table| table.backfilled)
    }

    /// Keys, indexes and foreign keys that are there before the rows.
    pub(super) fn row_by_row(&self) -> f64 {
        let backfilled = self.pairs().filter(|(table, _)| table.backfilled);
        let seconds = backfilled.map(|(table, found)| {
            let each_row: f64 = keys_s_per_row(found) + indexes_s_per_row(found).sum::<f64>();
            table.rows_estimate as f64 * each_row * ROW_BY_ROW_FACTOR + validation((table, found))
        });
        seconds.sum::<f64>() / f64::from(self.width)
    }
}
