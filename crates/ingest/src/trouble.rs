//! What a failed batch asks for. This is the one place where its error is judged.

use crate::Error;
use hyperhaul_pg::{Disposition, Refusal};

/// Why a batch is not in.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The server's error, to be judged.
    Server(hyperhaul_pg::Error),
    /// A table is no longer what the rows were encoded for.
    Reshaped,
    /// Messages of the batch are committed already, by whoever was given them before.
    Delivered,
    /// What became of each row cannot be told by this way: a trigger changes rows or leaves some out.
    Uncounted,
    /// Rows were left out as repetitions of rows of the same batch, which are refused themselves.
    Orphaned,
    /// Nothing that trying again or another way would mend.
    Final(Error),
}

/// What to do about an error of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The same again, after a pause; the slower way avoids the collision.
    Again,
    /// Reconnect, read the ledger, then go on.
    Reconnect,
    /// Rows are taken again when something else has happened: a person has freed what the server lacks, or a migration keeps writers
    /// off the table until its cutover. Wait, as long as it takes.
    Wait,
    /// The server has no memory, or too few locks, for so much at once: less, and a single record waits.
    Memory,
    /// Some keys are there already.
    Duplicates,
    /// Some rows are refused.
    BadRows,
    /// An id that was remembered may be gone from its table.
    StaleIds,
    /// Too many rows at once.
    TooMany,
    /// The table may have another shape.
    Reshaped,
    /// It would fail again.
    Stop,
}

pub(crate) fn judge(error: &hyperhaul_pg::Error) -> Verdict {
    if error.is_fenced() {
        return Verdict::Wait;
    }
    match error.refusal() {
        Some(Refusal::Duplicate) => return Verdict::Duplicates,
        Some(Refusal::Row) if error.is_foreign_key_violation() => return Verdict::StaleIds,
        Some(Refusal::Row) => return Verdict::BadRows,
        Some(Refusal::RowCount) => return Verdict::TooMany,
        Some(Refusal::Memory) => return Verdict::Memory,
        Some(Refusal::Shape) => return Verdict::Reshaped,
        None => {}
    }
    match error.disposition() {
        Disposition::Retry | Disposition::Cancelled => Verdict::Again,
        Disposition::Reconnect => Verdict::Reconnect,
        Disposition::FreeResources => Verdict::Wait,
        Disposition::Fix => Verdict::Stop,
    }
}

impl Verdict {
    /// Whether it passes by itself, or when somebody frees something.
    pub(crate) fn passes(self) -> bool {
        match self {
            Verdict::Again | Verdict::Reconnect | Verdict::Wait | Verdict::Memory => true,
            Verdict::Duplicates
            | Verdict::BadRows
            | Verdict::StaleIds
            | Verdict::TooMany
            | Verdict::Reshaped
            | Verdict::Stop => false,
        }
    }
}

impl Trouble {
    /// The server's error; `None` where the same is to be done again at once.
    ///
    /// # Errors
    ///
    /// What nothing mends.
    pub(crate) fn of_server(self) -> Result<Option<hyperhaul_pg::Error>, Error> {
        match self {
            Trouble::Server(error) => Ok(Some(error)),
            Trouble::Reshaped | Trouble::Delivered | Trouble::Uncounted | Trouble::Orphaned => {
                Ok(None)
            }
            Trouble::Final(error) => Err(error),
        }
    }
}

impl From<hyperhaul_pg::Error> for Trouble {
    fn from(error: hyperhaul_pg::Error) -> Trouble {
        Trouble::Server(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Final(error)
    }
}

impl From<hyperhaul_ledger::Error> for Trouble {
    fn from(error: hyperhaul_ledger::Error) -> Trouble {
        match error {
            hyperhaul_ledger::Error::Pg(error) => Trouble::Server(error),
            other => Trouble::Final(other.into()),
        }
    }
}

impl From<hyperhaul_catalog::Error> for Trouble {
    fn from(error: hyperhaul_catalog::Error) -> Trouble {
        match error.server_error() {
            Some(server) => Trouble::Server(server.clone()),
            None => Trouble::Final(error.into()),
        }
    }
}
