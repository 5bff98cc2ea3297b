//! What to generate for SOAR: size, range of days, shape. Nothing here generates.

use chrono::{Datelike, NaiveDate};

use crate::error::WorkloadError;

/// Rows of both large tables in SOAR's migration plan.
const FIXES: u64 = 277_949;
const RAW_MESSAGES: u64 = 483_063;
const DEFAULT_PARTITION_ROWS: u64 = 412;

/// Rows outside of the daily partitions are made in one piece, so they have to be few.
const DEFAULT_PARTITION_ROWS_MAX: u64 = 100_000;
const DAYS_MAX: u32 = 3_650;
const RECEIVERS_MAX: u32 = 100_000;

/// Size and shape of SOAR's sample data. The same options give the same bytes, on any machine and any number of threads.
///
/// ```
/// use hyperhaul_workload::SoarOptions;
///
/// let bench = SoarOptions { days: 10, raw_messages: 0, default_partition_rows: 0, link_raw_messages: false, ..SoarOptions::sized(3_000_000) };
/// assert!(bench.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoarOptions {
    /// Another seed gives other rows of the same kind.
    pub seed: u64,
    /// First day (UTC) that has partitions.
    pub first_day: NaiveDate,
    /// Number of days, and of daily partitions, at least 1.
    pub days: u32,
    /// Rows of `fixes`, spread over the days, more of them at weekends and around noon.
    pub fixes: u64,
    /// Rows of `raw_messages`, those in the default partition included. The rows that no fix belongs to are what
    /// receivers say about themselves.
    pub raw_messages: u64,
    /// Rows of `raw_messages` shortly before the first and shortly after the last day, so that they fall into the default partition.
    pub default_partition_rows: u64,
    /// Whether each fix has its raw message (and the foreign key is built). Without, `raw_messages` may be fewer than `fixes`.
    pub link_raw_messages: bool,
    /// Ground stations that hear the aircraft, at least 1.
    pub receivers: u32,
}

impl Default for SoarOptions {
    /// What SOAR had when its migration was planned: 277,949 fixes and 483,063 raw messages, December 11 to 17, 2025.
    fn default() -> Self {
        Self {
            seed: 1,
            first_day: NaiveDate::from_ymd_opt(2025, 12, 11).unwrap_or_default(),
            days: 7,
            fixes: FIXES,
            raw_messages: RAW_MESSAGES,
            default_partition_rows: DEFAULT_PARTITION_ROWS,
            link_raw_messages: true,
            receivers: 96,
        }
    }
}

impl SoarOptions {
    /// The default at another size: `fixes`, and raw messages in the same proportion.
    pub fn sized(fixes: u64) -> Self {
        let scaled = u128::from(RAW_MESSAGES - DEFAULT_PARTITION_ROWS) * u128::from(fixes)
            / u128::from(FIXES);
        let raw_messages = u64::try_from(scaled)
            .unwrap_or(u64::MAX)
            .saturating_add(DEFAULT_PARTITION_ROWS);
        Self {
            fixes,
            raw_messages,
            ..Self::default()
        }
    }

    /// Rows of `raw_messages` that no fix belongs to and that lie within the days.
    pub(crate) fn beacons(&self) -> u64 {
        let linked = if self.link_raw_messages {
            self.fixes
        } else {
            0
        };
        self.raw_messages
            .saturating_sub(linked)
            .saturating_sub(self.default_partition_rows)
    }

    /// Checks the options against each other.
    ///
    /// # Errors
    ///
    /// If a number is out of its range, or the raw messages are too few for the fixes that they belong to.
    pub fn validate(&self) -> Result<(), WorkloadError> {
        let refuse = |what: String| Err(WorkloadError::Options(what));
        if self.days == 0 || self.days > DAYS_MAX {
            return refuse(format!(
                "days is {}, and has to be 1 to {DAYS_MAX}",
                self.days
            ));
        }
        // UUIDs of version 7 count from 1970; four digits of a year are what partition names hold.
        if !(1971..=9_000).contains(&self.first_day.year()) {
            return refuse(format!(
                "first day is {}, and has to lie in the years 1971 to 9000",
                self.first_day
            ));
        }
        if self.receivers == 0 || self.receivers > RECEIVERS_MAX {
            return refuse(format!(
                "receivers is {}, and has to be 1 to {RECEIVERS_MAX}",
                self.receivers
            ));
        }
        if self.default_partition_rows > DEFAULT_PARTITION_ROWS_MAX {
            return refuse(format!(
                "default partition rows is {}, and has to be at most {DEFAULT_PARTITION_ROWS_MAX}",
                self.default_partition_rows
            ));
        }
        let linked = if self.link_raw_messages {
            self.fixes
        } else {
            0
        };
        let raw_messages_min = linked.saturating_add(self.default_partition_rows);
        if self.raw_messages < raw_messages_min {
            return refuse(format!(
                "raw messages is {}, and has to be at least {raw_messages_min} (fixes that have one, and default partition rows)",
                self.raw_messages
            ));
        }
        Ok(())
    }
}
