//! How a run is watched: a bar for each phase on a terminal, plain lines elsewhere. All of it goes to stderr.
//!
//! ```text
//!   tasks of the run --events--> Watch --- lock ---> phases under way ----> bars or lines
//!   its meters <---------------- ticker thread, ten times a second ----'
//! ```

mod display;
mod rates;
mod text;

use crate::output::{Look, Style, number};
use crate::terminal::QuietKeys;
pub(crate) use display::{Bar, Display};
use hyperhaul_migrate::{Event, Forecast, Meter, Observer};
use hyperhaul_plan::Phase;
use rates::Rates;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use text::Reading;

/// How often bars move.
const TICK: Duration = Duration::from_millis(100);
/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Steps shorter than this are not worth a line of their own in a log.
const STEP_WORTH_A_LINE: Duration = Duration::from_secs(1);

/// Watches a run, until it is dropped.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    live: Mutex<Option<Live>>,
}

/// What there is only while a run is watched.
struct Live {
    /// Dropping it stops the ticker.
    stop: Sender<()>,
    ticker: JoinHandle<()>,
    _keys: Option<QuietKeys>,
}

struct Shared {
    display: Display,
    begun: Instant,
    look: Look,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    phases: Vec<Running>,
    /// Titles of the steps that are under way, oldest first.
    steps: Vec<String>,
    resumed: bool,
    forecast: Option<Forecast>,
    /// Why the run is paused.
    paused: Option<String>,
}

/// A phase under way.
struct Running {
    phase: Phase,
    meter: Arc<Meter>,
    rates: Rates,
    bar: display::Bar,
    line_at: Instant,
}

impl Watch {
    /// Begins to watch. `plain`: lines even on a terminal.
    pub(crate) fn new(plain: bool) -> Watch {
        let shared = Arc::new(Shared {
            display: Display::new(plain),
            begun: Instant::now(),
            look: Look::of_stderr(),
            state: Mutex::default(),
        });
        let (stop, stopped) = channel();
        let ticking = Arc::clone(&shared);
        let ticker = std::thread::spawn(move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                ticking.tick();
            }
        });
        let keys = (!shared.display.is_plain())
            .then(QuietKeys::begin)
            .flatten();
        let live = Live {
            stop,
            ticker,
            _keys: keys,
        };
        Watch {
            shared,
            live: Mutex::new(Some(live)),
        }
    }

    /// Writes a message beside what is under way.
    pub(crate) fn say(&self, message: &str) {
        self.shared.say(Style::Warning, message);
    }

    /// Whether earlier processes had done a part of the run.
    pub(crate) fn resumed(&self) -> bool {
        self.shared.state().resumed
    }

    /// Stops: phases that are under way leave a line that says how far they came.
    pub(crate) fn end(&self) {
        let Some(live) = self
            .live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        else {
            return;
        };
        drop(live.stop);
        // A panic of the ticker has been printed already.
        let _ = live.ticker.join();
        self.shared.end();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

impl Observer for Watch {
    fn event(&self, event: &Event) {
        self.shared.event(event);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn event(&self, event: &Event) {
        match event {
            Event::Started {
                run,
                steps_done,
                steps_total,
                workers,
            } => {
                self.state().resumed = *steps_done > 0;
                let workers = number::count(u64::from(*workers), "worker");
                let steps = match steps_done {
                    0 => number::count(*steps_total, "step"),
                    done => format!("goes on after {done} of {steps_total} steps"),
                };
                self.say(Style::Heading, &format!("run {run}: {steps}, {workers}"));
            }
            Event::PhaseStarted { phase, meter } => self.phase_started(*phase, meter),
            Event::PhaseFinished {
                phase,
                elapsed,
                meter,
            } => self.phase_finished(*phase, *elapsed, meter),
            Event::StepStarted { title } => self.state().steps.push(title.clone()),
            Event::StepFinished { title, elapsed } => self.step_finished(title, *elapsed),
            Event::Retrying {
                what,
                reason,
                pause,
            } => {
                let pause = number::elapsed(*pause);
                self.say(
                    Style::Warning,
                    &format!("trying again in {pause}: {what}: {reason}"),
                );
            }
            Event::Workers { workers, reason } => {
                let workers = number::count(u64::from(*workers), "worker");
                self.say(Style::Quiet, &format!("now {workers}: {reason}"));
            }
            Event::Forecast(forecast) => self.state().forecast = Some(forecast.clone()),
            Event::GoingBack => {
                self.end();
                self.state().forecast = None;
                self.say(Style::Warning, "the window is over: going back");
            }
            Event::Paused(reasons) => {
                self.state().paused = Some(reasons.clone());
                self.say(Style::Warning, &format!("paused: {reasons}"));
            }
            Event::Unpaused => {
                self.state().paused = None;
                self.say(Style::Good, "goes on after the pause");
            }
            Event::Notice(text) => self.say(Style::Warning, &format!("note: {text}")),
        }
    }

    fn phase_started(&self, phase: Phase, meter: &Arc<Meter>) {
        let bar = self.display.begin(phase);
        if self.display.is_plain() {
            self.say(Style::Heading, &text::starting(phase, &Reading::of(meter)));
        }
        self.state().phases.push(Running {
            phase,
            meter: Arc::clone(meter),
            rates: Rates::default(),
            bar,
            line_at: Instant::now(),
        });
    }

    fn phase_finished(&self, phase: Phase, elapsed: Duration, meter: &Meter) {
        let mut state = self.state();
        if let Some(index) = state
            .phases
            .iter()
            .position(|running| running.phase == phase)
        {
            state.phases.remove(index).bar.clear();
        }
        drop(state);
        self.say(
            Style::Good,
            &text::finished(phase, &Reading::of(meter), elapsed),
        );
    }

    fn step_finished(&self, title: &str, elapsed: Duration) {
        let mut state = self.state();
        if let Some(index) = state.steps.iter().position(|step| step == title) {
            state.steps.remove(index);
        }
        let alone = state.phases.is_empty();
        // It is the only step of its phase, which has a line of its own.
        let copy = state.phases.iter().any(|running| running.phase.copies());
        drop(state);
        // Outside of phases, steps are all that there is to see.
        if alone || self.display.is_plain() && !copy && elapsed >= STEP_WORTH_A_LINE {
            self.say(
                Style::Quiet,
                &format!("{title}  {}", number::elapsed(elapsed)),
            );
        }
    }

    fn tick(&self) {
        let width = self.display.width();
        let mut lines = Vec::new();
        let mut state = self.state();
        let State {
            phases,
            steps,
            forecast,
            paused,
            ..
        } = &mut *state;
        let forecast = forecast.as_ref();
        for running in phases {
            let reading = Reading::of(&running.meter);
            running
                .rates
                .sample(Instant::now(), reading.rows_here, reading.bytes);
            let (phase, rate) = (running.phase, running.rates.now());
            let said = |width| {
                let paused = paused.as_deref();
                let numbers = text::running_or_paused(phase, &reading, rate, steps, paused, width);
                text::with_forecast(numbers, forecast, width)
            };
            if !self.display.is_plain() {
                running.bar.show(reading.fraction(), &said(width));
            } else if running.line_at.elapsed() >= LINE_EVERY {
                running.line_at = Instant::now();
                lines.push(format!("{}: {}", phase.name(), said(usize::MAX)));
            }
        }
        drop(state);
        for line in lines {
            self.say(Style::Heading, &line);
        }
    }

    fn end(&self) {
        let unfinished: Vec<Running> = self.state().phases.drain(..).collect();
        for running in unfinished {
            running.bar.clear();
            self.say(
                Style::Warning,
                &text::stopped(running.phase, &Reading::of(&running.meter)),
            );
        }
    }

    /// A line: with the time since the beginning where it goes to a log.
    fn say(&self, style: Style, message: &str) {
        let message = message.replace('\n', " ");
        if self.display.is_plain() {
            self.display.line(&format!(
                "[{:>4} s] {message}",
                self.begun.elapsed().as_secs()
            ));
        } else {
            let painted = match style {
                Style::Good | Style::Heading => message,
                Style::Quiet | Style::Warning | Style::Bad => self.look.paint(style, &message),
            };
            self.display.line(&painted);
        }
    }
}
