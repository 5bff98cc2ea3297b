//! Who writes, and into which source's account.

use crate::Error;
use crate::meter::Meter;
use crate::stream::Stream;
use hyperhaul_ledger::PositionUnit;
use hyperhaul_pg::Server;
use std::sync::Arc;

/// Who writes what and where.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) server: Server,
    pub(crate) stream: Arc<Stream>,
    /// The source's name in the ledger.
    pub(crate) source: Arc<str>,
    pub(crate) unit: PositionUnit,
    pub(crate) meter: Meter,
}

impl Place {
    /// What was written by this process is no longer for it to say.
    pub(super) fn taken_over(&self) -> Error {
        Error::unexpected(format!(
            "another process has taken over source {}",
            self.source
        ))
        .hint("Let one process read a source; hyperhaul receipts shows where each stands.")
    }
}
