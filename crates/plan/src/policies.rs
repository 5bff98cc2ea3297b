//! What is to happen to a table's rows as they age: columnstore, retention, aggregates. Declared once, for both editions.
//!
//! Aggregates are declared by columns and not as SQL text: the Community edition gets a continuous aggregate and the Apache
//! edition a rolled-up table from the same words, identifiers stay quoted, and columns can be checked before the window.

mod measure;
mod validate;

pub use measure::{Measure, MeasureFunction, OrderBy};
pub(crate) use validate::validate;

use crate::facts::{Facts, License};
use crate::{ChunkRange, Relation, TablePlan, TimeType};
use serde::{Deserialize, Serialize};

/// The column of an aggregate that holds the start of each bucket.
pub const BUCKET_COLUMN: &str = "bucket";

/// 2000-01-03, a Monday, in microseconds since 1970 UTC: where `time_bucket` counts from.
const BUCKET_ORIGIN_US: i64 = 946_857_600_000_000;

/// What is declared for one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policies {
    /// Chunks older than that go to the columnstore.
    pub columnstore: Option<Columnstore>,
    /// Chunks whose rows are all older than this many microseconds are dropped.
    pub retention_us: Option<i64>,
    /// How often the jobs of columnstore and retention run, microseconds; `None`: as the server sees fit.
    pub schedule_us: Option<i64>,
    /// The hypertable's comment, which may tell all this to people; `None`: the table's own.
    pub comment: Option<String>,
    /// Aggregates that are kept up to date.
    pub aggregates: Vec<Aggregate>,
}

impl Policies {
    /// How often retention runs where nothing else is declared, and how long its first run waits at least.
    pub const RETENTION_SCHEDULE_US_DEFAULT: i64 = 86_400_000_000;

    /// Whether nothing is declared.
    pub fn is_empty(&self) -> bool {
        self.columnstore.is_none() && self.retention_us.is_none() && self.aggregates.is_empty()
    }

    /// How often retention runs, microseconds.
    pub fn retention_schedule_us(&self) -> i64 {
        self.schedule_us
            .unwrap_or(Policies::RETENTION_SCHEDULE_US_DEFAULT)
    }
}

/// The columnstore of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columnstore {
    /// Age of a chunk, microseconds.
    pub after_us: i64,
    /// Columns whose equal values are kept together.
    pub segment_by: Vec<String>,
    /// Order of the rows within; empty: as the server sees fit.
    pub order_by: Vec<OrderBy>,
    /// When chunks go there that are old enough by the time of the plan.
    #[serde(default)]
    pub begins: ColumnstoreBegins,
}

/// When chunks that are old enough already go to the columnstore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnstoreBegins {
    /// After the run, by the server's own job.
    #[default]
    Later,
    /// During the run, by its workers.
    Now,
}

impl ColumnstoreBegins {
    /// Reads `now` or `later`, as `--columnstore` takes it.
    ///
    /// # Errors
    ///
    /// Says what would be right.
    pub fn parse(text: &str) -> Result<ColumnstoreBegins, String> {
        match text {
            "now" => Ok(ColumnstoreBegins::Now),
            "later" => Ok(ColumnstoreBegins::Later),
            _ => Err(format!("\"{text}\" is neither now nor later")),
        }
    }
}

/// An aggregate over a table, one row for each bucket of time and each group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aggregate {
    /// Its name.
    pub relation: Relation,
    /// Length of a bucket, microseconds.
    pub bucket_us: i64,
    /// Columns that make the groups, besides the bucket.
    pub group_by: Vec<String>,
    /// What is computed for each.
    pub measures: Vec<Measure>,
    /// Buckets from this long ago on are computed anew at each run, microseconds: rows may come in late.
    pub start_offset_us: i64,
    /// Buckets are computed when they ended this long ago, microseconds.
    pub end_offset_us: i64,
    /// How often, microseconds.
    pub schedule_us: i64,
}

impl Aggregate {
    /// Start of the bucket that `time_us` lies in, as `time_bucket` has it.
    pub(crate) fn bucket_start(&self, time_us: i64) -> i64 {
        let since = time_us.saturating_sub(BUCKET_ORIGIN_US);
        BUCKET_ORIGIN_US.saturating_add(since.div_euclid(self.bucket_us) * self.bucket_us)
    }

    /// The ranges of whole buckets that a run at `now_us` has to compute, ascending, each to be one transaction: about a chunk
    /// each, and only where there is a chunk.
    ///
    /// `watermark_us`: all buckets before were computed once; `None`: none was.
    pub fn due(
        &self,
        now_us: i64,
        watermark_us: Option<i64>,
        chunks: &[ChunkRange],
    ) -> Vec<ChunkRange> {
        let end_us = self.due_until(now_us);
        let late_us = self.bucket_start(now_us.saturating_sub(self.start_offset_us));
        let mut from_us = watermark_us.map_or(i64::MIN, |watermark_us| watermark_us.min(late_us));
        let mut chunks = chunks.to_vec();
        chunks.sort_unstable();
        let mut due = Vec::new();
        for chunk in chunks {
            let last_us = self.bucket_start(chunk.end_us.saturating_sub(1));
            let range = ChunkRange {
                start_us: self.bucket_start(chunk.start_us).max(from_us),
                end_us: last_us.saturating_add(self.bucket_us).min(end_us),
            };
            if range.start_us < range.end_us {
                due.push(range);
                from_us = range.end_us;
            }
        }
        due
    }

    /// End of the last bucket that a run at `now_us` computes.
    pub(crate) fn due_until(&self, now_us: i64) -> i64 {
        self.bucket_start(now_us.saturating_sub(self.end_offset_us))
    }
}

/// What `hyperhaul maintain` has to know about a table, as the ledger of the target keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declaration {
    /// The hypertable.
    pub relation: Relation,
    /// Its time column.
    pub time_column: String,
    /// Its type.
    pub time_type: TimeType,
    /// What is declared; of a server that does part of it itself, only the rest.
    pub policies: Policies,
}

/// Who carries out what is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// Jobs of TimescaleDB: the Community edition.
    Server,
    /// `hyperhaul maintain`: the Apache edition.
    Maintain,
}

impl Keeper {
    pub(crate) fn of(facts: &Facts) -> Keeper {
        match &facts.target.timescale {
            Some(timescale) if timescale.license == License::Community => Keeper::Server,
            _ => Keeper::Maintain,
        }
    }
}

/// Refreshing a continuous aggregate, seconds a row: 2M rows into 120,000 groups took 4.3 s on a busy machine.
const AGGREGATE_S_PER_ROW: f64 = 2.1e-6;

/// How long it takes to set everything up: continuous aggregates read all rows once, each by itself; the rest changes the
/// catalog, `catalog_s` each time.
pub(crate) fn seconds(tables: &[TablePlan], facts: &Facts, catalog_s: f64) -> f64 {
    let refreshes = Keeper::of(facts) == Keeper::Server;
    let declared = tables.iter().filter(|table| !table.policies.is_empty());
    let table_s = |table: &TablePlan| {
        let aggregates = table.policies.aggregates.len() as f64;
        let read_s = table.rows_estimate as f64 * AGGREGATE_S_PER_ROW;
        catalog_s + aggregates * (catalog_s + if refreshes { read_s } else { 0.0 })
    };
    declared.map(table_s).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::testing::{DAY_US, FIRST_DAY_US, hourly};

    const HOUR_US: i64 = 3_600_000_000;

    fn chunk(day: i64) -> ChunkRange {
        ChunkRange::containing(FIRST_DAY_US + day * DAY_US, DAY_US)
    }

    fn hours(range: ChunkRange) -> (i64, i64) {
        let hour = |time_us: i64| (time_us - FIRST_DAY_US) / HOUR_US;
        (hour(range.start_us), hour(range.end_us))
    }

    #[test]
    fn buckets_begin_where_the_server_begins_them() {
        let weekly = Aggregate {
            bucket_us: 7 * DAY_US,
            ..hourly()
        };
        // December 11, 2025 is a Thursday; the week began on Monday the 8th.
        assert_eq!(weekly.bucket_start(FIRST_DAY_US), FIRST_DAY_US - 3 * DAY_US);
        assert_eq!(hourly().bucket_start(FIRST_DAY_US + 1), FIRST_DAY_US);
        assert_eq!(hourly().bucket_start(-1), -HOUR_US);
    }

    #[test]
    fn the_first_run_computes_all_history_chunk_by_chunk() {
        let now_us = FIRST_DAY_US + 50 * HOUR_US + 1;
        let chunks = [chunk(0), chunk(1), chunk(2), chunk(9)];
        let due: Vec<_> = hourly()
            .due(now_us, None, &chunks)
            .into_iter()
            .map(hours)
            .collect();
        // The last bucket ended an hour ago.
        assert_eq!(due, [(0, 24), (24, 48), (48, 49)]);
    }

    #[test]
    fn later_runs_compute_new_buckets_and_those_that_late_rows_may_have_reached() {
        let now_us = FIRST_DAY_US + 100 * HOUR_US;
        let chunks = [chunk(0), chunk(1), chunk(2), chunk(3), chunk(4)];
        let after = |watermark_hour: i64| {
            let watermark_us = FIRST_DAY_US + watermark_hour * HOUR_US;
            let due = hourly().due(now_us, Some(watermark_us), &chunks);
            due.into_iter().map(hours).collect::<Vec<_>>()
        };
        // start_offset is two days.
        assert_eq!(after(99), [(52, 72), (72, 96), (96, 99)]);
        assert_eq!(after(30), [(30, 48), (48, 72), (72, 96), (96, 99)]);
    }

    #[test]
    fn a_bucket_over_several_chunks_is_computed_once() {
        let weekly = Aggregate {
            bucket_us: 7 * DAY_US,
            ..hourly()
        };
        let now_us = FIRST_DAY_US + 12 * DAY_US;
        let chunks: Vec<ChunkRange> = (0..12).map(chunk).collect();
        let due = weekly.due(now_us, None, &chunks);
        let lengths: Vec<i64> = due
            .iter()
            .map(|range| range.end_us - range.start_us)
            .collect();
        assert_eq!(lengths, [7 * DAY_US, 7 * DAY_US]);
    }
}
