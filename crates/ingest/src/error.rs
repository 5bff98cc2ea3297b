//! Why ingest stopped, or a command around it failed, in PostgreSQL's manner: message, detail, hint.

use hyperhaul_decode::MappingError;
use std::fmt;

/// Why it stopped.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
}

/// What a stop means; the command line makes its exit codes of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something failed that should not have.
    Unexpected,
    /// The request makes no sense: a missing table, a column that is not there.
    Usage,
}

impl Error {
    fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error {
            kind,
            message: message.into(),
            detail: None,
            hint: None,
        }
    }

    pub(crate) fn unexpected(message: impl Into<String>) -> Error {
        Error::new(Kind::Unexpected, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage, message)
    }

    /// A stream's mapping that does not fit.
    pub(crate) fn mapping(error: &MappingError) -> Error {
        Error {
            hint: error.hint_text().map(str::to_owned),
            ..Error::usage(error.to_string())
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// Says what it is about, before the message.
    pub(crate) fn about(mut self, what: impl fmt::Display) -> Error {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// What the stop means.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The primary message: lower case, no period, no values.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// More about it.
    pub fn detail_text(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// What to do next, as a sentence.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<hyperhaul_pg::Error> for Error {
    fn from(error: hyperhaul_pg::Error) -> Error {
        let kind = if error.is_configuration() {
            Kind::Usage
        } else {
            Kind::Unexpected
        };
        Error {
            kind,
            message: error.to_string(),
            detail: error.detail().map(str::to_owned),
            hint: error.hint().map(str::to_owned),
        }
    }
}

impl From<hyperhaul_ledger::Error> for Error {
    fn from(error: hyperhaul_ledger::Error) -> Error {
        match error {
            hyperhaul_ledger::Error::Pg(error) => error.into(),
            other => Error::unexpected(other.to_string()),
        }
    }
}

impl From<hyperhaul_catalog::Error> for Error {
    fn from(error: hyperhaul_catalog::Error) -> Error {
        Error {
            kind: Kind::Unexpected,
            message: error.to_string(),
            detail: error.detail(),
            hint: error.hint(),
        }
    }
}
