//! Why no plan could be made.

use thiserror::Error;

/// Why no plan could be made from the facts: the request itself is at fault, not what stands in its way (that is a
/// finding).
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct Error {
    message: String,
    hint: String,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Error {
        Error {
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// Says what it is about, before the message.
    pub(crate) fn about(mut self, what: &str) -> Error {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// What to do next, as a sentence.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}
