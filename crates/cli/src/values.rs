//! Values that flags and the configuration file have in common: names of tables, lengths of time, sizes, strategies.

use crate::interval::{self, IntervalError};
use crate::size::{self, SizeError};
use hyperhaul_migrate::RunId;
use hyperhaul_plan::{Relation, Strategy, StrategyChoice};
use std::time::Duration;

/// Each worker holds two sessions: more of them than this is a typing error.
pub(crate) const WORKERS_MAX: i64 = 256;

/// A length of time in microseconds: of a chunk, an age, a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) us: i64,
}

pub(crate) fn parse_table(text: &str) -> Result<Relation, String> {
    Relation::parse(text).ok_or_else(|| {
        format!("\"{text}\" is not a table's name: write schema.table, and double quotes around what SQL would quote")
    })
}

pub(crate) fn parse_interval(text: &str) -> Result<Interval, IntervalError> {
    interval::parse_us(text).map(|us| Interval { us })
}

pub(crate) fn parse_lock_timeout(text: &str) -> Result<Duration, IntervalError> {
    interval::parse_timeout(text)
}

pub(crate) fn parse_slice_size(text: &str) -> Result<u64, SizeError> {
    size::parse_slice_bytes(text)
}

pub(crate) fn parse_strategy(text: &str) -> Result<StrategyChoice, String> {
    if text == "auto" {
        return Ok(StrategyChoice::Auto);
    }
    let mut strategies = Strategy::ALL.into_iter();
    let found = strategies.find(|strategy| strategy.name() == text);
    found.map(StrategyChoice::Only).ok_or_else(|| {
        let names = Strategy::ALL.map(Strategy::name).join(", ");
        format!("there is no strategy \"{text}\", expected auto, {names}")
    })
}

pub(crate) fn parse_run(text: &str) -> Result<RunId, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(RunId(number)),
        _ => Err(format!("\"{text}\" is not the number of a run")),
    }
}
