//! What a meter shows at one moment: plain data, which text is made of and read from.

use super::families::{Counter, Distribution, Gauge};
use super::histogram::Histogram;
use std::collections::BTreeMap;

/// What a stream's meter shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The stream's name.
    pub stream: String,
    /// By what tells them apart; `""` where nothing does.
    pub(crate) counters: BTreeMap<(Counter, String), u64>,
    pub(crate) distributions: BTreeMap<Distribution, Histogram>,
    /// Those of the spool are left out where there is none.
    pub(crate) gauges: BTreeMap<Gauge, f64>,
}

impl Reading {
    /// Of a stream that nothing has happened to.
    pub(crate) fn new(stream: &str) -> Reading {
        let counters = Counter::ALL.into_iter().flat_map(|counter| {
            let values = counter.known_values().iter();
            values.map(move |value| ((counter, (*value).to_owned()), 0))
        });
        let distributions = Distribution::ALL.into_iter();
        let distributions = distributions.map(|of| (of, Histogram::new(of.bounds())));
        Reading {
            stream: stream.to_owned(),
            counters: counters.collect(),
            distributions: distributions.collect(),
            gauges: BTreeMap::new(),
        }
    }

    /// A counter; the sum where it is told apart.
    pub fn counter(&self, counter: Counter) -> u64 {
        let own = self.counters.iter().filter(|((of, _), _)| *of == counter);
        own.map(|(_, count)| count).sum()
    }

    /// The part of a counter that has a label.
    pub fn part(&self, counter: Counter, label: &str) -> u64 {
        let part = self.counters.get(&(counter, label.to_owned()));
        part.copied().unwrap_or(0)
    }

    /// What is so now; `None` where it does not apply, as the spool of a stream without one.
    pub fn gauge(&self, gauge: Gauge) -> Option<f64> {
        self.gauges.get(&gauge).copied()
    }

    /// The value that a share (0 to 1) of what was counted since `before` is up to; `None` where nothing was.
    pub fn quantile_since(&self, before: &Reading, of: Distribution, share: f64) -> Option<f64> {
        let (now, before) = (self.distributions.get(&of)?, before.distributions.get(&of)?);
        now.since(before).quantile(share)
    }

    /// How many values were counted since `before`.
    pub fn values_since(&self, before: &Reading, of: Distribution) -> u64 {
        let pair = self
            .distributions
            .get(&of)
            .zip(before.distributions.get(&of));
        pair.map_or(0, |(now, before)| now.since(before).count())
    }

    /// The sum of all values that were counted.
    pub fn sum(&self, of: Distribution) -> f64 {
        self.distributions.get(&of).map_or(0.0, Histogram::sum)
    }

    /// How far a counter has come since `before`; all of it where that is of a process that has ended.
    pub fn count_since(&self, before: &Reading, counter: Counter) -> u64 {
        let (now, then) = (self.counter(counter), before.counter(counter));
        now.checked_sub(then).unwrap_or(now)
    }
}
