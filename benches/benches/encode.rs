//! How fast rows become binary COPY, in rows per second of one core. Target: 2 million fixes.

#![allow(
    missing_docs,
    reason = "criterion's macros generate undocumented items"
)]

mod sample;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hyperhaul_pgcopy::Encoder;

const ROW_COUNT: usize = 20_000;

/// When the encoded rows are handed on, as the batcher does.
const BATCH_BYTES: usize = 256 * 1024;

fn encode(criterion: &mut Criterion) {
    let fixes = sample::fixes(ROW_COUNT);
    let tuple_bytes = sample::tuples(&fixes).len() / ROW_COUNT;
    assert!(
        (320..=430).contains(&tuple_bytes),
        "{tuple_bytes} bytes a tuple"
    );
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(ROW_COUNT as u64));
    group.bench_function("fixes", |bencher| {
        bencher.iter(|| {
            let mut encoder = Encoder::with_capacity(BATCH_BYTES);
            for fix in &fixes {
                sample::write(&mut encoder, fix);
                if encoder.len() >= BATCH_BYTES {
                    black_box(encoder.take());
                }
            }
            encoder
        });
    });
    group.finish();
}

criterion_group!(benches, encode);
criterion_main!(benches);
