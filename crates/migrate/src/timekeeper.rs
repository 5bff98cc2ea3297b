//! What keeps the time of a run: gathers what the forecast is made from, and looks at it again and again.
//!
//! ```text
//! lead, lanes --phases and steps--> Timekeeper --twice a second--> look: observer, ledger, warning, deadline --> Interrupt
//! ```

mod shares;

pub(crate) use shares::shares;

use crate::context::Context;
use crate::forecast::{Forecast, Tracker, after};
use crate::{Deadline, Event, Interrupt, Meter};
use chrono::{DateTime, Utc};
use hyperhaul_ledger as ledger;
use hyperhaul_plan::{Phase, Plan, Step, StepId};
use shares::{seen, weighs, weight, weights};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the forecast is made anew.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often it is written to the ledger, for `status`.
const STORE_EVERY: Duration = Duration::from_secs(10);
/// A forecast has to be late this often in a row before it warns: a moment's hiccup is none.
const LATE_LOOKS_MIN: u32 = 3;
/// Going back, seconds a statement: it drops and renames.
const INVERSE_S: f64 = 0.1;

/// What keeps the time of a run. Shared by all of its parts.
#[derive(Default)]
pub(crate) struct Timekeeper {
    deadline: Option<Deadline>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// None before the run has begun, and for commands that have no forecast.
    tracker: Option<Tracker>,
    current: Option<CurrentPhase>,
    running: Vec<RunningStep>,
    /// Statements that a rollback would run now.
    inverses: usize,
    warned_of: Option<DateTime<Utc>>,
    late_looks: u32,
    continued: bool,
    /// The application is back: nothing of the rest is a reason to hurry.
    is_cut_over: bool,
    not_begun: Option<String>,
}

struct CurrentPhase {
    meter: Arc<Meter>,
    /// Weights of its steps: those that are done, those that the meter tells of, all.
    done: f64,
    metered: f64,
    all: f64,
}

struct RunningStep {
    id: StepId,
    ends_at: DateTime<Utc>,
}

/// What a look came to.
#[derive(Default)]
struct Look {
    forecast: Option<Forecast>,
    notice: Option<String>,
}

impl Timekeeper {
    pub(crate) fn new(deadline: Option<Deadline>) -> Timekeeper {
        Timekeeper {
            deadline,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The window's end, if there is one.
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    /// Begins with what earlier processes have done and seen.
    pub(crate) fn begin(&self, tracker: Tracker, inverses: usize) {
        let mut state = self.state();
        state.tracker = Some(tracker);
        state.inverses = inverses;
    }

    pub(crate) fn phase_started(
        &self,
        plan: &Plan,
        phase: Phase,
        steps: &[&Step],
        meter: &Arc<Meter>,
    ) {
        let now = Utc::now();
        let mut state = self.state();
        let seen = seen(plan, phase);
        let all = weights(plan, phase).sum::<f64>();
        let metered = steps.iter().filter(|step| !weighs(step));
        if let Some(tracker) = &mut state.tracker {
            tracker.phase_started(phase, seen, now);
        }
        state.running.clear();
        state.current = Some(CurrentPhase {
            meter: meter.clone(),
            done: all - steps.iter().map(|step| weight(step)).sum::<f64>(),
            metered: metered.map(|step| weight(step)).sum(),
            all,
        });
    }

    pub(crate) fn phase_finished(&self) {
        let mut state = self.state();
        if let Some(tracker) = &mut state.tracker {
            tracker.phase_finished(Utc::now());
        }
        state.current = None;
    }

    pub(crate) fn step_started(&self, plan: &Plan, step: &Step) {
        let now = Utc::now();
        let mut state = self.state();
        let ends_at = after(now, state.predicted_s(plan, step));
        state.running.push(RunningStep {
            id: step.id.clone(),
            ends_at,
        });
    }

    /// A step has ended, well or not.
    pub(crate) fn step_finished(&self, step: &Step, done: bool) {
        let mut state = self.state();
        state.running.retain(|running| running.id != step.id);
        if !done {
            return;
        }
        state.inverses += step.inverse.len();
        if let Some(current) = state.current.as_mut().filter(|_| weighs(step)) {
            current.done += weight(step);
        }
        state.see_progress(Utc::now());
    }

    /// Whether a step that begins now would end in time. One that the application does not wait for always does.
    pub(crate) fn fits(&self, plan: &Plan, step: &Step) -> bool {
        let Some(deadline) = self.deadline.filter(Deadline::stops) else {
            return true;
        };
        let predicted_s = self.state().predicted_s(plan, step);
        !step.phase.keeps_out() || after(Utc::now(), predicted_s) <= deadline.grace_ends_at()
    }

    /// Steps were not begun since they would not end in time: the run stops.
    pub(crate) fn leave_out(&self, step: &Step, interrupt: &Interrupt) {
        self.state().not_begun = Some(step.title.clone());
        interrupt.stop_for_deadline(false);
    }

    /// The step that was not begun.
    pub(crate) fn not_begun(&self) -> Option<String> {
        self.state().not_begun.clone()
    }

    /// The application is back: the deadline is none any more.
    pub(crate) fn cut_over(&self, interrupt: &Interrupt) {
        let mut state = self.state();
        state.is_cut_over = true;
        interrupt.forget_deadline();
    }

    /// The forecast as it is now; none for commands that have none.
    pub(crate) fn forecast(&self) -> Option<Forecast> {
        let now = Utc::now();
        let mut state = self.state();
        state.see_progress(now);
        state.forecast(self.deadline, now)
    }

    /// Looks, warns, and asks the run to stop when its time is over.
    fn look(&self, now: DateTime<Utc>, interrupt: &Interrupt) -> Look {
        let mut state = self.state();
        state.see_progress(now);
        let forecast = state.forecast(self.deadline, now);
        let (Some(deadline), Some(seen), false) = (self.deadline, &forecast, state.is_cut_over)
        else {
            return Look {
                forecast,
                notice: None,
            };
        };
        let notice = if now < deadline.at {
            state.warn(&deadline, seen)
        } else if deadline.stops() {
            let grace_ends_at = deadline.grace_ends_at();
            let mut running = state.running.iter();
            let over = now >= grace_ends_at || running.any(|step| step.ends_at > grace_ends_at);
            interrupt.stop_for_deadline(over);
            None
        } else {
            let first = !std::mem::replace(&mut state.continued, true);
            first.then(|| {
                "the window is over; the run goes on, as --on-deadline continue says".to_owned()
            })
        };
        Look { forecast, notice }
    }
}

impl State {
    fn see_progress(&mut self, now: DateTime<Utc>) {
        let (Some(tracker), Some(current)) = (&mut self.tracker, &self.current) else {
            return;
        };
        tracker.progress(current.share(), now);
    }

    fn predicted_s(&self, plan: &Plan, step: &Step) -> f64 {
        let Some(tracker) = &self.tracker else {
            return 0.0;
        };
        let phase_s = tracker.predicted_s(step.phase);
        let all: f64 = weights(plan, step.phase).sum();
        let steps = plan.steps.iter().filter(|other| other.phase == step.phase);
        let beside = plan
            .width()
            .min(u32::try_from(steps.count()).unwrap_or(u32::MAX));
        // No step takes longer than its phase.
        (phase_s * f64::from(beside) * weight(step) / all).min(phase_s)
    }

    fn forecast(&self, deadline: Option<Deadline>, now: DateTime<Utc>) -> Option<Forecast> {
        let tracker = self.tracker.as_ref()?;
        let left = tracker.left(now);
        let seconds = left.iter().map(|left| left.seconds).sum();
        #[expect(clippy::cast_precision_loss, reason = "a number of statements")]
        let rollback_s = self.inverses as f64 * INVERSE_S;
        Some(Forecast {
            made_at: now,
            done_at: after(now, seconds),
            left,
            pace: tracker.pace(),
            rollback_s,
            deadline,
        })
    }

    fn warn(&mut self, deadline: &Deadline, forecast: &Forecast) -> Option<String> {
        self.late_looks = if forecast.is_late() {
            self.late_looks + 1
        } else {
            0
        };
        if self.late_looks < LATE_LOOKS_MIN {
            return None;
        }
        let warning = deadline.warning(forecast, self.warned_of)?;
        self.warned_of = Some(forecast.done_at);
        Some(warning)
    }
}

impl CurrentPhase {
    #[expect(clippy::cast_precision_loss, reason = "a share needs few digits")]
    fn share(&self) -> f64 {
        let of = |done: u64, all: u64| {
            if all == 0 {
                0.0
            } else {
                done as f64 / all as f64
            }
        };
        let rows = self.meter.rows_total.load(Ordering::Relaxed);
        let metered = if rows > 0 {
            // An estimate of rows may be too low; the end of the phase is what ends it.
            of(self.meter.rows(), rows).min(0.99)
        } else {
            of(
                self.meter.items_done.load(Ordering::Relaxed),
                self.meter.items_total.load(Ordering::Relaxed),
            )
        };
        (self.done + self.metered * metered) / self.all
    }
}

/// Keeps looking until it is dropped.
pub(crate) struct Watching(tokio::task::JoinHandle<()>);

impl Watching {
    pub(crate) fn begin(context: &Context) -> Watching {
        let context = context.clone();
        Watching(tokio::spawn(async move {
            let mut stored_at = Instant::now();
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let look = context.timekeeper.look(Utc::now(), &context.interrupt);
                if let Some(notice) = look.notice {
                    context.tell(Event::Notice(notice));
                }
                let Some(forecast) = look.forecast else {
                    continue;
                };
                if stored_at.elapsed() >= STORE_EVERY {
                    stored_at = Instant::now();
                    store(&context, &forecast).await;
                }
                context.tell(Event::Forecast(forecast));
            }
        }))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Writes the forecast for `status`. Whoever looks sees how old it is: a failure is not worth a stop.
async fn store(context: &Context, forecast: &Forecast) {
    let server = &context.connections.target;
    let Ok(session) = server.connect(&context.purpose("forecast")).await else {
        return;
    };
    if let Err(error) = ledger::store_forecast(&session, context.run, forecast).await {
        tracing::debug!(%error, "could not store the forecast");
    }
    session.close().await;
}
