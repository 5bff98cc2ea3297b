//! Being interrupted: first the open slices are finished, then, if asked again, they are given up. The end of the window does
//! the same, and can be taken back.

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

/// Who wants it how urgently.
#[derive(Clone, Copy, Debug, Default)]
struct Wishes {
    /// Signals.
    user: Urgency,
    /// The end of the window.
    deadline: Urgency,
}

impl Wishes {
    fn urgency(self) -> Urgency {
        self.user.max(self.deadline)
    }
}

/// A switch that a signal handler throws and workers look at. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Interrupt(Arc<watch::Sender<Wishes>>);

impl Default for Interrupt {
    fn default() -> Interrupt {
        Interrupt(Arc::new(watch::Sender::new(Wishes::default())))
    }
}

impl Interrupt {
    /// One more request to stop: the first drains, the second aborts. Returns whether it aborts.
    pub fn request(&self) -> bool {
        self.0.send_modify(|wishes| {
            wishes.user = if wishes.urgency() == Urgency::None {
                Urgency::Drain
            } else {
                Urgency::Abort
            };
        });
        self.aborting()
    }

    /// The window is over: drains, or aborts. Where the user has asked before, that holds.
    pub(crate) fn stop_for_deadline(&self, abort: bool) {
        let wanted = if abort {
            Urgency::Abort
        } else {
            Urgency::Drain
        };
        self.0.send_if_modified(|wishes| {
            let new = wishes.deadline < wanted
                && (wishes.deadline > Urgency::None || wishes.user == Urgency::None);
            if new {
                wishes.deadline = wanted;
            }
            new
        });
    }

    /// The deadline no longer matters: only what the user has asked for counts.
    pub(crate) fn forget_deadline(&self) {
        self.0.send_modify(|wishes| wishes.deadline = Urgency::None);
    }

    /// Whether it was the deadline that asked first.
    pub(crate) fn by_deadline(&self) -> bool {
        self.0.borrow().deadline > Urgency::None
    }

    /// Whether nothing new should be begun.
    pub(crate) fn draining(&self) -> bool {
        self.0.borrow().urgency() >= Urgency::Drain
    }

    /// Whether what is open should be given up.
    pub fn aborting(&self) -> bool {
        self.0.borrow().urgency() == Urgency::Abort
    }

    /// Waits until what is open should be given up.
    pub(crate) async fn aborted(&self) {
        let mut seen = self.0.subscribe();
        // The sender lives in self, so waiting can only end with the state.
        let _ = seen
            .wait_for(|wishes| wishes.urgency() == Urgency::Abort)
            .await;
    }

    /// Waits until nothing new should be begun.
    pub(crate) async fn drained(&self) {
        let mut seen = self.0.subscribe();
        let _ = seen
            .wait_for(|wishes| wishes.urgency() >= Urgency::Drain)
            .await;
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

    #[test]
    fn the_deadline_stops_and_can_be_taken_back() {
        let interrupt = Interrupt::default();
        interrupt.stop_for_deadline(false);
        assert!(interrupt.draining() && !interrupt.aborting() && interrupt.by_deadline());
        interrupt.forget_deadline();
        assert!(!interrupt.draining() && !interrupt.by_deadline());
        interrupt.stop_for_deadline(true);
        assert!(interrupt.aborting());
    }

    #[test]
    fn a_user_who_asks_first_is_the_reason_and_one_who_asks_after_the_deadline_aborts() {
        let first = Interrupt::default();
        first.request();
        first.stop_for_deadline(true);
        assert!(!first.by_deadline() && !first.aborting());
        let second = Interrupt::default();
        second.stop_for_deadline(false);
        assert!(second.request() && second.aborting() && second.by_deadline());
    }
}
