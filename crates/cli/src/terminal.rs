//! The terminal itself: how wide it is, and what it writes by itself when keys are pressed.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::os::fd::AsFd;

/// Characters of a line, if it is a terminal that knows.
pub(crate) fn width_of(output: impl AsFd) -> Option<usize> {
    let width = tcgetwinsize(output).ok()?.ws_col;
    (width > 0).then_some(usize::from(width))
}

/// Keeps the terminal from writing `^C` over what is drawn, until it is dropped.
pub(crate) struct QuietKeys(Termios);

impl QuietKeys {
    /// Nothing where keys do not come from a terminal.
    pub(crate) fn begin() -> Option<QuietKeys> {
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHOCTL);
        tcsetattr(std::io::stdin(), OptionalActions::Now, &quiet).ok()?;
        Some(QuietKeys(before))
    }
}

impl Drop for QuietKeys {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing given back.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
