//! Readings of electrical submersible pumps, as their controllers send them: every well once a minute, values that wander slowly
//! within what is usual for each of them.

use crate::random::{mix, unit};
use crate::trigonometry::sin_cos_degrees;
use std::fmt::Write;

/// What makes readings; the same options give the same readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EspOptions {
    /// Another seed gives other values.
    pub seed: u64,
    /// Wells that send.
    pub wells: u32,
    /// Readings in all; they go from well to well, then on to the next minute.
    pub readings: u64,
    /// The first minute: seconds since 1970 (UTC).
    pub begin_s: i64,
}

/// The form in which readings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EspFormat {
    /// One JSON object a line.
    Ndjson,
    /// Comma separated values; a line with their names comes first.
    Csv,
}

/// Names of the values, in the order of the CSV.
const NAMES: [&str; 11] = [
    "well_id",
    "timestamp",
    "flow_rate",
    "pip",
    "motor_current",
    "motor_temp",
    "vibration",
    "vsd_frequency",
    "flow_variance",
    "torque",
    "gor",
];

/// Mean and reach of each value: barrels a day, psi, A, degrees C, g, Hz, barrels a day, N m, scf/bbl.
const USUAL: [(f64, f64); 9] = [
    (2_000.0, 500.0),
    (1_000.0, 200.0),
    (45.0, 10.0),
    (85.0, 15.0),
    (1.0, 0.5),
    (50.0, 5.0),
    (20.0, 10.0),
    (70.0, 10.0),
    (500.0, 100.0),
];

const SECONDS_A_READING: i64 = 60;

impl EspFormat {
    /// The line before all readings, with its end; empty where there is none.
    pub fn header(self) -> String {
        match self {
            EspFormat::Ndjson => String::new(),
            EspFormat::Csv => NAMES.join(",") + "\n",
        }
    }
}

impl EspOptions {
    /// Adds reading number `at` to `text`, as a line.
    pub fn write(&self, at: u64, format: EspFormat, text: &mut String) {
        let wells = u64::from(self.wells.max(1));
        let (minute, well) = (at / wells, at % wells);
        let mut values = [0.0; USUAL.len()];
        for (kind, (value, usual)) in (0_u64..).zip(values.iter_mut().zip(USUAL)) {
            *value = self.value(well, minute, kind, usual);
        }
        let time = rfc3339(self.begin_s + minute as i64 * SECONDS_A_READING);
        // Writing into a String does not fail.
        let _ = match format {
            EspFormat::Ndjson => write_ndjson(text, well, &time, &values),
            EspFormat::Csv => write_csv(text, well, &time, &values),
        };
    }

    /// A slow wave that is the well's own, and a little noise; two decimals, as instruments have them.
    fn value(&self, well: u64, minute: u64, kind: u64, (mean, reach): (f64, f64)) -> f64 {
        let own = mix(self.seed, well, kind);
        let period = 600.0 + 1_200.0 * unit(own);
        let phase = (minute as f64 / period + unit(own.rotate_left(21))).fract();
        let (wave, _) = sin_cos_degrees(360.0 * phase);
        let noise = unit(mix(own, minute, kind)) - 0.5;
        let value = mean + reach * (0.8 * wave + 0.2 * noise);
        (value * 100.0).round() / 100.0
    }
}

fn write_ndjson(text: &mut String, well: u64, time: &str, values: &[f64]) -> std::fmt::Result {
    write!(
        text,
        "{{\"well_id\":\"ESP-{well:05}\",\"timestamp\":\"{time}\""
    )?;
    for (name, value) in NAMES.iter().skip(2).zip(values) {
        write!(text, ",\"{name}\":{value}")?;
    }
    text.write_str("}\n")
}

fn write_csv(text: &mut String, well: u64, time: &str, values: &[f64]) -> std::fmt::Result {
    write!(text, "ESP-{well:05},{time}")?;
    for value in values {
        write!(text, ",{value}")?;
    }
    text.write_str("\n")
}

fn rfc3339(unix_s: i64) -> String {
    let time = chrono::DateTime::from_timestamp(unix_s, 0).unwrap_or_default();
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const OPTIONS: EspOptions = EspOptions {
        seed: 1,
        wells: 3,
        readings: 9,
        begin_s: 1_765_411_200,
    };

    #[test]
    fn readings_go_from_well_to_well_and_are_the_same_each_time() {
        let mut text = String::new();
        for at in [0, 4] {
            OPTIONS.write(at, EspFormat::Ndjson, &mut text);
        }
        let mut lines = text.lines();
        let first = lines.next().unwrap();
        assert!(first.starts_with(
            "{\"well_id\":\"ESP-00000\",\"timestamp\":\"2025-12-11T00:00:00Z\",\"flow_rate\":"
        ));
        assert!(
            lines
                .next()
                .unwrap()
                .contains("\"ESP-00001\",\"timestamp\":\"2025-12-11T00:01:00Z\"")
        );
        let mut again = String::new();
        OPTIONS.write(0, EspFormat::Ndjson, &mut again);
        assert_eq!(again.trim_end(), first);
    }

    #[test]
    fn values_stay_within_what_is_usual() {
        for at in 0..10_000 {
            for (kind, usual) in (0..).zip(USUAL) {
                let value = OPTIONS.value(at % 7, at, kind, usual);
                assert!((value - usual.0).abs() <= usual.1, "{kind} {value}");
            }
        }
    }
}
