//! The two ends of a migration.

use crate::Error;
use hyperhaul_pg::{Server, Session};

/// Where rows come from and where they go.
#[derive(Clone, Debug)]
pub struct Connections {
    /// The source.
    pub source: Server,
    /// The target; the same as the source for a migration within one database.
    pub target: Server,
}

impl Connections {
    /// A session with the source.
    pub(crate) async fn source(&self, purpose: &str) -> Result<Session, Error> {
        Ok(self.source.connect(purpose).await?)
    }

    /// A session with the target.
    pub(crate) async fn target(&self, purpose: &str) -> Result<Session, Error> {
        Ok(self.target.connect(purpose).await?)
    }
}
