//! The one error of this crate. It knows whether a thing failed or can't be had here at all.

use std::fmt;

/// Why a server, database, proxy or disk could not be had or used.
///
/// `Debug` prints the same as `Display`, so that `unwrap` in a test reads well.
pub struct Error {
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    unavailable: bool,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
            unavailable: false,
        }
    }

    /// The server at hand cannot do this, and nothing is broken.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self {
            unavailable: true,
            ..Self::new(message)
        }
    }

    pub(crate) fn because(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether this cannot be had with the server at hand, as opposed to having failed: a server
    /// named by the environment is not ours to stop, and only root may mount a disk.
    pub fn is_unavailable(&self) -> bool {
        self.unavailable
    }

    /// What PostgreSQL said, where it was PostgreSQL that refused.
    pub fn database_error(&self) -> Option<&tokio_postgres::error::DbError> {
        self.source
            .as_ref()?
            .downcast_ref::<tokio_postgres::Error>()?
            .as_db_error()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        if let Some(database) = self.database_error() {
            // The client library's own text is only "db error".
            write!(
                formatter,
                ": {} ({})",
                database.message(),
                database.code().code()
            )?;
            for more in [database.detail(), database.hint()].into_iter().flatten() {
                write!(formatter, "; {more}")?;
            }
            return Ok(());
        }
        let mut cause = self
            .source
            .as_ref()
            .map(|source| &**source as &dyn std::error::Error);
        while let Some(error) = cause {
            write!(formatter, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // `Display` already prints the whole chain.
        None
    }
}
