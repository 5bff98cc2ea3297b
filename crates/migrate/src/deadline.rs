//! The end of the window: what a run is to do there, whether it may begin, and how that is said. Pure.

use crate::forecast::{Forecast, after, seconds_between};
use crate::{Error, RunId};
use chrono::{DateTime, Local, Utc};
use hyperhaul_plan::{Estimate, Phase};
use serde::{Deserialize, Serialize};

/// What is left of a window's length for steps that are about to end when the deadline comes.
const GRACE_SHARE: f64 = 0.1;
/// And no more than this, seconds.
const GRACE_MAX_S: f64 = 30.0;
/// Another warning is due when a run is late by this much more than the last one said.
const NOTABLY_WORSE: f64 = 2.0;
/// And never for less than this share of the window.
const WORSE_SHARE: f64 = 0.1;

/// When the window ends, and what is to happen then to a run that is not through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// When the window began: when the command did.
    pub from: DateTime<Utc>,
    /// When it ends.
    pub at: DateTime<Utc>,
    /// What is to happen then.
    pub then: OnDeadline,
}

/// What is to happen to a run that is not through at the end of its window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDeadline {
    /// It goes on; the deadline only warns.
    Continue,
    /// It stops at the last safe point and can be gone on with.
    #[default]
    Stop,
    /// It stops there and is rolled back.
    Rollback,
}

impl OnDeadline {
    /// All of them.
    pub const ALL: [OnDeadline; 3] = [OnDeadline::Continue, OnDeadline::Stop, OnDeadline::Rollback];

    /// Its name, as `--on-deadline` takes it.
    pub fn name(self) -> &'static str {
        match self {
            OnDeadline::Continue => "continue",
            OnDeadline::Stop => "stop",
            OnDeadline::Rollback => "rollback",
        }
    }
}

impl Deadline {
    /// Length of the window, seconds.
    pub(crate) fn length_s(&self) -> f64 {
        seconds_between(self.from, self.at)
    }

    /// Until when a step may go on that is about to end.
    pub(crate) fn grace_ends_at(&self) -> DateTime<Utc> {
        after(self.at, (self.length_s() * GRACE_SHARE).min(GRACE_MAX_S))
    }

    /// Whether the run has to stop in the end.
    pub(crate) fn stops(&self) -> bool {
        self.then != OnDeadline::Continue
    }

    /// What warns of a forecast that misses the window, unless `warned_of` was hardly better.
    pub(crate) fn warning(
        &self,
        forecast: &Forecast,
        warned_of: Option<DateTime<Utc>>,
    ) -> Option<String> {
        let late_s = |done_at| seconds_between(self.at, done_at);
        let worse = warned_of.is_none_or(|done_at| {
            let (warned_s, now_s) = (late_s(done_at), late_s(forecast.done_at));
            now_s > warned_s * NOTABLY_WORSE && now_s - warned_s > self.length_s() * WORSE_SHARE
        });
        if !forecast.is_late() || !worse {
            return None;
        }
        let then = match self.then {
            OnDeadline::Continue => "the run goes on all the same",
            OnDeadline::Stop => "the run stops there and can be gone on with",
            OnDeadline::Rollback => "the run is rolled back there",
        };
        Some(format!(
            "the window will be missed: done by about {}, {} after its end at {}; {then}",
            clock(forecast.done_at, forecast.made_at),
            length(seconds_between(self.at, forecast.done_at)),
            clock(self.at, forecast.made_at)
        ))
    }
}

/// Whether a run may begin: its forecast, and the longest that it may take with the margin of its estimate.
pub(crate) struct Judgement {
    /// Seconds that the window has left.
    available_s: f64,
    /// Seconds that the run needs, with the margin.
    needed_s: f64,
    /// What both rest on, to be told.
    text: String,
}

impl Judgement {
    /// Weighs what is left of the run against what is left of the window.
    pub(crate) fn of(forecast: &Forecast, deadline: &Deadline, estimate: &Estimate) -> Judgement {
        let left_s = forecast.seconds();
        let needed_s = left_s * (1.0 + estimate.margin());
        let available_s = seconds_between(forecast.made_at, deadline.at);
        let mut verify = forecast.left.iter();
        let verify_s = verify
            .find(|left| left.phase == Phase::Verify)
            .map_or(0.0, |left| left.seconds);
        let text = format!(
            "about {} are needed ({} of them to verify), {} with a margin of {:.0} %; the window has {} left, until {}",
            length(left_s),
            length(verify_s),
            length(needed_s),
            estimate.margin() * 100.0,
            length(available_s),
            clock(deadline.at, forecast.made_at)
        );
        Judgement {
            available_s,
            needed_s,
            text,
        }
    }

    pub(crate) fn is_go(&self) -> bool {
        self.needed_s <= self.available_s
    }

    /// What is told of a run that begins.
    pub(crate) fn notice(&self) -> String {
        if self.is_go() {
            format!("the window is long enough: {}", self.text)
        } else {
            format!("the window is too short: {}", self.text)
        }
    }

    /// What a run stops with that may not begin.
    pub(crate) fn refusal(&self, run: RunId, begun: bool, estimate: &Estimate) -> Error {
        let changed = if begun {
            format!(
                "Run {run} has begun in an earlier window and stays as it is: writers are kept off until it is finished \
                 or rolled back."
            )
        } else {
            "Nothing was changed.".to_owned()
        };
        // Rounded up, so that giving just this is enough.
        let minutes = (self.needed_s / 60.0).ceil();
        Error::blocked("the window is too short")
            .detail(format!(
                "{}. {changed} The time was {}.",
                capital(&self.text),
                estimate.basis_text()
            ))
            .hint(format!(
                "Give it --window {minutes:.0}min or more, or begin all the same with --on-deadline continue."
            ))
    }
}

/// What a run stops with at its deadline.
pub(crate) fn stopped(
    run: RunId,
    forecast: &Forecast,
    not_begun: Option<&str>,
    fenced: bool,
) -> Error {
    let at = forecast
        .deadline
        .map_or(forecast.made_at, |deadline| deadline.at);
    let end = clock(at, forecast.made_at);
    let message = match not_begun {
        Some(step) => format!(
            "stopped before the deadline at {end}: it would not be enough to {step}; what is done stays done"
        ),
        None => format!("stopped at the deadline, {end}; what is done stays done"),
    };
    let left: Vec<String> = forecast
        .left
        .iter()
        .map(|left| format!("{} {}", left.phase.name(), length(left.seconds)))
        .collect();
    let writers = if fenced {
        " Writers are kept off until then."
    } else {
        ""
    };
    Error::new(crate::Kind::Deadline, message)
        .detail(format!(
            "To finish takes about {} ({}), to go back about {}.{writers}",
            length(forecast.seconds()),
            left.join(", "),
            length(forecast.rollback_s)
        ))
        .hint(format!(
            "Run hyperhaul migrate --run {run} to go on, or hyperhaul rollback --run {run} to go back."
        ))
}

/// What a run ends with that was rolled back at its deadline.
pub(crate) fn rolled_back(run: RunId, forecast: &Forecast) -> Error {
    let at = forecast
        .deadline
        .map_or(forecast.made_at, |deadline| deadline.at);
    Error::new(
        crate::Kind::Deadline,
        format!(
            "stopped at the deadline, {}, and rolled back: everything is as it was before",
            clock(at, forecast.made_at)
        ),
    )
    .detail(format!(
        "Run {run} would have taken about {} more.",
        length(forecast.seconds())
    ))
    .hint("Plan again with hyperhaul plan, for a longer window.")
}

/// A moment of the machine's own time, as precise as it is near to `now`: `03:30`, `03:30:05`, `2025-12-11 03:30`.
pub fn clock(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    const NEAR_S: f64 = 600.0;
    let (local, today) = (at.with_timezone(&Local), now.with_timezone(&Local));
    let near = (at - now).as_seconds_f64().abs() < NEAR_S;
    let format = match (local.date_naive() == today.date_naive(), near) {
        (_, true) => "%H:%M:%S",
        (true, false) => "%H:%M",
        (false, false) => "%Y-%m-%d %H:%M",
    };
    local.format(format).to_string()
}

/// `45 s`, `12 min`, `3 h 20 min`: for what is estimated.
fn length(seconds: f64) -> String {
    let seconds = seconds.ceil();
    let minutes = (seconds / 60.0).ceil();
    match seconds {
        ..90.0 => format!("{seconds:.0} s"),
        ..3_600.0 => format!("{minutes:.0} min"),
        _ => format!(
            "{:.0} h {:.0} min",
            (minutes / 60.0).floor(),
            minutes % 60.0
        ),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::forecast::PhaseLeft;

    fn at(second: f64) -> DateTime<Utc> {
        after(DateTime::from_timestamp(1_765_411_200, 0).unwrap(), second)
    }

    fn window(seconds: f64, then: OnDeadline) -> Deadline {
        Deadline {
            from: at(0.0),
            at: at(seconds),
            then,
        }
    }

    fn forecast(left_s: f64, deadline: Deadline) -> Forecast {
        Forecast {
            made_at: at(0.0),
            done_at: at(left_s),
            left: vec![
                PhaseLeft {
                    phase: Phase::Copy,
                    seconds: left_s * 0.9,
                },
                PhaseLeft {
                    phase: Phase::Verify,
                    seconds: left_s * 0.1,
                },
            ],
            pace: 1.0,
            rollback_s: 2.0,
            deadline: Some(deadline),
        }
    }

    #[test]
    fn a_window_has_to_hold_the_margin_too() {
        let estimate = Estimate::default();
        let deadline = window(600.0, OnDeadline::Stop);
        for (left_s, go) in [(390.0, true), (410.0, false)] {
            let judged = Judgement::of(&forecast(left_s, deadline), &deadline, &estimate);
            assert_eq!(judged.is_go(), go, "{left_s}");
        }
        let judged = Judgement::of(&forecast(410.0, deadline), &deadline, &estimate);
        let refusal = judged.refusal(RunId(3), false, &estimate);
        assert_eq!(refusal.kind(), crate::Kind::Blocked);
        let detail = refusal.detail_text().unwrap();
        for text in [
            "7 min are needed",
            "41 s of them to verify",
            "margin of 50 %",
            "Nothing was changed",
        ] {
            assert!(detail.contains(text), "{detail}");
        }
        assert!(refusal.hint_text().unwrap().contains("--window 11min"));
    }

    #[test]
    fn what_was_warned_of_is_said_again_only_when_it_got_worse() {
        let deadline = window(1_000.0, OnDeadline::Rollback);
        assert_eq!(deadline.warning(&forecast(990.0, deadline), None), None);
        let late = forecast(1_500.0, deadline);
        let warning = deadline.warning(&late, None).unwrap();
        assert!(warning.contains("9 min after its end"), "{warning}");
        assert_eq!(deadline.warning(&late, Some(at(1_300.0))), None);
        assert!(deadline.warning(&late, Some(at(1_200.0))).is_some());
        let hardly = forecast(1_060.0, deadline);
        assert_eq!(deadline.warning(&hardly, Some(at(1_010.0))), None);
    }

    #[test]
    fn the_grace_is_a_part_of_the_window_and_never_long() {
        let grace = |seconds| {
            let deadline = window(seconds, OnDeadline::Stop);
            seconds_between(deadline.at, deadline.grace_ends_at())
        };
        assert_eq!(grace(10.0), 1.0);
        assert_eq!(grace(36_000.0), 30.0);
    }

    #[test]
    fn lengths_are_as_precise_as_estimates() {
        for (seconds, text) in [
            (0.2, "1 s"),
            (89.0, "89 s"),
            (100.0, "2 min"),
            (3_599.0, "60 min"),
            (7_260.0, "2 h 1 min"),
        ] {
            assert_eq!(length(seconds), text);
        }
    }
}
