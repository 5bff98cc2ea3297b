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
pub struct Interrupt {
    wishes: Arc<watch::Sender<Wishes>>,
    /// Whether the part of the run that holds this is given up, whatever is wished.
    given_up: Arc<watch::Sender<bool>>,
}

impl Default for Interrupt {
    fn default() -> Interrupt {
        Interrupt {
            wishes: Arc::new(watch::Sender::new(Wishes::default())),
            given_up: Arc::new(watch::Sender::new(false)),
        }
    }
}

impl Interrupt {
    /// One more request to stop: the first drains, the second aborts. Returns whether it aborts.
    pub fn request(&self) -> bool {
        self.wishes.send_modify(|wishes| {
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
        self.wishes.send_if_modified(|wishes| {
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
        self.wishes
            .send_modify(|wishes| wishes.deadline = Urgency::None);
    }

    /// One for a part of the run, which hears of every wish and can be given up by itself.
    pub(crate) fn of_part(&self) -> Interrupt {
        Interrupt {
            wishes: self.wishes.clone(),
            given_up: Arc::new(watch::Sender::new(false)),
        }
    }

    /// What is open in this part is given up.
    pub(crate) fn give_up(&self) {
        self.given_up.send_replace(true);
    }

    fn urgency(&self) -> Urgency {
        if *self.given_up.borrow() {
            Urgency::Abort
        } else {
            self.wishes.borrow().urgency()
        }
    }

    /// Whether it was the deadline that asked first.
    pub(crate) fn by_deadline(&self) -> bool {
        self.wishes.borrow().deadline > Urgency::None
    }

    /// Whether nothing new should be begun.
    pub(crate) fn draining(&self) -> bool {
        self.urgency() >= Urgency::Drain
    }

    /// Whether what is open should be given up.
    pub fn aborting(&self) -> bool {
        self.urgency() == Urgency::Abort
    }

    /// Waits until what is open should be given up.
    pub(crate) async fn aborted(&self) {
        self.reached(Urgency::Abort).await;
    }

    /// Waits until nothing new should be begun.
    pub(crate) async fn drained(&self) {
        self.reached(Urgency::Drain).await;
    }

    async fn reached(&self, urgency: Urgency) {
        let mut wishes = self.wishes.subscribe();
        let mut given_up = self.given_up.subscribe();
        // The senders live in self, so waiting can only end with the state.
        tokio::select! {
            _ = wishes.wait_for(|wishes| wishes.urgency() >= urgency) => {}
            _ = given_up.wait_for(|given_up| *given_up) => {}
        }
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

    #[tokio::test]
    async fn a_part_is_given_up_by_itself_and_hears_of_every_wish() {
        let whole = Interrupt::default();
        let part = whole.of_part();
        part.clone().give_up();
        part.aborted().await;
        assert!(part.aborting() && !whole.draining());
        let other = whole.of_part();
        assert!(!other.draining());
        whole.request();
        other.drained().await;
        assert!(other.draining() && !other.aborting());
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
