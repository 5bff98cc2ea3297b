//! The two ends of a migration.

use crate::Error;
use hyperhaul_pg::{Disposition, Server, Session};

/// Where rows come from and where they go.
#[derive(Clone, Debug)]
pub struct Connections {
    /// The source.
    pub source: Server,
    /// The target; the same as the source for a migration within one database.
    pub target: Server,
}

impl Connections {
    /// A session with the source, to look at it before anything is begun.
    pub(crate) async fn source(&self, purpose: &str) -> Result<Session, Error> {
        self.source.connect(purpose).await.map_err(first)
    }

    /// A session with the target, likewise.
    pub(crate) async fn target(&self, purpose: &str) -> Result<Session, Error> {
        self.target.connect(purpose).await.map_err(first)
    }
}

/// Nothing has answered yet: the connection string may as well be wrong as the server be down.
fn first(error: hyperhaul_pg::Error) -> Error {
    let no_database = error.is_missing_database();
    let no_answer = error.sqlstate().is_none() && error.disposition() == Disposition::Reconnect;
    let error = Error::from(error);
    if no_database {
        error.into_usage().or_hint(
            "Is its name right in the connection string? psql -l lists the server's databases.",
        )
    } else if no_answer {
        error.into_usage()
    } else {
        error
    }
}
