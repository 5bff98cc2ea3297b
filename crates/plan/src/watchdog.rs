//! When a run has to pause, may go on, or has to stop: limits against what the server shows. Pure: time comes in as a number.
//!
//! ```text
//! going --a limit is reached--> paused --better than every limit by a tenth--> going
//!                                 '--------for as long as the patience------> stopped
//! ```

use crate::facts::Vitals;
use crate::phrase;
use std::time::Duration;

/// What a server must not be driven to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Bytes that stay free on each disk that can be seen; `None`: [`ServerLimits::FREE_SHARE`] of it or
    /// [`ServerLimits::FREE_BYTES_DEFAULT`], whichever is more, but no more than [`ServerLimits::FREE_SHARE_MAX`] of it; 0: none.
    pub free_disk_bytes_min: Option<u64>,
    /// Bytes by which the database may grow.
    pub growth_bytes_max: Option<u64>,
    /// Bytes by which a standby or slot may be behind.
    pub lag_bytes_max: Option<u64>,
    /// Bytes of WAL that the server may have to keep.
    pub wal_bytes_max: Option<u64>,
    /// How long a run pauses before it stops.
    pub patience: Duration,
}

impl Default for ServerLimits {
    fn default() -> ServerLimits {
        ServerLimits {
            free_disk_bytes_min: None,
            growth_bytes_max: None,
            lag_bytes_max: None,
            wal_bytes_max: None,
            patience: ServerLimits::PATIENCE_DEFAULT,
        }
    }
}

impl ServerLimits {
    /// A disk's share that stays free, in percent.
    pub const FREE_SHARE: u64 = 5;
    /// No more of a disk than this is asked to stay free, in percent: on a small one a GiB may be all of it.
    pub const FREE_SHARE_MAX: u64 = 10;
    /// See [`ServerLimits::free_disk_bytes_min`].
    pub const FREE_BYTES_DEFAULT: u64 = 1 << 30;
    /// Default of [`ServerLimits::patience`].
    pub const PATIENCE_DEFAULT: Duration = Duration::from_secs(600);

    fn free_bytes_min(&self, total_bytes: u64) -> u64 {
        let percent = |share: u64| total_bytes / 100 * share;
        self.free_disk_bytes_min.unwrap_or_else(|| {
            let wanted = percent(ServerLimits::FREE_SHARE).max(ServerLimits::FREE_BYTES_DEFAULT);
            wanted.min(percent(ServerLimits::FREE_SHARE_MAX))
        })
    }
}

/// What a run has to do. The reasons are for people, one for each limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    GoOn,
    /// Begin nothing new.
    Pause(Vec<String>),
    /// Stop for good: it did not get better.
    Stop(Vec<String>),
}

/// Judges reading after reading of one process.
#[derive(Clone, Debug)]
pub struct Watchdog {
    limits: ServerLimits,
    first: Option<Vitals>,
    paused_at: Option<Duration>,
}

impl Watchdog {
    /// With these limits.
    pub fn new(limits: ServerLimits) -> Watchdog {
        Watchdog {
            limits,
            first: None,
            paused_at: None,
        }
    }

    /// Judges what was read at `now`, on any clock that only goes forward. Growth, and an archiver that has failed all along, are
    /// measured against the first reading.
    pub fn judge(&mut self, now: Duration, vitals: &Vitals) -> Verdict {
        let first = self.first.get_or_insert_with(|| vitals.clone()).clone();
        let reasons = self.reasons(&first, vitals);
        if reasons.is_empty() {
            self.paused_at = None;
            return Verdict::GoOn;
        }
        let paused_at = *self.paused_at.get_or_insert(now);
        if now.saturating_sub(paused_at) >= self.limits.patience {
            Verdict::Stop(reasons)
        } else {
            Verdict::Pause(reasons)
        }
    }

    fn reasons(&self, first: &Vitals, vitals: &Vitals) -> Vec<String> {
        let limits = &self.limits;
        let mut reasons = Vec::new();
        for disk in &vitals.disks {
            let min = limits.free_bytes_min(disk.total_bytes);
            if disk.free_bytes < self.at_least(min) {
                reasons.push(format!(
                    "{} free on the disk of {}, {} are to stay free (--min-free-disk)",
                    phrase::bytes(disk.free_bytes),
                    disk.holds,
                    phrase::bytes(min)
                ));
            }
        }
        let mut above = |bytes: u64, max: Option<u64>, what: String, option: &str| {
            if let Some(max) = max
                && bytes > self.at_most(max)
            {
                let (bytes, max) = (phrase::bytes(bytes), phrase::bytes(max));
                reasons.push(format!("{what} {bytes}, the limit is {max} ({option})"));
            }
        };
        let growth = vitals.database_bytes.zip(first.database_bytes);
        let growth = growth.map_or(0, |(now, before)| now.saturating_sub(before));
        let grown = "the database has grown by".to_owned();
        above(growth, limits.growth_bytes_max, grown, "--max-growth");
        let written = vitals.wal_bytes.saturating_sub(first.wal_bytes);
        let kept = format!(
            "{} of WAL were written since the start, and the server has to keep",
            phrase::bytes(written)
        );
        above(
            vitals.wal_kept_bytes,
            limits.wal_bytes_max,
            kept,
            "--max-wal",
        );
        for lag in &vitals.lags {
            let behind = format!("{} is behind by", lag.who);
            above(lag.bytes, limits.lag_bytes_max, behind, "--max-replica-lag");
        }
        if vitals.archiver_fails && !first.archiver_fails {
            reasons
                .push("WAL is not archived any more: archive_command fails, see the server's log (pg_stat_archiver)".to_owned());
        }
        reasons
    }

    /// A run that is paused goes on only when it is better by a tenth: it would be paused again by its next slice.
    fn at_least(&self, min: u64) -> u64 {
        min + self.slack(min)
    }

    fn at_most(&self, max: u64) -> u64 {
        max - self.slack(max)
    }

    fn slack(&self, limit: u64) -> u64 {
        if self.paused_at.is_some() {
            limit / 10
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::facts::{Disk, Lag};

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    fn disk(free_bytes: u64, total_bytes: u64) -> Vitals {
        Vitals {
            disks: vec![Disk {
                holds: "data".to_owned(),
                free_bytes,
                total_bytes,
            }],
            ..Vitals::default()
        }
    }

    fn wal(bytes: u64) -> Vitals {
        Vitals {
            wal_kept_bytes: bytes,
            ..Vitals::default()
        }
    }

    fn lag(bytes: u64) -> Vitals {
        Vitals {
            lags: vec![Lag {
                who: "slot \"a\"".to_owned(),
                bytes,
            }],
            ..Vitals::default()
        }
    }

    fn size(bytes: u64) -> Vitals {
        Vitals {
            database_bytes: Some(bytes),
            ..Vitals::default()
        }
    }

    fn archiver(archiver_fails: bool) -> Vitals {
        Vitals {
            archiver_fails,
            ..Vitals::default()
        }
    }

    fn limits() -> ServerLimits {
        ServerLimits {
            growth_bytes_max: Some(100 * MIB),
            lag_bytes_max: Some(100 * MIB),
            wal_bytes_max: Some(100 * MIB),
            patience: Duration::from_secs(60),
            ..ServerLimits::default()
        }
    }

    #[test]
    fn each_limit_pauses_and_lets_go_on_when_it_is_better_by_a_tenth() {
        // Good, at the limit, better but not enough, enough.
        let cases = [
            [40 * GIB, 5 * GIB - 1, 5 * GIB + 1, 6 * GIB].map(|free| disk(free, 100 * GIB)),
            [100, 101, 91, 90].map(|kept| wal(kept * MIB)),
            [100, 101, 91, 90].map(|behind| lag(behind * MIB)),
            [500, 601, 591, 590].map(|bytes| size(bytes * MIB)),
        ];
        for [good, bad, better, enough] in cases {
            let mut watchdog = Watchdog::new(limits());
            let mut judge = |second, vitals| watchdog.judge(Duration::from_secs(second), vitals);
            assert_eq!(judge(0, &good), Verdict::GoOn, "{good:?}");
            for (second, vitals) in [(1, &bad), (2, &better)] {
                let verdict = judge(second, vitals);
                assert!(
                    matches!(&verdict, Verdict::Pause(reasons) if reasons.len() == 1),
                    "{vitals:?}: {verdict:?}"
                );
            }
            assert_eq!(judge(3, &enough), Verdict::GoOn, "{enough:?}");
            assert_eq!(judge(4, &good), Verdict::GoOn, "{good:?}");
        }
    }

    #[test]
    fn the_patience_counts_from_the_beginning_of_each_pause() {
        let mut watchdog = Watchdog::new(limits());
        let (good, bad) = (wal(1), wal(200 * MIB));
        let mut seen = Vec::new();
        for (second, vitals) in [
            (0, &bad),
            (59, &bad),
            (59, &good),
            (60, &bad),
            (119, &bad),
            (120, &bad),
        ] {
            seen.push(match watchdog.judge(Duration::from_secs(second), vitals) {
                Verdict::GoOn => "on",
                Verdict::Pause(_) => "pause",
                Verdict::Stop(_) => "stop",
            });
        }
        assert_eq!(seen, ["pause", "pause", "on", "pause", "pause", "stop"]);
    }

    #[test]
    fn what_stays_free_by_default_fits_the_disk() {
        for (total, min) in [
            (1_000 * GIB, 50 * GIB),
            (20 * GIB, GIB),
            (15 * GIB, GIB),
            (5 * GIB, GIB / 2),
        ] {
            let found = ServerLimits::default().free_bytes_min(total);
            assert!(min.abs_diff(found) < 100, "{total}: {found}");
        }
        let none = ServerLimits {
            free_disk_bytes_min: Some(0),
            ..ServerLimits::default()
        };
        let mut watchdog = Watchdog::new(none);
        assert_eq!(watchdog.judge(Duration::ZERO, &disk(0, GIB)), Verdict::GoOn);
    }

    #[test]
    fn an_archiver_that_failed_before_the_run_is_not_its_business() {
        for (first, pauses) in [(false, true), (true, false)] {
            let mut watchdog = Watchdog::new(ServerLimits::default());
            watchdog.judge(Duration::ZERO, &archiver(first));
            let verdict = watchdog.judge(Duration::from_secs(1), &archiver(true));
            assert_eq!(matches!(verdict, Verdict::Pause(_)), pauses);
            let verdict = watchdog.judge(Duration::from_secs(2), &archiver(false));
            assert_eq!(verdict, Verdict::GoOn);
        }
    }

    #[test]
    fn reasons_name_numbers_and_the_option() {
        let mut watchdog = Watchdog::new(limits());
        let mut vitals = disk(GIB, 100 * GIB);
        vitals.wal_kept_bytes = 300 * MIB;
        let Verdict::Pause(reasons) = watchdog.judge(Duration::ZERO, &vitals) else {
            panic!("two limits are reached");
        };
        assert_eq!(
            reasons,
            [
                "1.0 GiB free on the disk of data, 5.0 GiB are to stay free (--min-free-disk)",
                "0 KiB of WAL were written since the start, and the server has to keep 300.0 MiB, the limit is 100.0 MiB \
                 (--max-wal)",
            ]
        );
    }
}
