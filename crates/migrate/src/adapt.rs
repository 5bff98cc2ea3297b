//! How many workers copy at once: a climb by single steps towards the most throughput, within bounds. Pure.
//!
//! One more worker is kept only if it brings something, one less if it costs nothing: fewer sessions leave more of the server to
//! others. What backends wait for decides in which direction to look first.

/// Throughput that differs by less than this share is the same.
const SAME_SHARE: f64 = 0.05;
/// Where more than this share of the backends wait for the server, more of them would wait longer.
const WAITING_SHARE: f64 = 0.5;
/// So many intervals it stays where it found nothing better.
const REST_INTERVALS: u32 = 6;

/// What backends that copy were seen to do, over an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    /// Looks at backends that were at work.
    pub(crate) active: u32,
    /// Of those: reading or writing files.
    pub(crate) io: u32,
    /// Of those: for one another within the server's memory.
    pub(crate) lwlock: u32,
    /// Of those: for locks.
    pub(crate) lock: u32,
}

impl Waits {
    pub(crate) fn add(&mut self, other: Waits) {
        self.active += other.active;
        self.io += other.io;
        self.lwlock += other.lwlock;
        self.lock += other.lock;
    }

    /// What most of them wait for, if they do.
    fn bottleneck(self) -> Option<&'static str> {
        let kinds = [
            (self.io, "the disk"),
            (self.lwlock, "each other within the server"),
            (self.lock, "locks"),
        ];
        let waiting: u32 = kinds.iter().map(|(count, _)| count).sum();
        let most = f64::from(waiting) > f64::from(self.active) * WAITING_SHARE;
        let largest = kinds.into_iter().max_by_key(|(count, _)| *count)?;
        most.then_some(largest.1)
    }
}

/// Another number of workers, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) workers: u32,
    pub(crate) reason: String,
}

/// A climb: looks at one interval after the other.
#[derive(Clone, Debug)]
pub(crate) struct Climb {
    min: u32,
    max: u32,
    workers: u32,
    /// Number and throughput of the interval before the last step, while that is on trial.
    trial: Option<(u32, f64)>,
    /// Direction of the next trial.
    up: bool,
    rest: u32,
}

impl Climb {
    pub(crate) fn new((min, max): (u32, u32), workers: u32) -> Climb {
        Climb {
            min,
            max,
            workers: workers.clamp(min, max),
            trial: None,
            up: true,
            rest: 0,
        }
    }

    pub(crate) fn workers(&self) -> u32 {
        self.workers
    }

    /// What an interval with this throughput, in whatever unit, and these waits asks for.
    pub(crate) fn interval(&mut self, rate: f64, waits: Waits) -> Option<Change> {
        if let Some((before, rate_before)) = self.trial.take() {
            let went_up = self.workers > before;
            let gained = rate > rate_before * (1.0 + SAME_SHARE);
            let lost = rate < rate_before * (1.0 - SAME_SHARE);
            let keep = if went_up { gained } else { !lost };
            if !keep {
                self.up = !went_up;
                self.rest = REST_INTERVALS;
                let what = if went_up { "no more" } else { "less" };
                let back = format!("{what} throughput with {}", self.workers);
                return Some(self.change(before, back));
            }
            self.up = went_up;
        }
        if self.rest > 0 {
            self.rest -= 1;
            return None;
        }
        let bottleneck = waits.bottleneck();
        let up = self.up && bottleneck.is_none();
        let wanted = if up {
            self.workers + 1
        } else {
            self.workers.saturating_sub(1)
        };
        let bounded = wanted.clamp(self.min, self.max);
        if bounded == self.workers {
            // At the end of the range there is only the other direction left.
            self.up = !up;
            self.rest = REST_INTERVALS;
            return None;
        }
        self.trial = Some((self.workers, rate));
        let reason = match bottleneck {
            Some(what) => format!("most of {} wait for {what}", self.workers),
            None if up => "trying one more".to_owned(),
            None => "trying one less".to_owned(),
        };
        Some(self.change(bounded, reason))
    }

    fn change(&mut self, workers: u32, reason: String) -> Change {
        self.workers = workers;
        Change { workers, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Waits = Waits {
        active: 10,
        io: 1,
        lwlock: 0,
        lock: 0,
    };

    /// Runs a climb on a server whose throughput depends on the number of workers alone; the numbers that it had.
    fn climbed(range: (u32, u32), from: u32, rate: impl Fn(u32) -> f64) -> Vec<u32> {
        let mut climb = Climb::new(range, from);
        (0..40)
            .map(|_| {
                climb.interval(rate(climb.workers()), IDLE);
                climb.workers()
            })
            .collect()
    }

    #[test]
    fn it_climbs_to_the_top_and_stays_near() {
        // Six workers are as quick as any more of them.
        let seen = climbed((1, 16), 2, |workers| f64::from(workers.min(6)));
        assert!(
            seen.contains(&6) && seen.iter().all(|workers| *workers <= 7),
            "{seen:?}"
        );
        assert!(
            seen[10..].iter().all(|workers| (5..=7).contains(workers)),
            "{seen:?}"
        );
    }

    #[test]
    fn it_goes_down_where_fewer_are_as_quick() {
        let seen = climbed((1, 8), 6, |_| 100.0);
        assert!(seen[20..].contains(&1), "{seen:?}");
    }

    #[test]
    fn it_keeps_within_its_bounds() {
        for rate in [|n: u32| f64::from(n), |n: u32| 1.0 / f64::from(n)] {
            let seen = climbed((3, 5), 9, rate);
            assert!(
                seen.iter().all(|workers| (3..=5).contains(workers)),
                "{seen:?}"
            );
            let steps = seen.windows(2).map(|pair| pair[0].abs_diff(pair[1]));
            assert!(steps.max() <= Some(1), "{seen:?}");
        }
    }

    #[test]
    fn waits_keep_it_from_adding_to_them() {
        let mut climb = Climb::new((1, 8), 4);
        let waiting = Waits {
            active: 10,
            lwlock: 8,
            ..Waits::default()
        };
        let change = climb.interval(100.0, waiting);
        let expected = Change {
            workers: 3,
            reason: "most of 4 wait for each other within the server".to_owned(),
        };
        assert_eq!(change, Some(expected));
        // It cost a fifth of the throughput: back.
        assert_eq!(
            climb.interval(80.0, IDLE).map(|change| change.workers),
            Some(4)
        );
    }
}
