//! The one error of this crate: on which side it arose and what that asks for. What servers report is kept as it is;
//! nothing here holds row values.

use std::fmt;

use hyperhaul_pg::Disposition;

/// Where an error arose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The session that is read from.
    Source,
    /// The session that is written to, or re-read in a verification.
    Target,
    /// Between the two: the bytes, or this process.
    Stream,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Source => "source",
            Side::Target => "target",
            Side::Stream => "stream",
        })
    }
}

/// A copy, a digest or a comparison that did not come to its end. Nothing of it was finished on the target: the transaction
/// is to be rolled back, and the [`SourceReader`](crate::SourceReader) to be replaced.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{side}: {kind}")]
pub struct Error {
    side: Side,
    kind: Kind,
}

/// What went wrong.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Kind {
    #[error(transparent)]
    Server(#[from] hyperhaul_pg::Error),
    #[error("could not read the rows: {0}")]
    Format(#[from] hyperhaul_pgcopy::Error),
    #[error("the server took in {reported} rows of {sent} that were sent")]
    RowCount { sent: u64, reported: u64 },
    #[error("null value in the time column (field {position} of the row)")]
    NullTime { position: usize },
    #[error("infinite value in the time column (field {position} of the row)")]
    InfiniteTime { position: usize },
    #[error("a chunk interval of {0} microseconds is not positive")]
    Interval(i64),
    #[error("the reading session has ended")]
    ReaderEnded,
    #[error("the reading session is busy with another query")]
    ReaderBusy,
    #[error("the thread that works on the rows ended early")]
    WorkEnded,
    #[error("could not start a thread: {0}")]
    Thread(String),
    #[error("rows changed while they were compared")]
    RowsChanged,
    #[error("a query for comparing rows returns no columns")]
    NoKeyColumn,
}

impl Error {
    pub(crate) fn new(side: Side, kind: impl Into<Kind>) -> Error {
        Error {
            side,
            kind: kind.into(),
        }
    }

    pub(crate) fn stream(kind: impl Into<Kind>) -> Error {
        Error::new(Side::Stream, kind)
    }

    /// On which side it arose.
    pub fn side(&self) -> Side {
        self.side
    }

    /// What the server or the connection to it reported, with SQLSTATE, constraint, detail and hint.
    pub fn server_error(&self) -> Option<&hyperhaul_pg::Error> {
        match &self.kind {
            Kind::Server(error) => Some(error),
            _ => None,
        }
    }

    /// More about it, where there is more to say.
    pub fn detail(&self) -> Option<&str> {
        self.server_error().and_then(hyperhaul_pg::Error::detail)
    }

    /// What could be done about it, as a sentence.
    pub fn hint(&self) -> Option<&str> {
        match &self.kind {
            Kind::Server(error) => error.hint(),
            Kind::NullTime { .. } | Kind::InfiniteTime { .. } => {
                Some("Such a row has no place in any chunk: correct or delete it in the source.")
            }
            Kind::RowCount { .. } => {
                Some("Look for triggers or rules on the target that drop rows, and disable them.")
            }
            _ => None,
        }
    }

    /// What to do about it.
    pub fn disposition(&self) -> Disposition {
        match &self.kind {
            Kind::Server(error) => error.disposition(),
            Kind::ReaderEnded => Disposition::Reconnect,
            Kind::RowsChanged | Kind::WorkEnded => Disposition::Retry,
            Kind::Thread(_) => Disposition::FreeResources,
            // A stream that broke off without an error of the connection is a connection that was cut.
            Kind::Format(error) if error.is_truncated() => Disposition::Reconnect,
            Kind::Format(_)
            | Kind::RowCount { .. }
            | Kind::NullTime { .. }
            | Kind::InfiniteTime { .. }
            | Kind::Interval(_)
            | Kind::ReaderBusy
            | Kind::NoKeyColumn => Disposition::Fix,
        }
    }
}
