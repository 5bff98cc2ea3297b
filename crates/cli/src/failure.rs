//! Why the command ends without having done what it was asked, and with which exit code. How that looks on a
//! terminal is in `output::failure`.

use hyperhaul_migrate::{Error, Kind};
use hyperhaul_workload::WorkloadError;

/// How the process ends; `--help` explains the codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Unexpected = 1,
    Usage = 2,
    Blocked = 3,
    Differs = 4,
    Deadline = 5,
    Interrupted = 6,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> std::process::ExitCode {
        std::process::ExitCode::from(exit as u8)
    }
}

/// A failure in PostgreSQL's manner. Holds no row values and no passwords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// Lower case, no period.
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    /// What to do next, as a sentence.
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure {
            exit,
            message: message.into(),
            detail: None,
            hint: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, message)
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Failure {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let exit = match error.kind() {
            Kind::Unexpected => Exit::Unexpected,
            Kind::Usage => Exit::Usage,
            Kind::Blocked => Exit::Blocked,
            Kind::Differs => Exit::Differs,
            Kind::Interrupted => Exit::Interrupted,
            Kind::Deadline => Exit::Deadline,
        };
        Failure {
            exit,
            message: error.message().to_owned(),
            detail: error.detail_text().map(str::to_owned),
            hint: error.hint_text().map(str::to_owned),
        }
    }
}

impl From<hyperhaul_ingest::Error> for Failure {
    fn from(error: hyperhaul_ingest::Error) -> Failure {
        let exit = match error.kind() {
            hyperhaul_ingest::Kind::Unexpected => Exit::Unexpected,
            hyperhaul_ingest::Kind::Usage => Exit::Usage,
        };
        Failure {
            exit,
            message: error.message().to_owned(),
            detail: error.detail_text().map(str::to_owned),
            hint: error.hint_text().map(str::to_owned),
        }
    }
}

impl From<hyperhaul_pg::Error> for Failure {
    fn from(error: hyperhaul_pg::Error) -> Failure {
        Error::from(error).into()
    }
}

impl From<WorkloadError> for Failure {
    fn from(error: WorkloadError) -> Failure {
        match error {
            WorkloadError::Options(_) => Failure::usage(error.to_string()),
            WorkloadError::Generator { .. } => Failure::new(Exit::Unexpected, error.to_string()),
            WorkloadError::Server { during, cause } => {
                let failure = Failure::from(cause);
                Failure {
                    message: format!("{during} failed: {}", failure.message),
                    ..failure
                }
            }
        }
    }
}
