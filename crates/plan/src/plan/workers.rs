//! How many workers a plan's phases have.

use super::Plan;

impl Plan {
    /// Parallel workers of the run; of the copy phase, those that it begins with.
    pub fn workers(&self) -> u32 {
        self.options.workers_of(self.facts.target.cores)
    }

    /// The fewest and the most workers of the copy phase.
    pub fn worker_range(&self) -> (u32, u32) {
        let workers = self.workers();
        match (self.options.workers_min, self.options.workers) {
            (Some(min), Some(max)) => (min.clamp(1, max.max(1)), max.max(1)),
            _ => (workers, workers),
        }
    }

    /// Workers that make progress side by side: no more than the target has cores.
    pub fn width(&self) -> u32 {
        self.options.width_of(self.facts.target.cores)
    }
}
