//! What the stream's meter is told of a batch that is in.

use super::{Way, Writer, letters};
use crate::batch::Batch;
use crate::meter::InBatch;
use hyperhaul_ledger::Outcome;
use std::collections::BTreeMap;

impl Way {
    /// Its name in metrics.
    fn name(self) -> &'static str {
        match self {
            Way::Copy => "copy",
            Way::Sifted => "sifted",
            Way::Staged => "staged",
            Way::RowByRow => "row-by-row",
        }
    }
}

impl Writer {
    /// The batch was committed by the transaction that was attempted last.
    pub(super) fn count(&self, batch: &Batch, outcome: &Outcome) {
        let rows = batch.stripes.iter().flat_map(|stripe| &stripe.rows);
        let (way, begun) = self.attempted;
        self.place.meter.committed(&InBatch {
            records: &batch.taken.records,
            outcome,
            dead: dead(batch, outcome),
            late_rows: rows.map(|rows| rows.tally().late_rows).sum(),
            kinds: &batch.kinds,
            way: way.name(),
            took: begun.elapsed(),
        });
    }
}

/// How many records died of each reason: those that no decoder has refused, the server did.
fn dead<'a>(batch: &'a Batch, outcome: &Outcome) -> BTreeMap<&'a str, u64> {
    let mut dead: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, refusal) in batch.stripes.iter().flat_map(|stripe| &stripe.refused) {
        *dead.entry(refusal.reason.code()).or_default() += 1;
    }
    let by_decoder = dead.values().sum();
    let all = u64::try_from(outcome.dead_count).unwrap_or(0);
    if all > by_decoder {
        dead.insert(letters::BY_SERVER, all - by_decoder);
    }
    dead
}
