//! A stream of packets of APRS-IS: stored in the spool as they come, and taken from there.

use super::Feeding;
use crate::Error;
use crate::heard::heard_until_us;
use crate::source::aprs::{AprsPlace, SpoolSink};
use std::sync::Arc;

impl Feeding {
    /// Until somebody says stop. The database may be away: the socket is read all the same.
    pub(super) async fn aprs(&self, place: &AprsPlace) -> Result<(), Error> {
        let intake = self.intake()?;
        let stored_until_us = tokio::task::block_in_place(|| heard_until_us(intake))?;
        let source = place.source(stored_until_us)?;
        let taking = async {
            let sink = Arc::new(SpoolSink(intake.clone()));
            let taken = async {
                source
                    .run(sink, self.stop.asked())
                    .await
                    .map_err(Error::from)
            };
            // What waits for room in the spool when it is late is in the gap that the next process tells.
            let ended = self.unless_late(taken).await;
            intake.close();
            ended
        };
        tokio::try_join!(taking, self.spooled())?;
        Ok(())
    }
}
