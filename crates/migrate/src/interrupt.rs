//! Being interrupted: first the open slices are finished, then, if asked again, they are given up.

use std::sync::Arc;
use tokio::sync::watch;

/// How urgently to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    #[default]
    None,
    Drain,
    Abort,
}

/// A switch that a signal handler throws and workers look at. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Interrupt(Arc<watch::Sender<Urgency>>);

impl Default for Interrupt {
    fn default() -> Interrupt {
        Interrupt(Arc::new(watch::Sender::new(Urgency::None)))
    }
}

impl Interrupt {
    /// One more request to stop: the first drains, the second aborts. Returns whether it aborts.
    pub fn request(&self) -> bool {
        self.0.send_modify(|urgency| {
            *urgency = if *urgency == Urgency::None {
                Urgency::Drain
            } else {
                Urgency::Abort
            };
        });
        self.aborting()
    }

    /// Whether nothing new should be begun.
    pub fn draining(&self) -> bool {
        *self.0.borrow() >= Urgency::Drain
    }

    /// Whether what is open should be given up.
    pub fn aborting(&self) -> bool {
        *self.0.borrow() == Urgency::Abort
    }

    /// Waits until what is open should be given up.
    pub(crate) async fn aborted(&self) {
        let mut seen = self.0.subscribe();
        // The sender lives in self, so waiting can only end with the state.
        let _ = seen.wait_for(|urgency| *urgency == Urgency::Abort).await;
    }

    /// Waits until nothing new should be begun.
    pub(crate) async fn drained(&self) {
        let mut seen = self.0.subscribe();
        let _ = seen.wait_for(|urgency| *urgency >= Urgency::Drain).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_drains_and_the_second_aborts() {
        let interrupt = Interrupt::default();
        assert!(!interrupt.draining());
        assert!(!interrupt.request() && interrupt.draining() && !interrupt.aborting());
        assert!(interrupt.clone().request() && interrupt.aborting());
    }
}
