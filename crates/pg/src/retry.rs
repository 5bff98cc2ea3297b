//! Trying again: bounded exponential backoff with jitter, and connecting with patience.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

use crate::disposition::Disposition;
use crate::error::Error;
use crate::server::Server;
use crate::session::Session;

/// The first pause of [`Limits::RECONNECT`].
const RECONNECT_PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest pause of [`Limits::RECONNECT`]: a server that is back is noticed within it.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(3);
/// How long a restarting server is waited for: crash recovery of a busy server takes this long.
const RECONNECT_TOTAL_MAX: Duration = Duration::from_secs(60);

/// How often and how long to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The first pause; each following one is up to twice as long.
    pub pause_first: Duration,
    /// The longest pause.
    pub pause_max: Duration,
    /// After this time since the first failure no further pause is granted.
    pub total_max: Duration,
    /// After this many pauses no further one is granted.
    pub pause_count_max: u32,
}

impl Limits {
    /// For a server that may be restarting.
    pub const RECONNECT: Limits = Limits {
        pause_first: RECONNECT_PAUSE_FIRST,
        pause_max: RECONNECT_PAUSE_MAX,
        total_max: RECONNECT_TOTAL_MAX,
        pause_count_max: u32::MAX,
    };
}

/// The state of one series of attempts: make one, and ask it for a pause after each failure.
#[derive(Debug)]
pub struct Backoff {
    limits: Limits,
    pause_count: u32,
    started: Option<Instant>,
}

impl Backoff {
    /// A series that has not failed yet.
    pub fn new(limits: Limits) -> Backoff {
        Backoff {
            limits,
            pause_count: 0,
            started: None,
        }
    }

    /// How often a pause was granted so far.
    pub fn pause_count(&self) -> u32 {
        self.pause_count
    }

    /// The pause to take before the next attempt, or `None` when it is time to give up. Between
    /// half and all of the nominal pause, at random, so that workers do not come back in step.
    pub fn next_pause(&mut self) -> Option<Duration> {
        let elapsed = self.started.get_or_insert_with(Instant::now).elapsed();
        if self.pause_count >= self.limits.pause_count_max || elapsed >= self.limits.total_max {
            return None;
        }
        let factor = 1u32 << self.pause_count.min(20);
        let nominal = self
            .limits
            .pause_first
            .saturating_mul(factor)
            .min(self.limits.pause_max);
        self.pause_count += 1;
        let pause = nominal / 2 + (nominal / 2).mul_f64(random_fraction());
        Some(pause.min(self.limits.total_max - elapsed))
    }

    /// Sleeps for the next pause; false when it is time to give up.
    pub async fn pause(&mut self) -> bool {
        match self.next_pause() {
            Some(pause) => {
                tokio::time::sleep(pause).await;
                true
            }
            None => false,
        }
    }
}

/// A number in `[0, 1)`. The standard library seeds its hashers at random, which is enough here.
fn random_fraction() -> f64 {
    let random = RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(random).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
}

impl Server {
    /// Connects, and while the server cannot be reached, is starting or has no free connection,
    /// tries again within the limits.
    ///
    /// # Errors
    /// The first error that waiting does not mend, or the last one when the limits are reached.
    pub async fn connect_patiently(&self, purpose: &str, limits: Limits) -> Result<Session, Error> {
        let mut backoff = Backoff::new(limits);
        loop {
            let error = match self.connect(purpose).await {
                Ok(session) => return Ok(session),
                Err(error) => error,
            };
            match error.disposition() {
                Disposition::Retry | Disposition::Reconnect => {}
                Disposition::FreeResources | Disposition::Fix | Disposition::Cancelled => {
                    return Err(error);
                }
            }
            tracing::debug!(attempt = backoff.pause_count() + 1, "{error}");
            if !backoff.pause().await {
                return Err(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_end() {
        let limits = Limits {
            pause_first: Duration::from_millis(100),
            pause_max: Duration::from_millis(350),
            total_max: Duration::from_secs(3600),
            pause_count_max: 4,
        };
        let mut backoff = Backoff::new(limits);
        for nominal_ms in [100, 200, 350, 350] {
            let pause = backoff.next_pause();
            let range = Duration::from_millis(nominal_ms / 2)..=Duration::from_millis(nominal_ms);
            assert!(
                pause.is_some_and(|pause| range.contains(&pause)),
                "{pause:?} {nominal_ms}"
            );
        }
        assert_eq!(backoff.next_pause(), None);
        assert_eq!(backoff.pause_count(), 4);
    }

    #[test]
    fn no_time_means_no_pause() {
        let limits = Limits {
            total_max: Duration::ZERO,
            ..Limits::RECONNECT
        };
        assert_eq!(Backoff::new(limits).next_pause(), None);
    }

    #[test]
    fn jitter_differs_between_workers() {
        let fractions: Vec<f64> = (0..8).map(|_| random_fraction()).collect();
        assert!(
            fractions
                .iter()
                .all(|fraction| (0.0..1.0).contains(fraction))
        );
        assert!(fractions.iter().any(|fraction| *fraction != fractions[0]));
    }
}
