//! Rows that tell again what a row before them has told: left out, where the decoder says by which columns they are known.
//!
//! What was written lately is remembered, up to a number of keys. A process that begins learns it from the table: the rows that were
//! received shortly before its first records, or beside dead letters that are tried again.

use crate::batch::Batch;
use crate::learn::Learned;
use crate::limits::{REPEATS_AFTER, REPEATS_BEFORE};
use crate::statements::Table;
use crate::trouble::Trouble;
use chrono::{DateTime, TimeDelta, Utc};
use hyperhaul_decode::{RecentKeys, Repeats as Spec};
use hyperhaul_pg::Session;
use hyperhaul_pgcopy::Framer;
use std::collections::HashSet;
use std::ops::Range;

/// The memory of a stream whose decoder knows repetitions.
pub(crate) struct Repeats {
    spec: Spec,
    keys: RecentKeys,
    table: Table,
    /// What the table says was learned.
    is_warm: bool,
}

impl Repeats {
    /// For the tables as they were learned. `None`: nothing is a repetition.
    pub(crate) fn new(learned: &Learned) -> Option<Repeats> {
        let spec = learned.decoder.repeats()?;
        let target = learned.decoder.targets().get(spec.target)?;
        Some(Repeats {
            keys: RecentKeys::new(&target.columns, spec.key, spec.keys_max)?,
            table: learned.tables.get(spec.target)?.clone(),
            is_warm: false,
            spec,
        })
    }

    /// Leaves repetitions out of the batch, whose ids are filled in.
    pub(crate) async fn leave_out(
        &mut self,
        session: &Session,
        batch: &mut Batch,
    ) -> Result<(), Trouble> {
        self.warm_up(session, batch).await?;
        let target = self.spec.target;
        for stripe in &mut batch.stripes {
            let Some(rows) = stripe.rows.get_mut(target) else {
                continue;
            };
            let firsts = self.keys.drop_duplicates(rows);
            batch.firsts.extend(firsts.into_iter().flatten());
        }
        Ok(())
    }

    /// Forgets records that were not written: the next one of each key is the first.
    pub(crate) fn forget(&mut self, positions: &HashSet<u64>) {
        if !positions.is_empty() {
            self.keys.forget(positions);
        }
    }

    async fn warm_up(&mut self, session: &Session, batch: &Batch) -> Result<(), Trouble> {
        let Some(time) = around(batch).filter(|_| !self.is_warm) else {
            return Ok(());
        };
        let Spec {
            key,
            received_at,
            keys_max,
            ..
        } = self.spec;
        let sql = self
            .table
            .copy_latest(key, received_at, &time, keys_max / 2);
        let mut copy = session.copy_out(&sql).await?;
        let mut framer = Framer::new();
        let mut learned = Ok(());
        while let Some(piece) = copy.next().await? {
            let keys = &mut self.keys;
            let framed = framer.push(&piece, |tuple| {
                let learning = keys.learn(tuple.as_bytes());
                learned = learned.clone().and(learning);
            });
            framed.map_err(|error| self.unreadable(&error))?;
        }
        learned
            .and(framer.finish())
            .map_err(|error| self.unreadable(&error))?;
        self.is_warm = true;
        Ok(())
    }

    fn unreadable(&self, error: &hyperhaul_pgcopy::Error) -> crate::Error {
        let table = self.table.relation.plain();
        crate::Error::unexpected(format!("could not read {table}: {error}"))
    }
}

/// The time in which rows may have been received that the batch's repeat; `None`: it has no records, or their times are beyond all
/// calendars.
fn around(batch: &Batch) -> Option<Range<DateTime<Utc>>> {
    let records = batch.taken.records.iter();
    let received_at_us = records.map(|record| record.received_at_us);
    let first = DateTime::from_timestamp_micros(received_at_us.clone().min()?)?;
    let last = DateTime::from_timestamp_micros(received_at_us.max()?)?;
    let before = TimeDelta::from_std(REPEATS_BEFORE).ok()?;
    let after = TimeDelta::from_std(REPEATS_AFTER).ok()?;
    Some(first.checked_sub_signed(before)?..last.checked_add_signed(after)?)
}
