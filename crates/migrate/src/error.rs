//! Why a command stopped, in PostgreSQL's manner: message, detail, hint; and what that means for the caller.

use hyperhaul_pg::Disposition;
use std::fmt;

/// Why a command stopped.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    transient: bool,
}

/// What a stop means; the command line makes its exit codes of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something failed that should not have.
    Unexpected,
    /// The request makes no sense: a wrong URL, a missing table, no such run.
    Usage,
    /// Something stands in the way that a person has to resolve; nothing was lost, the run resumes.
    Blocked,
    /// Source and target differ.
    Differs,
    /// Interrupted; the run resumes.
    Interrupted,
    /// The window is over; the run resumes, or was rolled back.
    Deadline,
}

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error {
            kind,
            message: message.into(),
            detail: None,
            hint: None,
            transient: false,
        }
    }

    pub(crate) fn unexpected(message: impl Into<String>) -> Error {
        Error::new(Kind::Unexpected, message)
    }

    /// Work that leaves the way to others, to be tried again.
    pub(crate) fn gave_way(message: impl Into<String>) -> Error {
        Error {
            transient: true,
            ..Error::blocked(message)
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage, message)
    }

    pub(crate) fn blocked(message: impl Into<String>) -> Error {
        Error::new(Kind::Blocked, message)
    }

    pub(crate) fn interrupted() -> Error {
        Error::new(Kind::Interrupted, "interrupted; what is done stays done")
            .hint("Run hyperhaul migrate again to go on, or hyperhaul rollback to go back.")
    }

    /// An interruption of this command, to go on with it; any other error as it is.
    pub(crate) fn interrupted_at(self, command: &str) -> Error {
        if self.kind != Kind::Interrupted {
            return self;
        }
        self.hint(format!("Run hyperhaul {command} again to go on."))
    }

    /// The same, where a rollback could not let writers on again because of `lifting`.
    pub(crate) fn still_fenced(self, lifting: &Error) -> Error {
        let detail = format!("Writers are still kept off the hypertables: {lifting}.");
        let detail = match &self.detail {
            Some(own) => format!("{own}\n{detail}"),
            None => detail,
        };
        self.detail(detail)
            .hint("Run hyperhaul rollback again, or let writers on again with hyperhaul migrate.")
    }

    /// The same, for the user to put right in the call.
    pub(crate) fn into_usage(mut self) -> Error {
        self.kind = Kind::Usage;
        self
    }

    /// Says what it is about, before the message.
    pub(crate) fn about(mut self, what: &str) -> Error {
        self.message = format!("{what}: {}", self.message);
        self
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Error {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// Whether trying the same again may mend it: a lost connection, a restarting server, a lock that was held.
    pub(crate) fn is_transient(&self) -> bool {
        self.transient
    }

    /// With this hint, unless there is one already.
    pub(crate) fn or_hint(self, hint: &str) -> Error {
        if self.hint.is_some() {
            self
        } else {
            self.hint(hint)
        }
    }

    /// What the stop means.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message: lower case, no period.
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
        let kind = if error.is_configuration() || error.is_authentication() {
            Kind::Usage
        } else if error.is_privilege()
            || error.is_lock_timeout()
            || error.is_disk_full()
            || error.is_depended_on()
            || error.is_refused()
            || error.is_fenced()
            || error.is_foreign_key_violation()
        {
            Kind::Blocked
        } else {
            Kind::Unexpected
        };
        Error {
            kind,
            message: error.to_string(),
            detail: error.detail().map(str::to_owned),
            hint: hint(&error),
            transient: is_transient(error.disposition()),
        }
    }
}

/// The server's own hint, where it says enough.
fn hint(error: &hyperhaul_pg::Error) -> Option<String> {
    if error.is_disk_full() {
        let hint =
            "Free disk space on the server, then run the same again: it goes on where it stopped.";
        return Some(hint.to_owned());
    }
    error.hint().map(str::to_owned)
}

fn is_transient(disposition: Disposition) -> bool {
    match disposition {
        Disposition::Retry | Disposition::Reconnect => true,
        Disposition::FreeResources | Disposition::Fix | Disposition::Cancelled => false,
    }
}

impl From<hyperhaul_ledger::Error> for Error {
    fn from(error: hyperhaul_ledger::Error) -> Error {
        match error {
            hyperhaul_ledger::Error::Pg(error) => error.into(),
            error @ hyperhaul_ledger::Error::NoRun(_) => {
                Error::usage(error.to_string()).hint("See the newest one with hyperhaul status.")
            }
            error @ hyperhaul_ledger::Error::Content { .. } => Error::unexpected(error.to_string()),
        }
    }
}

impl From<hyperhaul_plan::Error> for Error {
    fn from(error: hyperhaul_plan::Error) -> Error {
        Error::usage(error.to_string()).hint(error.hint())
    }
}

impl From<hyperhaul_catalog::Error> for Error {
    fn from(error: hyperhaul_catalog::Error) -> Error {
        let kind = match error.server_error() {
            Some(server) => Error::from(server.clone()).kind,
            None if error.is_missing() => Kind::Usage,
            None => Kind::Unexpected,
        };
        Error {
            kind,
            message: error.to_string(),
            detail: error.detail(),
            hint: error.hint(),
            transient: is_transient(error.disposition()),
        }
    }
}

impl From<hyperhaul_engine::Error> for Error {
    fn from(error: hyperhaul_engine::Error) -> Error {
        let kind = error
            .server_error()
            .map_or(Kind::Unexpected, |error| Error::from(error.clone()).kind);
        Error {
            kind,
            message: error.to_string(),
            detail: error.detail().map(str::to_owned),
            hint: match error.server_error() {
                Some(server) => hint(server),
                None => error.hint().map(str::to_owned),
            },
            transient: is_transient(error.disposition()),
        }
    }
}
