//! What can go wrong: options, or the server that the rows go to.

/// Why sample data could not be made or loaded.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// The options contradict each other or exceed a limit.
    #[error("sample data options are not usable: {0}")]
    Options(String),
    /// The server refused or went away.
    #[error("{during} failed")]
    Server {
        /// What was being done, and to which object.
        during: String,
        /// What the server or the client library said.
        #[source]
        cause: hyperhaul_pg::Error,
    },
    /// A thread that makes rows ended without handing them over.
    #[error("rows of table \"{table}\" were not made: a worker thread panicked")]
    Generator {
        /// The table whose rows are missing.
        table: &'static str,
    },
}

impl WorkloadError {
    /// Says what was being done when the server failed.
    pub(crate) fn server(during: impl Into<String>) -> impl FnOnce(hyperhaul_pg::Error) -> Self {
        let during = during.into();
        move |cause| Self::Server { during, cause }
    }
}
