//! Readings as Prometheus takes them (text format 0.0.4), and back.

use super::families::{Counter, Distribution, Family, Gauge};
use super::histogram::Histogram;
use super::reading::Reading;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What all names begin with.
const PREFIX: &str = "hyperhaul_ingest_";

/// All families, with the readings' values.
pub(crate) fn render(readings: &[Reading]) -> String {
    let mut text = String::new();
    for counter in Counter::ALL {
        let family = counter.family();
        begin(&mut text, family, "counter");
        for reading in readings {
            let own = reading
                .counters
                .iter()
                .filter(|((of, _), _)| *of == counter);
            for ((_, value), count) in own {
                let labels = labels(&reading.stream, family.label.map(|label| (label, &**value)));
                line(&mut text, family.name, "", &labels, count);
            }
        }
    }
    for gauge in Gauge::ALL {
        let family = gauge.family();
        begin(&mut text, family, "gauge");
        for reading in readings {
            if let Some(value) = reading.gauges.get(&gauge) {
                line(
                    &mut text,
                    family.name,
                    "",
                    &labels(&reading.stream, None),
                    value,
                );
            }
        }
    }
    for of in Distribution::ALL {
        let family = of.family();
        begin(&mut text, family, "histogram");
        for reading in readings {
            if let Some(histogram) = reading.distributions.get(&of) {
                buckets(&mut text, family, &reading.stream, histogram);
            }
        }
    }
    text
}

// Writing into a string does not fail.
fn begin(text: &mut String, family: Family, kind: &str) {
    let Family { name, help, .. } = family;
    let _ = writeln!(text, "# HELP {PREFIX}{name} {help}");
    let _ = writeln!(text, "# TYPE {PREFIX}{name} {kind}");
}

fn line(text: &mut String, name: &str, ending: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "{PREFIX}{name}{ending}{{{labels}}} {value}");
}

fn buckets(text: &mut String, family: Family, stream: &str, histogram: &Histogram) {
    for (bound, total) in histogram.cumulative() {
        let bound = if bound.is_finite() {
            bound.to_string()
        } else {
            "+Inf".to_owned()
        };
        let labels = labels(stream, Some(("le", &bound)));
        line(text, family.name, "_bucket", &labels, total);
    }
    let labels = labels(stream, None);
    line(text, family.name, "_sum", &labels, histogram.sum());
    line(text, family.name, "_count", &labels, histogram.count());
}

fn labels(stream: &str, other: Option<(&str, &str)>) -> String {
    let mut labels = format!("stream=\"{}\"", escaped(stream));
    if let Some((name, value)) = other {
        let _ = write!(labels, ",{name}=\"{}\"", escaped(value));
    }
    labels
}

fn escaped(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    value.replace('\n', "\\n")
}

/// Reads what [`render`] wrote, also that of another version: what is not known here is left out.
pub(crate) fn parse(text: &str) -> Vec<Reading> {
    let mut streams: BTreeMap<String, Gathered> = BTreeMap::new();
    for line in text.lines() {
        let Some(sample) = Sample::parse(line) else {
            continue;
        };
        let stream = sample.label("stream").unwrap_or_default();
        let gathered = streams.entry(stream.to_owned());
        let gathered = gathered.or_insert_with(|| Gathered::new(stream));
        gathered.take(&sample);
    }
    streams.into_values().map(Gathered::reading).collect()
}

/// A reading that is put together from lines.
struct Gathered {
    reading: Reading,
    buckets: BTreeMap<Distribution, Vec<(f64, u64)>>,
    sums: BTreeMap<Distribution, f64>,
}

impl Gathered {
    fn new(stream: &str) -> Gathered {
        Gathered {
            reading: Reading::new(stream),
            buckets: BTreeMap::new(),
            sums: BTreeMap::new(),
        }
    }

    fn take(&mut self, sample: &Sample<'_>) {
        for counter in Counter::ALL {
            let family = counter.family();
            if family.name == sample.name {
                let label = family.label.and_then(|label| sample.label(label));
                let label = label.unwrap_or_default().to_owned();
                let count = sample.value.parse().unwrap_or(0);
                self.reading.counters.insert((counter, label), count);
            }
        }
        for gauge in Gauge::ALL {
            if gauge.family().name == sample.name {
                let value = sample.value.parse().unwrap_or(0.0);
                self.reading.gauges.insert(gauge, value);
            }
        }
        for of in Distribution::ALL {
            match sample.name.strip_prefix(of.family().name) {
                Some("_bucket") => {
                    let bound = sample.label("le").and_then(|bound| bound.parse().ok());
                    let total = sample.value.parse().ok();
                    self.buckets.entry(of).or_default().extend(bound.zip(total));
                }
                Some("_sum") => {
                    self.sums.insert(of, sample.value.parse().unwrap_or(0.0));
                }
                _ => {}
            }
        }
    }

    fn reading(self) -> Reading {
        let mut reading = self.reading;
        for (of, cumulative) in self.buckets {
            let sum = self.sums.get(&of).copied().unwrap_or(0.0);
            let histogram = Histogram::of_cumulative(of.bounds(), &cumulative, sum);
            reading
                .distributions
                .extend(histogram.map(|histogram| (of, histogram)));
        }
        reading
    }
}

/// A line with a value.
struct Sample<'a> {
    /// Without the prefix.
    name: &'a str,
    labels: Vec<(&'a str, String)>,
    value: &'a str,
}

impl<'a> Sample<'a> {
    fn parse(line: &'a str) -> Option<Sample<'a>> {
        let (name, mut rest) = line.strip_prefix(PREFIX)?.split_once('{')?;
        let mut labels = Vec::new();
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = unescaped(after)?;
            labels.push((label, value));
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        let value = rest.strip_prefix("} ")?;
        Some(Sample {
            name,
            labels,
            value,
        })
    }

    fn label(&self, name: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(label, _)| *label == name);
        found.map(|(_, value)| &**value)
    }
}

/// A value up to its quote, and what follows.
fn unescaped(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    loop {
        match characters.next()? {
            (at, '"') => return Some((value, text.get(at + 1..)?)),
            (_, '\\') => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            (_, other) => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(stream: &str) -> Reading {
        let mut reading = Reading::new(stream);
        let counters = &mut reading.counters;
        counters.insert((Counter::ReceivedRecords, String::new()), 7);
        counters.insert((Counter::DeadRecords, "time-window".to_owned()), 1);
        reading.gauges.insert(Gauge::UncommittedSeconds, 0.25);
        for value in [0.0004, 0.25, 7200.0] {
            if let Some(lag) = reading.distributions.get_mut(&Distribution::Lag) {
                lag.add(value);
            }
        }
        reading
    }

    #[test]
    fn what_is_rendered_is_read_back() {
        let readings = [reading("esp"), reading("it's \"odd\"\\,\n} {x=\"1\"")];
        assert_eq!(parse(&render(&readings)), readings);
    }

    #[test]
    fn lines_are_as_prometheus_takes_them() {
        let text = render(&[reading("a\"b")]);
        for line in [
            "# TYPE hyperhaul_ingest_received_records_total counter",
            "hyperhaul_ingest_received_records_total{stream=\"a\\\"b\"} 7",
            "hyperhaul_ingest_settled_records_total{stream=\"a\\\"b\",end=\"stored\"} 0",
            "hyperhaul_ingest_dead_records_total{stream=\"a\\\"b\",reason=\"time-window\"} 1",
            "# TYPE hyperhaul_ingest_lag_seconds histogram",
            "hyperhaul_ingest_lag_seconds_bucket{stream=\"a\\\"b\",le=\"0.001\"} 1",
            "hyperhaul_ingest_lag_seconds_bucket{stream=\"a\\\"b\",le=\"3600\"} 2",
            "hyperhaul_ingest_lag_seconds_bucket{stream=\"a\\\"b\",le=\"+Inf\"} 3",
            "hyperhaul_ingest_lag_seconds_count{stream=\"a\\\"b\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert_eq!(
            parse("# nothing\nother{a=\"b\"} 1\nhyperhaul_ingest_odd{"),
            []
        );
    }
}
