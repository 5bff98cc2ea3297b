//! Finds out whether a pooler in transaction mode (PgBouncer's `pool_mode = transaction`) stands
//! between us and the server. There, session state, advisory locks and temporary tables do not
//! stay with a session, and a run would break in ways that are hard to see.
//!
//! The test needs two sessions and no privilege:
//!
//! ```text
//! A: begin, note (pid a), end          the pooler puts the server connection back
//! B: begin                             ... and lends it to B: B shows pid a
//! A: begin                             A gets another one: A shows another pid
//! ```
//!
//! A direct session keeps its backend, and two direct sessions never share one: neither sign
//! can appear without a pooler.

use std::time::Duration;

use crate::error::Error;
use crate::server::Server;
use crate::session::Session;

/// A pool with one server connection makes A wait for B: how long, before B lets go.
const WAIT_FOR_SERVER_CONNECTION: Duration = Duration::from_secs(2);
/// Rounds, for poolers that lend connections in turn or at random.
const ROUND_COUNT: usize = 4;

const IDENTITY: &str = "SELECT pg_catalog.pg_backend_pid(), a.backend_start \
     FROM pg_catalog.pg_stat_activity a WHERE a.pid = pg_catalog.pg_backend_pid()";

/// A backend, told apart from a later one with the same process id.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Backend {
    pid: i32,
    started: String,
}

/// What proves a pooler in transaction mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// One session was served by two backends, one after the other.
    BackendChanged {
        /// Process id in the first transaction.
        first_pid: i32,
        /// Process id in a later one.
        later_pid: i32,
    },
    /// Two open sessions were served by the same backend.
    BackendShared {
        /// Its process id.
        pid: i32,
    },
}

impl std::fmt::Display for Evidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Evidence::BackendChanged {
                first_pid,
                later_pid,
            } => write!(
                f,
                "one session was served by process {first_pid}, then by process {later_pid}"
            ),
            Evidence::BackendShared { pid } => {
                write!(f, "two open sessions were served by the same process {pid}")
            }
        }
    }
}

/// Looks for a pooler in transaction mode. `None` means that none showed itself.
pub async fn detect(server: &Server) -> Result<Option<Evidence>, Error> {
    let a = server.connect("pooler check").await?;
    let b = server.connect("pooler check").await?;
    let mut found = None;
    for _ in 0..ROUND_COUNT {
        found = round(&a, &b).await?;
        if found.is_some() {
            break;
        }
    }
    a.close().await;
    b.close().await;
    Ok(found)
}

async fn round(a: &Session, b: &Session) -> Result<Option<Evidence>, Error> {
    let first = backend(a).await?;
    b.batch("BEGIN").await?;
    let other = backend(b).await?;
    let mut later = Box::pin(backend(a));
    let waited = tokio::time::timeout(WAIT_FOR_SERVER_CONNECTION, &mut later).await;
    b.batch("ROLLBACK").await?;
    let later = match waited {
        Ok(later) => later?,
        Err(_) => later.await?,
    };
    if first != later {
        return Ok(Some(Evidence::BackendChanged {
            first_pid: first.pid,
            later_pid: later.pid,
        }));
    }
    Ok((first == other).then_some(Evidence::BackendShared { pid: first.pid }))
}

async fn backend(session: &Session) -> Result<Backend, Error> {
    let rows = session.simple_rows(IDENTITY).await?;
    let field = |at: usize| rows.first().and_then(|row| row.try_get(at).ok().flatten());
    match (field(0).and_then(|pid| pid.parse().ok()), field(1)) {
        (Some(pid), Some(started)) => Ok(Backend {
            pid,
            started: started.to_owned(),
        }),
        _ => Err(Error::unexpected_answer(
            "look for a pooler",
            "the backend does not show itself",
        )),
    }
}
