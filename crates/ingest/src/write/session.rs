//! The session of a writer: made anew when it is lost, and what became of the transaction that was under way.

use super::{Writer, letters};
use crate::Error;
use crate::limits::PATIENT;
use crate::meter::Peer;
use crate::trouble::{Trouble, judge};
use hyperhaul_ledger::{Outcome, Source};
use hyperhaul_pg::Session;
use hyperhaul_pg::retry::Backoff;

impl Writer {
    /// A new session, and what became of the batch up to `to` whose transaction was under way: its outcome if it was committed.
    pub(super) async fn reconnect(&mut self, to: u64) -> Result<Option<Outcome>, Error> {
        let lost_pid = self.session.backend_pid();
        self.place.meter.database(false);
        let mut patience = Backoff::new(PATIENT);
        let source = loop {
            self.session = self.connect().await?;
            self.staged_for = None;
            let trouble = match self.take_back(lost_pid).await {
                Ok(Some(source)) => break source,
                Ok(None) => return Err(self.place.taken_over()),
                Err(trouble) => trouble.of_server()?,
            };
            if let Some(error) = trouble
                && !judge(&error).passes()
            {
                return Err(error.into());
            }
            // Who gets a session and is refused would come back as fast as sessions are made.
            patience.pause().await;
        };
        self.place.meter.database(true);
        self.place.meter.reconnected(Peer::Database);
        let before = std::mem::replace(&mut self.source, source).position;
        if self.source.position == before {
            return Ok(None);
        }
        if self.source.position == letters::ledger_position(to) {
            tracing::info!(stream = %self.place.stream.name, "the COMMIT whose answer was lost had happened");
            self.forget_unwritten();
            return Ok(Some(self.in_doubt));
        }
        Err(self.place.taken_over())
    }

    /// Ends the backend whose connection was lost, so that its transaction is over one way or the other.
    async fn take_back(&self, lost_pid: i32) -> Result<Option<Source>, Trouble> {
        hyperhaul_catalog::end_backend(&self.session, lost_pid).await?;
        Ok(self.source.take_back(&self.session).await?)
    }

    /// Waits for the database as long as it takes: what comes meanwhile is behind a bounded spool.
    async fn connect(&self) -> Result<Session, Error> {
        let mut patience = Backoff::new(PATIENT);
        loop {
            let error = match self.place.server.connect("ingest").await {
                Ok(session) => return Ok(session),
                Err(error) => error,
            };
            if !judge(&error).passes() {
                return Err(error.into());
            }
            if patience.pause_count() == 0 {
                tracing::warn!(stream = %self.place.stream.name, %error, "the database is away; rows wait");
            }
            patience.pause().await;
        }
    }
}
