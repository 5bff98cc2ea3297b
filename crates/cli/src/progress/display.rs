//! Where progress is drawn: bars or a table on a terminal, by indicatif, or nothing but lines.

use crate::terminal;
use hyperhaul_plan::Phase;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};

/// Length of every bar: fractions are shown in thousandths.
const BAR_LENGTH: u32 = 1_000;
/// The name, the bar in what is left of the line, the numbers.
const TEMPLATE: &str = "{prefix:13}[{wide_bar}]  {msg}";
/// Terminals narrower than this have no room for numbers.
const WIDTH_MIN: usize = 40;

pub(crate) enum Display {
    Bars(MultiProgress),
    Lines,
}

/// The bar of a phase, or a table; nothing where there are only lines.
pub(crate) struct Bar(Option<ProgressBar>);

impl Display {
    /// `plain`: lines even on a terminal.
    pub(crate) fn new(plain: bool) -> Display {
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        if plain || dumb || !std::io::stderr().is_terminal() {
            Display::Lines
        } else {
            Display::Bars(MultiProgress::with_draw_target(ProgressDrawTarget::stderr()))
        }
    }

    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Display::Lines)
    }

    /// Characters of a line on the terminal, as it is now.
    pub(crate) fn width(&self) -> usize {
        terminal::width_of(std::io::stderr())
            .unwrap_or(80)
            .max(WIDTH_MIN)
    }

    pub(super) fn begin(&self, phase: Phase) -> Bar {
        let Display::Bars(bars) = self else {
            return Bar(None);
        };
        let bar = bars.add(ProgressBar::new(u64::from(BAR_LENGTH)));
        let style =
            ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(phase.name());
        Bar(Some(bar))
    }

    /// Lines that are written anew in their place.
    pub(crate) fn begin_table(&self) -> Bar {
        let Display::Bars(bars) = self else {
            return Bar(None);
        };
        let table = bars.add(ProgressBar::no_length());
        let style = ProgressStyle::with_template("{msg}");
        table.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Bar(Some(table))
    }

    /// Writes a line above the bars.
    pub(crate) fn line(&self, line: &str) {
        // Nobody is left to tell if stderr is gone.
        let _ = match self {
            Display::Bars(bars) => bars.println(line),
            Display::Lines => writeln!(std::io::stderr().lock(), "{line}"),
        };
    }
}

impl Bar {
    pub(super) fn show(&self, fraction: f64, message: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(message.to_owned());
            bar.set_position(thousandths(fraction));
        }
    }

    /// Lines of a table, none longer than the terminal is wide.
    pub(crate) fn show_table(&self, lines: &str) {
        if let Some(table) = &self.0 {
            table.set_message(lines.to_owned());
            table.tick();
        }
    }

    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the bar's length"
)]
fn thousandths(fraction: f64) -> u64 {
    (fraction.clamp(0.0, 1.0) * f64::from(BAR_LENGTH)) as u64
}
