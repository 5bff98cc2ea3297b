//! Whether this process can do its work: asked by whoever watches over it, at `/healthz` and `/readyz` of each address that it
//! listens at.

use crate::intake::{Intake, SpoolState};
use crate::limits::{PROBE_AGE_MAX, PROBE_WAIT};
use crate::source::http::Refused;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use hyperhaul_pg::{Server, Session};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Mutex;

/// Answers both questions.
pub(crate) fn router(health: Arc<Health>) -> Router {
    Router::new()
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .with_state(health)
}

/// The process lives.
async fn healthy() -> &'static str {
    "ok\n"
}

/// It takes and writes records.
async fn ready(State(health): State<Arc<Health>>) -> Result<&'static str, Refused> {
    let obstacles = health.obstacles().await;
    if obstacles.is_empty() {
        return Ok("ready\n");
    }
    Err(Refused::unready(&obstacles))
}

/// The database, and the spools in front of it.
pub(crate) struct Health {
    server: Server,
    intakes: Vec<(String, Intake)>,
    probe: Mutex<Probe>,
}

/// What the database said last. The session is kept, so that asking often costs little.
#[derive(Default)]
struct Probe {
    session: Option<Session>,
    answered: Option<(Instant, bool)>,
}

impl Health {
    /// `intakes` by their streams' names.
    pub(crate) fn new(server: Server, intakes: &HashMap<String, Intake>) -> Health {
        let intakes = intakes.iter();
        Health {
            server,
            intakes: intakes
                .map(|(stream, intake)| (stream.clone(), intake.clone()))
                .collect(),
            probe: Mutex::default(),
        }
    }

    /// What stands in the way; nothing: records are taken and written.
    pub(crate) async fn obstacles(&self) -> Vec<String> {
        let mut obstacles = Vec::new();
        for (stream, intake) in &self.intakes {
            match intake.state() {
                SpoolState::Open => {}
                SpoolState::Full => obstacles.push(format!("the spool of stream {stream} is full")),
                SpoolState::Failed => {
                    obstacles.push(format!("the spool of stream {stream} failed"))
                }
            }
        }
        if !self.is_database_there().await {
            obstacles.push("the database does not answer".to_owned());
        }
        obstacles
    }

    /// Asks the database, unless somebody did a moment ago.
    async fn is_database_there(&self) -> bool {
        let mut probe = self.probe.lock().await;
        if let Some((at, is_there)) = probe.answered
            && at.elapsed() < PROBE_AGE_MAX
        {
            return is_there;
        }
        let asked = tokio::time::timeout(PROBE_WAIT, self.ask(probe.session.take())).await;
        probe.session = asked.ok().flatten();
        let is_there = probe.session.is_some();
        probe.answered = Some((Instant::now(), is_there));
        is_there
    }

    /// The session that got an answer.
    async fn ask(&self, session: Option<Session>) -> Option<Session> {
        if let Some(session) = session
            && session.query_one("SELECT 1", &[]).await.is_ok()
        {
            return Some(session);
        }
        // The session may be of a server that was started again since.
        let session = self.server.connect("health").await.ok()?;
        session.query_one("SELECT 1", &[]).await.ok()?;
        Some(session)
    }
}
