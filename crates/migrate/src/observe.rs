//! What a run tells while it goes on.

use crate::{Forecast, RunId};
use hyperhaul_engine::Progress;
use hyperhaul_plan::{Phase, Plan, Proof, Slice, Strategy, TablePlan};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Something that happened. Texts are for people: lower case, no period.
#[derive(Clone, Debug)]
pub enum Event {
    /// The run begins, or goes on where an earlier process stopped.
    Started {
        /// The run.
        run: RunId,
        /// Steps that earlier processes have done.
        steps_done: usize,
        /// Steps in all.
        steps_total: usize,
        /// Parallel workers.
        workers: u32,
    },
    /// A phase begins; its meter moves until it ends.
    PhaseStarted {
        /// The phase.
        phase: Phase,
        /// How far it is.
        meter: Arc<Meter>,
    },
    /// A phase has ended.
    PhaseFinished {
        /// The phase.
        phase: Phase,
        /// How long it took in this process.
        elapsed: Duration,
        /// How far it came.
        meter: Arc<Meter>,
    },
    /// A step begins.
    StepStarted {
        /// What it does.
        title: String,
    },
    /// A step is done and committed.
    StepFinished {
        /// What it did.
        title: String,
        /// How long it took.
        elapsed: Duration,
    },
    /// Another number of workers copies from now on.
    Workers {
        /// How many.
        workers: u32,
        /// Why.
        reason: String,
    },
    /// Something failed that is tried again.
    Retrying {
        /// What failed.
        what: String,
        /// Why, and who stands in the way.
        reason: String,
        /// How long it waits before it tries again.
        pause: Duration,
    },
    /// When the run will be through, as it looks now; told again and again.
    Forecast(Forecast),
    /// The deadline has stopped the phase that was under way, and the run is rolled back.
    GoingBack,
    /// A limit is reached, for these reasons: nothing new is begun.
    Paused(String),
    /// It is better again.
    Unpaused,
    /// Something that a person should know.
    Notice(String),
}

/// Who is told.
pub trait Observer: Send + Sync {
    /// Called as things happen, from several tasks; must return soon.
    fn event(&self, event: &Event);
}

/// Nobody is told.
#[derive(Debug)]
pub(crate) struct Silent;

impl Observer for Silent {
    fn event(&self, _: &Event) {}
}

/// How far a phase is: rows and bytes where rows move, steps elsewhere.
#[derive(Debug, Default)]
pub struct Meter {
    /// Rows and bytes of this process, taken back when a slice fails.
    pub progress: Progress,
    /// Rows that earlier processes have done.
    pub rows_before: AtomicU64,
    /// Rows in all, estimated; 0 where rows do not count.
    pub rows_total: AtomicU64,
    /// Bytes in all, estimated; 0 where bytes do not count.
    pub bytes_total: AtomicU64,
    /// Steps (or slices, or chunks) done.
    pub items_done: AtomicU64,
    /// Steps (or slices, or chunks) in all.
    pub items_total: AtomicU64,
}

impl Meter {
    pub(crate) fn items(total: usize) -> Meter {
        Meter {
            items_total: AtomicU64::new(total as u64),
            ..Meter::default()
        }
    }

    /// What a phase counts: rows, bytes, and slices or chunks where steps would say little.
    pub(crate) fn of_phase(plan: &Plan, phase: Phase, steps: usize) -> Meter {
        let staged = |slice: &&Slice| slice.strategy == Strategy::Stage;
        let own = || {
            let slices = plan.slices.iter();
            slices.filter(move |slice| match phase {
                Phase::Stage => staged(slice),
                Phase::Copy | Phase::Backfill => !staged(slice),
                _ => true,
            })
        };
        let tables = plan.tables.iter();
        let items = match phase {
            Phase::Stage | Phase::Copy | Phase::Backfill => own().count(),
            Phase::Chunks => tables.map(|table| table.chunks.len()).sum(),
            Phase::Verify | Phase::Proof => tables.map(TablePlan::loaded_chunks).sum(),
            _ => steps,
        };
        let meter = Meter::items(items);
        if phase == Phase::Stage || phase.copies() || phase.proves() {
            // Rows that stayed within the server are hashed on both sides.
            let times = |slice: &Slice| match plan.tables.get(slice.table).map(|table| table.proof)
            {
                Some(Proof::RecordHash) if phase.proves() => 2,
                _ => 1,
            };
            let rows = own().map(|slice| slice.rows_estimate * times(slice));
            let bytes = own().map(|slice| slice.bytes * times(slice));
            meter.rows_total.store(rows.sum(), Ordering::Relaxed);
            meter.bytes_total.store(bytes.sum(), Ordering::Relaxed);
        }
        meter
    }

    pub(crate) fn item_done(&self) {
        self.items_done.fetch_add(1, Ordering::Relaxed);
    }

    /// Rows done, by this process and by earlier ones.
    pub fn rows(&self) -> u64 {
        self.rows_before.load(Ordering::Relaxed) + self.progress.rows()
    }
}
