//! The threads for work on rows: framing, digests, routing. Knows no session and no socket.

use crate::error::{Error, Kind};

/// A rayon pool of the engine's own. A running copy, digest or side of a comparison keeps one thread of it, waiting for
/// batches included: with fewer threads than that, the others wait for their turn.
#[derive(Debug)]
pub struct Pool(rayon::ThreadPool);

impl Pool {
    /// A pool of this many threads, at least one: as many as workers that run at the same time.
    ///
    /// # Errors
    ///
    /// If the system refuses a thread.
    pub fn new(threads: usize) -> Result<Pool, Error> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|index| format!("hyperhaul-work-{index}"))
            // Whoever waits for the task sees its channel closed, and reports that it ended early.
            .panic_handler(|_| tracing::error!("a thread that works on rows panicked"))
            .build()
            .map(Pool)
            .map_err(|error| Error::stream(Kind::Thread(error.to_string())))
    }

    pub(crate) fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        self.0.spawn(task);
    }
}
