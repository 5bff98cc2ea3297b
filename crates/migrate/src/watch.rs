//! Who stands in a step's way: looked up by a session beside it while it waits for a lock.

use hyperhaul_catalog as catalog;
use hyperhaul_pg::{Server, Session};
use std::convert::Infallible;
use std::time::Duration;

/// How often a waiting step is looked at, at the least.
const LOOK_PAUSE_MAX: Duration = Duration::from_millis(400);
/// Looks in each wait for a lock: one that is shorter than the pause would end unseen.
const LOOKS_PER_WAIT: u64 = 4;

/// Looks who a step waits for, over all its attempts.
pub(crate) struct Watch<'a> {
    server: &'a Server,
    pause: Duration,
    session: Option<Session>,
    seen: Option<String>,
}

impl<'a> Watch<'a> {
    /// For a step on `server`. No session is opened until it waits.
    pub(crate) fn new(server: &'a Server, lock_timeout_ms: u64) -> Watch<'a> {
        let pause = Duration::from_millis(lock_timeout_ms / LOOKS_PER_WAIT);
        Watch {
            server,
            pause: pause.clamp(Duration::from_millis(1), LOOK_PAUSE_MAX),
            session: None,
            seen: None,
        }
    }

    /// Has the session ready: a short wait may be over before it is opened.
    pub(crate) async fn prepare(&mut self) {
        if self.session.is_none() {
            self.session = self.server.connect("look").await.ok();
        }
    }

    /// Looks, until it is dropped, who the backend with this pid waits for. Finding nothing out is no failure of the step.
    pub(crate) async fn over(&mut self, pid: i32) -> Infallible {
        loop {
            tokio::time::sleep(self.pause).await;
            self.prepare().await;
            let Some(session) = &self.session else {
                continue;
            };
            match catalog::blockers(session, pid).await {
                Ok(blockers) if blockers.is_empty() => {}
                Ok(blockers) => {
                    let names: Vec<String> = blockers.iter().map(ToString::to_string).collect();
                    self.seen = Some(format!("waits for {}", names.join("; ")));
                }
                Err(_) => self.session = None,
            }
        }
    }

    /// Who was seen last: `waits for pid 4711, ...`.
    pub(crate) fn seen(&self) -> Option<&str> {
        self.seen.as_deref()
    }
}
