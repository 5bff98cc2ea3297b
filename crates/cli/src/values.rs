//! Values that flags and the configuration file have in common: names of tables, lengths of time, sizes, strategies.

use crate::interval::{IntervalError, parse_timeout, parse_us};
use crate::size::{self, SizeError};
use hyperhaul_migrate::RunId;
use hyperhaul_plan::{Mode, Relation, Strategy, StrategyChoice};
use serde::{Deserialize, Deserializer, de};
use std::fmt::Display;
use std::time::Duration;

/// Each worker holds two sessions: more of them than this is a typing error.
const WORKERS_MAX: u32 = 256;

/// Parallel workers: a number, or a range to adapt in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Workers {
    /// None: just as many as `max`.
    pub(crate) min: Option<u32>,
    pub(crate) max: u32,
}

pub(crate) fn parse_workers(text: &str) -> Result<Workers, String> {
    let number = |text: &str| -> Option<i64> { text.trim().parse().ok() };
    let bounds = match text.split_once("..") {
        Some((min, max)) => number(min).map(Some).zip(number(max)),
        None => number(text).map(|max| (None, max)),
    };
    let Some((min, max)) = bounds else {
        return Err(format!(
            "\"{text}\" is neither a number of workers nor a range of them such as 2..8"
        ));
    };
    workers(min, max)
}

/// Checks the bounds.
pub(crate) fn workers(min: Option<i64>, max: i64) -> Result<Workers, String> {
    let checked = |count| number(count, WORKERS_MAX);
    let (min, max) = (min.map(checked).transpose()?, checked(max)?);
    if min.is_some_and(|min| min > max) {
        return Err("the range of workers ends before it begins".to_owned());
    }
    Ok(Workers { min, max })
}

/// Checks that a number is from 1 to `max`.
pub(crate) fn number(number: i64, max: u32) -> Result<u32, String> {
    u32::try_from(number)
        .ok()
        .filter(|number| (1..=max).contains(number))
        .ok_or_else(|| format!("{number} is not between 1 and {max}"))
}

/// A length of time in microseconds: of a chunk, an age, a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) us: i64,
}

/// Reads a value of the configuration file as its flag's value is read.
pub(crate) fn from_text<'de, D, T, E>(
    deserializer: D,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    E: Display,
{
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(de::Error::custom)
}

pub(crate) fn relation<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Relation, D::Error> {
    from_text(deserializer, parse_table)
}

pub(crate) fn interval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Interval, D::Error> {
    from_text(deserializer, parse_interval)
}

/// A length of time that may be left out.
pub(crate) fn optional_interval<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Interval>, D::Error> {
    interval(deserializer).map(Some)
}

pub(crate) fn parse_table(text: &str) -> Result<Relation, String> {
    Relation::parse(text).ok_or_else(|| {
        format!("\"{text}\" is not a table's name: write schema.table, and double quotes around what SQL would quote")
    })
}

pub(crate) fn parse_interval(text: &str) -> Result<Interval, IntervalError> {
    parse_us(text).map(|us| Interval { us })
}

pub(crate) fn parse_lock_timeout(text: &str) -> Result<Duration, IntervalError> {
    parse_timeout(text)
}

pub(crate) fn parse_window(text: &str) -> Result<Duration, IntervalError> {
    parse_us(text).map(|us| Duration::from_micros(us.unsigned_abs()))
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

pub(crate) fn parse_mode(text: &str) -> Result<Mode, String> {
    let found = Mode::ALL.into_iter().find(|mode| mode.name() == text);
    found.ok_or_else(|| {
        let names = Mode::ALL.map(Mode::name).join(", ");
        format!("there is no mode \"{text}\", expected {names}")
    })
}

pub(crate) fn parse_run(text: &str) -> Result<RunId, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(RunId(number)),
        _ => Err(format!("\"{text}\" is not the number of a run")),
    }
}
