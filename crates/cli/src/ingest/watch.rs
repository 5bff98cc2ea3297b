//! What streams are doing, while this process feeds them: a table on a terminal, which is written anew in its place; a line now and then
//! elsewhere. All of it goes to stderr.

use crate::output::Look;
use crate::output::live::{Live, line, lives, table};
use crate::progress::{Bar, Display};
use crate::terminal::QuietKeys;
use hyperhaul_ingest::{Meters, Reading};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the table is written anew.
const TICK: Duration = Duration::from_millis(250);
/// What rates and lags are taken over.
const WINDOW: Duration = Duration::from_secs(5);
/// How often a line is written where there is no terminal: often enough for a log, and not its main content.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Where streams are watched, until they have ended.
pub(crate) struct View {
    display: Display,
    /// On a terminal.
    table: Mutex<Option<(Bar, Option<QuietKeys>)>>,
}

impl View {
    /// `plain`: lines even on a terminal.
    pub(super) fn new(plain: bool) -> View {
        let display = Display::new(plain);
        let table = (!display.is_plain()).then(|| (display.begin_table(), QuietKeys::begin()));
        View {
            display,
            table: Mutex::new(table),
        }
    }

    /// Writes a message beside what is shown.
    pub(crate) fn say(&self, message: &str) {
        self.display.line(message);
    }

    /// Takes the table away, and gives the terminal back as it was.
    pub(crate) fn end(&self) {
        if let Some((bar, _)) = self.locked().take() {
            bar.clear();
        }
    }

    fn show(&self, table: &str) {
        if let Some((bar, _)) = &*self.locked() {
            bar.show_table(table);
        }
    }

    fn locked(&self) -> MutexGuard<'_, Option<(Bar, Option<QuietKeys>)>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows the meters until it is dropped.
pub(super) async fn watch(meters: &Meters, view: &View) -> Infallible {
    if view.display.is_plain() {
        write_lines(meters, view).await
    } else {
        draw(meters, view).await
    }
}

async fn draw(meters: &Meters, view: &View) -> Infallible {
    let mut seen: VecDeque<(Instant, Vec<Reading>)> = VecDeque::new();
    let mut ticks = tokio::time::interval(TICK);
    loop {
        ticks.tick().await;
        let (now, readings) = (Instant::now(), meters.readings());
        if let Some((then, before)) = seen.front() {
            let streams = lives(&readings, before, now.duration_since(*then));
            view.show(&fitting(&streams, view.display.width()));
        }
        seen.push_back((now, readings));
        while seen
            .get(1)
            .is_some_and(|(second, _)| now.duration_since(*second) >= WINDOW)
        {
            seen.pop_front();
        }
    }
}

/// Lines that the terminal does not break: what is drawn over would be something else otherwise.
fn fitting(streams: &[Live], width: usize) -> String {
    let look = Look {
        colours: false,
        ..Look::of_stderr()
    };
    let table = table(streams, look);
    let lines = table
        .lines()
        .map(|line| line.chars().take(width).collect::<String>());
    lines.collect::<Vec<String>>().join("\n")
}

async fn write_lines(meters: &Meters, view: &View) -> Infallible {
    let begun = Instant::now();
    let mut before: Option<(Instant, Vec<Reading>)> = None;
    let mut ticks = tokio::time::interval(LINE_EVERY);
    loop {
        ticks.tick().await;
        let (now, readings) = (Instant::now(), meters.readings());
        if let Some((then, before)) = &before {
            let streams = lives(&readings, before, now.duration_since(*then));
            for live in streams.iter().filter(|live| live.is_busy()) {
                let seconds = begun.elapsed().as_secs();
                view.say(&format!("[{seconds:>4} s] {}", line(live)));
            }
        }
        before = Some((now, readings));
    }
}
