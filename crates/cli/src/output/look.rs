//! Where text is going to be read: how wide it is, and whether it has colours.

use crate::terminal;
use std::io::IsTerminal;

/// Lines are not wrapped beyond this, however wide the terminal: longer ones are hard to read.
const WIDTH_MAX: usize = 110;
/// Where there is no terminal to ask.
const WIDTH_DEFAULT: usize = 80;
/// Narrower than this, wrapping does more harm than good.
const WIDTH_MIN: usize = 40;

/// How text has to look where it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// Characters of a line.
    pub(crate) width: usize,
    pub(crate) colours: bool,
    pub(crate) is_terminal: bool,
}

/// What stands out, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Heading,
    Quiet,
    Good,
    Warning,
    Bad,
}

impl Look {
    pub(crate) fn of_stdout() -> Look {
        let stdout = std::io::stdout();
        Look::new(stdout.is_terminal(), terminal::width_of(&stdout))
    }

    pub(crate) fn of_stderr() -> Look {
        let stderr = std::io::stderr();
        Look::new(stderr.is_terminal(), terminal::width_of(&stderr))
    }

    fn new(is_terminal: bool, width: Option<usize>) -> Look {
        let width = width.unwrap_or(WIDTH_DEFAULT);
        // https://no-color.org: set and not empty.
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Look {
            width: width.clamp(WIDTH_MIN, WIDTH_MAX),
            colours: is_terminal && !refused && !dumb,
            is_terminal,
        }
    }

    /// The text in a style, where there are colours.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        if !self.colours || text.is_empty() {
            return text.to_owned();
        }
        let code = match style {
            Style::Heading => "1",
            Style::Quiet => "2",
            Style::Good => "32",
            Style::Warning => "33",
            Style::Bad => "1;31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

#[cfg(test)]
impl Look {
    /// As in a pipe.
    pub(crate) const PLAIN: Look = Look {
        width: WIDTH_DEFAULT,
        colours: false,
        is_terminal: false,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_only_for_those_who_want_them() {
        assert_eq!(Look::PLAIN.paint(Style::Bad, "no"), "no");
        let colourful = Look {
            colours: true,
            ..Look::PLAIN
        };
        assert_eq!(colourful.paint(Style::Good, "yes"), "\x1b[32myes\x1b[0m");
    }
}
