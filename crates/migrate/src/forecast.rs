//! When a run will be through: its estimate, scaled by what it has measured so far. Pure: every function takes the time.
//!
//! ```text
//! finished phases   measured against estimated ----.
//!                                                  +--> pace --> phases to come: estimate x pace
//! phase under way   share done, in how long -------'    '------> what is left of it, by its own rate
//! ```

use crate::Deadline;
use chrono::{DateTime, TimeDelta, Utc};
use hyperhaul_plan::{Estimate, Phase};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the estimate weighs against measurements of other phases, as a share of the whole run.
const ESTIMATE_WEIGHT: f64 = 0.1;
/// What it weighs against the rate of the phase under way, as a share of that phase, where progress is seen all the time.
const STEADY_WEIGHT: f64 = 0.05;
/// The same where progress is seen only when a step ends.
const STEPWISE_WEIGHT: f64 = 0.25;
/// A step that takes longer than predicted is expected to take this part of its time more.
const OVERDUE_SHARE: f64 = 0.25;
/// Bounds of the pace: what is measured in a fraction of a second may be off by more.
const PACE_RANGE: (f64, f64) = (0.05, 50.0);

/// When a run will be through, as it looks at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// The moment.
    pub made_at: DateTime<Utc>,
    /// When the hypertables will be in place and verified, and the application may write again.
    pub done_at: DateTime<Utc>,
    /// What is left until then, in order.
    pub left: Vec<PhaseLeft>,
    /// How long this run takes against its estimate: 2 is twice as long.
    pub pace: f64,
    /// What going back would take from here, seconds.
    pub rollback_s: f64,
    /// When the window ends, if there is one.
    pub deadline: Option<Deadline>,
}

/// What is left of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseLeft {
    /// The phase.
    pub phase: Phase,
    /// Seconds.
    pub seconds: f64,
}

impl Forecast {
    /// Seconds until the application may write again, from the moment of the forecast.
    pub fn seconds(&self) -> f64 {
        self.left.iter().map(|left| left.seconds).sum()
    }

    /// Whether the window will be missed.
    pub fn is_late(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| self.done_at > deadline.at)
    }
}

/// How a phase's progress is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// All the time: no progress is a stall.
    Steadily,
    /// When a step ends: no progress is a step under way.
    Stepwise,
}

/// What a run has measured so far, against its estimate.
#[derive(Clone, Debug)]
pub(crate) struct Tracker {
    /// Seconds that each phase was estimated to take as a whole.
    estimated: BTreeMap<Phase, f64>,
    /// The share of each phase that is done.
    done: BTreeMap<Phase, f64>,
    /// What finished phases took in this process, and what that part of them was estimated to take.
    measured_s: f64,
    measured_estimate_s: f64,
    /// The pace that an earlier process of the run has seen.
    pace_before: f64,
    current: Option<Current>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    phase: Phase,
    seen: Seen,
    begun_at: DateTime<Utc>,
    /// When its share was seen to change last.
    changed_at: DateTime<Utc>,
    done_before: f64,
}

impl Tracker {
    /// `done`: the share of each phase that earlier processes have done.
    pub(crate) fn new(
        estimate: &Estimate,
        done: BTreeMap<Phase, f64>,
        pace_before: f64,
    ) -> Tracker {
        let phases = estimate.phases.iter();
        Tracker {
            estimated: phases
                .map(|estimate| (estimate.phase, estimate.seconds))
                .collect(),
            done,
            measured_s: 0.0,
            measured_estimate_s: 0.0,
            pace_before,
            current: None,
        }
    }

    pub(crate) fn phase_started(&mut self, phase: Phase, seen: Seen, at: DateTime<Utc>) {
        self.current = Some(Current {
            phase,
            seen,
            begun_at: at,
            changed_at: at,
            done_before: self.share(phase),
        });
    }

    /// The share of the current phase that is done, as seen at `at`. Work that is taken back is no progress.
    pub(crate) fn progress(&mut self, share: f64, at: DateTime<Utc>) {
        let Some(current) = &mut self.current else {
            return;
        };
        let known = self.done.entry(current.phase).or_insert(0.0);
        if share > *known {
            *known = share.min(1.0);
            current.changed_at = at;
        }
    }

    pub(crate) fn phase_finished(&mut self, at: DateTime<Utc>) {
        let Some(current) = self.current.take() else {
            return;
        };
        self.measured_s += seconds_between(current.begun_at, at);
        self.measured_estimate_s += self.estimate(current.phase) * (1.0 - current.done_before);
        self.done.insert(current.phase, 1.0);
    }

    /// How long the run takes against its estimate.
    pub(crate) fn pace(&self) -> f64 {
        let (mut measured_s, mut estimate_s) = (self.measured_s, self.measured_estimate_s);
        if let Some(current) = self.current {
            measured_s += seconds_between(current.begun_at, current.changed_at);
            let gained = self.share(current.phase) - current.done_before;
            estimate_s += self.estimate(current.phase) * gained;
        }
        self.blend(measured_s, estimate_s)
    }

    /// A phase is predicted to take this many seconds as a whole.
    pub(crate) fn predicted_s(&self, phase: Phase) -> f64 {
        self.estimate(phase) * self.pace()
    }

    /// What is left of each phase that keeps the application out.
    pub(crate) fn left(&self, now: DateTime<Utc>) -> Vec<PhaseLeft> {
        let pace = self.pace();
        let left = |phase| match self.current {
            Some(current) if current.phase == phase => self.left_of_current(current, now),
            _ => self.estimate(phase) * pace * (1.0 - self.share(phase)),
        };
        Phase::ALL
            .into_iter()
            .filter(|phase| phase.keeps_out())
            .map(|phase| PhaseLeft {
                phase,
                seconds: left(phase),
            })
            .filter(|left| left.seconds > 0.0)
            .collect()
    }

    /// By the phase's own rate, which the estimate helps to find out at the beginning.
    fn left_of_current(&self, current: Current, now: DateTime<Utc>) -> f64 {
        let share = self.share(current.phase);
        if share >= 1.0 {
            return 0.0;
        }
        let (seen_until, weight) = match current.seen {
            Seen::Steadily => (now, STEADY_WEIGHT),
            Seen::Stepwise => (current.changed_at, STEPWISE_WEIGHT),
        };
        let since_s = seconds_between(seen_until, now);
        let others = self.blend(self.measured_s, self.measured_estimate_s);
        let expected_s = self.estimate(current.phase) * others;
        let spent_s = seconds_between(current.begun_at, seen_until);
        let whole_s = (spent_s + expected_s * weight) / (share - current.done_before + weight);
        (whole_s * (1.0 - share) - since_s).max(since_s * OVERDUE_SHARE)
    }

    fn blend(&self, measured_s: f64, estimate_s: f64) -> f64 {
        let phases = self.estimated.iter();
        let out = phases.filter(|(phase, _)| phase.keeps_out());
        let weight_s = out.map(|(_, seconds)| seconds).sum::<f64>() * ESTIMATE_WEIGHT;
        let blended_s = measured_s + weight_s * self.pace_before;
        let against_s = estimate_s + weight_s;
        if against_s <= 0.0 {
            return 1.0;
        }
        (blended_s / against_s).clamp(PACE_RANGE.0, PACE_RANGE.1)
    }

    fn estimate(&self, phase: Phase) -> f64 {
        self.estimated.get(&phase).copied().unwrap_or_default()
    }

    fn share(&self, phase: Phase) -> f64 {
        self.done.get(&phase).copied().unwrap_or_default()
    }
}

/// Seconds from one moment to another, none if that lies before it.
pub(crate) fn seconds_between(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).as_seconds_f64().max(0.0)
}

/// The moment so many seconds later; some far one where that can't be said.
pub(crate) fn after(at: DateTime<Utc>, seconds: f64) -> DateTime<Utc> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates, and more than years is no forecast"
    )]
    let ms = (seconds * 1_000.0) as i64;
    let delta = TimeDelta::try_milliseconds(ms).unwrap_or(TimeDelta::MAX);
    at.checked_add_signed(delta)
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use hyperhaul_plan::PhaseEstimate;

    fn at(second: f64) -> DateTime<Utc> {
        after(DateTime::from_timestamp(1_765_411_200, 0).unwrap(), second)
    }

    /// A minute of copying, forty seconds of indexes, twenty of verifying; what comes after the cutover does not count.
    fn tracker() -> Tracker {
        let phases = [
            (Phase::Copy, 60.0),
            (Phase::Indexes, 40.0),
            (Phase::Verify, 20.0),
            (Phase::After, 500.0),
        ];
        let phases = phases.map(|(phase, seconds)| PhaseEstimate {
            phase,
            seconds,
            range: None,
        });
        let estimate = Estimate {
            phases: phases.to_vec(),
            ..Estimate::default()
        };
        Tracker::new(&estimate, BTreeMap::new(), 1.0)
    }

    fn left_s(tracker: &Tracker, second: f64) -> f64 {
        let left = tracker.left(at(second));
        left.iter().map(|left| left.seconds).sum()
    }

    fn assert_about(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() <= expected * 0.05 + 0.01,
            "{found} instead of {expected}"
        );
    }

    #[test]
    fn before_anything_is_measured_it_is_the_estimate() {
        let tracker = tracker();
        assert_about(left_s(&tracker, 0.0), 120.0);
        assert_about(tracker.pace(), 1.0);
        assert!(
            tracker
                .left(at(0.0))
                .iter()
                .all(|left| left.phase != Phase::After)
        );
    }

    #[test]
    fn a_run_that_goes_as_estimated_keeps_its_end() {
        let mut tracker = tracker();
        tracker.phase_started(Phase::Copy, Seen::Steadily, at(0.0));
        for second in 1..60 {
            let second = f64::from(second);
            tracker.progress(second / 60.0, at(second));
            assert_about(second + left_s(&tracker, second), 120.0);
        }
        tracker.phase_finished(at(60.0));
        assert_about(left_s(&tracker, 60.0), 60.0);
    }

    #[test]
    fn a_copy_at_half_the_speed_makes_what_follows_longer_too() {
        let mut tracker = tracker();
        tracker.phase_started(Phase::Copy, Seen::Steadily, at(0.0));
        tracker.progress(0.5, at(60.0));
        // A minute of copying is left, and sixty seconds of the rest take nearly twice as long.
        let left = left_s(&tracker, 60.0);
        assert!((150.0..180.0).contains(&left), "{left}");
        tracker.progress(1.0, at(120.0));
        tracker.phase_finished(at(120.0));
        assert!((1.6..2.0).contains(&tracker.pace()), "{}", tracker.pace());
    }

    #[test]
    fn a_copy_that_stands_still_is_late_more_and_more() {
        let mut tracker = tracker();
        tracker.phase_started(Phase::Copy, Seen::Steadily, at(0.0));
        tracker.progress(0.5, at(30.0));
        let ends = [30.0, 60.0, 90.0].map(|second| second + left_s(&tracker, second));
        assert!(
            ends[1] > ends[0] + 30.0 && ends[2] > ends[1] + 30.0,
            "{ends:?}"
        );
    }

    #[test]
    fn a_step_under_way_is_no_stall_until_it_is_overdue() {
        let mut tracker = tracker();
        tracker.phase_started(Phase::Copy, Seen::Steadily, at(0.0));
        tracker.phase_finished(at(60.0));
        tracker.phase_started(Phase::Indexes, Seen::Stepwise, at(60.0));
        for second in [60.0, 75.0, 90.0] {
            assert_about(second + left_s(&tracker, second), 120.0);
        }
        // It was to take forty seconds, and has taken eighty: a quarter of that is expected on top.
        assert_about(left_s(&tracker, 140.0), 20.0 + 20.0);
        tracker.progress(0.5, at(140.0));
        assert!(left_s(&tracker, 140.0) > 60.0);
    }

    #[test]
    fn what_earlier_processes_have_done_and_seen_counts() {
        let done = BTreeMap::from([(Phase::Copy, 0.75)]);
        let fresh = tracker();
        let mut tracker = Tracker { done, ..fresh };
        assert_about(left_s(&tracker, 0.0), 15.0 + 60.0);
        tracker.phase_started(Phase::Copy, Seen::Steadily, at(0.0));
        tracker.progress(0.875, at(7.5));
        assert_about(left_s(&tracker, 7.5), 7.5 + 60.0);
        tracker.pace_before = 3.0;
        assert!(left_s(&tracker, 7.5) > 100.0);
    }

    #[test]
    fn rows_that_are_taken_back_do_not_turn_it_back() {
        let mut tracker = tracker();
        tracker.phase_started(Phase::Copy, Seen::Steadily, at(0.0));
        tracker.progress(0.5, at(30.0));
        tracker.progress(0.4, at(31.0));
        assert_about(left_s(&tracker, 31.0), 91.0);
    }
}
