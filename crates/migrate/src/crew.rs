//! The crew of the copy phase: how many of its workers may claim slices, and how that follows what is measured.
//!
//! ```text
//! workers --slices, bytes--> meter ----.
//! server  --wait events----------------+--> Climb --> Crew::allowed --> workers claim, or rest without sessions
//! workers --time of each slice--> Creep --> said once
//! ```

use crate::adapt::{Climb, Waits};
use crate::context::Context;
use crate::creep::Creep;
use crate::slice::Finished;
use crate::{Event, Meter};
use hyperhaul_catalog as catalog;
use hyperhaul_plan::Strategy;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the server is asked what the workers wait for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// An interval lasts so long at least: shorter ones would be noise.
const INTERVAL_MIN: Duration = Duration::from_secs(4);
/// And so long at most, however few slices were finished.
const INTERVAL_MAX: Duration = Duration::from_secs(60);
/// Where progress is seen only when a slice ends, an interval holds so many for each worker.
const SLICES_EACH_MIN: u64 = 2;

/// What the workers of the copy phase share about their number.
#[derive(Debug)]
pub(crate) struct Crew {
    allowed: AtomicU32,
    /// There is no slice to be had any more.
    finished: AtomicBool,
    creep: Mutex<Creep>,
}

impl Crew {
    pub(crate) fn new(workers: u32) -> Crew {
        Crew {
            allowed: AtomicU32::new(workers),
            finished: AtomicBool::new(false),
            creep: Mutex::default(),
        }
    }

    /// Whether worker `number`, from 0 on, may claim slices now. The first one always may.
    pub(crate) fn allows(&self, number: u32) -> bool {
        number < self.allowed.load(Ordering::Relaxed).max(1)
    }

    pub(crate) fn finish(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Relaxed)
    }

    /// A slice is done: says so where slices take longer and longer.
    pub(crate) fn slice_done(&self, context: &Context, finished: Finished) {
        let workers = self.allowed.load(Ordering::Relaxed);
        let Finished {
            table,
            bytes,
            elapsed,
            ..
        } = finished;
        let mut creep = self.creep.lock().unwrap_or_else(PoisonError::into_inner);
        let ratio = creep.add(table, workers, bytes, elapsed.as_secs_f64());
        drop(creep);
        if let (Some(ratio), Some(table)) = (ratio, context.plan.tables.get(table)) {
            context.tell(Event::Notice(format!(
                "slices of {} now take {ratio:.1} times as long for a byte as at the beginning: look what else the server \
                 does, and whether checkpoints come too often (max_wal_size)",
                table.relation.plain()
            )));
        }
    }
}

/// Adapts the crew until it is dropped.
pub(crate) struct Supervision(Option<tokio::task::JoinHandle<()>>);

impl Supervision {
    /// Begins where there is a range to adapt in.
    pub(crate) fn begin(context: &Context, crew: &Arc<Crew>, meter: &Arc<Meter>) -> Supervision {
        let (min, max) = context.plan.worker_range();
        if min == max {
            return Supervision(None);
        }
        let (context, crew, meter) = (context.clone(), crew.clone(), meter.clone());
        let task = async move { supervise(&context, &crew, &meter).await };
        Supervision(Some(tokio::spawn(task)))
    }
}

impl Drop for Supervision {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Looks and climbs. Where the server does not answer, throughput alone decides.
async fn supervise(context: &Context, crew: &Crew, meter: &Meter) {
    let allowed = crew.allowed.load(Ordering::Relaxed);
    let mut climb = Climb::new(context.plan.worker_range(), allowed);
    let mut session = context.target("waits").await.ok();
    let mut interval = Interval::begin(meter);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Some(asked) = &session {
            match catalog::waits(asked, &context.application_prefix()).await {
                Ok(found) => interval.waits.add(Waits {
                    active: found.active,
                    io: found.io,
                    lwlock: found.lwlock,
                    lock: found.lock,
                }),
                Err(_) => session = None,
            }
        }
        if !interval.is_over(context, meter, climb.workers()) {
            continue;
        }
        let change = climb.interval(interval.rate(meter), interval.waits);
        if let Some(change) = change {
            crew.allowed.store(change.workers, Ordering::Relaxed);
            context.tell(Event::Workers {
                workers: change.workers,
                reason: change.reason,
            });
        }
        interval = Interval::begin(meter);
    }
}

struct Interval {
    begun: Instant,
    bytes: u64,
    items: u64,
    waits: Waits,
}

impl Interval {
    fn begin(meter: &Meter) -> Interval {
        Interval {
            begun: Instant::now(),
            bytes: meter.progress.bytes(),
            items: meter.items_done.load(Ordering::Relaxed),
            waits: Waits::default(),
        }
    }

    fn is_over(&self, context: &Context, meter: &Meter, workers: u32) -> bool {
        let elapsed = self.begun.elapsed();
        let mut slices = context.plan.slices.iter();
        let steady = slices.all(|slice| slice.strategy == Strategy::Copy);
        let items = meter.items_done.load(Ordering::Relaxed) - self.items;
        let enough = steady || items >= SLICES_EACH_MIN * u64::from(workers);
        elapsed >= INTERVAL_MIN && enough || elapsed >= INTERVAL_MAX
    }

    /// Bytes a second. Those of slices that failed were taken back.
    #[expect(clippy::cast_precision_loss, reason = "a rate needs few digits")]
    fn rate(&self, meter: &Meter) -> f64 {
        let bytes = meter.progress.bytes().saturating_sub(self.bytes);
        bytes as f64 / self.begun.elapsed().as_secs_f64()
    }
}
