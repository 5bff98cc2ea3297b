//! The one error of this crate: what was attempted, what the server said about it, and what that
//! asks for. It never holds row values or passwords, wherever the server puts them.

use std::fmt;

use tokio_postgres::error::DbError;

use crate::discretion::{CLASSES_WITHOUT_VALUES, copy_position, message_without_values};
use crate::disposition::{self, Disposition};
use crate::refusal::{self, Refusal};

/// A failed call. `Display` gives one line: what was attempted, then why it failed; detail and
/// hint are separate, as in PostgreSQL.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: Kind,
    attempted: String,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    report: Report,
}

/// What a server adds to its message.
#[derive(Debug, Clone, Default)]
struct Report {
    sqlstate: Option<String>,
    schema: Option<String>,
    table: Option<String>,
    column: Option<String>,
    constraint: Option<String>,
    context: Option<String>,
}

/// Where an error arose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The connection string, a file that it names, or the environment is wrong.
    Configuration,
    /// The server answered with an error.
    Server,
    /// The network or the server's process went away, or never answered.
    Connection,
    /// The session could not be set up for a reason that time does not mend: TLS, authentication.
    Refused,
    /// The answer is not what the caller asked for: wrong type, wrong number of rows.
    Answer,
}

impl Error {
    fn new(kind: Kind, attempted: impl Into<String>, message: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            kind,
            attempted: attempted.into(),
            message: message.into(),
            detail: None,
            hint: None,
            report: Report::default(),
        }))
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Error {
        Error::new(
            Kind::Configuration,
            "read the connection parameters",
            message,
        )
    }

    pub(crate) fn connection(attempted: impl Into<String>, message: impl Into<String>) -> Error {
        Error::new(Kind::Connection, attempted, message)
    }

    pub(crate) fn refused(attempted: impl Into<String>, message: impl Into<String>) -> Error {
        Error::new(Kind::Refused, attempted, message)
    }

    /// An answer that is not what was asked for; for decoders of rows in other crates.
    pub fn unexpected_answer(attempted: impl Into<String>, message: impl Into<String>) -> Error {
        Error::new(Kind::Answer, attempted, message)
    }

    /// Replaces what was attempted, in words that the user knows ("create index fixes_time_idx").
    #[must_use]
    pub fn attempting(mut self, attempted: impl Into<String>) -> Error {
        self.0.attempted = attempted.into();
        self
    }

    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    /// Translates the client library's error. `ending` is the reason why the connection ended,
    /// where that is known.
    pub(crate) fn from_client(
        attempted: impl Into<String>,
        error: &tokio_postgres::Error,
        ending: Option<&Error>,
    ) -> Error {
        let attempted = attempted.into();
        if let Some(reported) = error.as_db_error() {
            return Error::from_server(attempted, reported);
        }
        if let Some(ending) = ending {
            let mut lost =
                Error::connection(attempted, format!("connection lost: {}", ending.message()));
            lost.0.report.sqlstate = ending.0.report.sqlstate.clone();
            return lost;
        }
        Error::from_transport(attempted, error)
    }

    /// An error that no server reported: the socket, TLS, or the decoding of an answer.
    fn from_transport(attempted: String, error: &tokio_postgres::Error) -> Error {
        let io = causes(error).find_map(|cause| cause.downcast_ref::<std::io::Error>());
        let deepest = causes(error).last().map(ToString::to_string);
        let text = error.to_string();
        if error.is_closed() {
            return Error::connection(attempted, "connection closed");
        }
        let message = match deepest {
            Some(deepest) if deepest != text => deepest,
            _ => text.clone(),
        };
        // tokio-postgres keeps its error kinds private; what it prints for them is all there is.
        let refused = text.starts_with("error performing TLS")
            || text.starts_with("authentication error")
            || text.starts_with("invalid configuration");
        let cut_off = io.is_some_and(|io| {
            use std::io::ErrorKind::{
                BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof,
            };
            matches!(
                io.kind(),
                BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
            )
        });
        if refused && !cut_off {
            return Error::refused(attempted, message);
        }
        if io.is_some() || text.starts_with("timeout") {
            return Error::connection(attempted, message);
        }
        // Conversion errors may quote the value: keep only the library's own sentence.
        Error::unexpected_answer(attempted, text)
    }

    pub(crate) fn from_server(attempted: String, reported: &DbError) -> Error {
        let sqlstate = reported.code().code();
        let mut error = Error::new(
            Kind::Server,
            attempted,
            message_without_values(sqlstate, reported.message()),
        );
        let class = sqlstate.get(..2).unwrap_or_default();
        if CLASSES_WITHOUT_VALUES.contains(&class) {
            error.0.detail = reported.detail().map(str::to_owned);
        }
        error.0.hint = reported.hint().map(str::to_owned);
        error.0.report = Report {
            sqlstate: Some(sqlstate.to_owned()),
            schema: reported.schema().map(str::to_owned),
            table: reported.table().map(str::to_owned),
            column: reported.column().map(str::to_owned),
            constraint: reported.constraint().map(str::to_owned),
            context: reported.where_().and_then(copy_position),
        };
        error
    }

    /// What was attempted, as a verb phrase without values ("connect to ...", "COPY ...").
    pub fn attempted(&self) -> &str {
        &self.0.attempted
    }

    /// The primary message: lower case, no period, no values.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The server's DETAIL, where it cannot hold row values.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// What could be done about it, as a sentence.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The five characters of the SQLSTATE, when the server reported one.
    pub fn sqlstate(&self) -> Option<&str> {
        self.0.report.sqlstate.as_deref()
    }

    /// The schema of the object that the server named, unquoted.
    pub fn schema(&self) -> Option<&str> {
        self.0.report.schema.as_deref()
    }

    /// The relation that the server named, unquoted.
    pub fn table(&self) -> Option<&str> {
        self.0.report.table.as_deref()
    }

    /// The column that the server named, unquoted.
    pub fn column(&self) -> Option<&str> {
        self.0.report.column.as_deref()
    }

    /// The constraint that the server named, unquoted.
    pub fn constraint(&self) -> Option<&str> {
        self.0.report.constraint.as_deref()
    }

    /// Where in a COPY stream it happened ("COPY fixes, line 3, column altitude"), without the value.
    pub fn context(&self) -> Option<&str> {
        self.0.report.context.as_deref()
    }

    /// What to do about it.
    pub fn disposition(&self) -> Disposition {
        match self.0.kind {
            Kind::Configuration | Kind::Refused | Kind::Answer => Disposition::Fix,
            Kind::Connection => Disposition::Reconnect,
            Kind::Server => self
                .sqlstate()
                .map_or(Disposition::Fix, disposition::of_sqlstate),
        }
    }

    fn has_code(&self, codes: &[&str]) -> bool {
        self.sqlstate()
            .is_some_and(|sqlstate| codes.contains(&sqlstate))
    }

    /// What of the rows that were written the server refuses; `None`: they are not to blame.
    pub fn refusal(&self) -> Option<Refusal> {
        self.sqlstate().and_then(refusal::of_sqlstate)
    }

    /// The connection parameters themselves are wrong: a usage error, not a server's.
    pub fn is_configuration(&self) -> bool {
        self.0.kind == Kind::Configuration
    }

    /// A lock was not to be had within `lock_timeout`, or at once with NOWAIT (55P03).
    pub fn is_lock_timeout(&self) -> bool {
        self.has_code(&["55P03"])
    }

    /// The server's disk is full (53100).
    pub fn is_disk_full(&self) -> bool {
        self.has_code(&["53100"])
    }

    /// A table, column, function, type, schema or database does not exist.
    pub fn is_undefined_object(&self) -> bool {
        self.has_code(&["42P01", "42703", "42883", "42704", "3F000", "3D000"])
    }

    /// The role lacks a privilege (42501).
    pub fn is_privilege(&self) -> bool {
        self.has_code(&["42501"])
    }

    /// Logging in failed: wrong password or no matching entry in pg_hba.conf (28000, 28P01).
    pub fn is_authentication(&self) -> bool {
        self.has_code(&["28000", "28P01"])
    }

    /// The database does not exist (3D000).
    pub fn is_missing_database(&self) -> bool {
        self.has_code(&["3D000"])
    }

    /// A row refers to one that is not there, or is referred to (23503).
    pub fn is_foreign_key_violation(&self) -> bool {
        self.has_code(&["23503"])
    }

    /// Something else depends on what is to be dropped: a person has to decide about it (2BP01).
    pub fn is_depended_on(&self) -> bool {
        self.has_code(&["2BP01"])
    }

    /// An object is not in the state that the statement needs, which our own statements raise where they refuse to go on (55000).
    pub fn is_refused(&self) -> bool {
        self.has_code(&["55000"])
    }

    /// A migration keeps writers off the table until its cutover: what its triggers raise (ZH001, of the classes that the standard
    /// leaves to implementations).
    pub fn is_fenced(&self) -> bool {
        self.has_code(&["ZH001"])
    }

    /// The statement was cancelled by a user or a timeout (57014).
    pub fn is_cancelled(&self) -> bool {
        self.has_code(&["57014"])
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: {}", self.0.attempted, self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl std::error::Error for Error {}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source()).skip(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_asks_for_reconnecting_and_bad_parameters_for_a_person() {
        let lost = Error::connection("run SELECT", "connection closed");
        assert_eq!(lost.disposition(), Disposition::Reconnect);
        assert_eq!(lost.to_string(), "could not run SELECT: connection closed");
        let wrong = Error::configuration("unknown parameter");
        assert_eq!(wrong.disposition(), Disposition::Fix);
        assert!(wrong.is_configuration());
    }
}
