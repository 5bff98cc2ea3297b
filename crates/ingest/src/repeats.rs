//! Rows that tell again what a row before them has told: left out, where the decoder says by which columns they are known.
//!
//! What was written lately is remembered, up to a number of keys. A process that begins learns it from the table: the rows that were
//! received shortly before its first record.

use crate::batch::Batch;
use crate::learn::Learned;
use crate::limits::{REPEATS_AFTER, REPEATS_BEFORE};
use crate::statements::Table;
use crate::trouble::Trouble;
use chrono::{DateTime, TimeDelta, Utc};
use hyperhaul_decode::{RecentKeys, Repeats as Spec};
use hyperhaul_pg::Session;
use hyperhaul_pgcopy::{HEADER, TRAILER};
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
        let Some(time) = batch
            .taken
            .records
            .first()
            .and_then(|record| around(record.received_at_us))
            .filter(|_| !self.is_warm)
        else {
            return Ok(());
        };
        let Spec {
            key,
            received_at,
            keys_max,
            ..
        } = self.spec;
        let sql = self.table.copy_latest(key, received_at, &time, keys_max / 2);
        let mut copy = session.copy_out(&sql).await?;
        let mut bytes = Vec::new();
        while let Some(piece) = copy.next().await? {
            bytes.extend_from_slice(&piece);
        }
        let tuples = bytes
            .strip_prefix(&HEADER)
            .and_then(|tuples| tuples.strip_suffix(&TRAILER));
        if let Err(error) = self.keys.learn(tuples.unwrap_or(&bytes)) {
            let message = format!("could not read {}: {error}", self.table.relation.plain());
            return Err(crate::Error::unexpected(message).into());
        }
        self.is_warm = true;
        Ok(())
    }
}

/// The time in which rows may have been received that a record of this moment repeats; nothing for one beyond all calendars.
fn around(received_at_us: i64) -> Option<Range<DateTime<Utc>>> {
    let received_at = DateTime::from_timestamp_micros(received_at_us)?;
    let before = TimeDelta::from_std(REPEATS_BEFORE).ok()?;
    let after = TimeDelta::from_std(REPEATS_AFTER).ok()?;
    let begin = received_at.checked_sub_signed(before)?;
    Some(begin..received_at.checked_add_signed(after)?)
}
