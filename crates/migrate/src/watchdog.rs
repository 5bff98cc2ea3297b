//! Looks at the target while a run is at work, in one light task with a session of its own; what it means is judged by `plan`.
//!
//! ```text
//! task     every second: catalog::vitals --> plan::watchdog --> gate: open, paused, stopped
//! workers  before each slice, and before each step that builds: through the gate
//! ```
//!
//! What is begun is finished: a pause holds no lock and no transaction of a worker.

use crate::context::Context;
use crate::{Error, Event};
use hyperhaul_catalog::{self as catalog, VitalsSeen};
use hyperhaul_ledger as ledger;
use hyperhaul_pg::Session;
use hyperhaul_plan::facts::Vitals;
use hyperhaul_plan::watchdog::{ServerLimits, Verdict, Watchdog};
use hyperhaul_plan::{Phase, Step};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long one who waits at the gate waits before it looks whether it is to stop for another reason.
const GATE_LOOK: Duration = Duration::from_millis(500);

/// What workers pass before they begin something. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    limits: ServerLimits,
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Open,
    Paused,
    Stopped(String),
}

impl Gate {
    /// An open gate, to be watched with these limits.
    pub(crate) fn new(limits: ServerLimits) -> Gate {
        Gate {
            limits,
            state: Arc::new(watch::Sender::new(State::Open)),
        }
    }

    /// A gate that stays open.
    pub(crate) fn unwatched() -> Gate {
        Gate::new(ServerLimits::default())
    }

    /// Whether the gate is open, or opens soon. One who waits looks in between whether it is to stop.
    ///
    /// # Errors
    ///
    /// If the run has been paused for as long as its patience.
    pub(crate) async fn opens_soon(&self) -> Result<bool, Error> {
        let mut seen = self.state.subscribe();
        let passed =
            tokio::time::timeout(GATE_LOOK, seen.wait_for(|state| *state != State::Paused));
        match passed.await.ok().and_then(Result::ok).as_deref() {
            Some(State::Open) => Ok(true),
            Some(State::Stopped(reasons)) => Err(self.stopped(reasons)),
            Some(State::Paused) | None => Ok(false),
        }
    }

    /// Waits before a step that takes much space.
    ///
    /// # Errors
    ///
    /// Likewise; or if the run is to stop for another reason.
    pub(crate) async fn pass(&self, context: &Context, step: &Step) -> Result<(), Error> {
        let builds = matches!(
            step.phase,
            Phase::Stage
                | Phase::Keys
                | Phase::Indexes
                | Phase::ForeignKeys
                // Those that validate foreign keys, which may sort on disk.
                | Phase::Verify
        );
        while builds && !self.opens_soon().await? {
            if context.interrupt.draining() {
                return Err(Error::interrupted());
            }
        }
        Ok(())
    }

    fn stopped(&self, reasons: &str) -> Error {
        let paused = self.limits.patience.as_secs();
        Error::blocked(format!("stopped at a limit: {reasons}"))
            .detail(format!(
                "The run was paused for {paused} s and it did not get better. What is done stays done."
            ))
            .hint(
                "Make room, or give another limit; then run hyperhaul migrate again: it goes on where it stopped. Or go back \
                 with hyperhaul rollback.",
            )
    }
}

/// The task, until it is dropped.
pub(crate) struct Watching(JoinHandle<()>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Watching {
    /// Looks once, so that nothing is begun beyond a limit, and goes on looking.
    pub(crate) async fn begin(context: &Context) -> Watching {
        let mut watcher = Watcher {
            context: context.clone(),
            dog: Watchdog::new(context.gate.limits.clone()),
            begun: Instant::now(),
            session: None,
            told: Told::default(),
        };
        watcher.look().await;
        Watching(tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                watcher.look().await;
            }
        }))
    }
}

struct Watcher {
    context: Context,
    dog: Watchdog,
    begun: Instant,
    session: Option<(Session, VitalsSeen)>,
    told: Told,
}

/// What was told already.
#[derive(Default)]
struct Told {
    paused: bool,
    unseen: bool,
    failed: bool,
}

impl Watcher {
    /// A look that fails is no failure of the run: the session may be lost with the server's, which the workers wait for.
    async fn look(&mut self) {
        match self.vitals().await {
            Ok(vitals) => {
                self.tell_unseen(&vitals);
                let verdict = self.dog.judge(self.begun.elapsed(), &vitals);
                self.act(verdict).await;
            }
            Err(error) => {
                self.session = None;
                if !std::mem::replace(&mut self.told.failed, true) {
                    self.context.tell(Event::Notice(format!(
                        "the limits of disk, WAL and lag can't be watched right now: {error}"
                    )));
                }
            }
        }
    }

    async fn vitals(&mut self) -> Result<Vitals, Error> {
        let server = self.context.connections.target.clone();
        let (session, seen) = match &mut self.session {
            Some(opened) => opened,
            none => {
                let session = server.connect(&self.context.purpose("watch")).await?;
                let seen = catalog::vitals_seen(&session).await?;
                none.insert((session, seen))
            }
        };
        let with_size = self.context.gate.limits.growth_bytes_max.is_some();
        Ok(catalog::vitals(session, &server, *seen, with_size).await?)
    }

    fn tell_unseen(&mut self, vitals: &Vitals) {
        if std::mem::replace(&mut self.told.unseen, true) {
            return;
        }
        let limits = &self.context.gate.limits;
        if limits.free_disk_bytes_min.is_some_and(|bytes| bytes > 0) && vitals.disks.is_empty() {
            self.context.tell(Event::Notice(
                "the target's disk can't be seen from here: --min-free-disk has no effect, --max-growth limits what is written"
                    .to_owned(),
            ));
        }
        if limits.lag_bytes_max.is_some() && vitals.hidden_standbys > 0 {
            self.context.tell(Event::Notice(format!(
                "the role may not see how far {} standbys are behind: grant it pg_monitor; slots are watched",
                vitals.hidden_standbys
            )));
        }
    }

    async fn act(&mut self, verdict: Verdict) {
        let state = match verdict {
            Verdict::GoOn => State::Open,
            Verdict::Pause(reasons) => {
                if !self.told.paused {
                    self.context.tell(Event::Paused(reasons.join("; ")));
                }
                State::Paused
            }
            Verdict::Stop(reasons) => State::Stopped(reasons.join("; ")),
        };
        let paused = state != State::Open;
        if !paused && self.told.paused {
            self.context.tell(Event::Unpaused);
        }
        if paused != std::mem::replace(&mut self.told.paused, paused)
            && let Some((session, _)) = &self.session
        {
            // For `status` only.
            let _ = ledger::show_paused(session, self.context.run, paused).await;
        }
        // Who was stopped stays so: some workers may have seen it already.
        self.context.gate.state.send_if_modified(|now| {
            let changes = *now != state && !matches!(now, State::Stopped(_));
            if changes {
                *now = state;
            }
            changes
        });
    }
}
