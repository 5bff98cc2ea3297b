//! The window of a run: how long it may take, or by which hour, of flags over the configuration file.

use crate::config::Config;
use crate::failure::Failure;
use crate::values::parse_window;
use chrono::{DateTime, Days, Local, LocalResult, NaiveTime, TimeDelta, TimeZone, Utc};
use clap::Args;
use hyperhaul_migrate::{Deadline, OnDeadline};
use std::time::Duration;

/// How long a run may take.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Window")]
pub(crate) struct Window {
    /// Begin only if the run will be through within this time, verified, and stop at its end: 45m, 1h 30m.
    #[arg(long, value_name = "DURATION", value_parser = parse_window)]
    pub(crate) window: Option<Duration>,
    /// The same, until this machine's clock shows the time of day next.
    #[arg(long, value_name = "HH:MM", value_parser = parse_finish_by, conflicts_with = "window")]
    pub(crate) finish_by: Option<NaiveTime>,
    /// What to do then: continue, stop (exit code 5, migrate goes on later) or rollback (default: stop).
    #[arg(long, value_name = "ACTION", value_parser = parse_on_deadline)]
    pub(crate) on_deadline: Option<OnDeadline>,
}

pub(crate) fn parse_finish_by(text: &str) -> Result<NaiveTime, String> {
    let formats = ["%H:%M", "%H:%M:%S"];
    let time = formats
        .iter()
        .find_map(|format| NaiveTime::parse_from_str(text, format).ok());
    time.ok_or_else(|| format!("\"{text}\" is not a time of day: write it as 03:30"))
}

pub(crate) fn parse_on_deadline(text: &str) -> Result<OnDeadline, String> {
    let mut all = OnDeadline::ALL.into_iter();
    all.find(|then| then.name() == text).ok_or_else(|| {
        let names = OnDeadline::ALL.map(OnDeadline::name).join(", ");
        format!("\"{text}\" is not something to do at the deadline, expected {names}")
    })
}

/// The deadline that flags and file ask for, if any, of a command that began at `now`.
pub(crate) fn deadline(
    flags: &Window,
    config: &Config,
    now: DateTime<Utc>,
) -> Result<Option<Deadline>, Failure> {
    // Either of them on the line overrides both in the file.
    let (window, finish_by) = if flags.window.is_some() || flags.finish_by.is_some() {
        (flags.window, flags.finish_by)
    } else {
        (config.window, config.finish_by)
    };
    let at = match (window, finish_by) {
        (Some(_), Some(_)) => {
            return Err(
                Failure::usage("the configuration file has both window and finish_by")
                    .hint("Leave one of them out."),
            );
        }
        (Some(window), None) => Some(later(now, window)),
        (None, Some(time)) => Some(next_occurrence(&now.with_timezone(&Local), time)),
        (None, None) => None,
    };
    if at.is_none() && flags.on_deadline.is_some() {
        return Err(Failure::usage("--on-deadline needs a deadline")
            .hint("Name one with --window or --finish-by."));
    }
    let then = flags.on_deadline.or(config.on_deadline).unwrap_or_default();
    Ok(at.map(|at| Deadline {
        from: now,
        at,
        then,
    }))
}

fn later(now: DateTime<Utc>, window: Duration) -> DateTime<Utc> {
    let window = TimeDelta::from_std(window).unwrap_or(TimeDelta::MAX);
    now.checked_add_signed(window)
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// When a clock on the wall shows this time next. A time that is left out when clocks go forward comes an hour later; of one
/// that comes twice when they go back, the first that is still to come.
fn next_occurrence<Tz: TimeZone>(now: &DateTime<Tz>, time: NaiveTime) -> DateTime<Utc> {
    let on_day = |days: u64| {
        let day = now.date_naive().checked_add_days(Days::new(days))?;
        let at = |wall| now.timezone().from_local_datetime(&wall);
        let found = match at(day.and_time(time)) {
            LocalResult::None => at(day.and_time(time) + TimeDelta::hours(1)),
            found => found,
        };
        let mut candidates = [found.clone().earliest(), found.latest()].into_iter();
        candidates.find_map(|at| at.filter(|at| at > now))
    };
    let next = (0..3).find_map(on_day);
    next.map_or(now.to_utc(), |at| at.to_utc())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use chrono::FixedOffset;

    fn now() -> DateTime<Utc> {
        "2025-12-11T23:30:00Z".parse().unwrap()
    }

    fn flags(window: Option<&str>, finish_by: Option<&str>) -> Window {
        Window {
            window: window.map(|text| parse_window(text).unwrap()),
            finish_by: finish_by.map(|text| parse_finish_by(text).unwrap()),
            on_deadline: None,
        }
    }

    #[test]
    fn an_hour_of_the_day_is_the_next_one() {
        let zone = FixedOffset::east_opt(3_600).unwrap();
        let now = now().with_timezone(&zone);
        for (time, next) in [
            ("03:30", "2025-12-12T02:30:00Z"),
            ("00:31", "2025-12-11T23:31:00Z"),
            ("00:30", "2025-12-12T23:30:00Z"),
            ("0:29:59", "2025-12-12T23:29:59Z"),
        ] {
            let time = parse_finish_by(time).unwrap();
            assert_eq!(
                next_occurrence(&now, time),
                next.parse::<DateTime<Utc>>().unwrap()
            );
        }
    }

    #[test]
    fn a_flag_overrides_the_files_window_whichever_it_is() {
        let config: Config = toml::from_str("window = \"1h\"\non_deadline = \"rollback\"").unwrap();
        let found = deadline(&flags(None, None), &config, now())
            .unwrap()
            .unwrap();
        assert_eq!(found.at - now(), TimeDelta::hours(1));
        assert_eq!(found.then, OnDeadline::Rollback);
        let found = deadline(&flags(Some("45m"), None), &config, now())
            .unwrap()
            .unwrap();
        assert_eq!(found.at - now(), TimeDelta::minutes(45));
        let found = deadline(&flags(None, Some("12:00")), &config, now())
            .unwrap()
            .unwrap();
        assert_ne!(found.at - now(), TimeDelta::hours(1));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let both: Config = toml::from_str("window = \"1h\"\nfinish_by = \"03:30\"").unwrap();
        assert!(deadline(&flags(None, None), &both, now()).is_err());
        let lone = Window {
            on_deadline: Some(OnDeadline::Stop),
            ..flags(None, None)
        };
        assert!(deadline(&lone, &Config::default(), now()).is_err());
        assert_eq!(
            deadline(&flags(None, None), &Config::default(), now()),
            Ok(None)
        );
        for text in ["25:00", "soon", "3", "03:30 am"] {
            assert!(parse_finish_by(text).is_err(), "{text}");
        }
        assert!(
            parse_on_deadline("wait")
                .unwrap_err()
                .contains("continue, stop, rollback")
        );
    }
}
