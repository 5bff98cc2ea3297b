//! Records become rows: decoded side by side, then given the ids that other tables have for their keys.

use crate::batch::{Batch, Stripe, Taken};
use crate::envelope::Envelope;
use crate::learn::Learned;
use crate::limits::STRIPE_RECORDS;
use crate::lookup::Lookups;
use hyperhaul_decode::{Decoder, Refusal, Rows};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Decodes records for the tables as they were learned; uses all of rayon's threads, and none of the runtime's.
pub(crate) async fn decode(taken: Taken, learned: Arc<Learned>, source: Arc<str>) -> Batch {
    let work = move || {
        let stripes = taken.records.par_chunks(STRIPE_RECORDS);
        let stripes = stripes.map(|records| stripe(records, &*learned.decoder, &source));
        let stripes: Vec<Stripe> = stripes.collect();
        Batch {
            kinds: kinds(&*learned.decoder, &stripes),
            firsts: HashSet::new(),
            taken,
            stripes,
            generation: learned.generation,
            condemned: None,
        }
    };
    #[expect(
        clippy::expect_used,
        reason = "the task is not aborted, and a decoder that panics is a defect to be seen"
    )]
    tokio::task::spawn_blocking(work)
        .await
        .expect("decoding ends")
}

fn stripe(records: &[Envelope], decoder: &dyn Decoder, source: &str) -> Stripe {
    let mut rows = decoder.empty_rows();
    let mut refused = Vec::new();
    for record in records {
        let decoded = match &record.refused {
            Some(refusal) => Err(refusal.clone()),
            None => decoder.decode(&record.record(source), &mut rows),
        };
        if let Err(refusal) = decoded {
            refused.push((record.position, refusal));
        }
    }
    Stripe { rows, refused }
}

/// How many of the records were of each kind.
fn kinds(decoder: &dyn Decoder, stripes: &[Stripe]) -> BTreeMap<&'static str, u64> {
    let names = decoder.kinds();
    let mut kinds = BTreeMap::new();
    for rows in stripes.iter().filter_map(|stripe| stripe.rows.first()) {
        let counted = names.iter().zip(rows.kind_counts());
        for (kind, count) in counted.filter(|(_, count)| **count > 0) {
            *kinds.entry(*kind).or_insert(0) += count;
        }
    }
    kinds
}

/// Fills the ids in that are known. Records whose keys no table has, and none takes, become refusals.
pub(crate) fn fill_in(batch: &mut Batch, lookups: &Lookups) {
    for stripe in &mut batch.stripes {
        let mut refused: Vec<(u64, Refusal)> = Vec::new();
        for rows in &mut stripe.rows {
            for lookup in 0..lookups.count() {
                let unknown = rows.patch(lookup, |key| lookups.find(lookup, key));
                let unknown = unknown.into_iter();
                refused.extend(unknown.filter_map(|(row, why)| Some((rows.position(row)?, why))));
            }
        }
        if refused.is_empty() {
            continue;
        }
        let gone: HashSet<u64> = refused.iter().map(|(position, _)| *position).collect();
        for rows in &mut stripe.rows {
            let positions = positions(rows);
            let is_kept = |row: usize| !positions.get(row).is_some_and(|at| gone.contains(at));
            rows.retain(is_kept);
        }
        refused.sort_by_key(|(position, _)| *position);
        refused.dedup_by_key(|(position, _)| *position);
        stripe.refused.extend(refused);
    }
}

fn positions(rows: &Rows) -> Vec<u64> {
    (0..rows.len())
        .filter_map(|row| rows.position(row))
        .collect()
}
