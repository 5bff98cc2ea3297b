//! What the command line takes and refuses.

#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use clap::CommandFactory;

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn every_argument_has_help_that_is_a_sentence() {
    fn look(command: &clap::Command) {
        for argument in command.get_arguments() {
            let help = argument
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let name = format!("{} {}", command.get_name(), argument.get_id());
            assert!(help.len() > 8 && !help.ends_with('.'), "{name}: \"{help}\"");
        }
        command.get_subcommands().for_each(look);
    }
    look(&Arguments::command());
}

#[test]
fn tables_and_codes_may_be_given_several_times() {
    let line = "hyperhaul check --table fixes --table Soar.\"Raw\" --accept hypertable_foreign_key,partman";
    let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
    let Command::Check(check) = arguments.command else {
        unreachable!("the line says check");
    };
    assert_eq!(
        check.wanted.tables,
        [
            Relation::new("public", "fixes"),
            Relation::new("soar", "Raw")
        ]
    );
    assert_eq!(
        check.wanted.accept,
        [Code::HypertableForeignKey, Code::Partman]
    );
}

#[test]
fn watch_takes_seconds_only_behind_an_equals_sign() {
    for (line, seconds) in [
        ("status", None),
        ("status --watch", Some(2)),
        ("status --watch=5", Some(5)),
    ] {
        let words = std::iter::once("hyperhaul").chain(line.split(' '));
        let Command::Status(status) = Arguments::try_parse_from(words).unwrap().command else {
            unreachable!("the line says status");
        };
        assert_eq!(status.watch, seconds, "{line}");
    }
}

#[test]
fn nonsense_is_refused() {
    for line in [
        "plan --sql --json",
        "check --workers 0",
        "check --workers 4..2",
        "check --workers 0..2",
        "check --slice-size 1",
        "check --chunk-interval 1month",
        "check --strategy fastest",
        "check --mode later",
        "check --accept everything",
        "status --run 0",
        "status --watch=0",
        "report 3 --run 3",
        "report --json",
    ] {
        let words = std::iter::once("hyperhaul").chain(line.split(' '));
        assert!(Arguments::try_parse_from(words).is_err(), "{line}");
    }
}
