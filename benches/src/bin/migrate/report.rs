//! What the comparison says: the same as a table for people and as one JSON object for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::measured::{Measured, median};
use crate::settings::Settings;
use crate::ways::Way;

/// The project's promise for two workers.
pub(crate) const MEMORY_BYTES_MAX: u64 = 64 << 20;
/// hyperhaul's copying as a multiple of the server's own floor.
const COPY_TO_FLOOR_MAX: f64 = 1.10;
/// hyperhaul's copying as a multiple of pgcopydb's.
const COPY_TO_PGCOPYDB_MAX: f64 = 0.62;
/// hyperhaul's lifecycle as a multiple of the seed's.
const LIFECYCLE_TO_SEED_MAX: f64 = 0.80;

/// The server's own insertion, by slices side by side, as a multiple of the seed's INSERT ... SELECT.
const SERVER_TO_SEED_COPY_MAX: f64 = 0.68;
/// The whole lifecycle with that, verification included, as a multiple of the seed's.
const SERVER_TO_SEED_MAX: f64 = 0.70;
/// Attaching, verification included, as a multiple of the seed's lifecycle.
const ATTACH_TO_SEED_MAX: f64 = 0.05;
/// What a calibrated plan predicts may differ from what the run takes by this share.
const PREDICTION_OFF_MAX: f64 = 0.15;

/// All runs of one way.
#[derive(Debug)]
pub(crate) struct Timed {
    pub(crate) way: Way,
    pub(crate) runs: Vec<Measured>,
    /// Of the machine, before each run.
    pub(crate) load_averages: Vec<f64>,
}

/// Everything that was measured in one go.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) partition_count: usize,
    pub(crate) workers: u32,
    pub(crate) settings: Settings,
    pub(crate) timed: Vec<Timed>,
    /// Ways that did not run, with the reason.
    pub(crate) skipped: Vec<(Way, String)>,
}

/// Something that is timed in several ways.
#[derive(Clone, Copy)]
enum Aspect {
    Copy,
    Lifecycle,
    Verified,
    Whole,
}

impl Aspect {
    fn seconds(self, measured: &Measured) -> Option<f64> {
        match self {
            Aspect::Copy => Some(measured.copy_seconds),
            Aspect::Lifecycle => measured.lifecycle_seconds,
            Aspect::Verified => measured.verified_seconds,
            Aspect::Whole => measured.whole_seconds,
        }
    }
}

impl Timed {
    pub(crate) fn new(way: Way) -> Timed {
        Timed {
            way,
            runs: Vec::new(),
            load_averages: Vec::new(),
        }
    }

    fn seconds(&self, aspect: Aspect) -> Vec<f64> {
        self.runs
            .iter()
            .filter_map(|run| aspect.seconds(run))
            .collect()
    }

    fn median(&self, aspect: Aspect) -> Option<f64> {
        median(self.seconds(aspect))
    }

    /// What was predicted, as a multiple of what it took.
    fn predicted(&self) -> Option<f64> {
        let runs = self.runs.iter();
        median(runs.filter_map(|run| Some(run.predicted_seconds? / run.whole_seconds?)))
    }

    fn memory_peak_bytes(&self) -> Option<u64> {
        self.runs
            .iter()
            .filter_map(|run| run.client_memory_peak_bytes)
            .max()
    }

    fn client_cpu_seconds(&self) -> Option<f64> {
        median(self.runs.iter().filter_map(|run| run.client_cpu_seconds))
    }

    /// Medians of the parts, in their order.
    fn parts(&self) -> Vec<(&str, f64)> {
        let Some(first) = self.runs.first() else {
            return Vec::new();
        };
        let of = |title: &str| {
            let runs = self.runs.iter().flat_map(|run| &run.parts);
            median(
                runs.filter(|part| part.title == title)
                    .map(|part| part.seconds),
            )
            .unwrap_or(0.0)
        };
        first
            .parts
            .iter()
            .map(|part| (part.title.as_str(), of(&part.title)))
            .collect()
    }
}

/// A limit of the project, and what was measured.
struct Target {
    title: String,
    limit: f64,
    value: Option<f64>,
}

impl Comparison {
    fn timed(&self, way: Way) -> Option<&Timed> {
        self.timed.iter().find(|timed| timed.way == way)
    }

    fn ratio(&self, timed: &Timed, other: Way, aspect: Aspect) -> Option<f64> {
        Some(timed.median(aspect)? / self.timed(other)?.median(aspect)?)
    }

    fn targets(&self) -> Vec<Target> {
        let hyperhaul = self.timed(Way::Hyperhaul);
        let ratio = |other, aspect| self.ratio(hyperhaul?, other, aspect);
        let peak = hyperhaul.and_then(Timed::memory_peak_bytes);
        let target = |title: &str, limit, value| Target {
            title: title.to_owned(),
            limit,
            value,
        };
        let against_seed = |way, aspect| self.ratio(self.timed(way)?, Way::Seed, aspect);
        let all = vec![
            target(
                "copy / floor",
                COPY_TO_FLOOR_MAX,
                ratio(Way::Floor, Aspect::Copy),
            ),
            target(
                "copy / pgcopydb",
                COPY_TO_PGCOPYDB_MAX,
                ratio(Way::Pgcopydb, Aspect::Copy),
            ),
            target(
                "lifecycle / seed",
                LIFECYCLE_TO_SEED_MAX,
                ratio(Way::Seed, Aspect::Lifecycle),
            ),
            target(
                "lifecycle / seed, each with its verification",
                LIFECYCLE_TO_SEED_MAX,
                ratio(Way::Seed, Aspect::Verified),
            ),
            target(
                &format!("client peak MiB at {} workers", self.workers),
                mib(MEMORY_BYTES_MAX),
                peak.map(mib),
            ),
            target(
                "server's copy / seed's",
                SERVER_TO_SEED_COPY_MAX,
                against_seed(Way::Server, Aspect::Copy),
            ),
            target(
                "server's lifecycle / seed's, with verification",
                SERVER_TO_SEED_MAX,
                against_seed(Way::Server, Aspect::Verified),
            ),
            target(
                "attach's lifecycle / seed's, with verification",
                ATTACH_TO_SEED_MAX,
                against_seed(Way::Attach, Aspect::Verified),
            ),
        ];
        let predictions = self.timed.iter().filter_map(|timed| {
            let off = (timed.predicted()? - 1.0).abs();
            let title = format!("{}'s prediction is off by", timed.way.name());
            Some(target(&title, PREDICTION_OFF_MAX, Some(off)))
        });
        // What was not asked for is no target.
        let ran = |target: &Target, word, way| {
            !target.title.starts_with(word) || self.timed(way).is_some()
        };
        all.into_iter()
            .filter(|target| ran(target, "server's", Way::Server))
            .filter(|target| ran(target, "attach's", Way::Attach))
            .chain(predictions)
            .collect()
    }

    pub(crate) fn json(&self) -> Value {
        let ways: Vec<Value> = self
            .timed
            .iter()
            .map(|timed| self.way_json(timed))
            .collect();
        let skipped: Vec<Value> = self
            .skipped
            .iter()
            .map(|(way, reason)| json!({"name": way.name(), "reason": reason}))
            .collect();
        let targets: Vec<Value> = self
            .targets()
            .iter()
            .map(|target| json!({"name": target.title, "limit": target.limit, "value": target.value, "met": target.met()}))
            .collect();
        json!({
            "rows": self.rows,
            "bytes": self.bytes,
            "partition_count": self.partition_count,
            "workers": self.workers,
            "settings": self.settings,
            "ways": ways,
            "skipped": skipped,
            "targets": targets,
        })
    }

    fn way_json(&self, timed: &Timed) -> Value {
        let aspect = |aspect| {
            let ratios: serde_json::Map<String, Value> = self
                .timed
                .iter()
                .filter(|other| other.way != timed.way)
                .filter_map(|other| {
                    Some((
                        other.way.name().to_owned(),
                        json!(self.ratio(timed, other.way, aspect)?),
                    ))
                })
                .collect();
            let median = timed.median(aspect)?;
            Some(json!({"seconds": timed.seconds(aspect), "median": median, "ratios": ratios}))
        };
        json!({
            "name": timed.way.name(),
            "description": timed.way.description(),
            "copy": aspect(Aspect::Copy),
            "lifecycle": aspect(Aspect::Lifecycle),
            "lifecycle_with_verification": aspect(Aspect::Verified),
            "lifecycle_with_verification_and_statistics": aspect(Aspect::Whole),
            "predicted_seconds": timed.runs.iter().map(|run| run.predicted_seconds).collect::<Vec<_>>(),
            "parts": timed.runs.iter().map(|run| &run.parts).collect::<Vec<_>>(),
            "client_cpu_seconds": timed.client_cpu_seconds(),
            "client_memory_peak_bytes": timed.memory_peak_bytes(),
            "load_averages": timed.load_averages,
        })
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        self.write_text(&mut text);
        text
    }

    fn write_text(&self, text: &mut String) {
        let mut line = |words: String| {
            text.push_str(&words);
            text.push('\n');
        };
        let settings = &self.settings;
        line(format!(
            "{} fixes, {:.2} GB in {} partitions; {} workers on {} cores; data on {}",
            self.rows,
            to_f64(self.bytes) / 1e9,
            self.partition_count,
            self.workers,
            settings.cores,
            settings.storage
        ));
        line(format!(
            "PostgreSQL {}, TimescaleDB {}, PostGIS {}; hyperhaul {}, pgcopydb {}, psql {}",
            settings.postgresql,
            settings.timescaledb,
            settings.postgis.as_deref().unwrap_or("absent"),
            settings.hyperhaul,
            settings.pgcopydb.as_deref().unwrap_or("absent"),
            settings.psql.as_deref().unwrap_or("absent")
        ));
        let pairs: Vec<String> = settings
            .server
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        for few in pairs.chunks(6) {
            line(format!("  {}", few.join(", ")));
        }
        line(String::new());
        self.table().into_iter().for_each(&mut line);
        for (way, reason) in &self.skipped {
            line(format!("{} was skipped: {reason}", way.name()));
        }
        for way in [Way::Seed, Way::Hyperhaul, Way::Server, Way::Attach] {
            let Some(timed) = self.timed(way) else {
                continue;
            };
            line(format!("\nparts of {}, median seconds", way.name()));
            for (title, seconds) in timed.parts() {
                line(format!("  {seconds:>8.2}  {title}"));
            }
        }
        line("\ntargets of hyperhaul".to_owned());
        for target in self.targets() {
            line(format!("  {}", target.text()));
        }
    }

    /// One line a way: medians, spread, ratios.
    fn table(&self) -> Vec<String> {
        let head = [
            "way",
            "copy s",
            "min",
            "max",
            "x floor",
            "x pgcopydb",
            "lifecycle s",
            "x seed",
            "+ verify s",
            "x seed",
            "+ statistics s",
            "x seed",
            "predicted",
            "CPU s",
            "peak MiB",
            "load",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for timed in &self.timed {
            let copies = timed.seconds(Aspect::Copy);
            rows.push(vec![
                timed.way.name().to_owned(),
                number(timed.median(Aspect::Copy), 2),
                number(copies.iter().copied().reduce(f64::min), 2),
                number(copies.iter().copied().reduce(f64::max), 2),
                number(self.ratio(timed, Way::Floor, Aspect::Copy), 2),
                number(self.ratio(timed, Way::Pgcopydb, Aspect::Copy), 2),
                number(timed.median(Aspect::Lifecycle), 1),
                number(self.ratio(timed, Way::Seed, Aspect::Lifecycle), 2),
                number(timed.median(Aspect::Verified), 1),
                number(self.ratio(timed, Way::Seed, Aspect::Verified), 2),
                number(timed.median(Aspect::Whole), 1),
                number(self.ratio(timed, Way::Seed, Aspect::Whole), 2),
                number(timed.predicted(), 2),
                number(timed.client_cpu_seconds(), 1),
                number(timed.memory_peak_bytes().map(mib), 1),
                number(median(timed.load_averages.iter().copied()), 1),
            ]);
        }
        align(&rows)
    }
}

impl Target {
    fn met(&self) -> Option<bool> {
        self.value.map(|value| value <= self.limit)
    }

    fn text(&self) -> String {
        let said = match (self.value, self.met()) {
            (Some(value), Some(met)) => format!("{value:.2}: {}", verdict(met)),
            _ => "not measured".to_owned(),
        };
        format!("{} at most {:.2}: {said}", self.title, self.limit)
    }
}

pub(crate) fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

pub(crate) fn mib(bytes: u64) -> f64 {
    to_f64(bytes) / f64::from(1 << 20)
}

/// Exact up to 2^53, which is more than any size here.
#[expect(clippy::cast_precision_loss, reason = "sizes here are far below 2^53")]
fn to_f64(bytes: u64) -> f64 {
    bytes as f64
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// The first column to the left, the others to the right, each as wide as its widest cell.
fn align(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|at| {
            rows.iter()
                .filter_map(|row| row.get(at))
                .map(String::len)
                .max()
                .unwrap_or(0)
        })
        .collect();
    let aligned = |row: &Vec<String>| {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let written = if at == 0 {
                write!(line, "{cell:<width$}")
            } else {
                write!(line, "  {cell:>width$}")
            };
            debug_assert!(written.is_ok(), "writing to a string cannot fail");
        }
        line
    };
    rows.iter().map(aligned).collect()
}
