//! The bounded queue in front of a spool: requests of many threads go in one by one and come out as groups.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::Position;
use crate::error::{Error, Kind};
use crate::keeper::KeeperLimits;
use crate::parcel::Parcel;

/// Called once, when a parcel is durable or never will be: with the positions of its records, or with the reason.
///
/// It runs in the keeper's thread and keeps everyone else waiting: it should wake somebody (an asynchronous caller sends the answer through
/// a channel of its runtime), and no more.
pub type Completion = Box<dyn FnOnce(Result<Range<Position>, Error>) + Send>;

/// A parcel that waits.
pub(crate) struct Request {
    pub(crate) parcel: Parcel,
    pub(crate) done: Completion,
}

/// What the keeper does next.
#[derive(Default)]
pub(crate) struct Work {
    /// Parcels that go into one append and one sync.
    pub(crate) group: Vec<Request>,
    /// Release up to this position.
    pub(crate) release: Option<Position>,
}

#[derive(Default)]
struct Content {
    requests: VecDeque<Request>,
    bytes: u64,
    release: Option<Position>,
    is_closed: bool,
}

/// The queue.
pub(crate) struct Queue {
    limits: KeeperLimits,
    content: Mutex<Content>,
    wake: Condvar,
}

impl Queue {
    pub(crate) fn new(limits: KeeperLimits) -> Self {
        Self {
            limits,
            content: Mutex::default(),
            wake: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a request at the end, or answers it at once.
    pub(crate) fn push(&self, request: Request) {
        let mut content = self.lock();
        let bytes = request.parcel.bytes();
        let is_busy = content.requests.len() >= self.limits.requests_max
            || (content.bytes + bytes > self.limits.bytes_max && !content.requests.is_empty());
        let refusal = match () {
            () if content.is_closed => Kind::Closed,
            () if is_busy => Kind::Busy,
            () => {
                content.bytes += bytes;
                content.requests.push_back(request);
                self.wake.notify_one();
                return;
            }
        };
        // An answer may ask for something of this queue.
        drop(content);
        (request.done)(Err(refusal.into()));
    }

    /// Asks for a release; several in a row become one.
    pub(crate) fn release(&self, up_to: Position) {
        let mut content = self.lock();
        content.release = content.release.max(Some(up_to));
        self.wake.notify_one();
    }

    /// No more requests; those that wait are still carried out.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.wake.notify_all();
    }

    /// Answers all that waits with an error, and everything from now on.
    pub(crate) fn refuse_all(&self) {
        self.close();
        let requests = std::mem::take(&mut self.lock().requests);
        for request in requests {
            (request.done)(Err(Kind::Closed.into()));
        }
    }

    /// Waits for work; none when the queue is closed and empty.
    pub(crate) fn next(&self) -> Option<Work> {
        let is_idle = |content: &mut Content| {
            content.requests.is_empty() && content.release.is_none() && !content.is_closed
        };
        let waited = self.wake.wait_while(self.lock(), is_idle);
        let mut content = waited.unwrap_or_else(PoisonError::into_inner);
        let mut work = Work {
            group: Vec::new(),
            release: content.release.take(),
        };
        let mut group_bytes = 0;
        while let Some(waiting) = content.requests.front() {
            group_bytes += waiting.parcel.bytes();
            if group_bytes > self.limits.group_bytes_max && !work.group.is_empty() {
                break;
            }
            work.group.extend(content.requests.pop_front());
        }
        content.bytes -= work.group.iter().map(|r| r.parcel.bytes()).sum::<u64>();
        (!work.group.is_empty() || work.release.is_some()).then_some(work)
    }
}
