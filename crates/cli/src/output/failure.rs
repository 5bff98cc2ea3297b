//! Failures and other messages on stderr, in PostgreSQL's manner.

use super::{Look, Style};
use crate::failure::Failure;
use std::io::Write;

/// What psql puts before the second and further lines of a detail.
const LABEL_WIDTH: usize = 9;

/// Writes a failure to stderr.
pub(crate) fn print(failure: &Failure) {
    // Nobody is left to tell if stderr is gone.
    let _ = std::io::stderr()
        .lock()
        .write_all(render(failure, Look::of_stderr()).as_bytes());
}

/// Lines are broken for terminals only: a log should hold a message on one line.
fn render(failure: &Failure, look: Look) -> String {
    let width = if look.is_terminal {
        look.width
    } else {
        usize::MAX
    };
    let label = look.paint(Style::Bad, "error:");
    let mut text = format!("hyperhaul: {label} {}\n", failure.message);
    for (label, more) in [("DETAIL:", &failure.detail), ("HINT:", &failure.hint)] {
        let Some(more) = more else { continue };
        let body = super::wrap(more, LABEL_WIDTH, width);
        text.push_str(&format!("{label:<LABEL_WIDTH$}{}", body.trim_start()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_failure_has_message_detail_and_hint() {
        let failure = Failure::usage("table public.fixs does not exist")
            .detail("Tables of that schema with a similar name: fixes, flights, and a few more that make this line long.")
            .hint("Name one with --table.");
        expect![[r#"
            hyperhaul: error: table public.fixs does not exist
            DETAIL:  Tables of that schema with a similar name: fixes, flights, and a few
                     more that make this line long.
            HINT:    Name one with --table.
        "#]]
        .assert_eq(&render(
            &failure,
            Look {
                is_terminal: true,
                ..Look::PLAIN
            },
        ));
    }
}
