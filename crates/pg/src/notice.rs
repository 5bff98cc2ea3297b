//! What a server says without being asked: notices and warnings, kept in a bounded list.

use tokio_postgres::error::DbError;

/// Notices kept per session until they are taken; the oldest go first.
pub(crate) const NOTICES_KEPT_MAX: usize = 256;

/// A NOTICE or WARNING of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// `NOTICE`, `WARNING`, `INFO` and so on, in the server's language.
    pub severity: String,
    /// The five characters of the SQLSTATE.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
}

impl Notice {
    pub(crate) fn from_server(reported: &DbError) -> Notice {
        Notice {
            severity: reported.severity().to_owned(),
            sqlstate: reported.code().code().to_owned(),
            message: reported.message().to_owned(),
        }
    }
}
