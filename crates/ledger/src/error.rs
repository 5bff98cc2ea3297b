//! What can go wrong with the ledger.

use thiserror::Error;

/// Why the ledger could not be read or written.
#[derive(Debug, Error)]
pub enum Error {
    /// The server refused or was lost.
    #[error(transparent)]
    Pg(#[from] hyperhaul_pg::Error),
    /// There is no run with that number.
    #[error("the target has no run {0}")]
    NoRun(crate::RunId),
    /// What the ledger holds can't be understood: it was written by another version, or by hand.
    #[error("the ledger's {what} cannot be read: {reason}")]
    Content {
        /// What was being read.
        what: String,
        /// Why it can't be.
        reason: String,
    },
}

impl Error {
    pub(crate) fn content(what: impl Into<String>, reason: impl ToString) -> Error {
        Error::Content {
            what: what.into(),
            reason: reason.to_string(),
        }
    }
}
