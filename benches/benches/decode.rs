//! How fast records become binary COPY, in rows per second of one core. Target: 250,000 rows of pump telemetry from NDJSON.
//! `encode` writes the same rows from numbers that are numbers already: what decoding costs is the rest.

#![allow(
    missing_docs,
    reason = "criterion's macros generate undocumented items"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hyperhaul_decode::{ColumnKind, Decoder, Mapping, Record, TargetColumn, fill_from_profile};
use hyperhaul_pgcopy::Encoder;

const ROW_COUNT: usize = 20_000;

/// Rows that are handed on at once, as the batcher does.
const BATCH_ROWS: usize = 2_000;

/// 2025-12-11 10:00:00 UTC.
const START_US: i64 = 1_765_447_200_000_000;

const MEASURES: [&str; 9] = [
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

/// A pump at a moment.
struct Sample {
    well_id: String,
    second: usize,
    measures: [f64; 9],
}

fn samples() -> Vec<Sample> {
    let sample = |index: usize| {
        // Measures with two decimals that differ from row to row.
        let wave = |low: u32, span: u32, salt: usize| {
            let step = u32::try_from((index * 7919 + salt * 104_729) % 1000).unwrap_or(0);
            f64::from(low * 100 + span * step / 10) / 100.0
        };
        Sample {
            well_id: format!("WELL-{:04}", index % 2000),
            second: index / 2000,
            measures: [
                wave(1500, 1000, 1),
                wave(800, 400, 2),
                wave(35, 20, 3),
                wave(70, 30, 4),
                wave(0, 1, 5),
                wave(45, 10, 6),
                wave(1, 9, 7),
                wave(60, 20, 8),
                wave(300, 200, 9),
            ],
        }
    };
    (0..ROW_COUNT).map(sample).collect()
}

fn time(sample: &Sample) -> String {
    format!("2025-12-11T10:00:{:02}.123Z", sample.second % 60)
}

fn json(sample: &Sample) -> String {
    let measures = MEASURES.iter().zip(sample.measures);
    let measures: String = measures
        .map(|(name, value)| format!(",\"{name}\":{value}"))
        .collect();
    format!(
        "{{\"well_id\":\"{}\",\"timestamp\":\"{}\"{measures}}}",
        sample.well_id,
        time(sample)
    )
}

fn csv(sample: &Sample) -> String {
    let measures: String = sample
        .measures
        .iter()
        .map(|value| format!(",{value}"))
        .collect();
    format!("{},{}{measures}", sample.well_id, time(sample))
}

fn columns() -> Vec<TargetColumn> {
    let mut columns = vec![
        TargetColumn::needed(
            "well_id",
            ColumnKind::Text {
                chars_max: Some(50),
            },
        ),
        TargetColumn::needed("timestamp", ColumnKind::Timestamptz),
    ];
    columns.extend(MEASURES.map(|name| TargetColumn::new(name, ColumnKind::Float8)));
    columns
}

/// The profile for pump telemetry, with its limits and its window.
fn decoder(format: &str) -> Box<dyn Decoder> {
    let toml = format!("profile = \"esp-telemetry\"\ndecoder = \"{format}\"");
    let decoder = toml
        .parse::<toml::Table>()
        .map_err(|error| error.to_string())
        .and_then(|stream| fill_from_profile(stream).map_err(|error| error.to_string()))
        .and_then(|mut stream| Mapping::take(&mut stream).map_err(|error| error.to_string()))
        .and_then(|mapping| {
            mapping
                .decoder(&[columns()])
                .map_err(|error| error.to_string())
        });
    match decoder {
        Ok(decoder) => decoder,
        Err(error) => panic!("{error}"),
    }
}

fn decode_all(decoder: &dyn Decoder, payloads: &[String]) {
    let mut rows = decoder.empty_rows();
    for (position, payload) in (1..).zip(payloads) {
        let record = Record {
            payload: payload.as_bytes(),
            received_at_us: START_US,
            position,
            source: "bench",
            attributes: &[],
        };
        if let Err(refusal) = decoder.decode(&record, &mut rows) {
            panic!("{refusal}");
        }
        if rows[0].len() == BATCH_ROWS {
            black_box(rows[0].take().ok());
        }
    }
    black_box(rows);
}

fn decode(criterion: &mut Criterion) {
    let samples = samples();
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(ROW_COUNT as u64));
    for (format, line) in [("ndjson", json as fn(&Sample) -> String), ("csv", csv)] {
        let payloads: Vec<String> = samples.iter().map(line).collect();
        let decoder = decoder(format);
        group.bench_function(format, |bencher| {
            bencher.iter(|| decode_all(&*decoder, &payloads));
        });
    }
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            let mut encoder = Encoder::new();
            for (index, sample) in samples.iter().enumerate() {
                let mut row = encoder.row(11);
                row.text(&sample.well_id).timestamptz_us(START_US);
                for measure in sample.measures {
                    row.float8(measure);
                }
                if let Err(error) = row.finish() {
                    panic!("{error}");
                }
                drop(row);
                if index % BATCH_ROWS == BATCH_ROWS - 1 {
                    black_box(encoder.take());
                }
            }
        });
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
