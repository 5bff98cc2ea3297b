//! Messages that several processes are given: each is committed by one of them, see `hyperhaul_ledger::commit_sequences`.

use super::Writer;
use crate::batch::{Batch, Delivery, Taken};
use crate::trouble::Trouble;
use hyperhaul_pg::Session;

/// Says that the batch's messages are committed, at the end of its transaction.
pub(super) async fn commit(session: &Session, batch: &Batch) -> Result<(), Trouble> {
    let Some(delivery) = &batch.taken.delivery else {
        return Ok(());
    };
    let Delivery {
        consumer,
        sequences,
        floor,
    } = delivery;
    if hyperhaul_ledger::commit_sequences(session, consumer, sequences, *floor).await? {
        return Ok(());
    }
    Err(Trouble::Delivered)
}

impl Writer {
    /// Takes out of the batch what is committed.
    pub(super) async fn leave_out(&self, batch: &mut Batch) -> Result<(), Trouble> {
        let Some(delivery) = &batch.taken.delivery else {
            return Ok(());
        };
        let (consumer, sequences) = (&delivery.consumer, &delivery.sequences);
        let committed =
            hyperhaul_ledger::committed_sequences(&self.session, consumer, sequences).await?;
        let mut taken = std::mem::replace(&mut batch.taken, Taken::none(0));
        taken.leave_out(&committed.into_iter().collect());
        *batch = self.decode(taken).await;
        Ok(())
    }
}
