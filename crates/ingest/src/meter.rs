//! What ingest does, in numbers: each stream has a meter, which all of its parts tell what they did.
//!
//! ```text
//!   intake, pump, writer, sources --> Meter --> Reading --> text for Prometheus --> Reading, in another process
//!                                                 '--> what the terminal shows
//! ```
//!
//! A counter is told of what happened, after it happened: what a transaction does is counted when the ledger has it. Names are in
//! `families`.

mod families;
mod histogram;
mod reading;
mod text;

use crate::clock::now_us;
use crate::envelope::Envelope;
use hyperhaul_ledger::Outcome;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use families::{Counter, Distribution, Gauge};
pub use histogram::Histogram;
pub use reading::Reading;
pub(crate) use text::{parse, render};

/// The meters of all streams of a process.
#[derive(Clone, Default)]
pub struct Meters(Arc<Mutex<Vec<Meter>>>);

impl Meters {
    /// What they show now, in the order of the streams. Looks at the spools.
    pub fn readings(&self) -> Vec<Reading> {
        let meters = self.locked().clone();
        meters.iter().map(Meter::reading).collect()
    }

    /// The meter of a stream.
    pub(crate) fn of(&self, stream: &str) -> Meter {
        let mut meters = self.locked();
        let own = meters.iter().find(|meter| *meter.0.stream == *stream);
        if let Some(meter) = own {
            return meter.clone();
        }
        let meter = Meter::new(stream);
        meters.push(meter.clone());
        meter
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Meter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.readings()).finish()
    }
}

/// The meter of one stream.
#[derive(Clone)]
pub(crate) struct Meter(Arc<Inner>);

struct Inner {
    stream: String,
    state: Mutex<State>,
}

struct State {
    reading: Reading,
    spool: Option<LookAtSpool>,
    in_flight: Option<VecDeque<InFlight>>,
    /// To the database; `None`: none was needed yet.
    is_connected: Option<bool>,
}

/// Looks how full a spool is; `None`: it is closed.
type LookAtSpool = Arc<dyn Fn() -> Option<SpoolDepth> + Send + Sync>;

/// How full a spool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpoolDepth {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) bytes_max: u64,
    /// When the oldest record that it may hold was received: microseconds since 1970 (UTC).
    pub(crate) oldest_us: Option<i64>,
}

/// Records on their way to the tables.
struct InFlight {
    /// Where they end in their source.
    to: u64,
    /// When the first of them was received.
    first_received_us: i64,
}

/// What connections lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Database,
    Source,
}

/// A batch that is in, and how that came.
pub(crate) struct InBatch<'a> {
    pub(crate) records: &'a [Envelope],
    pub(crate) outcome: &'a Outcome,
    /// How many died of each reason.
    pub(crate) dead: BTreeMap<&'a str, u64>,
    pub(crate) late_rows: u64,
    /// What they were, where their decoder tells that.
    pub(crate) kinds: &'a BTreeMap<&'static str, u64>,
    pub(crate) way: &'static str,
    /// How long its transaction took.
    pub(crate) took: Duration,
}

impl Meter {
    fn new(stream: &str) -> Meter {
        Meter(Arc::new(Inner {
            stream: stream.to_owned(),
            state: Mutex::new(State {
                reading: Reading::new(stream),
                spool: None,
                in_flight: None,
                is_connected: None,
            }),
        }))
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records were taken from a source that keeps them itself.
    pub(crate) fn received(&self, records: &[Envelope]) {
        let (count, bytes) = extent(records);
        let mut state = self.locked();
        state.count(Counter::ReceivedRecords, "", count);
        state.count(Counter::ReceivedBytes, "", bytes);
    }

    /// Records are durable in the spool, `took` after they were handed over.
    pub(crate) fn spooled(&self, records: &[Envelope], took: Duration) {
        self.received(records);
        let (count, bytes) = extent(records);
        let mut state = self.locked();
        state.count(Counter::SpooledRecords, "", count);
        state.count(Counter::SpooledBytes, "", bytes);
        state.add(Distribution::Storing, took.as_secs_f64());
    }

    /// The spool took none of the records.
    pub(crate) fn refused(&self, records: &[Envelope], reason: &str) {
        self.locked()
            .count(Counter::RefusedRecords, reason, records.len() as u64);
    }

    /// From now on all that was received and is not dealt with is [taken](Meter::taken) from the feed.
    pub(crate) fn begun(&self) {
        self.locked().in_flight = Some(VecDeque::new());
    }

    /// A batch is on its way to the tables.
    pub(crate) fn taken(&self, to: u64, records: &[Envelope]) {
        let first = records.first().map(|record| record.received_at_us);
        let first = first.map(|first_received_us| InFlight {
            to,
            first_received_us,
        });
        if let Some(in_flight) = &mut self.locked().in_flight {
            in_flight.extend(first);
        }
    }

    /// Everything up to a position is.
    pub(crate) fn dealt_with(&self, position: u64) {
        if let Some(in_flight) = &mut self.locked().in_flight {
            in_flight.retain(|batch| batch.to > position);
        }
    }

    /// A batch was committed.
    pub(crate) fn committed(&self, batch: &InBatch<'_>) {
        let mut lag = Histogram::new(Distribution::Lag.bounds());
        let now_us = now_us();
        for record in batch.records {
            lag.add(seconds(now_us - record.received_at_us));
        }
        let (count, bytes) = extent(batch.records);
        let mut state = self.locked();
        for (end, of_end) in ends(batch.outcome) {
            state.count(Counter::SettledRecords, end, of_end);
        }
        for (reason, dead) in &batch.dead {
            state.count(Counter::DeadRecords, reason, *dead);
        }
        for (kind, of_kind) in batch.kinds {
            state.count(Counter::Kinds, kind, *of_kind);
        }
        state.count(
            Counter::CommittedRows,
            "",
            positive(batch.outcome.row_count),
        );
        state.count(Counter::LateRows, "", batch.late_rows);
        state.count(Counter::Batches, batch.way, 1);
        state.add(Distribution::BatchRecords, approximate(count));
        state.add(Distribution::BatchBytes, approximate(bytes));
        state.add(Distribution::BatchSeconds, batch.took.as_secs_f64());
        if let Some(all) = state.reading.distributions.get_mut(&Distribution::Lag) {
            all.merge(&lag);
        }
    }

    /// A batch is written as two halves.
    pub(crate) fn halved(&self) {
        self.locked().count(Counter::Batches, "halved", 1);
    }

    /// There is a session with the database, or one is waited for.
    pub(crate) fn database(&self, is_connected: bool) {
        self.locked().is_connected = Some(is_connected);
    }

    /// A connection that was lost was made anew.
    pub(crate) fn reconnected(&self, to: Peer) {
        let to = match to {
            Peer::Database => "database",
            Peer::Source => "source",
        };
        self.locked().count(Counter::Reconnects, to, 1);
    }

    /// There was a time in which the source could give nothing, and what came then is missing.
    pub(crate) fn gap(&self, reason: &str, dropped: u64) {
        let mut state = self.locked();
        state.count(Counter::Gaps, reason, 1);
        state.count(Counter::DroppedRecords, "", dropped);
    }

    /// Where the spool's depth is seen.
    pub(crate) fn watch_spool(
        &self,
        look: impl Fn() -> Option<SpoolDepth> + Send + Sync + 'static,
    ) {
        self.locked().spool = Some(Arc::new(look));
    }

    fn reading(&self) -> Reading {
        // The spool is looked at without the lock: whoever stores in it tells this meter.
        let look = self.locked().spool.clone();
        let depth = look.and_then(|look| look());
        let state = self.locked();
        let oldest_us = match &state.in_flight {
            Some(in_flight) => in_flight.front().map(|batch| batch.first_received_us),
            None => depth.and_then(|depth| depth.oldest_us),
        };
        let mut reading = state.reading.clone();
        let age = oldest_us.map_or(0.0, |oldest_us| seconds(now_us() - oldest_us));
        reading.gauges.insert(Gauge::UncommittedSeconds, age);
        let is_connected = state.is_connected.map(|is_connected| {
            let value = f64::from(u8::from(is_connected));
            (Gauge::DatabaseConnected, value)
        });
        reading.gauges.extend(is_connected);
        if let Some(depth) = depth {
            let of_spool = [
                (Gauge::SpoolRecords, depth.records),
                (Gauge::SpoolBytes, depth.bytes),
                (Gauge::SpoolLimitBytes, depth.bytes_max),
            ];
            let of_spool = of_spool.map(|(gauge, value)| (gauge, approximate(value)));
            reading.gauges.extend(of_spool);
        }
        reading
    }
}

impl State {
    fn count(&mut self, counter: Counter, label: &str, more: u64) {
        let counters = &mut self.reading.counters;
        *counters.entry((counter, label.to_owned())).or_default() += more;
    }

    fn add(&mut self, to: Distribution, value: f64) {
        if let Some(histogram) = self.reading.distributions.get_mut(&to) {
            histogram.add(value);
        }
    }
}

/// Records, and bytes of their payloads.
fn extent(records: &[Envelope]) -> (u64, u64) {
    let bytes = records.iter().map(|record| record.payload.len() as u64);
    (records.len() as u64, bytes.sum())
}

fn ends(outcome: &Outcome) -> [(&'static str, u64); 5] {
    [
        ("stored", outcome.stored_count),
        ("duplicate", outcome.duplicate_count),
        ("conflict", outcome.conflict_count),
        ("dead", outcome.dead_count),
        ("lost", outcome.lost_count),
    ]
    .map(|(end, count)| (end, positive(count)))
}

/// Counters only grow.
fn positive(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// A clock that was set back makes nothing negative.
#[expect(clippy::cast_precision_loss, reason = "microseconds of some years fit")]
fn seconds(us: i64) -> f64 {
    us.max(0) as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
fn approximate(number: u64) -> f64 {
    number as f64
}
