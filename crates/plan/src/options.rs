//! What the user asked for, validated: the same for flags and for a configuration file.

use crate::{Code, Policies, Relation};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// The tables, in the order of the configuration.
    pub tables: Vec<TableOptions>,
    /// How writers are kept off.
    pub mode: Mode,
    /// Leave out rows that the declared retention would drop at its first run, by their whole chunks.
    #[serde(default)]
    pub skip_expired: bool,
    /// Hash the rows of partitions before they are attached and when they are verified, although none of them moves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hash_attached: bool,
    /// How slices get there, unless a table says otherwise.
    pub strategy: StrategyChoice,
    /// Blocking findings that the user decided to carry on with.
    pub accept: BTreeSet<Code>,
    /// Parallel workers; `None`: as many as the target has cores that can be seen, else [`Options::WORKERS_UNSEEN`].
    pub workers: Option<u32>,
    /// Where this is given, the copy phase adapts the number of its workers between this and `workers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers_min: Option<u32>,
    /// A leaf is cut into slices of about this many bytes of heap and TOAST.
    pub slice_bytes: u64,
    /// How long a statement of the run waits for a lock before it gives way, milliseconds.
    pub lock_timeout_ms: u64,
    /// How often a step is tried again after a lock timeout.
    pub lock_attempts_max: u32,
}

impl Options {
    /// Workers where the target's cores can't be seen.
    pub const WORKERS_UNSEEN: u32 = 4;
    /// Default of [`Options::slice_bytes`]: some seconds of work each, so that a kill costs little.
    pub const SLICE_BYTES_DEFAULT: u64 = 512 << 20;
    /// Default of [`Options::slice_bytes`] where history follows beside live rows: a writer that comes with a key of a slice under
    /// way waits for the end of that slice.
    pub const SLICE_BYTES_BACKFILL_DEFAULT: u64 = 64 << 20;
    /// Default of [`Options::lock_timeout_ms`]: short enough that an application's queue behind us is a hiccup.
    pub const LOCK_TIMEOUT_MS_DEFAULT: u64 = 2_000;
    /// Default of [`Options::lock_attempts_max`].
    pub const LOCK_ATTEMPTS_MAX_DEFAULT: u32 = 5;

    /// Defaults for `tables`.
    pub fn new(tables: Vec<TableOptions>) -> Options {
        Options {
            tables,
            mode: Mode::Window,
            skip_expired: false,
            hash_attached: false,
            strategy: StrategyChoice::Auto,
            accept: BTreeSet::new(),
            workers: None,
            workers_min: None,
            slice_bytes: Options::SLICE_BYTES_DEFAULT,
            lock_timeout_ms: Options::LOCK_TIMEOUT_MS_DEFAULT,
            lock_attempts_max: Options::LOCK_ATTEMPTS_MAX_DEFAULT,
        }
    }

    /// Parallel workers on a target with so many cores, as far as that can be seen.
    pub(crate) fn workers_of(&self, cores: Option<u32>) -> u32 {
        let seen = cores.unwrap_or(Options::WORKERS_UNSEEN);
        match (self.workers_min, self.workers) {
            (Some(min), Some(max)) => seen.clamp(min.min(max), max),
            (_, workers) => workers.unwrap_or(seen),
        }
        .max(1)
    }

    /// Of those, the ones that make progress side by side: no more than there are cores.
    pub(crate) fn width_of(&self, cores: Option<u32>) -> u32 {
        let workers = self.workers_of(cores);
        cores.map_or(workers, |cores| workers.min(cores)).max(1)
    }

    /// What of these differs in `other`, in words.
    pub fn differing(&self, other: &Options) -> Vec<&'static str> {
        // Taken apart, so that no option is forgotten.
        let Options {
            tables,
            mode,
            skip_expired,
            hash_attached,
            strategy,
            accept,
            workers,
            workers_min,
            slice_bytes,
            lock_timeout_ms,
            lock_attempts_max,
        } = self;
        [
            ("tables or their options", *tables != other.tables),
            ("mode", *mode != other.mode),
            (
                "leaving expired rows out",
                *skip_expired != other.skip_expired,
            ),
            (
                "hashing attached partitions",
                *hash_attached != other.hash_attached,
            ),
            ("strategy", *strategy != other.strategy),
            ("accepted findings", *accept != other.accept),
            (
                "workers",
                (*workers, *workers_min) != (other.workers, other.workers_min),
            ),
            ("slice size", *slice_bytes != other.slice_bytes),
            ("lock timeout", *lock_timeout_ms != other.lock_timeout_ms),
            (
                "lock attempts",
                *lock_attempts_max != other.lock_attempts_max,
            ),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}

/// What the user asked for one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableOptions {
    /// The table.
    pub relation: Relation,
    /// Its time column; `None`: the partition key.
    pub time_column: Option<String>,
    /// Length of a chunk, microseconds, positive.
    pub chunk_interval_us: i64,
    /// How its slices get there; `None`: as [`Options::strategy`] says.
    pub strategy: Option<StrategyChoice>,
    /// What is to happen to its rows as they age.
    #[serde(default)]
    pub policies: Policies,
}

impl TableOptions {
    /// Default chunk interval: a day, as the five systems have it and pg_partman's daily partitions.
    pub const CHUNK_INTERVAL_US_DEFAULT: i64 = 86_400_000_000;
}

/// How writers are kept off the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Writers are stopped by the fence until every row is moved and proved.
    #[default]
    Window,
    /// Writers are stopped for moments: the empty hypertable takes the table's place first, and its history follows, newest
    /// first, beside live rows.
    Backfill,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Mode; 2] = [Mode::Window, Mode::Backfill];

    /// Its name, as `--mode` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Window => "window",
            Mode::Backfill => "backfill",
        }
    }
}

/// What the user wants of strategies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StrategyChoice {
    /// The best one for each leaf.
    #[default]
    Auto,
    /// This one, or a finding that says why not.
    #[serde(untagged)]
    Only(Strategy),
}

/// How the rows of a leaf get to the target. In the order in which `auto` likes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The partition itself becomes a chunk: no row moves. Same database, Community edition from 2.21 on.
    Attach,
    /// `INSERT INTO chunk SELECT`, within the server. Same database.
    Server,
    /// Binary COPY with FREEZE into a fresh table, which is indexed and then attached. Community edition from 2.21 on.
    Stage,
    /// Binary COPY TO, engine, binary COPY FROM: always possible.
    Copy,
}

impl Strategy {
    /// Every strategy, in the order in which `auto` likes them.
    pub const ALL: [Strategy; 4] = [
        Strategy::Attach,
        Strategy::Server,
        Strategy::Stage,
        Strategy::Copy,
    ];

    /// Its name, as `--strategy` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Attach => "attach",
            Strategy::Server => "server",
            Strategy::Stage => "stage",
            Strategy::Copy => "copy",
        }
    }
}
