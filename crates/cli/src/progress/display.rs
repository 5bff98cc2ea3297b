//! Where progress is drawn: bars on a terminal, by indicatif, or nothing but lines.

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

pub(super) enum Display {
    Bars(MultiProgress),
    Lines,
}

/// The bar of a phase; nothing where there are only lines.
pub(super) struct Bar(Option<ProgressBar>);

impl Display {
    pub(super) fn new(plain: bool) -> Display {
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        if plain || dumb || !std::io::stderr().is_terminal() {
            Display::Lines
        } else {
            Display::Bars(MultiProgress::with_draw_target(ProgressDrawTarget::stderr()))
        }
    }

    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Display::Lines)
    }

    /// Characters of a line on the terminal, as it is now.
    pub(super) fn width(&self) -> usize {
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

    /// Writes a line above the bars.
    pub(super) fn line(&self, line: &str) {
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

    pub(super) fn clear(&self) {
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
